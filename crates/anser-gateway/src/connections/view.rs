//! Connections as operators see them. Must not decide anything.

use anser_core::Timestamp;
use anser_core::connection::Loss;
use schemars::JsonSchema;
use serde::Serialize;

/// Where a channel's connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// It is being made.
    Connecting,
    /// Events can come.
    Live,
    /// It was lost, or could not be made; it is tried again.
    Waiting,
    /// The platform refuses it; it is tried again rarely, until somebody changes the settings here or there.
    Refused,
}

/// A channel's connection.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConnectionView {
    /// The channel.
    pub channel: String,
    /// Its kind.
    pub kind: String,
    /// How it stands.
    #[serde(flatten)]
    pub link: LinkView,
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LinkView {
    /// Where it stands.
    pub state: ConnectionState,
    /// Since when.
    pub since: Timestamp,
    /// The platform's name for it, while it is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When anything came last: events, or the platform's signs of life. Since the gateway's start or the channel's last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// When events came last, since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<Timestamp>,
    /// How many events came since then, repeats included.
    pub events: u64,
    /// Since when it is not live; absent while it is, or when it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// Attempts that failed since then.
    pub tries: u64,
    /// When the next attempt is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Why it is not live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Loss>,
    /// More, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
