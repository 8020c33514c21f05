//! The gateway's own counts, from `/metrics` as any monitoring reads them.

use crate::client::Api;
use crate::exit::Failure;

/// Sums over all topics and channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// Messages accepted.
    pub(crate) accepted: u64,
    /// Deliveries done.
    pub(crate) delivered: u64,
    /// Attempts that failed and are repeated.
    pub(crate) retried: u64,
    /// Deliveries given up.
    pub(crate) dead: u64,
    /// Deliveries not ended yet.
    pub(crate) waiting: u64,
}

impl Gauge {
    /// Asks the gateway.
    pub(crate) async fn read(api: &Api) -> Result<Self, Failure> {
        let answer = api.get(&["metrics"], &[]).await?;
        Ok(Self::parse(&answer.text))
    }

    fn parse(text: &str) -> Self {
        let sum =
            |metric: &str| -> u64 { text.lines().filter_map(|line| value(line, metric)).sum() };
        Self {
            accepted: sum("anser_accepted_total"),
            delivered: sum("anser_delivered_total"),
            retried: sum("anser_retried_total"),
            dead: sum("anser_dead_total"),
            waiting: sum("anser_queue_depth"),
        }
    }
}

/// The value on a line of this metric; counts are whole numbers.
fn value(line: &str, metric: &str) -> Option<u64> {
    let rest = line.strip_prefix(metric)?;
    if !rest.starts_with(['{', ' ']) {
        return None;
    }
    rest.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_labels_and_skips_other_metrics() {
        let text = "# HELP anser_accepted Messages\n# TYPE anser_accepted counter\n\
            anser_accepted_total{topic=\"a\"} 2\nanser_accepted_total{topic=\"b c\"} 3\n\
            anser_accepted_total_more{topic=\"b\"} 100\nanser_queue_depth{topic=\"a\",channel=\"x\"} 4\n# EOF\n";
        let gauge = Gauge::parse(text);
        assert_eq!((gauge.accepted, gauge.waiting, gauge.dead), (5, 4, 0));
    }
}
