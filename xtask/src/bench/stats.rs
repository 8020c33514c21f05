//! Latencies and their percentiles. Knows nothing of what was measured.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Longer latencies count as this: 10 minutes, beyond any run.
const LATENCY_NANOS_MAX: u64 = 600 * 1_000_000_000;
/// Three significant digits: no percentile is off by more than 0.1 %.
const DIGITS: u8 = 3;

/// Latencies in nanoseconds, kept as a histogram: its size does not depend on how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, DIGITS)
            .expect("the bounds are in order and the digits at most 5");
        Self { histogram }
    }
}

impl Latencies {
    /// Adds one.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.histogram.saturating_record(nanos);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What a share of them, between 0 and 1, did not exceed; none where nothing was recorded.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.histogram.value_at_quantile(share)))
    }

    /// The median in milliseconds; not a number where nothing was recorded.
    pub(crate) fn p50_ms(&self) -> f64 {
        self.millis(0.5)
    }

    /// The 99th percentile in milliseconds; not a number where nothing was recorded.
    pub(crate) fn p99_ms(&self) -> f64 {
        self.millis(0.99)
    }

    fn millis(&self, share: f64) -> f64 {
        self.quantile(share)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::{LATENCY_NANOS_MAX, Latencies};

    /// Equal but for the histogram's three digits.
    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= right.abs() * 0.001
    }

    #[test]
    fn percentiles_of_a_known_series() {
        let mut latencies = Latencies::default();
        for millis in 1..=1_000_u64 {
            latencies.record(millis * 1_000_000);
        }
        assert_eq!(latencies.count(), 1_000);
        assert!(close(latencies.p50_ms(), 500.0), "{}", latencies.p50_ms());
        assert!(close(latencies.p99_ms(), 990.0), "{}", latencies.p99_ms());
    }

    #[test]
    fn the_order_does_not_matter() {
        let (mut up, mut down) = (Latencies::default(), Latencies::default());
        for nanos in 1..=500 {
            up.record(nanos * 777);
            down.record((501 - nanos) * 777);
        }
        assert_eq!(up.quantile(0.9), down.quantile(0.9));
    }

    #[test]
    fn one_slow_message_in_a_thousand_is_not_the_99th_percentile() {
        let mut latencies = Latencies::default();
        for _ in 0..999 {
            latencies.record(1_000_000);
        }
        latencies.record(5_000_000_000);
        assert!(close(latencies.p99_ms(), 1.0));
        assert!(latencies.quantile(1.0) >= Some(std::time::Duration::from_secs(4)));
    }

    #[test]
    fn nothing_recorded_has_no_percentile() {
        let latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        assert!(latencies.p50_ms().is_nan());
    }

    #[test]
    fn what_is_out_of_range_is_kept_at_its_end() {
        let mut latencies = Latencies::default();
        latencies.record(u64::MAX);
        latencies.record(0);
        assert_eq!(latencies.count(), 2);
        let highest = latencies
            .quantile(1.0)
            .expect("two are recorded")
            .as_secs_f64();
        assert!(close(highest, LATENCY_NANOS_MAX as f64 / 1e9), "{highest}");
    }
}
