//! `/ws`: plain WebSocket (RFC 6455), one JSON object a message. Who it is says the `Authorization` header, the parameter
//! `token`, or the first frame. Must not know what frames mean.

use std::sync::Arc;

use anser_core::live::{Acknowledgements, CloseReason, Hello, Offset};
use anser_core::name::UserId;
use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::SinkExt as _;
use http::Request;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_tungstenite::tungstenite;

use super::LIVE_FRAME_BYTES_MAX;
use super::Live;
use super::door::{Caller, credential};
use super::duplex::{Broken, Incoming, Wire, serve};
use crate::answer::{self, Answer};
use crate::query;

/// Read buffer of a connection, allocated with it: an idle one keeps little memory, a large message grows its own.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// What is written goes out at once past so much.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes of the reason of a close frame (RFC 6455 §5.5: 125 with the code).
const REASON_BYTES_MAX: usize = 123;

/// What the address of the upgrade may say, in the place of an `auth` frame.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Handshake {
    /// The key or token, where there is no header.
    token: Option<String>,
    /// Whom a key acts for; a token names its own user.
    user: Option<UserId>,
    /// What tells the session from others of the user.
    resource: Option<String>,
    /// The offset of the last message of the mailbox that arrived.
    after: Option<Offset>,
    /// How messages are acknowledged; default `explicit`.
    acks: Option<Acknowledgements>,
}

impl Handshake {
    /// The `auth` that the request is; `None` when it does not say who it is, and the first frame will.
    fn hello(self, parts: &Parts) -> Result<Option<Hello>, Problem> {
        let token = credential(parts, self.token)?;
        if token.is_none() && self.user.is_none() {
            return Ok(None);
        }
        Ok(Some(Hello {
            token,
            user: self.user,
            resource: self.resource,
            after: self.after,
            acks: self.acks,
            ..Hello::default()
        }))
    }
}

pub(super) async fn upgrade(State(live): State<Arc<Live>>, request: Request<Body>) -> Answer {
    let _counted = live.gateway.metrics().http_request();
    let (mut parts, _) = request.into_parts();
    match prepare(&live, &mut parts).await {
        Ok((socket, caller, hello)) => socket.on_upgrade(move |socket| async move {
            serve(live, Socket(socket), caller, hello).await;
        }),
        Err(Refused::Problem(problem)) => answer::problem(&problem),
        Err(Refused::Answer(answer)) => *answer,
    }
}

enum Refused {
    Problem(Problem),
    Answer(Box<Answer>),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn prepare(
    live: &Arc<Live>,
    parts: &mut Parts,
) -> Result<(WebSocketUpgrade, Caller, Option<Hello>), Refused> {
    let handshake: Handshake = query::read(parts.uri.query())?;
    let hello = handshake.hello(parts)?;
    let caller = match &hello {
        Some(hello) => {
            let caller = Caller::of_hello(live, parts)?;
            // Told as HTTP, where the client's library shows it best.
            caller.identify(live, hello)?;
            caller
        }
        None => Caller::of_request(live, parts)?,
    };
    let socket = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|rejection| {
            let status = rejection.into_response().status();
            let kind = match status.as_u16() {
                405 => ProblemKind::MethodNotAllowed,
                _ => ProblemKind::Malformed,
            };
            let detail = "this address takes WebSocket upgrades (RFC 6455, version 13) by HTTP/1.1";
            Refused::Answer(Box::new(answer::problem(&Problem::new(
                kind,
                "no_upgrade",
                detail,
            ))))
        })?;
    let socket = socket
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(LIVE_FRAME_BYTES_MAX)
        .max_frame_size(LIVE_FRAME_BYTES_MAX);
    Ok((socket, caller, hello))
}

struct Socket(WebSocket);

impl Wire for Socket {
    const NAME: &'static str = "ws";

    async fn read(&mut self) -> Result<Incoming, Broken> {
        match self.0.recv().await {
            Some(Ok(Message::Text(text))) => Ok(Incoming::Frame(text.into())),
            Some(Ok(Message::Binary(bytes))) => Ok(Incoming::Frame(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Incoming::Alive),
            Some(Ok(Message::Close(frame))) => match frame.map(|frame| frame.code) {
                // A page that is left says 1001 and may be back at once: only 1000 means it (RFC 6455 §7.4.1).
                Some(code::NORMAL) => Ok(Incoming::Goodbye),
                Some(_) | None => Err(Broken::Lost),
            },
            Some(Err(error)) => Err(broken(error)),
            None => Err(Broken::Lost),
        }
    }

    async fn write(&mut self, frame: Bytes) -> Result<(), Broken> {
        let text = Utf8Bytes::try_from(frame).map_err(|_| Broken::Lost)?;
        let written = self.0.feed(Message::Text(text)).await;
        written.map_err(|_| Broken::Lost)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        self.0.flush().await.map_err(|_| Broken::Lost)
    }

    async fn ping(&mut self) -> Result<(), Broken> {
        let written = self.0.send(Message::Ping(Bytes::new())).await;
        written.map_err(|_| Broken::Lost)
    }

    async fn finish(&mut self, reason: CloseReason) {
        let mut text = reason.as_str().to_owned();
        text.truncate(REASON_BYTES_MAX);
        let close = CloseFrame {
            code: code(reason),
            reason: text.into(),
        };
        if self.0.send(Message::Close(Some(close))).await.is_ok() {
            // The client's own close frame; without it the kernel may drop what was just sent (RFC 6455 §7.1.1).
            while let Some(Ok(_)) = self.0.recv().await {}
        }
    }
}

fn broken(error: axum::Error) -> Broken {
    let inner = error.into_inner();
    match inner.downcast_ref::<tungstenite::Error>() {
        Some(
            error @ (tungstenite::Error::Capacity(_)
            | tungstenite::Error::Utf8(_)
            | tungstenite::Error::Protocol(_)),
        ) if !is_reset(error) => Broken::Malformed(error.to_string()),
        _ => Broken::Lost,
    }
}

fn is_reset(error: &tungstenite::Error) -> bool {
    let reset = tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    matches!(error, tungstenite::Error::Protocol(found) if *found == reset)
}

/// Codes of close frames (RFC 6455 §7.4).
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const AWAY: u16 = 1001;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const AGAIN: u16 = 1013;
    /// Of our own: the numbers of HTTP behind 4000.
    pub(super) const UNAUTHENTICATED: u16 = 4401;
    pub(super) const FORBIDDEN: u16 = 4403;
    pub(super) const REPLACED: u16 = 4409;
}

/// The code of a reason.
const fn code(reason: CloseReason) -> u16 {
    match reason {
        CloseReason::Goodbye => code::NORMAL,
        CloseReason::Lost | CloseReason::ServerStopping => code::AWAY,
        CloseReason::Kicked | CloseReason::Revoked => code::FORBIDDEN,
        CloseReason::Slow => code::AGAIN,
        CloseReason::Replaced => code::REPLACED,
        CloseReason::Expired | CloseReason::Refused => code::UNAUTHENTICATED,
        CloseReason::Malformed => code::POLICY,
    }
}
