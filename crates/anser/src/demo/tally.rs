//! What was published and what arrived, counted where it happens: in the publisher and in the receivers. Must not take
//! the gateway's word for anything.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::clock::Clock;
use hdrhistogram::Histogram;

use super::port::Port;

/// Latencies are told up to an hour, to three digits.
const LATENCY_US_MAX: u64 = 3_600_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Counts as they stand.
pub(crate) struct Tally {
    clock: Arc<dyn Clock>,
    began: Duration,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// When each message was handed to the gateway, by number.
    sent: HashMap<u64, Duration>,
    accepted: Vec<u64>,
    refused: u64,
    done: bool,
    ports: [PortBook; 3],
}

struct PortBook {
    seen: HashSet<u64>,
    /// The last number of each ordering key.
    last: HashMap<String, u64>,
    counts: PortCounts,
    latency: Histogram<u64>,
}

/// What one receiver counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PortCounts {
    /// Different messages.
    pub(crate) received: u64,
    /// Messages that came again.
    pub(crate) repeated: u64,
    /// Of these, without the mark of a possible duplicate.
    pub(crate) unmarked: u64,
    /// Messages that came behind a later one of the same key.
    pub(crate) disordered: u64,
    /// Requests whose signature was not right.
    pub(crate) unsigned: u64,
    /// Requests answered 503.
    pub(crate) turned_away: u64,
    /// Accepted messages that are to come here.
    pub(crate) due: u64,
    /// Of these, not here yet.
    pub(crate) missing: u64,
}

/// A message as a receiver got it.
pub(crate) struct Arrival<'a> {
    /// Its number.
    pub(crate) number: u64,
    /// Its ordering key.
    pub(crate) key: &'a str,
    /// Marked as a possible duplicate.
    pub(crate) marked: bool,
}

/// The counts at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Since the beginning.
    pub(crate) elapsed: Duration,
    /// Messages the gateway has accepted.
    pub(crate) accepted: u64,
    /// Publishes it has refused, or not answered.
    pub(crate) refused: u64,
    /// Whether all messages have been published.
    pub(crate) published: bool,
    /// By receiver.
    pub(crate) ports: [PortCounts; 3],
    /// Median and 99th percentile from publish to first receipt, in microseconds, by receiver.
    pub(crate) latency_us: [(u64, u64); 3],
}

impl Snapshot {
    /// Whether everything accepted has arrived.
    pub(crate) fn finished(&self) -> bool {
        self.published && self.ports.iter().all(|port| port.missing == 0)
    }

    /// Deliveries that are to be made.
    pub(crate) fn due(&self) -> u64 {
        self.ports.iter().map(|port| port.due).sum()
    }
}

impl Default for PortBook {
    fn default() -> Self {
        Self {
            seen: HashSet::new(),
            last: HashMap::new(),
            counts: PortCounts::default(),
            latency: Histogram::new_with_max(LATENCY_US_MAX, LATENCY_DIGITS)
                .expect("the bounds are valid: they are constants"),
        }
    }
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let began = clock.monotonic();
        Self {
            clock,
            began,
            book: Mutex::default(),
        }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.began)
    }

    /// The wall time in seconds, for judging signatures.
    pub(crate) fn unix_seconds(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// A message is about to be published.
    pub(crate) fn sending(&self, number: u64) {
        let now = self.elapsed();
        self.with(|book| book.sent.insert(number, now));
    }

    /// The gateway has accepted it, or not.
    pub(crate) fn answered(&self, number: u64, accepted: bool) {
        self.with(|book| {
            if !accepted {
                book.refused += 1;
                return;
            }
            book.accepted.push(number);
            for port in Port::ALL {
                book.ports[port.index()].counts.due += u64::from(port.takes(number));
            }
        });
    }

    /// Nothing more is published.
    pub(crate) fn done(&self) {
        self.with(|book| book.done = true);
    }

    /// How many different messages a receiver has.
    pub(crate) fn received(&self, port: Port) -> u64 {
        self.with(|book| book.ports[port.index()].counts.received)
    }

    /// A request was answered 503.
    pub(crate) fn turned_away(&self, port: Port) {
        self.with(|book| book.ports[port.index()].counts.turned_away += 1);
    }

    /// A request had no valid signature.
    pub(crate) fn unsigned(&self, port: Port) {
        self.with(|book| book.ports[port.index()].counts.unsigned += 1);
    }

    /// A receiver took a message.
    pub(crate) fn arrived(&self, port: Port, arrival: &Arrival<'_>) {
        let now = self.elapsed();
        self.with(|book| {
            let sent = book.sent.get(&arrival.number).copied().unwrap_or(now);
            book.ports[port.index()].arrived(arrival, now.saturating_sub(sent));
        });
    }

    /// The counts now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let elapsed = self.elapsed();
        self.with(|book| Snapshot {
            elapsed,
            accepted: book.accepted.len() as u64,
            refused: book.refused,
            published: book.done,
            ports: Port::ALL.map(|port| {
                let mine = &book.ports[port.index()];
                let missing = book
                    .accepted
                    .iter()
                    .filter(|number| port.takes(**number) && !mine.seen.contains(number));
                PortCounts {
                    missing: missing.count() as u64,
                    ..mine.counts
                }
            }),
            latency_us: Port::ALL.map(|port| {
                let latency = &book.ports[port.index()].latency;
                (
                    latency.value_at_quantile(0.5),
                    latency.value_at_quantile(0.99),
                )
            }),
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PortBook {
    fn arrived(&mut self, arrival: &Arrival<'_>, after: Duration) {
        if !self.seen.insert(arrival.number) {
            self.counts.repeated += 1;
            self.counts.unmarked += u64::from(!arrival.marked);
            return;
        }
        self.counts.received += 1;
        let after = u64::try_from(after.as_micros()).unwrap_or(LATENCY_US_MAX);
        self.latency.saturating_record(after.max(1));
        let last = self.last.entry(arrival.key.to_owned()).or_insert(0);
        if arrival.number < *last {
            self.counts.disordered += 1;
        }
        *last = (*last).max(arrival.number);
    }
}

#[cfg(test)]
mod tests {
    use anser_core::Timestamp;
    use anser_core::clock::ManualClock;

    use super::*;

    #[test]
    fn tells_repeats_disorder_and_gaps() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let tally = Tally::new(clock.clone());
        for number in 1..=12 {
            tally.sending(number);
            tally.answered(number, number != 11);
        }
        clock.advance(Duration::from_millis(5));
        for (number, key, marked) in [
            (2, "a", false),
            (1, "a", false),
            (2, "a", true),
            (1, "a", false),
            (3, "b", false),
        ] {
            let arrival = Arrival {
                number,
                key,
                marked,
            };
            tally.arrived(Port::Billing, &arrival);
        }
        let snapshot = tally.snapshot();
        let expected = PortCounts {
            received: 3,
            repeated: 2,
            unmarked: 1,
            disordered: 1,
            due: 11,
            missing: 8,
            ..PortCounts::default()
        };
        assert_eq!(snapshot.ports[Port::Billing.index()], expected);
        assert_eq!(
            (snapshot.accepted, snapshot.refused, snapshot.due()),
            (11, 1, 23)
        );
        assert_eq!(snapshot.ports[Port::Audit.index()].missing, 1);
        assert!((4_990..=5_010).contains(&snapshot.latency_us[0].0));
        assert!(!snapshot.finished());
    }
}
