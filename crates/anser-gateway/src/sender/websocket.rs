//! WebSockets to platforms (RFC 6455): opened the way that requests go, by look-up, address guard, proxy and TLS, and then
//! frames in both directions. Decides nothing about what a frame means or when to connect again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anser_core::channel::{HttpResponse, SendError, SendErrorKind};
use anser_core::connection::{FRAME_BYTES_MAX, Frame};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::HeaderMap;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use url::{Host, Url};

use super::Sender;
use super::error::{chain, kind_of_io, unsent};
use super::room::Place;
use super::trace::Trace;
use super::transport::Transport;

/// Frames that may wait to be sent; a peer that takes none for so long is not there.
pub const FRAMES_UNSENT_MAX: usize = 1_024;
/// What is read of a socket at once. Frames are small, and one socket is open for each channel.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<Transport>,
    unsent: VecDeque<Message>,
    unflushed: bool,
    _place: Place,
}

/// What came over a WebSocket.
#[derive(Debug)]
pub enum Heard {
    /// A frame. A ping is answered.
    Frame(Frame),
    /// It is closed, or broken.
    Closed {
        /// The code of the close frame; `None`: it broke.
        code: Option<u16>,
        /// The words of the close frame, or what broke.
        reason: String,
    },
}

/// Why there is no WebSocket.
#[derive(Debug)]
pub enum NotOpened {
    /// The server answered with something else.
    Answered(Box<HttpResponse>),
    /// There was no answer.
    Failed(SendError),
}

impl Sender {
    /// Opens a WebSocket within `deadline`.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub async fn open_socket(
        &self,
        url: &Url,
        headers: HeaderMap,
        deadline: Duration,
    ) -> Result<Socket, NotOpened> {
        let mut trace = Trace::start(&*self.clock, deadline);
        let opened = tokio::time::timeout(deadline, self.socket(url, headers, &mut trace)).await;
        opened.unwrap_or_else(|_| Err(NotOpened::Failed(trace.timed_out())))
    }

    async fn socket(
        &self,
        url: &Url,
        headers: HeaderMap,
        trace: &mut Trace<'_>,
    ) -> Result<Socket, NotOpened> {
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| failed(&error))?;
        request.headers_mut().extend(headers);
        let place = self.room.enter(|| self.pool.close_longest_idle()).await;
        let connected = Box::pin(self.connector.connect_socket(url, trace)).await;
        let transport = connected.map_err(NotOpened::Failed)?;
        let peer = trace
            .peer
            .expect("dialling notes the address that answered");
        trace.begin_answer(peer);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let shaken =
            tokio_tungstenite::client_async_with_config(request, transport, Some(config)).await;
        match shaken {
            Ok((stream, _)) => Ok(Socket {
                stream,
                unsent: VecDeque::new(),
                unflushed: false,
                _place: place,
            }),
            Err(tungstenite::Error::Http(answer)) => {
                let (head, body) = answer.into_parts();
                Err(NotOpened::Answered(Box::new(HttpResponse {
                    status: head.status,
                    headers: head.headers,
                    body: Bytes::from(body.unwrap_or_default()),
                })))
            }
            Err(error) => Err(failed(&error)),
        }
    }
}

impl Socket {
    /// Takes a frame to be sent by [`Socket::poll_next`]. False: too many wait already, so that the peer takes nothing.
    #[must_use]
    pub fn send(&mut self, frame: Frame) -> bool {
        if self.unsent.len() >= FRAMES_UNSENT_MAX {
            return false;
        }
        self.unsent.push_back(match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Ping(bytes) => Message::Ping(bytes),
            Frame::Pong(bytes) => Message::Pong(bytes),
        });
        true
    }

    /// Sends what waits and a close frame. The caller limits the time.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        };
        self.unsent.push_back(Message::Close(Some(frame)));
        // Whether it arrives or not, the socket is done with.
        let _ = poll_fn(|cx| self.poll_send(cx)).await;
    }

    /// Sends what waits, and answers with what comes next; without `read` only when the socket breaks.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Heard> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(broken(&error));
        }
        if !read {
            return Poll::Pending;
        }
        let next = Pin::new(&mut self.stream).poll_next(cx);
        next.map(|message| match message {
            Some(Ok(message)) => heard(message),
            Some(Err(error)) => broken(&error),
            None => Heard::Closed {
                code: None,
                reason: "the connection was closed without a word".to_owned(),
            },
        })
    }

    /// Ready when nothing waits to be sent.
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

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

fn heard(message: Message) -> Heard {
    Heard::Frame(match message {
        Message::Text(text) => Frame::Text(text.as_str().to_owned()),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping(bytes) => Frame::Ping(bytes),
        Message::Pong(bytes) => Frame::Pong(bytes),
        Message::Close(frame) => {
            return Heard::Closed {
                code: frame.as_ref().map(|frame| frame.code.into()),
                reason: frame.map_or_else(String::new, |frame| frame.reason.as_str().to_owned()),
            };
        }
        Message::Frame(frame) => Frame::Binary(frame.into_payload()),
    })
}

fn broken(error: &tungstenite::Error) -> Heard {
    Heard::Closed {
        code: None,
        reason: chain(error),
    }
}

fn failed(error: &tungstenite::Error) -> NotOpened {
    let kind = match error {
        tungstenite::Error::Io(error) => kind_of_io(error),
        _ => SendErrorKind::Protocol,
    };
    NotOpened::Failed(unsent(kind, chain(error)))
}

/// The host and port of a `ws` or `wss` URL, and whether it is to be secured.
pub(super) fn target(url: &Url) -> Result<(Host<&str>, u16, bool), SendError> {
    let secure = url.scheme() == "wss";
    match (url.host(), url.port_or_known_default()) {
        (Some(host), Some(port)) if secure || url.scheme() == "ws" => Ok((host, port, secure)),
        _ => {
            let detail = format!("{}: is no ws or wss URL with a host", url.scheme());
            Err(unsent(SendErrorKind::Protocol, detail))
        }
    }
}
