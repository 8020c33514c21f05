//! A client of each wire, written by hand from the description of the wires. One asks, and takes events as they come.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::World;
use crate::harness::{Api, DEADLINE};

/// A connected client.
pub(super) struct Client {
    wire: Wire,
    /// What came while something else was waited for.
    events: VecDeque<Value>,
    /// Where the mailbox got to, as this wire says it.
    pub(super) position: Option<String>,
    asked: u64,
}

enum Wire {
    Ws(Box<WebSocketStream<TcpStream>>),
    Tcp(TcpStream),
    Sse {
        api: Api,
        answer: reqwest::Response,
        unread: String,
        session: String,
    },
    Poll {
        api: Api,
        query: String,
        session: String,
    },
}

/// Fails the test when it takes too long.
pub(super) async fn soon<T>(what: &str, task: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, task).await {
        Ok(done) => done,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}

/// Opens a plain WebSocket.
pub(super) async fn websocket(
    world: &World,
    query: &str,
) -> Result<WebSocketStream<TcpStream>, tokio_tungstenite::tungstenite::Error> {
    let host = world.server.base().strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let opened = tokio_tungstenite::client_async(format!("ws://{host}/ws?{query}"), stream).await;
    opened.map(|(socket, _)| socket)
}

/// A frame of TCP.
pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], payload].concat()
}

/// The next frame of TCP; `None` at the end of the connection.
pub(super) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    if stream.read_exact(&mut head).await.is_err() {
        return None;
    }
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(head)).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some(payload)
}

impl Client {
    /// Connects as the user of `token`, going on from `after`.
    pub(super) async fn open(wire: &str, world: &World, token: &str, after: Option<&str>) -> Self {
        let mut query = format!("token={token}");
        if let Some(after) = after {
            query.push_str(&format!("&after={after}"));
        }
        let api = Api::new(world.server.base(), None);
        let wire = match wire {
            "ws" => {
                let mut socket = websocket(world, "").await.unwrap();
                let hello = auth(token, after).to_string();
                socket.send(Message::text(hello)).await.unwrap();
                Wire::Ws(Box::new(socket))
            }
            "tcp" => {
                let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
                let hello = auth(token, after).to_string();
                stream.write_all(&framed(hello.as_bytes())).await.unwrap();
                Wire::Tcp(stream)
            }
            "sse" => Wire::Sse {
                answer: {
                    let request = api.request(Method::GET, &format!("/sse?{query}"));
                    request.send().await.unwrap()
                },
                api,
                unread: String::new(),
                session: String::new(),
            },
            "poll" => Wire::Poll {
                api,
                query,
                session: String::new(),
            },
            other => panic!("{other}"),
        };
        let mut client = Self {
            wire,
            events: VecDeque::new(),
            position: after.map(str::to_owned),
            asked: 0,
        };
        if after.is_some_and(|after| after.starts_with("s_")) {
            // The session of a client that polls goes on where it was: it is no new one.
            return client;
        }
        let welcome = client.next_of("ib").await;
        assert_eq!(welcome["kind"], "welcome", "{welcome}");
        client
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self, mut frame: Value) -> Value {
        self.asked += 1;
        let mark = format!("r{}", self.asked);
        frame["ref"] = mark.as_str().into();
        soon("an answer", async {
            match &mut self.wire {
                Wire::Ws(_) | Wire::Tcp(_) => {
                    self.send(&frame).await;
                    loop {
                        let came = self.receive().await;
                        if came["ref"] == mark.as_str() {
                            return came;
                        }
                        self.events.push_back(came);
                    }
                }
                Wire::Sse { api, session, .. } => post(api, "/sse", session, &frame).await,
                Wire::Poll { api, session, .. } => post(api, "/poll", session, &frame).await,
            }
        })
        .await
    }

    /// Asks for something that must be done.
    pub(super) async fn done(&mut self, frame: Value) -> Value {
        let answer = self.ask(frame).await;
        assert_eq!(answer["op"], "ok", "{answer}");
        answer
    }

