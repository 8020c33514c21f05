//! What became of one attempt, split by what happens next and not by where it came from.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of one attempt, as the channel's classifier sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done. The platform's own id of the message, where it gives one.
    Delivered {
        /// Id on the platform.
        platform_id: Option<String>,
    },
    /// The endpoint asks for a pause: the whole limiter scope waits; no attempt is burned, but it counts as age.
    Limited {
        /// How long to wait, at most [`crate::limits::RETRY_AFTER_MAX`].
        wait: Duration,
    },
    /// The endpoint asks for a pause for this delivery's target only: others of the channel go on.
    TargetLimited {
        /// How long to wait, at most [`crate::limits::RETRY_AFTER_MAX`].
        wait: Duration,
    },
    /// The credentials must be renewed before the next try.
    RefreshAuth,
    /// It failed in a way that may pass.
    Retry {
        /// Why, for people.
        reason: String,
    },
    /// Bytes were sent and no answer came: it may have been delivered.
    Unknown {
        /// Why, for people.
        reason: String,
    },
    /// It will never be taken: dead at once.
    Rejected {
        /// The platform's code or HTTP status.
        code: String,
        /// Why, for people.
        text: String,
    },
    /// The form is not taken: render one rung lower and try again.
    Degrade {
        /// Why, for people.
        reason: String,
    },
    /// The endpoint is gone for good: disable it.
    Gone {
        /// Why, for people.
        reason: String,
    },
}

impl Outcome {
    /// The class, as the attempts log and the metrics name it.
    #[must_use]
    pub const fn class(&self) -> OutcomeClass {
        match self {
            Self::Delivered { .. } => OutcomeClass::Delivered,
            Self::Limited { .. } | Self::TargetLimited { .. } => OutcomeClass::Limited,
            Self::RefreshAuth => OutcomeClass::RefreshAuth,
            Self::Retry { .. } => OutcomeClass::Retry,
            Self::Unknown { .. } => OutcomeClass::Unknown,
            Self::Rejected { .. } => OutcomeClass::Rejected,
            Self::Degrade { .. } => OutcomeClass::Degrade,
            Self::Gone { .. } => OutcomeClass::Gone,
        }
    }
}

/// The classes of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// Done.
    Delivered,
    /// The endpoint asked for a pause.
    Limited,
    /// Credentials to renew.
    RefreshAuth,
    /// Failed, may pass.
    Retry,
    /// Sent, no answer.
    Unknown,
    /// Never to be taken.
    Rejected,
    /// A lower form to be tried.
    Degrade,
    /// Endpoint gone.
    Gone,
}
