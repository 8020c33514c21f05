//! The line of a client of Socket.IO, written from the protocol (Engine.IO 4, Socket.IO 5): over WebSocket, without a library.

use std::collections::{HashMap, VecDeque};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::line::{Cut, cut, parsed};

/// A connection.
pub(super) struct SocketIo {
    socket: WebSocketStream<TcpStream>,
    /// The callbacks of messages that were not called, by the messages' ids.
    callbacks: HashMap<String, String>,
}

impl SocketIo {
    /// Connects to the root namespace; the first event is still to come.
    pub(super) async fn open(host: &str, auth: &Value) -> Result<Self, Cut> {
        let stream = TcpStream::connect(host).await.map_err(cut)?;
        let address = format!("ws://{host}/socket.io/?EIO=4&transport=websocket");
        let opened = tokio_tungstenite::client_async(address, stream).await;
        let mut line = Self {
            socket: opened.map_err(cut)?.0,
            callbacks: HashMap::new(),
        };
        // `{"sid":…}` of Engine.IO, then that of the namespace.
        let open = line.packet().await?;
        assert!(open.starts_with("0{"), "{open}");
        line.send(format!("40{auth}")).await?;
        let connected = line.packet().await?;
        if let Some(refusal) = connected.strip_prefix("44") {
            assert!(refusal.contains("stopping"), "{refusal}");
            return Err(Cut);
        }
        assert!(connected.starts_with("40{"), "{connected}");
        Ok(line)
    }

    async fn send(&mut self, packet: String) -> Result<(), Cut> {
        let sent = self.socket.send(Message::text(packet)).await;
        sent.map_err(cut)
    }

    /// The next packet; signs of life are answered.
    async fn packet(&mut self) -> Result<String, Cut> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text == "2" => self.send("3".to_owned()).await?,
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                _ => return Err(Cut),
            }
        }
    }

    /// Asks under a number. A message is acknowledged by its callback every other time, and nobody confirms that.
    pub(super) async fn ask(&mut self, number: u64, frame: &Value) -> Result<(), Cut> {
        let callback = frame["id"]
            .as_str()
            .and_then(|id| self.callbacks.remove(id));
        if let Some(callback) = callback
            && number.is_multiple_of(2)
        {
            return self.send(format!("43{callback}[]")).await;
        }
        let mut argument = frame.clone();
        let named = argument.as_object_mut().unwrap();
        named.remove("ref");
        let name = named.remove("op").unwrap();
        self.send(format!("42{number}{}", json!([name, argument])))
            .await
    }

    /// What comes next: events, and answers with the marks of their numbers.
    pub(super) async fn receive(&mut self, came: &mut VecDeque<Value>) -> Result<(), Cut> {
        let packet = self.packet().await?;
        let (kind, rest) = packet.split_at(2);
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, data) = rest.split_at(digits);
        match kind {
            "42" => {
                let [name, event]: [Value; 2] = serde_json::from_str(data).unwrap();
                assert_eq!(name, event["op"], "{data}");
                if let (Some(id), false) = (event["message"]["id"].as_str(), number.is_empty()) {
                    self.callbacks.insert(id.to_owned(), number.to_owned());
                }
                came.push_back(event);
            }
            "43" => {
                let mut answers = parsed(data.as_bytes());
                let mut answer = answers[0].take();
                answer["ref"] = format!("r{number}").into();
                came.push_back(answer);
            }
            "41" => return Err(Cut),
            other => panic!("{other}: {packet}"),
        }
        Ok(())
    }

    /// Leaves the namespace, which is a goodbye, then the connection.
    pub(super) async fn goodbye(mut self) {
        // It may be gone already.
        if self.send("41".to_owned()).await.is_ok() {
            drop(self.send("1".to_owned()).await);
            while let Some(Ok(_)) = self.socket.next().await {}
        }
    }
}
