//! A connection that may break at any moment, on any wire: what a careful client has, which says that it was cut and
//! never panics for it. Every wait may be given up and begun again without losing what came.

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::super::client::framed;
use super::socket_io::SocketIo;
use crate::harness::Api;

/// Seconds that a poll waits.
const POLL_WAIT: u64 = 5;

/// The connection is gone, or is not to be had now.
#[derive(Debug)]
pub(super) struct Cut;

/// Where the server is.
#[derive(Clone)]
pub(super) struct Place {
    /// Of HTTP, `127.0.0.1:1234`.
    pub(super) host: String,
    /// Of framed TCP.
    pub(super) tcp: String,
    /// HTTP without a key.
    pub(super) api: Api,
}

/// Who connects, and from where it goes on.
pub(super) struct Hello<'a> {
    pub(super) token: &'a str,
    pub(super) resource: &'a str,
    pub(super) after: Option<u64>,
}

/// A connection.
pub(super) struct Line {
    wire: Wire,
    /// What came together and was not taken yet.
    came: VecDeque<Value>,
    asked: u64,
}

enum Wire {
    Ws(Box<WebSocketStream<TcpStream>>),
    Tcp(TcpStream, BytesMut),
    SocketIo(Box<SocketIo>),
    Sse {
        api: Api,
        answer: reqwest::Response,
        unread: String,
        session: String,
    },
    Poll {
        api: Api,
        /// Who and where, until an answer says where it goes on.
        query: String,
        after: Option<String>,
        session: String,
    },
}

impl Line {
    /// Connects; the first event is still to come.
    pub(super) async fn open(wire: &str, place: &Place, hello: &Hello<'_>) -> Result<Self, Cut> {
        let mut query = format!("token={}&resource={}", hello.token, hello.resource);
        let mut auth = json!({"op": "auth", "token": hello.token, "resource": hello.resource});
        if let Some(after) = hello.after {
            query.push_str(&format!("&after={after}"));
            auth["after"] = after.to_string().into();
        }
        let api = place.api.clone();
        let wire = match wire {
            "ws" => {
                let stream = TcpStream::connect(&place.host).await.map_err(cut)?;
                let address = format!("ws://{}/ws", place.host);
                let opened = tokio_tungstenite::client_async(address, stream).await;
                let mut socket = opened.map_err(cut)?.0;
                let auth = Message::text(auth.to_string());
                socket.send(auth).await.map_err(cut)?;
                Wire::Ws(Box::new(socket))
            }
            "tcp" => {
                let mut stream = TcpStream::connect(&place.tcp).await.map_err(cut)?;
                let auth = framed(auth.to_string().as_bytes());
                stream.write_all(&auth).await.map_err(cut)?;
                Wire::Tcp(stream, BytesMut::new())
            }
            "sse" => {
                let request = api.request(Method::GET, &format!("/sse?{query}"));
                let answer = request.send().await.map_err(cut)?;
                assert!(matches!(answer.status().as_u16(), 200 | 503), "{answer:?}");
                Wire::Sse {
                    api,
                    answer,
                    unread: String::new(),
                    session: String::new(),
                }
            }
            "poll" => Wire::Poll {
                api,
                query,
                after: None,
                session: String::new(),
            },
            "socket.io" => {
                auth.as_object_mut().unwrap().remove("op");
                Wire::SocketIo(Box::new(SocketIo::open(&place.host, &auth).await?))
            }
            other => panic!("{other}"),
        };
        Ok(Self {
            wire,
            came: VecDeque::new(),
            asked: 0,
        })
    }

    /// Whether a wait that is given up is a connection that is cut while the session goes on.
    pub(super) fn survives_a_cut(&self) -> bool {
        matches!(self.wire, Wire::Poll { .. })
    }

    /// Ends as one who says so.
    pub(super) async fn goodbye(self) {
        match self.wire {
            Wire::Ws(mut socket) => {
                let close = CloseFrame {
                    code: CloseCode::Normal,
                    reason: "".into(),
                };
                // It may be gone already.
                drop(socket.send(Message::Close(Some(close))).await);
                while let Some(Ok(_)) = socket.next().await {}
            }
            Wire::SocketIo(line) => line.goodbye().await,
            Wire::Tcp(..) | Wire::Sse { .. } | Wire::Poll { .. } => {}
        }
    }

