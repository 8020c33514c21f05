//! What SendMessage and PublishMessage share: the options of the publish, and message ids as answers.

use std::time::Duration;

use anser_core::Problem;
use anser_gateway::publish::{PublishOptions, Published};
use serde_json::{Value, json};

use super::answer::{Fields, fields};
use super::error::{Fault, INTERNAL};

/// Bytes of a message as stored: a body of 1 MiB, of which JSON may escape every byte as six, and its envelope.
const DOCUMENT_BYTES_MAX: usize = 6 * 1024 * 1024 + 64 * 1024;

/// How CMQ publishes: stored before it is answered, a batch whole or not at all.
pub(super) fn options(mandatory: bool, clock_skew: Duration) -> PublishOptions {
    PublishOptions {
        atomic: true,
        mandatory,
        document_bytes_max: Some(DOCUMENT_BYTES_MAX),
        // A repetition carries the timestamp of the first request, and is refused for it when that is past.
        dedupe_window_max: Some(clock_skew.saturating_mul(2)),
        ..PublishOptions::default()
    }
}

/// The message ids of what was published.
///
/// # Errors
/// The first refusal.
pub(super) fn ids(results: Vec<Result<Published, Problem>>) -> Result<Vec<Value>, Fault> {
    let mut ids = Vec::with_capacity(results.len());
    for result in results {
        let seq = result?
            .seq
            .ok_or_else(|| Fault::from(&INTERNAL).detail("a stored message has no number"))?;
        ids.push(seq.to_string().into());
    }
    Ok(ids)
}

/// The answer about one message.
pub(super) fn single(ids: Vec<Value>) -> Fields {
    fields([("msgId", ids.into_iter().next().unwrap_or_default())])
}

/// The answer about a batch.
pub(super) fn batch(ids: Vec<Value>) -> Fields {
    let list: Vec<Value> = ids.into_iter().map(|id| json!({"msgId": id})).collect();
    fields([("msgList", list.into())])
}
