//! One try of a delivery, as the attempts log keeps it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::ReportedState;
use crate::outcome::OutcomeClass;
use crate::time::Timestamp;

/// One try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// 1 for the first; does not count attempts that were limited.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// Where the time went.
    pub timing: Timing,
    /// The address connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: OutcomeClass,
    /// Why it failed, for people; tells refused, unreachable, reset and timed out apart. Of one that delivered: what of its
    /// receiver's answer was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Rungs of the degradation ladder that were taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
    /// The platform's own ids of the parts that were delivered so far, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platform_ids: Vec<String>,
    /// Why it may have repeated an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possible_duplicate: Option<PossibleDuplicate>,
    /// No try, but what the platform said later of the one with this number: how far the message got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportedState>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Request headers of a failed attempt, secrets masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<(String, String)>,
    /// Response headers of a failed attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<(String, String)>,
    /// The answer's body: the first 256 bytes of a success, 16 KiB of a failure; not UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response: String,
}

/// Where an attempt's time went, in microseconds from its start; 0 for a phase that did not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Timing {
    /// Looking up the name.
    #[serde(skip_serializing_if = "is_zero")]
    pub dns_us: u64,
    /// Connecting.
    #[serde(skip_serializing_if = "is_zero")]
    pub connect_us: u64,
    /// TLS handshake.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_us: u64,
    /// From the start to the first byte of the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub first_byte_us: u64,
    /// All of it.
    pub total_us: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Timing {
    /// Microseconds of a duration, as these fields keep it.
    #[must_use]
    pub fn micros(duration: Duration) -> u64 {
        u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Why an attempt may repeat an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PossibleDuplicate {
    /// The gateway stopped uncleanly while it may have been in flight.
    Restart,
    /// An attempt before was sent and not answered.
    Unknown,
}

impl PossibleDuplicate {
    /// The value of the `anser-possible-duplicate` header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Unknown => "unknown",
        }
    }
}
