//! The contract of a long connection: how a channel takes in its platform's events over a WebSocket or by polling, instead of
//! by callbacks. A state machine that is told what happened and says what to do. Pure: no I/O, clock or randomness of its own;
//! connecting, sending, storing, waiting, trying again and keeping the journal are the gateway's, written once for all.
//!
//! The life of one [`Connection`]: [`Input::Begin`], then requests and frames as it asks for them, [`Action::Live`] once events
//! can come, [`Action::Take`] for each batch of them, and an answer to the platform only after [`Input::Stored`]; at the end
//! [`Action::Lost`], or the gateway drops it (the socket closed, it was deaf, the channel changed, the gateway stops).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::exchange::{Exchange, HttpRequest};
use crate::inbound::{InboundContext, InboundEvent};
use crate::response::HttpResponse;

/// Bytes of one frame in either direction.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches that are being stored and not answered yet; the gateway reads no further frame beyond them.
pub const BATCHES_UNSTORED_MAX: usize = 64;
/// Requests of one connection that may wait for their answers at a time.
pub const ASKS_MAX: usize = 256;
/// The code of a WebSocket that is closed as its purpose is fulfilled (RFC 6455 §7.4.1).
pub const CLOSE_NORMAL: u16 = 1000;
/// Bytes that a connection keeps for the next one.
pub const RESUME_BYTES_MAX: usize = 4 * 1024;
/// Timers of a connection, by number from 0.
pub const TIMERS_MAX: u8 = 4;

/// A channel's way to be connected to its platform.
pub trait Connector: Send + Sync {
    /// A connection that is about to begin. `resume` is what the one before kept with [`Action::Keep`] in this run of the
    /// gateway; `None` at first.
    fn begin(&self, resume: Option<&[u8]>) -> Box<dyn Connection>;

    /// How long nothing at all may come over a live connection before it is deaf: longer than the platform's own interval
    /// of pings, heartbeats or answers to polls, with room for a late one.
    fn silence_max(&self) -> Duration;

    /// For how long the platform may send the same event again: dedupe keys are remembered at least so long.
    fn remember(&self) -> Duration;

    /// With which code (RFC 6455 §7.4) the gateway closes a WebSocket that another connection follows: not
    /// [`CLOSE_NORMAL`] where the platform takes that for the end of the session that is to be resumed.
    fn close_code(&self) -> u16 {
        CLOSE_NORMAL
    }
}

/// One connection, from its beginning to its end.
pub trait Connection: Send {
    /// Takes what happened and says what is to be done, in order. After [`Action::Lost`] it is asked nothing more.
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action>;
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// It begins. Once, and first.
    Begin,
    /// The answer to [`Action::Ask`] of this tag.
    Answered {
        /// As in the request.
        tag: u32,
        /// The answer, or why there is none.
        exchange: Exchange,
    },
    /// The WebSocket of [`Action::Open`] is open.
    Opened,
    /// The server of [`Action::Open`] answered, but did not open a WebSocket: the connection is to say with [`Action::Lost`]
    /// what that means here.
    NotOpened {
        /// What it answered instead; of the body only the beginning.
        response: HttpResponse,
    },
    /// A frame came.
    Frame(Frame),
    /// The batch is durable: the platform may be told.
    Stored {
        /// As in [`Action::Take`].
        batch: u64,
    },
    /// The batch could not be stored, and the platform must not be told that it was: it is to send it again.
    NotStored {
        /// As in [`Action::Take`].
        batch: u64,
    },
    /// The timer of this number ran out.
    Timer(u8),
    /// The far end closed the WebSocket, or it broke: the connection is to say with [`Action::Lost`] what that means here.
    Closed {
        /// The code of the close frame (RFC 6455 §7.4); `None`: it broke, or could not be opened.
        code: Option<u16>,
        /// The words of the close frame, or what broke.
        reason: String,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Send this request; [`Input::Answered`] follows, in any order with other inputs. Of the answer's body at most
    /// [`FRAME_BYTES_MAX`] are read. At most [`ASKS_MAX`] wait for their answers at a time.
    Ask {
        /// Comes back with the answer.
        tag: u32,
        /// The request.
        request: HttpRequest,
        /// How long the answer may take.
        limit: Duration,
    },
    /// Open a WebSocket; [`Input::Opened`], [`Input::NotOpened`] or [`Input::Closed`] follows. At most one is open at a time.
    Open {
        /// `ws` or `wss`.
        url: Url,
        /// Headers of the request, beside those that a WebSocket needs.
        headers: HeaderMap,
    },
    /// Send a frame.
    Send(Frame),
    /// Store these events, in one commit; [`Input::Stored`] or [`Input::NotStored`] follows. Batches are stored in order.
    Take {
        /// Comes back with what became of it; rises from batch to batch.
        batch: u64,
        /// The events, in order; at most [`crate::inbound::INBOUND_EVENTS_MAX`].
        events: Vec<InboundEvent>,
    },
    /// Set the timer of this number, in the place of the one that ran.
    Timer {
        /// From 0, below [`TIMERS_MAX`].
        number: u8,
        /// When it runs out from now.
        after: Duration,
    },
    /// Events can come from now on. Once in a connection's life.
    Live {
        /// The platform's name for the connection, for the journal; never a secret.
        session: Option<String>,
        /// What became of events between the connection before and this one.
        recovery: Recovery,
    },
    /// Keep this for the next connection, in the place of what was kept; at most [`RESUME_BYTES_MAX`].
    Keep(Bytes),
    /// Something came that cannot be read or used: it is counted and noted for the operator, and the connection goes on.
    Unread {
        /// What it was; never a secret.
        detail: String,
    },
    /// The connection is at its end. The socket is closed, and another connection begins.
    Lost {
        /// Why.
        loss: Loss,
        /// More, for the operator; never a secret.
        detail: String,
        /// When the next one begins.
        again: Again,
    },
}

/// A frame of a WebSocket. Pings are answered by the gateway, beside being handed in.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text, as JSON is sent.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// A ping.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
}

/// Frames carry tokens and what people wrote, so that only their size is shown.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::Text(text) => ("Text", text.len()),
            Self::Binary(bytes) => ("Binary", bytes.len()),
            Self::Ping(bytes) => ("Ping", bytes.len()),
            Self::Pong(bytes) => ("Pong", bytes.len()),
        };
        write!(f, "{kind}({bytes} bytes)")
    }
}

/// What became of events between two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The platform kept all of them and sends them now.
    Resumed,
    /// The platform sends those again that were not acknowledged, for some time; older ones may be missing.
    Redelivered,
    /// Nobody kept them: what happened in the gap is missing.
    Missed,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The network broke it, or it could not be made.
    Network,
    /// The platform closed it in the ordinary course: a new server, a new ticket, a limit on its age.
    Asked,
    /// Nothing came for longer than the connector's limit: connected, but deaf.
    Deaf,
    /// The platform refuses the credentials, or this way of being connected.
    Refused,
    /// Another client took the connection's place, or there are too many.
    Replaced,
    /// The platform asks for fewer attempts.
    Limited,
    /// What came breaks the protocol.
    Protocol,
    /// The channel was changed, deleted or paused, or the gateway stops.
    Stopped,
}

/// When the next connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once: the platform asked for it. Falls back to [`Again::Backoff`] when the one before did not live either.
    AtOnce,
    /// After ever longer waits, with some randomness.
    Backoff,
    /// Not before this time has passed, as the platform asks.
    After(Duration),
    /// Rarely, as nothing will change until somebody changes the settings: every few minutes.
    Rarely,
}
