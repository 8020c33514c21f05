//! What takes the messages of a queue by itself, by the batch. Whether there is such a channel is checked by the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_range;
use crate::problem::Problem;

/// Messages of one batch.
pub const TRIGGER_BATCH_MAX: u64 = 100;
/// Longest wait for a batch to fill, in milliseconds.
pub const TRIGGER_WAIT_MAX: u64 = 60_000;

/// A queue's trigger: its messages are received by the gateway, and given to a channel's program by the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// The channel's name; it must be of a kind that takes batches (`exec`).
    #[schemars(length(min = 1, max = 127))]
    pub channel: String,
    /// Messages of one batch at most; default 10, at most 100.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1, max = 100))]
    pub batch: u64,
    /// Milliseconds that a batch which is not full waits for more, from its first message on; default 0, at most a minute.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000))]
    pub wait: u64,
}

const fn default_batch() -> u64 {
    10
}

impl TriggerSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `out_of_range`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        in_range("trigger.batch", self.batch, 1, TRIGGER_BATCH_MAX)?;
        in_range("trigger.wait", self.wait, 0, TRIGGER_WAIT_MAX)
    }
}
