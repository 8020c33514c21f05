//! How fast one session may ask: a bucket of operations that fills with time, which is handed in.

use std::time::Duration;

use anser_core::Timestamp;

use super::{LIVE_OPERATIONS_BURST, LIVE_OPERATIONS_PER_SECOND};

/// Thousandths of an operation.
const WHOLE: u64 = 1_000;
/// A full bucket.
const FULL: u64 = LIVE_OPERATIONS_BURST as u64 * WHOLE;

/// A session's bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    left: u64,
    at: Timestamp,
}

impl Pace {
    /// A full bucket.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            left: FULL,
            at: now,
        }
    }

    /// Takes one operation; answers how long it has to wait for it.
    pub(super) fn take(&mut self, now: Timestamp) -> Duration {
        let per_second = u64::from(LIVE_OPERATIONS_PER_SECOND);
        let millis = now.since(self.at).as_millis();
        // Per millisecond as many thousandths as operations a second. A clock that was set back fills nothing.
        let filled = u64::try_from(millis).unwrap_or(u64::MAX);
        self.left = filled
            .saturating_mul(per_second)
            .saturating_add(self.left)
            .min(FULL);
        self.at = now;
        if self.left >= WHOLE {
            self.left -= WHOLE;
            return Duration::ZERO;
        }
        let wait = Duration::from_millis((WHOLE - self.left).div_ceil(per_second));
        // What it waits for is taken already: it fills while it waits.
        self.left = 0;
        self.at = now.plus(wait);
        wait
    }
}

/// Waits for an operation as long as [`Pace::take`] says.
pub(super) async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_what_follows_in_its_time() {
        let mut now = Timestamp::from_millis(1_795_395_600_000);
        let mut pace = Pace::new(now);
        let at_once = (0..LIVE_OPERATIONS_BURST).filter(|_| pace.take(now).is_zero());
        assert_eq!(at_once.count(), LIVE_OPERATIONS_BURST as usize);
        let began = now;
        for _ in 0..10 * LIVE_OPERATIONS_PER_SECOND {
            let wait = pace.take(now);
            assert!(!wait.is_zero() && wait <= Duration::from_millis(5));
            now = now.plus(wait);
        }
        let seconds = now.since(began).as_secs_f64();
        assert!((9.9..10.1).contains(&seconds), "{seconds}");
        // A minute later it is full again, and not fuller; a clock that is set back fills nothing.
        now = now.plus(Duration::from_secs(60));
        let at_once = (0..1_000).filter(|_| pace.take(now).is_zero());
        assert_eq!(at_once.count(), LIVE_OPERATIONS_BURST as usize);
        assert!(!pace.take(now.minus(Duration::from_secs(3_600))).is_zero());
    }
}
