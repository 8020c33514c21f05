//! What a client is told without having asked. A message is written as JSON once, however many sessions it goes to.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::names::{Offset, Stream};
use super::operation::IqType;
use super::presence::{Presence, PresenceType, Subscription};
use crate::attempt::PossibleDuplicate;
use crate::id::MessageId;
use crate::name::UserId;

/// One event of a session.
#[derive(Debug, Clone)]
pub enum Event {
    /// A message of a stream.
    Message(Arc<MessageEvent>),
    /// About somebody's presence.
    Presence(Arc<PresenceEvent>),
    /// A question to this session, or the outcome of one that it asked.
    Iq(IqEvent),
    /// News of the server; nothing is expected of the client.
    Ib(Arc<IbEvent>),
    /// The last event: the session is over.
    Closed(Closed),
}

impl Event {
    /// What `op` says, and the name of the event where a wire has names.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
            Self::Iq(_) => "iq",
            Self::Ib(_) => "ib",
            Self::Closed(_) => "closed",
        }
    }

    /// The frame, one JSON object. For a message it is written once and shared.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        match self {
            Self::Message(message) => message.to_json(),
            Self::Presence(event) => frame(self.name(), &**event),
            Self::Iq(event) => frame(self.name(), event),
            Self::Ib(event) => frame(self.name(), &**event),
            Self::Closed(event) => frame(self.name(), event),
        }
    }

    /// About what it takes while it waits to be sent, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// The frame beside what is of any length.
        const FRAME: usize = 160;
        FRAME
            + match self {
                Self::Message(message) => message.document.len(),
                Self::Iq(event) => event
                    .payload
                    .as_ref()
                    .map_or(0, |payload| payload.get().len()),
                Self::Presence(_) | Self::Ib(_) | Self::Closed(_) => 0,
            }
    }
}

/// A message as a session gets it.
#[derive(Debug)]
pub struct MessageEvent {
    /// The stream it is of.
    pub stream: Stream,
    /// Its place there; `None`: it is transient, was not stored and needs no acknowledgement.
    pub offset: Option<Offset>,
    /// Its id.
    pub id: MessageId,
    /// It may have been given out before: receivers that care look at the id.
    pub possible_duplicate: Option<PossibleDuplicate>,
    /// The message as stored, JSON.
    pub document: Bytes,
    json: OnceLock<Bytes>,
    raw: OnceLock<Box<RawValue>>,
}

impl MessageEvent {
    /// An event that is not written yet.
    #[must_use]
    pub const fn new(
        stream: Stream,
        offset: Option<Offset>,
        id: MessageId,
        possible_duplicate: Option<PossibleDuplicate>,
        document: Bytes,
    ) -> Self {
        Self {
            stream,
            offset,
            id,
            possible_duplicate,
            document,
            json: OnceLock::new(),
            raw: OnceLock::new(),
        }
    }

    /// `{"op":"message","stream":…,"offset":…,"message":{…}}`, with `"transient":true` in the place of an offset.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        self.json.get_or_init(|| self.write()).clone()
    }

    /// The same as a value that is written as it is, for wires that frame values. It is made once, too, however many
    /// sessions it goes to.
    #[must_use]
    pub fn to_raw(&self) -> &RawValue {
        self.raw.get_or_init(|| {
            serde_json::from_slice(&self.to_json())
                .expect("it is written here, around a message that was parsed when it came")
        })
    }

    fn write(&self) -> Bytes {
        #[derive(Serialize)]
        struct Head<'a> {
            op: &'static str,
            stream: &'a Stream,
            #[serde(skip_serializing_if = "Option::is_none")]
            offset: Option<Offset>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            transient: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            possible_duplicate: Option<PossibleDuplicate>,
        }
        let head = Head {
            op: "message",
            stream: &self.stream,
            offset: self.offset,
            transient: self.offset.is_none(),
            possible_duplicate: self.possible_duplicate,
        };
        let mut json = serde_json::to_vec(&head).expect("strings always serialise");
        // The document is JSON already, and may be a megabyte: it is copied once, not parsed.
        json.pop();
        json.extend_from_slice(b",\"message\":");
        json.extend_from_slice(&self.document);
        json.push(b'}');
        json.into()
    }
}

/// About somebody's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresenceEvent {
    /// Whose.
    pub user: UserId,
    /// What it says.
    pub r#type: PresenceType,
    /// How available the user is; there when `type` is `presence`.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
    /// Who sees whom now, from this session's side; there when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
}

/// A question or its outcome.
#[derive(Debug, Clone, Serialize)]
pub struct IqEvent {
    /// Of a question: the gateway's id, to be given with the answer. Of an outcome: the id that the asker chose.
    pub id: String,
    /// What it is.
    pub r#type: IqType,
    /// Who asks or answers: `user:ID/RESOURCE`, or `server`.
    pub from: String,
    /// The content of the question, of the answer, or of the error (`{code, detail}`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

/// News of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IbEvent {
    /// What it is about: `welcome` at the beginning; `room.joined.self`, `room.joined`, `room.left`, `unsubscribed` later.
    pub kind: String,
    /// What it says.
    pub data: Value,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The client ended it.
    Goodbye,
    /// The connection was cut, or the client was silent for too long: its presence stays for a grace period.
    Lost,
    /// An operator ended it.
    Kicked,
    /// The client did not take what was sent.
    Slow,
    /// Another session of the same user took its resource.
    Replaced,
    /// The token's time is over.
    Expired,
    /// The key or the right is gone.
    Revoked,
    /// What the client sent cannot be read.
    Malformed,
    /// Who it is was not said, or not believed: there was no session.
    Refused,
    /// The server stops.
    ServerStopping,
}

impl CloseReason {
    /// The word that stands for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Lost => "lost",
            Self::Kicked => "kicked",
            Self::Slow => "slow",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::ServerStopping => "server_stopping",
        }
    }

    /// Whether a reconnect is likely, so that presence waits before it says offline.
    #[must_use]
    pub const fn is_ungraceful(self) -> bool {
        match self {
            Self::Lost | Self::Slow | Self::ServerStopping | Self::Malformed => true,
            Self::Goodbye
            | Self::Kicked
            | Self::Replaced
            | Self::Expired
            | Self::Revoked
            | Self::Refused => false,
        }
    }
}

/// The last event of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An object that begins with its `op`.
pub(super) fn frame(op: &'static str, body: &impl Serialize) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a, T> {
        op: &'static str,
        #[serde(flatten)]
        body: &'a T,
    }
    serde_json::to_vec(&Frame { op, body })
        .expect("strings, numbers and JSON always serialise")
        .into()
}
