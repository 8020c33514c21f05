//! What a user is told when the store cannot do it: the one mapping from [`StoreError`] to [`Problem`].

use anser_core::store::StoreError;
use anser_core::{Problem, ProblemKind};

/// The answer to a user whose request met `error`. Details that are of use only to the operator are logged, not shown.
#[must_use]
pub(crate) fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::Full => Problem::new(
            ProblemKind::StorageFull,
            "storage_full",
            "the disk is nearly full; nothing was stored. Deliveries go on; try again when the operator has made room",
        ),
        StoreError::Retryable { after } => Problem::new(
            ProblemKind::Unavailable,
            "store_busy",
            format!(
                "the store is busy; nothing was stored. Try again after {} ms",
                after.as_millis()
            ),
        ),
        StoreError::Unknown => Problem::new(
            ProblemKind::Unavailable,
            "store_unconfirmed",
            "the store did not confirm, it may have been stored; repeat it with the same dedupe_key",
        ),
        StoreError::Fenced => Problem::new(
            ProblemKind::Conflict,
            "stale",
            "it has changed meanwhile; look again and repeat",
        ),
        StoreError::Corrupt(what) => {
            tracing::error!(%what, "stored data is damaged");
            Problem::new(
                ProblemKind::Internal,
                "store_damaged",
                "stored data that this needs is damaged; the gateway's log says which",
            )
        }
        StoreError::Permanent(why) => {
            tracing::error!(%why, "the store failed");
            Problem::new(
                ProblemKind::Unavailable,
                "store_unavailable",
                "the store failed; the gateway's log says why",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_store_error_has_a_status_and_a_code() {
        let after = Duration::from_millis(20);
        for (error, status, code) in [
            (StoreError::Full, 507, "storage_full"),
            (StoreError::Retryable { after }, 503, "store_busy"),
            (StoreError::Unknown, 503, "store_unconfirmed"),
            (StoreError::Fenced, 409, "stale"),
            (
                StoreError::Corrupt("message 7".to_owned()),
                500,
                "store_damaged",
            ),
            (
                StoreError::Permanent("closed".to_owned()),
                503,
                "store_unavailable",
            ),
        ] {
            let problem = store_problem(error);
            assert_eq!((problem.kind.status(), problem.code), (status, code));
        }
    }
}
