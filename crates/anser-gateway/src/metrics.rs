//! What is counted, and how it is shown to Prometheus. Counting is keyed by internal numbers and costs a map look-up and
//! an atomic add; names are put on when a scrape renders them, and what no longer exists is dropped then, so the number
//! of series is bounded by what is configured. Must not ask anything of the gateway: a scrape brings its [`Gauges`].

pub(crate) mod live;
mod render;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anser_core::connection::Loss;
use anser_core::id::ResourceId;
use anser_core::inbound::RefusalKind;
use anser_core::outcome::OutcomeClass;
use anser_core::store::{BlobTotals, CommitObserver};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use live::LiveCounters;

pub use live::{Census, ConnectionGauges};
pub use render::{Age, CONTENT_TYPE, Gauges};

/// The classes of outcome in the order of their counters.
const CLASSES: [OutcomeClass; 8] = [
    OutcomeClass::Delivered,
    OutcomeClass::Limited,
    OutcomeClass::RefreshAuth,
    OutcomeClass::Retry,
    OutcomeClass::Unknown,
    OutcomeClass::Rejected,
    OutcomeClass::Degrade,
    OutcomeClass::Gone,
];

/// Why platforms' requests are refused, in the order of their counters.
const REFUSALS: [RefusalKind; 5] = [
    RefusalKind::Unsigned,
    RefusalKind::Forged,
    RefusalKind::Stale,
    RefusalKind::Malformed,
    RefusalKind::Method,
];

/// Why connections end, in the order of their counters, with their names.
const LOSSES: [(Loss, &str); 8] = [
    (Loss::Network, "network"),
    (Loss::Asked, "asked"),
    (Loss::Deaf, "deaf"),
    (Loss::Refused, "refused"),
    (Loss::Replaced, "replaced"),
    (Loss::Limited, "limited"),
    (Loss::Protocol, "protocol"),
    (Loss::Stopped, "stopped"),
];

/// Everything the gateway counts since its start.
#[derive(Debug)]
pub struct Metrics {
    topics: Counters<ResourceId, TopicCounters>,
    routes: Counters<Route, RouteCounters>,
    attempts: Counters<ResourceId, [AtomicU64; CLASSES.len()]>,
    queues: Counters<ResourceId, QueueCounters>,
    inbound: Counters<ResourceId, InboundCounters>,
    connections: Counters<ResourceId, ConnectionCounters>,
    commits: Histogram,
    groups: Histogram,
    latency: Histogram,
    http_in_flight: AtomicI64,
    http_connections: Arc<ConnectionGauges>,
    blobs: BlobCounters,
    live: LiveCounters,
}

/// A topic and a channel that its messages go through.
type Route = (ResourceId, ResourceId);

#[derive(Debug, Default)]
struct TopicCounters {
    messages: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct RouteCounters {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    expired: AtomicU64,
    cancelled: AtomicU64,
}

#[derive(Debug, Default)]
struct QueueCounters {
    received: AtomicU64,
    acknowledged: AtomicU64,
    dead_lettered: AtomicU64,
    expired: AtomicU64,
}

#[derive(Debug, Default)]
struct InboundCounters {
    received: AtomicU64,
    duplicates: AtomicU64,
    lost: AtomicU64,
    deferred: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
}

#[derive(Debug, Default)]
struct ConnectionCounters {
    /// Those that were live.
    lost: [AtomicU64; LOSSES.len()],
    /// Those that were not.
    failed: [AtomicU64; LOSSES.len()],
    unread: AtomicU64,
}

#[derive(Debug, Default)]
struct BlobCounters {
    stored: AtomicU64,
    stored_bytes: AtomicU64,
    swept: AtomicU64,
    /// As of the last sweep.
    kept: AtomicU64,
    kept_bytes: AtomicU64,
}

/// Counters by what they count for. An entry is made once and then only read, so the lock is hardly ever waited for.
#[derive(Debug)]
struct Counters<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for Counters<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash, V: Default> Counters<K, V> {
    fn with(&self, key: K, count: impl FnOnce(&V)) {
        if let Some(counters) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            count(counters);
            return;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        count(all.entry(key).or_default());
    }

    /// The counters of `key`, for whoever keeps them.
    fn of(&self, key: K) -> Arc<V> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    }

