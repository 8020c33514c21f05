//! How long to wait before the next try: twice as long after each failure, up to a limit, and never for all clients at the
//! same moment. Pure; the randomness is handed in.

use std::time::Duration;

/// Waits between tries.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `min`, no wait is longer than `max`.
    pub(crate) const fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            failures: 0,
        }
    }

    /// Another failure; answers how long to wait: between a half and the whole of the step. `unit` is in `[0, 1)`.
    pub(crate) fn failed(&mut self, unit: f64) -> Duration {
        let step = self
            .min
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(self.max);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + unit.clamp(0.0, 1.0) / 2.0)
    }

    /// It works again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_are_spread() {
        let (min, max) = (Duration::from_millis(200), Duration::from_secs(30));
        let mut backoff = Backoff::new(min, max);
        assert_eq!(backoff.failed(0.0), Duration::from_millis(100));
        assert_eq!(backoff.failed(1.0), Duration::from_millis(400));
        for _ in 0..100 {
            let wait = backoff.failed(0.5);
            assert!(wait >= min && wait <= max, "{wait:?}");
        }
        assert_eq!(backoff.failed(1.0), max);
        backoff.reset();
        assert_eq!(backoff.failed(1.0), min);
    }
}
