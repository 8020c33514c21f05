//! What a connection journal says: one entry for each thing that happened to a channel's connection, with what is counted in
//! it. Stored as JSON, and shown as it is stored. Must not decide what is written.

use anser_core::Timestamp;
use anser_core::connection::{Loss, Recovery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry of a channel's connection journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Rises from entry to entry.
    pub number: u64,
    /// When it happened; where several are counted, the first.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: JournalEvent,
}

/// What happened to a channel's connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// Events can come from now on.
    Live {
        /// The platform's name for the connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
        /// How many attempts it took, this one included.
        tries: u64,
        /// The gap before it; absent when the channel was never connected before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gap: Option<Gap>,
        /// It was known to be live at this time; brought up to date twice a minute.
        seen_at: Timestamp,
        /// Events that came until then.
        events: u64,
    },
    /// A connection that was live ended.
    Lost {
        /// Why.
        reason: Loss,
        /// More, in words.
        detail: String,
        /// For how long it had been live, in milliseconds.
        live_ms: u64,
        /// Events that came over it.
        events: u64,
        /// When anything came over it last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_heard: Option<Timestamp>,
        /// It was reported on `$ops`.
        reported: bool,
    },
    /// Attempts to connect that failed, all those of one gap.
    Failed {
        /// How many.
        tries: u64,
        /// When the last one failed.
        last_at: Timestamp,
        /// Why, each reason once.
        causes: Vec<Cause>,
        /// Since when the channel was not connected; absent when it never was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost_at: Option<Timestamp>,
        /// It was reported on `$ops`.
        reported: bool,
    },
    /// The gateway was gone without having closed the connection, from the time of the entry at the latest.
    Away {
        /// When it was back.
        until: Timestamp,
    },
    /// Something came that could not be read or used.
    Unread {
        /// How often, over one connection.
        count: u64,
        /// When last.
        last_at: Timestamp,
        /// What it was, the last time.
        detail: String,
    },
}

/// A time without connection, and what became of the events in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// When it began.
    pub since: Timestamp,
    /// Milliseconds until it ended.
    pub ms: u64,
    /// What became of events in it.
    pub recovery: Recovery,
    /// How many events may be missing: none when the platform kept them, else as many as came in such a time of late. An
    /// estimate.
    pub missed_estimate: u64,
}

/// A reason for which attempts to connect failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The reason.
    pub reason: Loss,
    /// How many attempts failed for it.
    pub tries: u64,
    /// When the last of them did.
    pub last_at: Timestamp,
    /// More of that one, in words.
    pub detail: String,
}
