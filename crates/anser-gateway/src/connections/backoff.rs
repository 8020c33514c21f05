//! When the next connection begins: at once where the platform asks for it, else after waits that grow, with full jitter, so
//! that many gateways that lost the same platform do not all come back in the same moment. Must not know the time.

use std::time::Duration;

use anser_core::connection::Again;

/// The longest first wait.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// No wait is shorter, apart from none at all.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// How long a connection must have been live for the waits to begin anew.
pub(crate) const LIVED_ENOUGH: Duration = Duration::from_secs(60);
/// Between attempts of which nothing is expected until somebody changes the settings.
pub(crate) const RARELY: Duration = Duration::from_secs(300);
/// The longest wait that a platform may ask for.
pub(crate) const AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The waits of one channel.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Waits since a connection lived long enough.
    waits: u32,
    /// The next one was begun at once since then.
    hurried: bool,
}

impl Backoff {
    /// How long to wait before the next connection. `lived`: for how long the one before was live; `unit`: a random number
    /// from 0 up to 1.
    pub(crate) fn wait(&mut self, again: Again, lived: Option<Duration>, unit: f64) -> Duration {
        if lived.is_some_and(|lived| lived >= LIVED_ENOUGH) {
            *self = Self::default();
        }
        match again {
            Again::AtOnce if !self.hurried => {
                self.hurried = true;
                Duration::ZERO
            }
            Again::AtOnce | Again::Backoff => self.grown(unit),
            Again::After(asked) => asked.min(AFTER_MAX) + WAIT_FIRST.mul_f64(unit),
            Again::Rarely => RARELY,
        }
    }

    fn grown(&mut self, unit: f64) -> Duration {
        let factor = 2_u32.saturating_pow(self.waits);
        self.waits = self.waits.saturating_add(1);
        let longest = WAIT_FIRST.saturating_mul(factor).min(WAIT_MAX);
        longest.mul_f64(unit).max(WAIT_MIN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest waits of one outage.
    fn longest(backoff: &mut Backoff, count: usize) -> Vec<u64> {
        let wait = |_| backoff.wait(Again::Backoff, None, 1.0).as_secs();
        (0..count).map(wait).collect()
    }

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew_after_a_connection_that_lived() {
        let mut backoff = Backoff::default();
        assert_eq!(longest(&mut backoff, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        let short = Some(LIVED_ENOUGH - Duration::from_millis(1));
        assert_eq!(backoff.wait(Again::Backoff, short, 1.0), WAIT_MAX);
        assert_eq!(
            backoff.wait(Again::Backoff, Some(LIVED_ENOUGH), 1.0),
            WAIT_FIRST
        );
        assert_eq!(longest(&mut backoff, 2), [2, 4]);
    }

    #[test]
    fn who_asks_to_come_back_at_once_is_obeyed_once() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(Again::AtOnce, None, 1.0), Duration::ZERO);
        assert_eq!(backoff.wait(Again::AtOnce, None, 1.0), WAIT_FIRST);
        let lived = Some(LIVED_ENOUGH);
        assert_eq!(backoff.wait(Again::AtOnce, lived, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_platform_says_when_and_not_for_ever() {
        let mut backoff = Backoff::default();
        let hour = Duration::from_secs(3600);
        assert_eq!(backoff.wait(Again::After(hour), None, 0.0), hour);
        assert_eq!(backoff.wait(Again::After(100 * hour), None, 0.0), AFTER_MAX);
        assert_eq!(backoff.wait(Again::Rarely, None, 0.0), RARELY);
    }

    proptest! {
        #[test]
        fn no_sequence_of_losses_spins(
            losses in prop::collection::vec((0..2_u8, 0.0..1.0_f64), 2..200),
        ) {
            let mut backoff = Backoff::default();
            let mut at_once = 0;
            for (kind, unit) in losses {
                let again = if kind == 0 { Again::AtOnce } else { Again::Backoff };
                let wait = backoff.wait(again, None, unit);
                prop_assert!(wait <= WAIT_MAX);
                at_once += usize::from(wait < WAIT_MIN);
            }
            prop_assert!(at_once <= 1);
        }
    }
}
