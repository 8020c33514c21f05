//! Why a file is not to be had, for whoever wanted it. Must not show a credential.

use anser_core::outcome::Outcome;
use anser_core::{Problem, ProblemKind};

/// What came of asking the platform of a channel.
pub(super) fn of(outcome: &Outcome, channel: &str) -> Problem {
    match outcome {
        Outcome::Gone { reason } => Problem::new(
            ProblemKind::NotFound,
            "media_gone",
            format!("the platform does not have the file any more: {reason}"),
        ),
        Outcome::Rejected { code, text } => Problem::new(
            ProblemKind::Conflict,
            "media_refused",
            format!("the platform does not give the file: {code} {text}"),
        ),
        Outcome::RefreshAuth => Problem::new(
            ProblemKind::Conflict,
            "credentials_refused",
            format!(
                "the platform refuses the credentials of channel {channel}, also fresh ones; `anser channel check \
                 {channel}` asks about them alone"
            ),
        ),
        Outcome::Limited { wait } | Outcome::TargetLimited { wait } => Problem::new(
            ProblemKind::TooMany,
            "platform_limit",
            format!(
                "the platform wants to be asked no more for {} s; try again then",
                wait.as_secs().max(1)
            ),
        ),
        Outcome::Retry { reason } | Outcome::Unknown { reason } | Outcome::Degrade { reason } => {
            Problem::new(
                ProblemKind::Unavailable,
                "platform_unavailable",
                format!("the platform does not give the file just now: {reason}; try again"),
            )
        }
        Outcome::Delivered { .. } => broken("its answer makes no sense"),
    }
}

/// The file broke off.
pub(super) fn broken(why: &str) -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "platform_unavailable",
        format!("the file broke off while it came: {why}; try again"),
    )
}
