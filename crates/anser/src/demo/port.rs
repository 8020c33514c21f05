//! The three receivers and what they are put through. All numbers of the play are here.

use std::time::Duration;

/// Messages that the warehouse takes before its trouble begins: successes that the gateway remembers, so that a short
/// trouble is met with retries and not with the circuit breaker's half minute.
pub(crate) const WAREHOUSE_HEALTHY: u64 = 100;
/// Messages that the warehouse takes in its trouble without answering in time: the gateway cannot know, and sends them
/// again.
pub(crate) const WAREHOUSE_SILENT: u64 = 2;
/// The warehouse's time limit for an attempt.
pub(crate) const WAREHOUSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Orders, each with its own ordering key.
pub(crate) const ORDERS: u64 = 24;
/// Every so many-th message is a refund.
pub(crate) const REFUND_EVERY: u64 = 12;

/// A receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// Takes everything at once.
    Billing,
    /// Answers 503 for a while.
    Warehouse,
    /// Takes refunds only, and refuses connections at first.
    Audit,
}

impl Port {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Billing, Self::Warehouse, Self::Audit];

    /// Its name: of the channel, the subscription and the path.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Warehouse => "warehouse",
            Self::Audit => "audit",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Billing => 0,
            Self::Warehouse => 1,
            Self::Audit => 2,
        }
    }

    /// Whether a message goes there.
    pub(crate) const fn takes(self, number: u64) -> bool {
        match self {
            Self::Billing | Self::Warehouse => true,
            Self::Audit => is_refund(number),
        }
    }

    /// What it is put through, in a few words.
    pub(crate) fn behaviour(self, script: &Script) -> String {
        let seconds = script.trouble.as_secs_f64();
        match self {
            Self::Billing => "takes every order at once".to_owned(),
            Self::Warehouse => format!("after {WAREHOUSE_HEALTHY} orders: 503 for {seconds:.1} s"),
            Self::Audit => format!("refunds only; no connection for {seconds:.1} s"),
        }
    }
}

/// Whether this message is a refund.
pub(crate) const fn is_refund(number: u64) -> bool {
    number.is_multiple_of(REFUND_EVERY)
}

/// The play in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// All of it.
    pub(crate) length: Duration,
    /// How long each trouble lasts.
    pub(crate) trouble: Duration,
}

impl Script {
    /// A play of about this length.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            // Short enough that the retries of the standard schedule, 1, 2 and 4 s after one another, end within the
            // play, and that the few refunds waiting do not trip the breaker.
            trouble: (length / 5).min(Duration::from_secs(4)),
        }
    }

    /// How long orders come in.
    pub(crate) fn traffic(&self) -> Duration {
        self.length * 3 / 4
    }
}