    async fn send(&mut self, frame: &Value) {
        match &mut self.wire {
            Wire::Ws(socket) => {
                let sent = socket.send(Message::text(frame.to_string())).await;
                sent.unwrap();
            }
            Wire::Tcp(stream) => {
                let bytes = framed(frame.to_string().as_bytes());
                stream.write_all(&bytes).await.unwrap();
            }
            Wire::Sse { .. } | Wire::Poll { .. } => panic!("it posts"),
        }
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        soon("an event", self.receive()).await
    }

    /// The next event of a kind; others are passed over.
    pub(super) async fn next_of(&mut self, op: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["op"] == op {
                return event;
            }
        }
    }

    /// Whether no event came before what was asked last was answered.
    pub(super) fn has_nothing_more(&self) -> bool {
        self.events.is_empty()
    }

    /// Whatever comes next, an answer too.
    async fn receive(&mut self) -> Value {
        loop {
            match &mut self.wire {
                Wire::Ws(socket) => match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame: Value = serde_json::from_str(&text).unwrap();
                        if frame["stream"] == "mailbox" {
                            self.position = frame["offset"].as_str().map(str::to_owned);
                        }
                        return frame;
                    }
                    Some(Ok(Message::Ping(_))) => {}
                    other => panic!("{other:?}"),
                },
                Wire::Tcp(stream) => {
                    let frame = read_frame(stream).await.expect("the connection is open");
                    if frame.is_empty() {
                        stream.write_all(&framed(b"")).await.unwrap();
                        continue;
                    }
                    let frame: Value = serde_json::from_slice(&frame).unwrap();
                    if frame["stream"] == "mailbox" {
                        self.position = frame["offset"].as_str().map(str::to_owned);
                    }
                    return frame;
                }
                Wire::Sse {
                    answer,
                    unread,
                    session,
                    ..
                } => {
                    if let Some((event, rest)) = unread.split_once("\n\n") {
                        let fields = fields(event);
                        *unread = rest.to_owned();
                        if let Some(data) = told(fields, session, &mut self.position) {
                            return data;
                        }
                        continue;
                    }
                    let piece = answer.chunk().await.unwrap().expect("the stream goes on");
                    unread.push_str(std::str::from_utf8(&piece).unwrap());
                }
                Wire::Poll {
                    api,
                    query,
                    session,
                } => {
                    let path = match &self.position {
                        Some(after) => {
                            let token = query.split('&').next().unwrap();
                            format!("/poll?{token}&after={after}")
                        }
                        None => format!("/poll?{query}"),
                    };
                    let (status, answer) = api.get(&path).await;
                    assert_eq!(status, 200, "{answer}");
                    *session = answer["session"].as_str().unwrap().to_owned();
                    self.position = answer["after"].as_str().map(str::to_owned);
                    let events = answer["events"].as_array().unwrap().iter().cloned();
                    self.events.extend(events);
                    if let Some(event) = self.events.pop_front() {
                        return event;
                    }
                }
            }
        }
    }
}

fn auth(token: &str, after: Option<&str>) -> Value {
    let mut hello = json!({"op": "auth", "token": token});
    if let Some(after) = after {
        hello["after"] = after.into();
    }
    hello
}

async fn post(api: &Api, path: &str, session: &str, frame: &Value) -> Value {
    let (status, answer) = api.post(&format!("{path}?session={session}"), frame).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[derive(Default)]
struct Fields {
    event: Option<String>,
    id: Option<String>,
    data: Option<String>,
}

/// What an event tells the client; `None` when it is about the stream itself.
fn told(fields: Fields, session: &mut String, position: &mut Option<String>) -> Option<Value> {
    let data: Value = serde_json::from_str(&fields.data?).unwrap();
    if fields.event.as_deref() == Some("session") {
        *session = data["session"].as_str().unwrap().to_owned();
        return None;
    }
    if fields.id.is_some() {
        *position = fields.id;
    }
    Some(data)
}

/// The fields of one event (HTML §9.2.6).
fn fields(text: &str) -> Fields {
    let mut fields = Fields::default();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name {
            "event" => fields.event = Some(value),
            "id" => fields.id = Some(value),
            "data" => match &mut fields.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                None => fields.data = Some(value),
            },
            _ => {}
        }
    }
    fields
}
