//! `/socket.io/` held against the documents of its protocols, packet by packet and without a library: Engine.IO revision 4
//! (<https://github.com/socketio/engine.io-protocol>) and Socket.IO revision 5 (<https://github.com/socketio/socket.io-protocol>).
//! The cases are those of their test suites, and what the documents say beside; where the server does otherwise the test says
//! so, as does the table in `docs/guide/live.md`.

mod engine;
mod socket;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::World;
use super::client::soon;
use crate::harness::Api;

/// What separates packets in a payload (Engine.IO 4, "Packet encoding", "HTTP long-polling").
const SEPARATOR: char = '\u{1e}';

/// A request of long polling; `query` comes after the path. Answers the status and the body.
async fn http(world: &World, method: Method, query: &str, body: &str) -> (u16, String) {
    let api = Api::new(world.server.base(), None);
    let request = api.request(method, &format!("/socket.io/?{query}"));
    let request = request.header("content-type", "text/plain;charset=UTF-8");
    let sent = soon("an answer", request.body(body.to_owned()).send()).await;
    let answer = sent.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A connection by long polling.
struct Polling<'a> {
    world: &'a World,
    query: String,
}

impl<'a> Polling<'a> {
    async fn open(world: &'a World) -> Self {
        let (status, open) = http(world, Method::GET, "EIO=4&transport=polling", "").await;
        assert_eq!(status, 200, "{open}");
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap();
        Self {
            world,
            query: format!("EIO=4&transport=polling&sid={sid}"),
        }
    }

    async fn poll(&self) -> (u16, String) {
        http(self.world, Method::GET, &self.query, "").await
    }

    async fn post(&self, payload: &str) -> (u16, String) {
        http(self.world, Method::POST, &self.query, payload).await
    }

    /// Polls until so many packets came that are no pings, which are answered.
    async fn packets(&self, count: usize) -> Vec<String> {
        let mut packets = Vec::new();
        while packets.len() < count {
            let (status, payload) = self.poll().await;
            assert_eq!(status, 200, "{payload}");
            for packet in payload.split(SEPARATOR) {
                if packet == "2" {
                    assert_eq!(self.post("3").await.0, 200);
                } else {
                    packets.push(packet.to_owned());
                }
            }
        }
        packets
    }

    /// The same connection by WebSocket.
    async fn upgrade(&self) -> Result<Socket, Error> {
        let query = self.query.replace("polling", "websocket");
        Socket::connect(self.world, &query).await
    }
}

/// A connection by WebSocket.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn connect(world: &World, query: &str) -> Result<Self, Error> {
        let host = world.server.base().strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(host).await.unwrap();
        let address = format!("ws://{host}/socket.io/?{query}");
        let opened = soon(
            "an upgrade",
            tokio_tungstenite::client_async(address, stream),
        )
        .await;
        Ok(Self(opened?.0))
    }

    /// After the handshake of Engine.IO.
    async fn open(world: &World) -> Self {
        let mut socket = Self::connect(world, "EIO=4&transport=websocket")
            .await
            .unwrap();
        let open = socket.next().await.unwrap();
        assert!(open.starts_with("0{"), "{open}");
        socket
    }

    /// After the handshake of Socket.IO, as a user; welcome.
    async fn of_user(world: &World, user: &str) -> Self {
        let mut socket = Self::open(world).await;
        let connected = socket.ask(&connect(world, user).await).await;
        assert!(connected.starts_with("40{"), "{connected}");
        let welcome = socket.packet().await.unwrap();
        assert!(welcome.starts_with(r#"42["ib",{"#), "{welcome}");
        socket
    }

    async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }

    async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    /// What comes next; `None` when the server closed the connection.
    async fn next(&mut self) -> Option<String> {
        match soon("a packet", self.0.next()).await {
            Some(Ok(Message::Text(text))) => Some(text.as_str().to_owned()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }

    /// The next packet that is no ping; those are answered.
    async fn packet(&mut self) -> Option<String> {
        loop {
            let packet = self.next().await?;
            if packet != "2" {
                return Some(packet);
            }
            self.send("3").await;
        }
    }

    async fn ask(&mut self, packet: &str) -> String {
        self.send(packet).await;
        self.packet().await.expect("the connection is open")
    }

    /// Whether it is of use: an operation is answered, and nothing else came before.
    async fn answers(&mut self) {
        let answer = self.ask(r#"427["ping"]"#).await;
        assert!(answer.starts_with(r#"437[{"op":"ok""#), "{answer}");
    }

    /// Waits until the server closes it.
    async fn closed(&mut self) {
        while let Some(packet) = self.packet().await {
            assert!(packet.starts_with('4') || packet == "1", "{packet}");
        }
    }
}

/// The packet that connects a user to the root namespace.
async fn connect(world: &World, user: &str) -> String {
    let token = world.token(user).await;
    format!("40{}", json!({"token": token}))
}
