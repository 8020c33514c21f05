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
    /// A full bucket.
    pub(super) fn new(rate: Rate, now: Duration) -> Self {
        Self { rate, full_at: now }
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
        let interval = Duration::from_secs_f64(1.0 / self.rate.per_second);
        let tolerance = interval.saturating_mul(self.rate.burst.saturating_sub(1));
        let full_at = self.full_at.max(now);
        if full_at > now + tolerance {
            return Err(full_at - tolerance);
        }
        self.full_at = full_at + interval;
        Ok(())
    }

    /// When there will be a token, if there is none now.
    pub(super) fn wait(&self, now: Duration) -> Option<Duration> {
        self.clone().take(now).err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_the_burst_and_then_the_rate_through() {
        let mut bucket = Bucket::new(
            Rate {
                per_second: 10.0,
                burst: 3,
            },
            Duration::ZERO,
        );
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
}
