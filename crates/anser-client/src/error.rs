//! What can go wrong, split by what the caller does next.

use std::fmt;

use anser_core::live::CloseReason;
use serde::Deserialize;

/// A refusal of the server: the members of its problem+json (RFC 9457) that say something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// The HTTP status of the refusal, on every wire.
    pub status: u16,
    /// Stable, for programs.
    #[serde(default)]
    pub code: String,
    /// The rule that was broken and how to mend it.
    #[serde(default)]
    pub detail: String,
    /// The path of the field at fault.
    #[serde(default)]
    pub field: Option<String>,
    /// What would have been accepted.
    #[serde(default)]
    pub accepted: Option<String>,
}

impl Refusal {
    /// Whether the same request may be taken later: the server is stopping, overloaded or out of order (408, 429, 5xx).
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)?;
        if let Some(field) = &self.field {
            write!(f, " at {field}")?;
        }
        write!(f, ": {}", self.detail)?;
        match &self.accepted {
            Some(accepted) => write!(f, " (accepted: {accepted})"),
            None => Ok(()),
        }
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused it; asking again the same way gives the same answer, unless [`Refusal::may_pass`].
    #[error("the server refused: {0}")]
    Refused(Refusal),
    /// There was no session, or no answer, within the time that was given for it.
    #[error("cannot reach {server}: {cause}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// What happened last.
        cause: String,
    },
    /// The session was ended for good, and a new one would be ended too.
    #[error("the session was ended: {}{}", .reason.as_str(), .detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Ended {
        /// Why.
        reason: CloseReason,
        /// In words.
        detail: Option<String>,
    },
    /// The connection was cut before the answer, and doing it again could do it twice: whether it was done is not known.
    #[error("the connection was cut before the answer: it is not known whether it was done")]
    Cut,
    /// There was no answer within the time that the caller gave.
    #[error("there was no answer in time")]
    TimedOut,
    /// The client was closed before it was done.
    #[error("the client is closed")]
    Closed,
    /// The buffer is full; what is not waited for is not kept without a bound.
    #[error("too much waits to be sent already: at most {limit} messages")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// It was tried for as long as it was to be tried.
    #[error("given up: {cause}")]
    GivenUp {
        /// What happened last, and whether it may have been accepted.
        cause: String,
    },
    /// An interceptor refused the message.
    #[error("an interceptor refused the message: {0}")]
    Intercepted(String),
    /// A setting of the client cannot be used.
    #[error("{setting}: {rule}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// The rule and the remedy.
        rule: String,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.may_pass(),
            Self::Unreachable { .. }
            | Self::TimedOut
            | Self::Cut
            | Self::Full { .. }
            | Self::GivenUp { .. } => true,
            Self::Ended { .. } | Self::Closed | Self::Intercepted(_) | Self::Setting { .. } => {
                false
            }
        }
    }

    /// The refusal of the server, if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn setting(setting: &'static str, rule: impl Into<String>) -> Self {
        Self::Setting {
            setting,
            rule: rule.into(),
        }
    }
}
