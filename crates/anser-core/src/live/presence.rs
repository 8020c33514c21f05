//! Presence (RFC 6121 §4) and who may see it (RFC 6121 §3), as words and as an order. Must not know of sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How available somebody is, from least to most (RFC 6121 §4.7.2.1).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// Not there, or not to be seen.
    Offline,
    /// Away for long.
    Xa,
    /// Away.
    Away,
    /// There, not to be disturbed.
    Dnd,
    /// There.
    #[default]
    Online,
    /// There, and glad to talk.
    Chat,
}

/// The presence of a user: the best of the user's sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// How available.
    pub show: Show,
    /// In words of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The priority of the session that this is from.
    #[serde(default)]
    pub priority: i8,
}

impl Presence {
    /// Of nobody who is there.
    #[must_use]
    pub const fn offline() -> Self {
        Self {
            show: Show::Offline,
            status: None,
            priority: 0,
        }
    }
}

/// What an event about presence says (RFC 6121 §3 and §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PresenceType {
    /// How available the user is now.
    Presence,
    /// The user asks to see this one's presence.
    Subscribe,
    /// The user lets this one see it.
    Subscribed,
    /// The user does not ask any more.
    Unsubscribe,
    /// The user does not let this one see it, or not any more.
    Unsubscribed,
}

/// Who of two sees whom, from the first one's side (RFC 6121 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subscription {
    /// Each sees the other.
    Both,
    /// This one sees the other.
    To,
    /// The other sees this one.
    From,
    /// Neither does.
    None,
}

impl Subscription {
    /// From both directions.
    #[must_use]
    pub const fn of(to: bool, from: bool) -> Self {
        match (to, from) {
            (true, true) => Self::Both,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (false, false) => Self::None,
        }
    }
}
