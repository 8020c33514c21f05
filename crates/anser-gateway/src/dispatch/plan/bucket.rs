//! A token bucket on monotonic time (the generic cell rate algorithm, ITU-T I.371 Annex A).

use std::time::Duration;

use anser_core::resource::Rate;

/// A token bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    rate: Rate,
    /// When the bucket would be full again (theoretical arrival time).
    full_at: Duration,
}

impl Bucket {
    /// A bucket of which nothing was taken since the start. `emptied` is when somebody before may have taken all of it.
    pub(super) fn new(rate: Rate, emptied: Option<Duration>) -> Self {
        let mut bucket = Self {
            rate,
            full_at: Duration::ZERO,
        };
        if let Some(at) = emptied {
            bucket.full_at = at.saturating_add(bucket.interval().saturating_mul(rate.burst));
        }
        bucket
    }

    /// The time that a token takes to come.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate.per_second)
    }

    /// How many tokens it holds.
    pub(super) fn burst(&self) -> u32 {
        self.rate.burst
    }

    /// Changes the rate; what was taken stays taken.
    pub(super) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        match self.wait(now) {
            Some(at) => Err(at),
            None => {
                self.charge(now);
                Ok(())
            }
        }
    }

    /// Takes a token, whether there is one or not.
    pub(super) fn charge(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now).saturating_add(self.interval());
    }

    /// When there will be a token, if there is none now.
    pub(super) fn wait(&self, now: Duration) -> Option<Duration> {
        self.wait_behind(0, now)
    }

    /// When there will be a token for one who lets `ahead` others go first, if there is none now.
    pub(super) fn wait_behind(&self, ahead: u32, now: Duration) -> Option<Duration> {
        let interval = self.interval();
        let tolerance = interval.saturating_mul(self.rate.burst.saturating_sub(1));
        let ahead = interval.saturating_mul(ahead);
        let at = self
            .full_at
            .max(now)
            .saturating_add(ahead)
            .saturating_sub(tolerance);
        (at > now).then_some(at)
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_the_burst_and_then_the_rate_through() {
        let rate = Rate {
            per_second: 10.0,
            burst: 3,
        };
        let mut bucket = Bucket::new(rate, None);
        let mut now = Duration::ZERO;
        for _ in 0..3 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        assert_eq!(bucket.take(now), Err(Duration::from_millis(100)));
        let mut taken = 0;
        while now < Duration::from_secs(10) {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(at) => now = at,
            }
        }
        assert_eq!(taken, 99);
    }
    #[test]
    fn what_somebody_before_took_comes_back_little_by_little() {
        let rate = Rate {
            per_second: 0.5,
            burst: 3,
        };
        let start = Duration::from_secs(100);
        let mut bucket = Bucket::new(rate, Some(start));
        assert_eq!(bucket.take(start), Err(Duration::from_secs(102)));
        assert!(!bucket.is_full(Duration::from_secs(105)));
        assert!(bucket.is_full(Duration::from_secs(106)));
        assert_eq!(bucket.wait_behind(2, Duration::from_secs(106)), None);
        let after_three = bucket.wait_behind(3, Duration::from_secs(106));
        assert_eq!(after_three, Some(Duration::from_secs(108)));
    }
}
