//! From an outcome to what the delivery becomes: the one place that knows retries, expiry, exhaustion and recall.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::outcome::Outcome;
use anser_core::resource::OnExhausted;
use anser_core::retry::RetrySchedule;
use anser_core::store::{DeliveryRow, Settle};

use super::Ending;

/// The rules in force for a delivery.
#[derive(Debug, Clone)]
pub struct Policy<'a> {
    /// When a failed attempt is repeated.
    pub retry: &'a RetrySchedule,
    /// What an exhausted delivery does.
    pub on_exhausted: OnExhausted,
    /// For how much of the time since the first attempt it was held.
    pub held: Duration,
    /// It was recalled, or its destination deleted, while under way.
    pub cancelled: bool,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the delivery becomes.
    pub settle: Settle,
    /// How the attempt ended for its endpoint.
    pub ending: Ending,
    /// Why it is dead, when it is.
    pub dead: Option<String>,
    /// The endpoint is to be disabled, for this reason.
    pub gone: Option<String>,
}

/// Delay of a `block`ing head whose schedule has run out.
const BLOCKED_DELAY: Duration = Duration::from_secs(512);
/// Pause before a delivery whose form is to be changed is tried again.
const AGAIN_SOON: Duration = Duration::from_secs(1);

/// What a delivery becomes after an attempt that began at `row`'s state; `random` is in `[0, 1)`.
#[must_use]
pub fn decide(
    row: &DeliveryRow,
    outcome: &Outcome,
    timed_out: bool,
    policy: &Policy<'_>,
    random: f64,
    now: Timestamp,
) -> Verdict {
    let failure = if timed_out {
        Ending::TimedOut
    } else {
        Ending::Failure
    };
    match outcome {
        Outcome::Delivered { .. } => verdict(Settle::Delivered, Ending::Success),
        Outcome::Rejected { code, text } => Verdict {
            dead: Some(format!("rejected: {code} {text}")),
            ..verdict(Settle::Dead, Ending::Refusal)
        },
        Outcome::Limited { wait } => limited(row, *wait, policy, now),
        Outcome::TargetLimited { wait } => Verdict {
            ending: Ending::TargetLimited(*wait),
            ..limited(row, *wait, policy, now)
        },
        Outcome::Retry { reason } => again(row, None, reason, failure, policy, random, now),
        Outcome::Unknown { reason } => again(
            row,
            Some(PossibleDuplicate::Unknown),
            reason,
            failure,
            policy,
            random,
            now,
        ),
        // The attempt has been repeated with a new token already.
        Outcome::RefreshAuth => {
            let reason = "the platform refuses the channel's token";
            again(row, None, reason, failure, policy, random, now)
        }
        Outcome::Degrade { .. } => {
            retry_at(row, now.plus(AGAIN_SOON), None, Ending::Refusal, policy)
        }
        Outcome::Gone { reason } => Verdict {
            gone: Some(reason.clone()),
            ..again(row, None, reason, failure, policy, random, now)
        },
    }
}

/// What a delivery becomes after one of its parts: the next part is due at once, and waits for the rates of its channel
/// and target.
#[must_use]
pub fn part_delivered(policy: &Policy<'_>, now: Timestamp) -> Verdict {
    let settle = if policy.cancelled {
        Settle::Cancelled
    } else {
        Settle::Park {
            at: now,
            possible_duplicate: None,
            checkpoint: None,
        }
    };
    verdict(settle, Ending::Success)
}

fn verdict(settle: Settle, ending: Ending) -> Verdict {
    Verdict {
        settle,
        ending,
        dead: None,
        gone: None,
    }
}

fn limited(row: &DeliveryRow, wait: Duration, policy: &Policy<'_>, now: Timestamp) -> Verdict {
    if policy.cancelled {
        return verdict(Settle::Cancelled, Ending::Limited(wait));
    }
    let at = until_expiry(row, now.plus(wait));
    // What marked this attempt marks the next: the endpoint turned it away, the doubt is about an earlier one.
    let possible_duplicate = row.possible_duplicate;
    verdict(
        Settle::Park {
            at,
            possible_duplicate,
            checkpoint: None,
        },
        Ending::Limited(wait),
    )
}

/// Age counts from the first attempt and stands still while held.
fn age(row: &DeliveryRow, policy: &Policy<'_>, now: Timestamp) -> Duration {
    row.first_attempt
        .map_or(Duration::ZERO, |first| now.since(first))
        .saturating_sub(policy.held)
}

