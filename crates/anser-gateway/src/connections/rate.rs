//! How many events come over a channel's connection of late. Only the time in which it was live counts, and what is long
//! past counts less. Must not know the time.

use std::time::Duration;

/// After so much live time, what came before counts half.
const HALF_LIFE: Duration = Duration::from_secs(3600);

/// Events by live time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Rate {
    events: f64,
    seconds: f64,
}

impl Rate {
    /// So many events came in so much live time, after those that were noted before.
    pub(crate) fn note(&mut self, events: u64, live: Duration) {
        let kept = 0.5_f64.powf(live.as_secs_f64() / HALF_LIFE.as_secs_f64());
        self.events = self.events * kept + precise(events);
        self.seconds = self.seconds * kept + live.as_secs_f64();
    }

    /// How many would have come in such a time.
    pub(crate) fn expected(&self, gap: Duration) -> u64 {
        if self.seconds <= 0.0 {
            return 0;
        }
        whole(self.events / self.seconds * gap.as_secs_f64())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate; counts of events are far below 2^53"
)]
fn precise(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "neither negative nor NaN; what is too large becomes the greatest number"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_gap_misses_what_came_in_such_a_time() {
        let mut rate = Rate::default();
        assert_eq!(rate.expected(MINUTE), 0, "nothing is known");
        rate.note(120, 60 * MINUTE);
        assert_eq!(rate.expected(30 * MINUTE), 60);
        assert_eq!(rate.expected(Duration::from_millis(200)), 0);
    }

    #[test]
    fn what_is_long_past_counts_less() {
        let mut rate = Rate::default();
        rate.note(6_000, 60 * MINUTE);
        for _ in 0..(10 * 60) {
            rate.note(1, MINUTE);
        }
        let expected = rate.expected(60 * MINUTE);
        assert!((60..75).contains(&expected), "{expected}");
    }
}
