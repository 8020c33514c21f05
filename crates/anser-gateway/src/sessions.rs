//! Live clients: sessions, what they read, presence, questions and answers. One model for every wire: a wire opens a
//! session for whom it authenticated, hands over what the client asks and sends what the session is told. Must not know
//! a wire, a frame or a socket.

mod admission;
mod hub;
mod identity;
mod keeper;
mod minting;
mod open;
mod operate;
mod operators;
mod plan;
mod presence;
mod question;
mod recall;
mod renewal;
mod room;
mod session;
mod sweep;
mod transient;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use anser_core::Timestamp;
use anser_core::id::InvalidId;
use anser_core::live::{Acknowledgements, Offset, PresenceUpdate};
use anser_core::name::UserId;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use hub::{Commit, Sessions};
pub(crate) use plan::Fresh;

pub use identity::{Allowed, Identity, Rights};
pub use minting::{MintedToken, TokenDraft};
pub use operators::{SessionQuery, UserView};
pub use plan::{
    ANSWER_WITHIN, CONTACTS_MAX, GRACE, QUESTIONS_MAX, ROOM_NEWS_MAX, ROSTER_MAX, STALL_MAX,
    UNSENT_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES,
};
pub use session::{Events, Session};

/// Sessions at the same time.
pub const SESSIONS_MAX: usize = 100_000;
/// Sessions of one user at the same time.
pub const USER_SESSIONS_MAX: usize = 50;
/// Topics and rooms that one session may read.
pub const SUBSCRIPTIONS_MAX: usize = 100;

/// The number of a session; none is given twice, also across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The run of the server.
    epoch: u64,
    /// Its sessions, counted.
    number: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ses_{}_{}", self.epoch, self.number)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let parts = text
            .strip_prefix("ses_")
            .and_then(|text| text.split_once('_'));
        let (epoch, count) = parts.ok_or(InvalidId)?;
        Ok(Self {
            epoch: number(epoch).ok_or(InvalidId)?,
            number: number(count).ok_or(InvalidId)?,
        })
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who it is and what they may do.
    pub identity: Identity,
    /// The wire, for operators: `ws`, `socket.io`, `sse`, `poll`, `tcp`.
    pub transport: &'static str,
    /// The address of the client, for operators.
    pub peer: Option<String>,
    /// What tells it from other sessions of the user; `None`: the session's number. A session that has it already is
    /// closed as replaced.
    pub resource: Option<String>,
    /// Where the mailbox goes on: what is up to it is acknowledged. `None`: everything that is not acknowledged.
    pub after: Option<Offset>,
    /// Presence to begin with.
    pub presence: PresenceUpdate,
    /// How messages are acknowledged.
    pub acks: Acknowledgements,
    /// Ids of questions of an earlier session that had no answer: each gets its one outcome.
    pub questions: Vec<String>,
}

/// What is fixed when a session is opened.
#[derive(Debug)]
pub(crate) struct Facts {
    id: SessionId,
    identity: Identity,
    transport: &'static str,
    peer: Option<String>,
    resource: String,
    since: Timestamp,
}

/// A session as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SessionView {
    /// Its number.
    #[schemars(with = "String")]
    pub id: SessionId,
    /// Whose it is; absent: a program's, by its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What tells it from other sessions of the user.
    pub resource: String,
    /// Who publishes through it.
    pub principal: String,
    /// The wire.
    pub transport: &'static str,
    /// The address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// When it began.
    pub since: Timestamp,
    /// When the client last asked for anything.
    pub last_seen: Timestamp,
    /// Its presence.
    #[serde(flatten)]
    pub presence: PresenceUpdate,
    /// What it reads beside the mailbox, `topic:NAME` or `room:NAME`.
    pub subscriptions: Vec<String>,
    /// Messages given and not acknowledged.
    pub unacknowledged: usize,
    /// Bytes that wait to be sent.
    pub unsent_bytes: usize,
}
