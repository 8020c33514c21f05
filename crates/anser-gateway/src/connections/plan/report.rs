//! What the operator is told of a connection on `$ops`. Must not decide whether.

use anser_core::Timestamp;
use anser_core::connection::Loss;
use serde_json::{Value, json};

use crate::connections::entry::Gap;

/// An operator message, but for the channel's name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Its event type.
    pub(crate) r#type: &'static str,
    /// Its data.
    pub(crate) data: Value,
}

impl Report {
    /// There is no connection since `at`.
    pub(crate) fn lost(
        reason: Loss,
        detail: &str,
        at: Timestamp,
        failed_tries: u64,
        next_try: Timestamp,
    ) -> Self {
        Self {
            r#type: "connection.lost",
            data: json!({
                "reason": reason,
                "detail": detail,
                "at": at,
                "failed_tries": failed_tries,
                "next_try": next_try,
            }),
        }
    }

    /// There is one again.
    pub(crate) fn restored(
        session: Option<&str>,
        tries: u64,
        gap: Option<Gap>,
        at: Timestamp,
    ) -> Self {
        Self {
            r#type: "connection.restored",
            data: json!({
                "at": at,
                "session": session,
                "tries": tries,
                "lost_at": gap.map(|gap| gap.since),
                "gap_ms": gap.map(|gap| gap.ms),
                "recovery": gap.map(|gap| gap.recovery),
                "missed_estimate": gap.map(|gap| gap.missed_estimate),
            }),
        }
    }
}