    /// Forgets what `keep` does not know any more, and answers the rest.
    fn retain(&self, keep: impl Fn(&K) -> bool) -> Vec<(K, Arc<V>)> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|key, _| keep(key));
        all.iter()
            .map(|(key, counters)| (*key, Arc::clone(counters)))
            .collect()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            topics: Counters::default(),
            routes: Counters::default(),
            attempts: Counters::default(),
            queues: Counters::default(),
            inbound: Counters::default(),
            connections: Counters::default(),
            // 50 µs to 1.6 s: from a commit without fsync to a disk in trouble.
            commits: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            groups: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            // 0.5 ms to 4.5 h: from a healthy endpoint to one that was down for a night.
            latency: Histogram::new(exponential_buckets(0.000_5, 2.0, 26)),
            http_in_flight: AtomicI64::new(0),
            http_connections: Arc::default(),
            blobs: BlobCounters::default(),
            live: LiveCounters::default(),
        }
    }

    /// `messages` of `bytes` in all were accepted on `topic`.
    pub fn accepted(&self, topic: ResourceId, messages: u64, bytes: u64) {
        self.topics.with(topic, |counters| {
            counters.messages.fetch_add(messages, Ordering::Relaxed);
            counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        });
    }

    /// A delivery was done, `latency` after its message was accepted (or after it was due, for a scheduled one).
    pub fn delivered(&self, topic: ResourceId, channel: ResourceId, latency: Duration) {
        self.routes.with((topic, channel), |counters| {
            counters.delivered.fetch_add(1, Ordering::Relaxed);
        });
        self.latency.observe(latency.as_secs_f64());
    }

    /// A delivery failed and will be tried again.
    pub fn retried(&self, topic: ResourceId, channel: ResourceId) {
        self.routes.with((topic, channel), |counters| {
            counters.retried.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A delivery was given up.
    pub fn dead(&self, topic: ResourceId, channel: ResourceId) {
        self.routes.with((topic, channel), |counters| {
            counters.dead.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A delivery's time ran out.
    pub fn expired(&self, topic: ResourceId, channel: ResourceId) {
        self.routes.with((topic, channel), |counters| {
            counters.expired.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A delivery was recalled.
    pub fn cancelled(&self, topic: ResourceId, channel: ResourceId) {
        self.routes.with((topic, channel), |counters| {
            counters.cancelled.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// An attempt through `channel` ended.
    pub fn attempt(&self, channel: ResourceId, outcome: OutcomeClass) {
        self.attempts.with(channel, |counters| {
            if let Some(place) = CLASSES.iter().position(|class| *class == outcome) {
                counters[place].fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// So many messages of a queue were received.
    pub fn queue_received(&self, queue: ResourceId, messages: usize) {
        self.queue(queue, messages, |counters| &counters.received);
    }

    /// So many messages of a queue were acknowledged.
    pub fn queue_acknowledged(&self, queue: ResourceId, messages: usize) {
        self.queue(queue, messages, |counters| &counters.acknowledged);
    }

    /// So many messages of a queue went to its dead-letter queue.
    pub fn queue_dead_lettered(&self, queue: ResourceId, messages: usize) {
        self.queue(queue, messages, |counters| &counters.dead_lettered);
    }

    /// So many messages of a queue ended, as nobody acknowledged them in time.
    pub fn queue_expired(&self, queue: ResourceId, messages: usize) {
        self.queue(queue, messages, |counters| &counters.expired);
    }

    fn queue(
        &self,
        queue: ResourceId,
        messages: usize,
        counter: impl FnOnce(&QueueCounters) -> &AtomicU64,
    ) {
        if messages > 0 {
            self.queues.with(queue, |counters| {
                counter(counters).fetch_add(messages as u64, Ordering::Relaxed);
            });
        }
    }

    /// So many events came in for a channel and were stored; so many more had come before.
    pub fn inbound_received(&self, channel: ResourceId, stored: u64, duplicates: u64) {
        self.inbound.with(channel, |counters| {
            counters.received.fetch_add(stored, Ordering::Relaxed);
            counters.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        });
    }

    /// An event that came in for a channel can never be stored.
    pub fn inbound_lost(&self, channel: ResourceId) {
        self.inbound.with(channel, |counters| {
            counters.lost.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A request to a channel could not be taken now.
    pub fn inbound_deferred(&self, channel: ResourceId) {
        self.inbound.with(channel, |counters| {
            counters.deferred.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A request to a channel was refused.
    pub fn inbound_refused(&self, channel: ResourceId, kind: RefusalKind) {
        self.inbound.with(channel, |counters| {
            if let Some(place) = REFUSALS.iter().position(|known| *known == kind) {
                counters.refused[place].fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// A channel's connection ended, or was not made.
    pub fn connection_ended(&self, channel: ResourceId, loss: Loss, was_live: bool) {
        self.connections.with(channel, |counters| {
            let counters = if was_live {
                &counters.lost
            } else {
                &counters.failed
            };
            if let Some(place) = LOSSES.iter().position(|(known, _)| *known == loss) {
                counters[place].fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Something came over a channel's connection that cannot be read.
    pub fn connection_unread(&self, channel: ResourceId) {
        self.connections.with(channel, |counters| {
            counters.unread.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A blob of so many bytes was uploaded.
    pub fn blob_stored(&self, bytes: u64) {
        self.blobs.stored.fetch_add(1, Ordering::Relaxed);
        self.blobs.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A blob that nothing needed was removed.
    pub fn blob_swept(&self) {
        self.blobs.swept.fetch_add(1, Ordering::Relaxed);
    }

    /// So many blobs are kept.
    pub fn blobs_kept(&self, totals: BlobTotals) {
        self.blobs.kept.store(totals.count, Ordering::Relaxed);
        self.blobs.kept_bytes.store(totals.bytes, Ordering::Relaxed);
    }

    /// An HTTP request came in; counted until the guard is dropped.
    #[must_use]
    pub fn http_request(self: &Arc<Self>) -> HttpInFlight {
        self.http_in_flight.fetch_add(1, Ordering::Relaxed);
        HttpInFlight(Arc::clone(self))
    }
}

/// One HTTP request under way; ends when dropped, also when the client goes away.
#[derive(Debug)]
pub struct HttpInFlight(Arc<Metrics>);

impl Drop for HttpInFlight {
    fn drop(&mut self) {
        self.0.http_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl CommitObserver for Metrics {
    fn committed(&self, operations: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        self.groups.observe(f64::from(operations));
    }
}