fn again(
    row: &DeliveryRow,
    duplicate: Option<PossibleDuplicate>,
    reason: &str,
    ending: Ending,
    policy: &Policy<'_>,
    random: f64,
    now: Timestamp,
) -> Verdict {
    let attempts = row.attempts.saturating_sub(row.attempts_before) + 1;
    match (
        policy
            .retry
            .delay_after(attempts, age(row, policy, now), random),
        policy.on_exhausted,
    ) {
        (Some(delay), _) => retry_at(row, now.plus(delay), duplicate, ending, policy),
        (None, OnExhausted::Block) => {
            retry_at(row, now.plus(BLOCKED_DELAY), duplicate, ending, policy)
        }
        (None, OnExhausted::Dead) if policy.cancelled => verdict(Settle::Cancelled, ending),
        (None, OnExhausted::Dead) => Verdict {
            dead: Some(format!("exhausted after {attempts} attempts: {reason}")),
            ..verdict(Settle::Dead, ending)
        },
    }
}

fn retry_at(
    row: &DeliveryRow,
    at: Timestamp,
    duplicate: Option<PossibleDuplicate>,
    ending: Ending,
    policy: &Policy<'_>,
) -> Verdict {
    if policy.cancelled {
        return verdict(Settle::Cancelled, ending);
    }
    let settle = Settle::Retry {
        at: until_expiry(row, at),
        // What one attempt left in doubt stays in doubt: a refusal of the next one says nothing of it.
        possible_duplicate: duplicate.or(row.possible_duplicate),
        checkpoint: None,
    };
    verdict(settle, ending)
}

/// A delivery that expires before it is due again is due when it expires, to end then.
fn until_expiry(row: &DeliveryRow, at: Timestamp) -> Timestamp {
    row.expires_at.map_or(at, |expiry| at.min(expiry))
}

#[cfg(test)]
mod tests {
    use anser_core::delivery::DeliveryState;
    use anser_core::id::{DeliveryId, Num, ResourceId};
    use anser_core::retry::RetrySpec;

    use super::*;

    fn row(possible_duplicate: Option<PossibleDuplicate>) -> DeliveryRow {
        DeliveryRow {
            id: DeliveryId::new(Num(1), 0),
            topic: ResourceId(1),
            group: ResourceId(2),
            channel: ResourceId(3),
            target: None,
            lane: None,
            state: DeliveryState::Retrying,
            due: Timestamp::EPOCH,
            expires_at: None,
            accepted: Timestamp::EPOCH,
            first_attempt: Some(Timestamp::EPOCH),
            attempts: 1,
            attempts_before: 0,
            scheduled: false,
            ordered: true,
            possible_duplicate,
            checkpoint: None,
            bytes: 1,
            rewindable: false,
        }
    }

    fn after(row: &DeliveryRow, outcome: &Outcome, cancelled: bool) -> Verdict {
        let retry = RetrySchedule::compile("retry", &RetrySpec::default()).unwrap();
        let policy = Policy {
            retry: &retry,
            on_exhausted: OnExhausted::Dead,
            held: Duration::ZERO,
            cancelled,
        };
        decide(row, outcome, false, &policy, 0.5, Timestamp::EPOCH)
    }

    /// Found by the demo: unanswered, then 503, then delivered: the last one came without a mark.
    #[test]
    fn a_doubt_is_not_settled_by_a_later_refusal() {
        let refused = Outcome::Retry {
            reason: "503".to_owned(),
        };
        let limited = Outcome::Limited {
            wait: Duration::from_secs(3),
        };
        for doubt in [
            None,
            Some(PossibleDuplicate::Unknown),
            Some(PossibleDuplicate::Restart),
        ] {
            for outcome in [&refused, &limited] {
                let (Settle::Retry {
                    possible_duplicate, ..
                }
                | Settle::Park {
                    possible_duplicate, ..
                }) = after(&row(doubt), outcome, false).settle
                else {
                    panic!("{outcome:?} is not final");
                };
                assert_eq!(possible_duplicate, doubt, "{outcome:?}");
            }
        }
    }

    #[test]
    fn what_was_recalled_under_way_is_cancelled_unless_it_arrived() {
        let wait = Duration::from_secs(3);
        let reason = String::new();
        let arrived = Outcome::Delivered { platform_id: None };
        for (outcome, settle) in [
            (arrived, Settle::Delivered),
            (Outcome::Limited { wait }, Settle::Cancelled),
            (Outcome::Unknown { reason }, Settle::Cancelled),
        ] {
            assert_eq!(after(&row(None), &outcome, true).settle, settle);
        }
    }

    #[test]
    fn a_retry_beyond_the_expiry_is_due_when_it_expires() {
        let expires_at = Some(Timestamp::from_millis(500));
        let row = DeliveryRow {
            expires_at,
            ..row(None)
        };
        let reason = String::new();
        let Settle::Retry { at, .. } = after(&row, &Outcome::Retry { reason }, false).settle else {
            panic!("a failure is tried again");
        };
        assert_eq!(Some(at), expires_at);
    }
}
