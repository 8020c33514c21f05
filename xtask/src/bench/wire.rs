//! A client of each live wire that costs as little as it can: frames are found by their bytes and never parsed. Must not
//! reconnect: a failure is a result.

use crate::bench::payload;
use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Messages of which the last is acknowledged, where one acknowledgement is for all before it.
const ACKNOWLEDGED_AT_ONCE: u32 = 32;
/// The longest a poll may wait.
const POLL_SECONDS: u32 = 55;
/// A stamp in a message, wherever that is.
const STAMPED: &[u8] = b"{\"t\":\"";
const OFFSET: &[u8] = b"\"offset\":\"";
const STREAM: &[u8] = b"\"stream\":\"";
/// A key that is as good as any here (RFC 6455 §1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Plain WebSocket.
    WebSocket,
    /// Socket.IO over WebSocket.
    SocketIo,
    /// Framed TCP.
    Tcp,
    /// Server-sent events.
    Sse,
    /// Long poll.
    Poll,
}

impl Wire {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::WebSocket,
        Self::SocketIo,
        Self::Tcp,
        Self::Sse,
        Self::Poll,
    ];

    /// For the head of a column.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::SocketIo => "Socket.IO",
            Self::Tcp => "TCP",
            Self::Sse => "SSE",
            Self::Poll => "long poll",
        }
    }
}

/// How messages are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    /// As the wire's own clients do: on Socket.IO each by its callback, elsewhere every so many together.
    Usual,
    /// Every so many together, on Socket.IO too.
    Together,
}

/// Where the wires are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// HTTP.
    pub(crate) http: SocketAddr,
    /// Framed TCP.
    pub(crate) tcp: SocketAddr,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// A message, published at this time.
    Message(u64),
    /// The answer to what was asked last.
    Answer,
    /// Something else.
    News,
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
    stream: TcpStream,
    buffer: BytesMut,
    asked: u64,
    acks: Acks,
    unacknowledged: u32,
}

impl Client {
    /// Connects as a user, and waits until it is welcome.
    pub(crate) async fn open(wire: Wire, place: Place, user: &str) -> anyhow::Result<Self> {
        let address = if wire == Wire::Tcp {
            place.tcp
        } else {
            place.http
        };
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let mut client = Self {
            wire,
            stream,
            buffer: BytesMut::new(),
            asked: 0,
            acks: Acks::Usual,
            unacknowledged: 0,
        };
        let opened = client.begin(user).await;
        opened.with_context(|| format!("{} does not open", wire.title()))?;
        Ok(client)
    }

    /// How it acknowledges from now on.
    pub(crate) fn acknowledge(&mut self, acks: Acks) {
        self.acks = acks;
    }

    async fn begin(&mut self, user: &str) -> anyhow::Result<()> {
        let auth = json!({ "user": user });
        match self.wire {
            Wire::WebSocket => {
                self.upgrade(&format!("/ws?user={user}")).await?;
                self.expect(b"welcome").await
            }
            Wire::SocketIo => {
                self.upgrade("/socket.io/?EIO=4&transport=websocket")
                    .await?;
                self.expect(b"0{").await?;
                self.write(format!("40{auth}").as_bytes()).await?;
                self.expect(b"welcome").await
            }
            Wire::Tcp => {
                let hello = json!({"op": "auth", "user": user}).to_string();
                self.write(hello.as_bytes()).await?;
                self.expect(b"welcome").await
            }
            Wire::Sse => {
                self.get(&format!("/sse?user={user}")).await?;
                self.read_to(b"welcome").await?;
                Ok(())
            }
            Wire::Poll => {
                self.get(&format!("/poll?user={user}")).await?;
                let answer = self.read_to(b"]}").await?;
                let body = answer.find(b"{\"").map(|at| &answer[at..]);
                let body: Value = serde_json::from_slice(body.context("no body")?)?;
                let after = body["after"].as_str().context("no position")?;
                let next = format!("/poll?user={user}&wait={POLL_SECONDS}&after={after}");
                self.get(&next).await
            }
        }
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    async fn upgrade(&mut self, path: &str) -> anyhow::Result<()> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let head = self.read_to(b"\r\n\r\n").await?;
        if !head.starts_with(b"HTTP/1.1 101") {
            bail!("no upgrade: {}", String::from_utf8_lossy(&head));
        }
        Ok(())
    }