    /// Asks; the answer comes as [`Line::next`] with the mark that this returns, or is here already.
    pub(super) async fn ask(&mut self, mut frame: Value) -> Result<String, Cut> {
        self.asked += 1;
        let mark = format!("r{}", self.asked);
        frame["ref"] = mark.as_str().into();
        match &mut self.wire {
            Wire::Ws(socket) => {
                let frame = Message::text(frame.to_string());
                socket.send(frame).await.map_err(cut)?;
            }
            Wire::Tcp(stream, _) => {
                let frame = framed(frame.to_string().as_bytes());
                stream.write_all(&frame).await.map_err(cut)?;
            }
            Wire::SocketIo(line) => line.ask(self.asked, &frame).await?,
            Wire::Sse { api, session, .. } => {
                self.came
                    .push_back(post(api, "/sse", session, &frame).await?);
            }
            Wire::Poll { api, session, .. } => {
                self.came
                    .push_back(post(api, "/poll", session, &frame).await?);
            }
        }
        Ok(mark)
    }

    /// What comes next, an event or an answer.
    pub(super) async fn next(&mut self) -> Result<Value, Cut> {
        loop {
            if let Some(frame) = self.came.pop_front() {
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<(), Cut> {
        match &mut self.wire {
            Wire::Ws(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => self.came.push_back(parsed(text.as_bytes())),
                Some(Ok(Message::Ping(_))) => {}
                _ => return Err(Cut),
            },
            Wire::Tcp(stream, unread) => {
                while let Some(frame) = unframed(unread) {
                    if frame.is_empty() {
                        stream.write_all(&framed(b"")).await.map_err(cut)?;
                    } else {
                        self.came.push_back(parsed(&frame));
                    }
                }
                if self.came.is_empty() && stream.read_buf(unread).await.map_err(cut)? == 0 {
                    return Err(Cut);
                }
            }
            Wire::SocketIo(line) => line.receive(&mut self.came).await?,
            Wire::Sse {
                answer,
                unread,
                session,
                ..
            } => {
                while let Some((event, rest)) = unread.split_once("\n\n") {
                    if let Some(data) = data(event) {
                        match data["session"].as_str() {
                            Some(handle) if data["op"].is_null() => *session = handle.to_owned(),
                            _ => self.came.push_back(data),
                        }
                    }
                    *unread = rest.to_owned();
                }
                if self.came.is_empty() {
                    let piece = answer.chunk().await.map_err(cut)?.ok_or(Cut)?;
                    unread.push_str(std::str::from_utf8(&piece).unwrap());
                }
            }
            Wire::Poll {
                api,
                query,
                after,
                session,
            } => {
                let mut path = format!("/poll?{query}&wait={POLL_WAIT}");
                if let Some(after) = after {
                    let who = query.split("&after=").next().unwrap();
                    path = format!("/poll?{who}&wait={POLL_WAIT}&after={after}");
                }
                let asked = api.try_send(api.request(Method::GET, &path)).await;
                let (status, answer) = asked.map_err(cut)?;
                if status == 503 {
                    return Err(Cut);
                }
                assert_eq!(status, 200, "{answer}");
                *session = answer["session"].as_str().unwrap().to_owned();
                *after = answer["after"].as_str().map(str::to_owned);
                let events = answer["events"].as_array().unwrap().iter().cloned();
                self.came.extend(events);
            }
        }
        Ok(())
    }
}

pub(super) fn cut(_: impl std::error::Error) -> Cut {
    Cut
}

pub(super) fn parsed(frame: &[u8]) -> Value {
    serde_json::from_slice(frame).unwrap()
}

/// The first frame of what was read, when it is whole.
fn unframed(unread: &mut BytesMut) -> Option<BytesMut> {
    let head: [u8; 4] = unread.get(..4)?.try_into().unwrap();
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap();
    if unread.len() < 4 + length {
        return None;
    }
    unread.advance(4);
    Some(unread.split_to(length))
}

/// The data of one event (HTML §9.2.6).
fn data(event: &str) -> Option<Value> {
    let lines = event.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = lines.collect::<Vec<_>>().join("\n");
    (!data.is_empty()).then(|| parsed(data.as_bytes()))
}

/// One frame for a session that is held; a session that is gone is a connection that was cut.
async fn post(api: &Api, path: &str, session: &str, frame: &Value) -> Result<Value, Cut> {
    let path = format!("{path}?session={session}");
    let request = api.request(Method::POST, &path).json(frame);
    let (status, answer) = api.try_send(request).await.map_err(cut)?;
    match status {
        200 => Ok(answer),
        404 | 503 => Err(Cut),
        other => panic!("{other}: {answer}"),
    }
}
