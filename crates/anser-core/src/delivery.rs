//! A delivery: one message on its way to one destination, and the states it goes through.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stored state of a delivery. "In flight" is its owner's memory, "held" (paused or disabled) follows from its
/// subscription and channel; neither is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Not tried yet; waits for its time or its turn at the endpoint.
    Pending,
    /// Tried and failed; waits for its next time.
    Retrying,
    /// Behind the head of its lane.
    Waiting,
    /// Done.
    Delivered,
    /// Given up; kept, can be retried by hand.
    Dead,
    /// Its time ran out before it could be delivered.
    Expired,
    /// Recalled, or its subscription was deleted.
    Cancelled,
}

impl DeliveryState {
    /// Every state, in the order of [`Self::code`].
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Retrying,
        Self::Waiting,
        Self::Delivered,
        Self::Dead,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Dead | Self::Expired | Self::Cancelled
        )
    }

    /// The number it is stored as; never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Retrying => 1,
            Self::Waiting => 2,
            Self::Delivered => 3,
            Self::Dead => 4,
            Self::Expired => 5,
            Self::Cancelled => 6,
        }
    }

    /// The state stored as `code`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How far a message got on its platform. A later state in this order replaces an earlier one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ReportedState {
    /// It left the platform's servers.
    Sent,
    /// It is on the receiver's device.
    Delivered,
    /// The receiver has seen it.
    Read,
    /// It will not arrive.
    Failed,
}

impl ReportedState {
    /// Every state, in the order of the numbers that they are stored as; never reordered.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Delivered, Self::Read, Self::Failed];
}
