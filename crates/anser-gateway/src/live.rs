//! What is known of live clients while they are connected: the one lock, and the plan behind it. The use cases are in
//! `sessions`. Must not know the gateway, nor who may do what beyond the rights that a session was opened with.

mod hub;
pub(crate) mod plan;
mod rights;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::id::{InvalidId, ResourceId};
use anser_core::live::PresenceUpdate;
use anser_core::name::UserId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::metrics::live::WireCounters;

pub(crate) use hub::{Commit, Job, Seat, Sessions, State};
pub(crate) use plan::Fresh;
pub(crate) use rights::forbidden;

pub use plan::{
    ANSWER_WITHIN, CONTACTS_MAX, GRACE, QUESTIONS_MAX, ROOM_NEWS_MAX, ROSTER_MAX, STALL_MAX,
    UNSENT_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES,
};
pub use rights::{Allowed, Rights};

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
    pub(crate) epoch: u64,
    /// Its sessions, counted.
    pub(crate) number: u64,
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

/// What is fixed when a session is opened.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: SessionId,
    /// Who publishes through it.
    pub(crate) principal: String,
    pub(crate) user: Option<UserId>,
    pub(crate) rights: Rights,
    /// The key that it was opened with.
    pub(crate) key: Option<ResourceId>,
    /// The issuer of the token that it was opened with.
    pub(crate) issuer: Option<ResourceId>,
    pub(crate) transport: &'static str,
    pub(crate) peer: Option<String>,
    pub(crate) resource: String,
    pub(crate) since: Timestamp,
    /// What is counted of its wire.
    pub(crate) counters: Arc<WireCounters>,
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
