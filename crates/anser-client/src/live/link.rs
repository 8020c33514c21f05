//! One WebSocket (RFC 6455) to the gateway: dialled, shaken and then frames in both directions at once, so that neither side
//! waits for the other to read. Decides nothing.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use url::Host;

use crate::Error;
use crate::error::Refusal;
use crate::server::Server;

/// Look-up, connection, TLS and handshake take no longer together.
const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// A frame of the server has no more bytes: a message of a megabyte and what goes with it.
const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What is read of the socket at once.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A byte stream, encrypted or not.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An open WebSocket.
pub(super) struct Link {
    stream: WebSocketStream<Box<dyn Transport>>,
    unsent: VecDeque<Message>,
    unflushed: bool,
}

/// What came.
pub(super) enum Came {
    /// A frame.
    Frame(Bytes),
    /// A ping or a pong.
    Alive,
    /// The end, in words.
    Cut(String),
}

impl Link {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server answered with something else, [`Error::Unreachable`] otherwise.
    pub(super) async fn open(
        server: &Server,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let unreachable = |cause: String| Error::Unreachable {
            server: server.to_string(),
            cause,
        };
        let opened = tokio::time::timeout(DIAL_WITHIN, dial(server, tls));
        match opened.await {
            Ok(Ok(stream)) => Ok(Self {
                stream,
                unsent: VecDeque::new(),
                unflushed: false,
            }),
            Ok(Err(Failed::Answered(refusal))) => Err(Error::Refused(refusal)),
            Ok(Err(Failed::Broken(cause))) => Err(unreachable(cause)),
            Err(_) => {
                let seconds = DIAL_WITHIN.as_secs();
                Err(unreachable(format!(
                    "there was no connection within {seconds} seconds"
                )))
            }
        }
    }

    /// Takes a frame to be sent by [`Link::poll`]. How many wait is bounded by who asks: see `PENDING_MAX`.
    pub(super) fn send(&mut self, frame: Bytes) {
        if let Ok(text) = Utf8Bytes::try_from(frame) {
            self.unsent.push_back(Message::Text(text));
        } else {
            debug_assert!(false, "JSON is UTF-8");
        }
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&mut self) {
        self.unsent.push_back(Message::Ping(Bytes::new()));
    }

    /// Says goodbye behind what waits (RFC 6455 §7.4.1: 1000, it is meant).
    pub(super) fn finish(&mut self) {
        self.unsent.push_back(Message::Close(Some(CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        })));
    }

    /// Sends what waits, and answers with what comes next. May be dropped and called again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Came::Cut(error.to_string()));
        }
        let next = Pin::new(&mut self.stream).poll_next(cx);
        next.map(|message| match message {
            Some(Ok(Message::Text(text))) => Came::Frame(text.into()),
            Some(Ok(Message::Binary(bytes))) => Came::Frame(bytes),
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| format!(": {} {}", frame.code, frame.reason));
                let reason = reason.unwrap_or_default();
                Came::Cut(format!("the server closed the connection{reason}"))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Came::Alive,
            Some(Err(error)) => Came::Cut(error.to_string()),
            None => Came::Cut("the connection ended".to_owned()),
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        let mut stream = Pin::new(&mut self.stream);
        while !self.unsent.is_empty() {
            match stream.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            if let Some(message) = self.unsent.pop_front() {
                stream.as_mut().start_send(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            match stream.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }
}

enum Failed {
    Answered(Refusal),
    Broken(String),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

async fn dial(
    server: &Server,
    tls: Option<Arc<ClientConfig>>,
) -> Result<WebSocketStream<Box<dyn Transport>>, Failed> {
    let (host, port) = server.peer();
    let stream = match host {
        Host::Domain(name) => TcpStream::connect((name, port)).await?,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await?,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await?,
    };
    stream.set_nodelay(true)?;
    let transport: Box<dyn Transport> = match tls {
        Some(tls) => {
            let name = certified(&host)?;
            Box::new(TlsConnector::from(tls).connect(name, stream).await?)
        }
        None => Box::new(stream),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let url = server.socket();
    let shaken =
        tokio_tungstenite::client_async_with_config(url.as_str(), transport, Some(config)).await;
    match shaken {
        Ok((stream, _)) => Ok(stream),
        Err(tungstenite::Error::Http(answer)) => {
            let (head, body) = answer.into_parts();
            let status = head.status.as_u16();
            Err(Failed::Answered(refusal(status, &body.unwrap_or_default())))
        }
        Err(error) => Err(Failed::Broken(error.to_string())),
    }
}

/// The name that the certificate must be for.
fn certified(host: &Host<&str>) -> Result<ServerName<'static>, Failed> {
    match host {
        // A certificate never has the root's dot.
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| Failed::Broken(format!("{name} is no name of a certificate"))),
        Host::Ipv4(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}

/// What an answer that is no upgrade says.
fn refusal(status: u16, body: &[u8]) -> Refusal {
    serde_json::from_slice(body).unwrap_or_else(|_| Refusal {
        status,
        code: "no_upgrade".to_owned(),
        detail: "the server did not open a WebSocket; is it a gateway?".to_owned(),
        field: None,
        accepted: None,
    })
}