    /// Everything up to `end` and with it.
    async fn read_to(&mut self, end: &[u8]) -> anyhow::Result<Bytes> {
        loop {
            if let Some(at) = self.buffer.find(end) {
                return Ok(self.buffer.split_to(at + end.len()).freeze());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    /// Frames until one that holds `text`.
    async fn expect(&mut self, text: &[u8]) -> anyhow::Result<()> {
        while self.frame().await?.find(text).is_none() {}
        Ok(())
    }

    /// Asks: a frame that names itself by `op`. The answer comes by [`Client::next`].
    pub(crate) async fn ask(&mut self, op: &str, frame: &str) -> anyhow::Result<()> {
        self.asked += 1;
        let rest = frame.strip_prefix('{').context("a frame is an object")?;
        let text = match self.wire {
            Wire::SocketIo => format!("42{}[\"{op}\",{frame}]", self.asked),
            _ => format!("{{\"op\":\"{op}\",\"ref\":\"{}\",{rest}", self.asked),
        };
        self.write(text.as_bytes()).await
    }

    /// What comes next; a message is acknowledged where that is asked for.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Came> {
        let frame = self.frame().await?;
        if let Some(at) = frame.find(STAMPED) {
            let stamp = payload::stamp(&frame[at..]).context("a message that is not ours")?;
            self.arrived(&frame).await?;
            return Ok(Came::Message(stamp));
        }
        let refused = frame.find(b"\"op\":\"error\"").is_some();
        let closed = frame.find(b"\"op\":\"closed\"").is_some();
        if refused || closed {
            bail!("refused: {}", String::from_utf8_lossy(&frame));
        }
        let answer = match self.wire {
            Wire::SocketIo => frame.starts_with(b"43"),
            _ => frame.find(b"\"op\":\"ok\"").is_some() && !self.is_of_ack(&frame),
        };
        Ok(if answer { Came::Answer } else { Came::News })
    }

    /// Acknowledgements carry no mark.
    fn is_of_ack(&self, frame: &[u8]) -> bool {
        frame.find(b"\"ref\"").is_none()
    }

    async fn arrived(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        if self.wire == Wire::SocketIo && self.acks == Acks::Usual {
            let digits = frame[2..].iter().take_while(|byte| byte.is_ascii_digit());
            let digits = digits.count();
            if digits > 0 {
                let mut answer = b"43".to_vec();
                answer.extend_from_slice(&frame[2..2 + digits]);
                answer.extend_from_slice(b"[]");
                self.write(&answer).await?;
            }
            return Ok(());
        }
        self.unacknowledged += 1;
        if self.unacknowledged < ACKNOWLEDGED_AT_ONCE {
            return Ok(());
        }
        self.unacknowledged = 0;
        let (offset, stream) = (word(frame, OFFSET)?, word(frame, STREAM)?);
        let position = format!("\"stream\":\"{stream}\",\"up_to\":\"{offset}\"}}");
        let ack = match self.wire {
            Wire::SocketIo => format!("42[\"ack\",{{{position}]"),
            _ => format!("{{\"op\":\"ack\",{position}"),
        };
        self.write(ack.as_bytes()).await
    }

    /// One frame out. A WebSocket's client masks; a mask of zeros changes nothing (RFC 6455 §5.3).
    async fn write(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        if self.wire == Wire::Tcp {
            bytes.extend_from_slice(&u32::try_from(payload.len())?.to_be_bytes());
        } else {
            bytes.push(0x81);
            match u16::try_from(payload.len())? {
                short @ 0..126 => bytes.push(0x80 | u8::try_from(short)?),
                long => {
                    bytes.push(0x80 | 126);
                    bytes.extend_from_slice(&long.to_be_bytes());
                }
            }
            bytes.extend_from_slice(&[0; 4]);
        }
        bytes.extend_from_slice(payload);
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// One frame in; signs of life are answered on the way.
    async fn frame(&mut self) -> anyhow::Result<BytesMut> {
        loop {
            let Some((head, length)) = head(self.wire, &self.buffer)? else {
                self.fill().await?;
                continue;
            };
            if self.buffer.len() < head + length {
                self.fill().await?;
                continue;
            }
            let opcode = self.buffer[0] & 0x0f;
            self.buffer.advance(head);
            let frame = self.buffer.split_to(length);
            match self.wire {
                Wire::Tcp if frame.is_empty() => self.write(b"").await?,
                Wire::Tcp => return Ok(frame),
                _ if opcode == 8 => bail!("closed: {}", String::from_utf8_lossy(&frame)),
                // No pong is needed within the time of a benchmark.
                _ if opcode != 1 => {}
                Wire::SocketIo if frame[..] == *b"2" => self.write(b"3").await?,
                _ => return Ok(frame),
            }
        }
    }
}

/// Bytes of the head of the next frame and of what it frames; `None` when it is not there yet.
fn head(wire: Wire, bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    if wire == Wire::Tcp {
        let Some(length) = bytes.first_chunk() else {
            return Ok(None);
        };
        return Ok(Some((4, usize::try_from(u32::from_be_bytes(*length))?)));
    }
    let Some([_, short]) = bytes.first_chunk() else {
        return Ok(None);
    };
    Ok(match short {
        126 => match bytes.get(2..4) {
            Some(long) => Some((4, usize::from(u16::from_be_bytes(long.try_into()?)))),
            None => None,
        },
        127 => match bytes.get(2..10) {
            Some(long) => Some((10, usize::try_from(u64::from_be_bytes(long.try_into()?))?)),
            None => None,
        },
        short => Some((2, usize::from(*short))),
    })
}

/// The text behind `lead`, up to the quotation mark.
fn word<'a>(frame: &'a [u8], lead: &[u8]) -> anyhow::Result<&'a str> {
    let at = frame.find(lead).context("a message without its place")?;
    let rest = &frame[at + lead.len()..];
    let end = rest.find(b"\"").context("a message cut short")?;
    Ok(std::str::from_utf8(&rest[..end])?)
}

/// Looking for bytes in bytes.
trait Find {
    fn find(&self, wanted: &[u8]) -> Option<usize>;
}

impl Find for [u8] {
    fn find(&self, wanted: &[u8]) -> Option<usize> {
        self.windows(wanted.len()).position(|here| here == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::{Find, Wire, head, word};

    #[test]
    fn the_heads_of_frames_are_read() {
        let read = |wire, bytes: &[u8]| head(wire, bytes).expect("a length that fits");
        assert_eq!(read(Wire::Tcp, &[0, 0, 1]), None);
        assert_eq!(read(Wire::Tcp, &[0, 0, 1, 2]), Some((4, 258)));
        assert_eq!(read(Wire::WebSocket, &[0x81]), None);
        assert_eq!(read(Wire::WebSocket, &[0x81, 5, b'h']), Some((2, 5)));
        assert_eq!(read(Wire::WebSocket, &[0x81, 126, 1]), None);
        assert_eq!(read(Wire::WebSocket, &[0x81, 126, 1, 0]), Some((4, 256)));
        let long = [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(read(Wire::SocketIo, &long), Some((10, 65_536)));
    }

    #[test]
    fn the_place_of_a_message_is_found() {
        let frame = br#"{"op":"message","stream":"topic:bench","offset":"12"}"#;
        assert_eq!(word(frame, super::OFFSET).expect("it is there"), "12");
        assert_eq!(
            word(frame, super::STREAM).expect("it is there"),
            "topic:bench"
        );
        assert!(word(b"{}", super::OFFSET).is_err());
        assert_eq!(b"abc".find(b"cd"), None);
    }
}
