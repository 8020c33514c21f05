//! From counters to the text that Prometheus scrapes (OpenMetrics 1.0). A registry is built for each scrape, so that
//! names are looked up then and series of deleted topics and channels are gone from the next scrape on.

mod live;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::name::QUEUE_PREFIX;
use anser_core::outcome::OutcomeClass;
use anser_core::store::Depth;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{
    CLASSES, Census, InboundCounters, LOSSES, Metrics, QueueCounters, REFUSALS, RouteCounters,
};

/// The media type of [`Metrics::render`]'s text (OpenMetrics 1.0, "Overall Structure").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a scrape shows beside the counters: the state of things now.
#[derive(Debug, Default)]
pub struct Gauges {
    /// The names of the topics that exist.
    pub topics: HashMap<ResourceId, String>,
    /// The names of the channels that exist, and of the queues as `queue:NAME`.
    pub channels: HashMap<ResourceId, String>,
    /// Unfinished deliveries.
    pub depths: Vec<Depth>,
    /// How long the oldest due deliveries have been due.
    pub ages: Vec<Age>,
    /// The channels that are to be connected to their platforms, and whether they are.
    pub connections: Vec<(ResourceId, bool)>,
    /// Attempts under way.
    pub attempts_in_flight: usize,
    /// Receives that wait for a message.
    pub receives_waiting: usize,
    /// Live clients.
    pub live: Census,
    /// The version of this build.
    pub version: &'static str,
}

/// For how long the oldest delivery of a topic through a channel has been due.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// The topic.
    pub topic: ResourceId,
    /// The channel or queue.
    pub channel: ResourceId,
    /// Zero when none is due yet.
    pub due_for: Duration,
}

type Labels = Vec<(&'static str, String)>;
type CounterFamily = Family<Labels, Counter>;
type Seconds = Gauge<f64, AtomicU64>;

impl Metrics {
    /// The text of one scrape, [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self, gauges: &Gauges) -> String {
        let mut registry = Registry::with_prefix("anser");
        self.topics(&mut registry, gauges);
        self.routes(&mut registry, gauges);
        self.attempts(&mut registry, gauges);
        queues(&mut registry, gauges);
        self.consumed(&mut registry, gauges);
        self.inbound(&mut registry, gauges);
        self.connections(&mut registry, gauges);
        self.blobs(&mut registry);
        self.live(&mut registry, &gauges.live);
        self.process(&mut registry, gauges);
        let mut text = String::new();
        // Writing to a `String` does not fail; what has been written is the answer in any case.
        let _ = encode(&mut text, &registry);
        text
    }

    fn topics(&self, registry: &mut Registry, gauges: &Gauges) {
        let (messages, bytes) = (CounterFamily::default(), CounterFamily::default());
        for (topic, counters) in self
            .topics
            .retain(|topic| gauges.topics.contains_key(topic))
        {
            let labels = vec![("topic", name(&gauges.topics, topic))];
            add(&messages, &labels, &counters.messages);
            add(&bytes, &labels, &counters.bytes);
        }
        registry.register("accepted", "Messages accepted, by topic", messages);
        registry.register(
            "accepted_bytes",
            "Bytes of the messages accepted, as stored, by topic",
            bytes,
        );
    }

    fn routes(&self, registry: &mut Registry, gauges: &Gauges) {
        type Pick = fn(&RouteCounters) -> &AtomicU64;
        let shown: [(&str, &str, Pick); 5] = [
            ("delivered", "Deliveries done", |route| &route.delivered),
            (
                "retried",
                "Attempts that failed and will be repeated",
                |route| &route.retried,
            ),
            ("dead", "Deliveries given up", |route| &route.dead),
            ("expired", "Deliveries whose time ran out", |route| {
                &route.expired
            }),
            ("cancelled", "Deliveries cancelled", |route| {
                &route.cancelled
            }),
        ];
        let routes = self.routes.retain(|(topic, channel)| {
            gauges.topics.contains_key(topic) && gauges.channels.contains_key(channel)
        });
        for (metric, help, pick) in shown {
            let family = CounterFamily::default();
            for ((topic, channel), counters) in &routes {
                add(&family, &route(gauges, *topic, *channel), pick(counters));
            }
            registry.register(metric, format!("{help}, by topic and channel"), family);
        }
    }

    fn attempts(&self, registry: &mut Registry, gauges: &Gauges) {
        let family = CounterFamily::default();
        let channels = self
            .attempts
            .retain(|channel| gauges.channels.contains_key(channel));
        for (channel, counters) in channels {
            for (class, counter) in CLASSES.iter().zip(counters.iter()) {
                let labels = vec![
                    ("channel", name(&gauges.channels, channel)),
                    ("outcome", class_name(*class).to_owned()),
                ];
                add(&family, &labels, counter);
            }
        }
        registry.register(
            "attempts",
            "Attempts made, by channel and class of outcome",
            family,
        );
    }

    fn consumed(&self, registry: &mut Registry, gauges: &Gauges) {
        type Pick = fn(&QueueCounters) -> &AtomicU64;
        let shown: [(&str, &str, Pick); 4] = [
            ("queue_received", "Messages received", |queue| {
                &queue.received
            }),
            ("queue_acknowledged", "Messages acknowledged", |queue| {
                &queue.acknowledged
            }),
            (
                "queue_dead_lettered",
                "Messages that went to the dead-letter queue",
                |queue| &queue.dead_lettered,
            ),
            (
                "queue_expired",
                "Messages that nobody acknowledged in time",
                |queue| &queue.expired,
            ),
        ];
        let queues = self
            .queues
            .retain(|queue| gauges.channels.contains_key(queue));
        for (metric, help, pick) in shown {
            let family = CounterFamily::default();
            for (queue, counters) in &queues {
                let address = name(&gauges.channels, *queue);
                let name = address.strip_prefix(QUEUE_PREFIX).unwrap_or(&address);
                add(&family, &vec![("queue", name.to_owned())], pick(counters));
            }
            registry.register(metric, format!("{help}, by queue"), family);
        }
        let waiting: Gauge = Gauge::default();
        waiting.set(i64::try_from(gauges.receives_waiting).unwrap_or(i64::MAX));
        registry.register(
            "receives_waiting",
            "Receives that wait for a message",
            waiting,
        );
    }

    fn inbound(&self, registry: &mut Registry, gauges: &Gauges) {
        type Pick = fn(&InboundCounters) -> &AtomicU64;
        let shown: [(&str, &str, Pick); 4] = [
            (
                "inbound_received",
                "Events that platforms sent in and that were stored",
                |channel| &channel.received,
            ),
            (
                "inbound_duplicates",
                "Events that platforms sent in again",
                |channel| &channel.duplicates,
            ),
            (
                "inbound_lost",
                "Events that platforms sent in and that can never be stored",
                |channel| &channel.lost,
            ),
            (
                "inbound_deferred",
                "Requests of platforms that could not be taken at their time",
                |channel| &channel.deferred,
            ),
        ];
        let channels = self
            .inbound
            .retain(|channel| gauges.channels.contains_key(channel));
        for (metric, help, pick) in shown {
            let family = CounterFamily::default();
            for (channel, counters) in &channels {
                let labels = vec![("channel", name(&gauges.channels, *channel))];
                add(&family, &labels, pick(counters));
            }
            registry.register(metric, format!("{help}, by channel"), family);
        }
        let refused = CounterFamily::default();
        for (channel, counters) in &channels {
            for (kind, counter) in REFUSALS.iter().zip(&counters.refused) {
                let labels = vec![
                    ("channel", name(&gauges.channels, *channel)),
                    ("reason", kind.code().to_owned()),
                ];
                add(&refused, &labels, counter);
            }
        }
        registry.register(
            "inbound_refused",
            "Requests of platforms that were refused, by channel and reason",
            refused,
        );
    }

    fn connections(&self, registry: &mut Registry, gauges: &Gauges) {
        let live = Family::<Labels, Gauge>::default();
        for (channel, is_live) in &gauges.connections {
            let labels = vec![("channel", name(&gauges.channels, *channel))];
            live.get_or_create(&labels).set(i64::from(*is_live));
        }
        registry.register(
            "connection_live",
            "Whether a channel's connection to its platform is live, by channel",
            live,
        );
        let channels = self
            .connections
            .retain(|channel| gauges.channels.contains_key(channel));
        let (lost, failed) = (CounterFamily::default(), CounterFamily::default());
        let unread = CounterFamily::default();
        for (channel, counters) in &channels {
            let channel = ("channel", name(&gauges.channels, *channel));
            add(&unread, &vec![channel.clone()], &counters.unread);
            for (place, (_, reason)) in LOSSES.iter().enumerate() {
                let labels = vec![channel.clone(), ("reason", (*reason).to_owned())];
                add(&lost, &labels, &counters.lost[place]);
                add(&failed, &labels, &counters.failed[place]);
            }
        }
        registry.register(
            "connection_lost",
            "Connections to platforms that were live and ended, by channel and reason",
            lost,
        );
        registry.register(
            "connection_failed",
            "Attempts to connect to platforms that failed, by channel and reason",
            failed,
        );
        registry.register(
            "connection_unread",
            "What came over connections and cannot be read, by channel",
            unread,
        );
    }

    fn blobs(&self, registry: &mut Registry) {
        let of = &self.blobs;
        for (metric, help, counted) in [
            ("blobs_stored", "Blobs uploaded", &of.stored),
            (
                "blobs_stored_bytes",
                "Bytes of the blobs uploaded",
                &of.stored_bytes,
            ),
            (
                "blobs_swept",
                "Blobs removed that nothing needed",
                &of.swept,
            ),
        ] {
            let counter: Counter = Counter::default();
            counter.inc_by(counted.load(Ordering::Relaxed));
            registry.register(metric, help, counter);
        }
        for (metric, help, held) in [
            ("blobs_kept", "Blobs kept, as of the last sweep", &of.kept),
            (
                "blobs_kept_bytes",
                "Bytes of the blobs kept, as of the last sweep",
                &of.kept_bytes,
            ),
        ] {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(held.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
            registry.register(metric, help, gauge);
        }
    }

    fn process(&self, registry: &mut Registry, gauges: &Gauges) {
        registry.register(
            "commit_seconds",
            "Time of one group commit",
            self.commits.clone(),
        );
        registry.register(
            "commit_operations",
            "Operations that went into one group commit",
            self.groups.clone(),
        );
        registry.register(
            "delivery_latency_seconds",
            "Time from accepting a message to the end of its successful delivery",
            self.latency.clone(),
        );
        let http: Gauge = Gauge::default();
        http.set(self.http_in_flight.load(Ordering::Relaxed));
        registry.register("http_requests_in_flight", "HTTP requests under way", http);
        let attempts: Gauge = Gauge::default();
        attempts.set(i64::try_from(gauges.attempts_in_flight).unwrap_or(i64::MAX));
        registry.register("attempts_in_flight", "Attempts under way", attempts);
        registry.register(
            "build",
            "The version of the gateway",
            Info::new(vec![("version", gauges.version)]),
        );
    }
}

fn queues(registry: &mut Registry, gauges: &Gauges) {
    let depth = Family::<Labels, Gauge>::default();
    let bytes = Family::<Labels, Gauge>::default();
    let age = Family::<Labels, Seconds>::default();
    let exists = |topic: &ResourceId, channel: &ResourceId| {
        gauges.topics.contains_key(topic) && gauges.channels.contains_key(channel)
    };
    for queue in &gauges.depths {
        if !exists(&queue.topic, &queue.channel) {
            continue;
        }
        let labels = route(gauges, queue.topic, queue.channel);
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        depth.get_or_create(&labels).inc_by(signed(queue.count));
        bytes.get_or_create(&labels).inc_by(signed(queue.bytes));
    }
    for oldest in &gauges.ages {
        if !exists(&oldest.topic, &oldest.channel) {
            continue;
        }
        let series = age.get_or_create_owned(&route(gauges, oldest.topic, oldest.channel));
        series.set(series.get().max(oldest.due_for.as_secs_f64()));
    }
    registry.register(
        "queue_depth",
        "Deliveries that are not finished, by topic and channel",
        depth,
    );
    registry.register(
        "queue_bytes",
        "Bytes of the messages of unfinished deliveries, counted once per delivery, by topic and channel",
        bytes,
    );
    registry.register(
        "queue_age_seconds",
        "For how long the oldest due delivery has been due, by topic and channel",
        age,
    );
}

fn add(family: &CounterFamily, labels: &Labels, counter: &AtomicU64) {
    family
        .get_or_create(labels)
        .inc_by(counter.load(Ordering::Relaxed));
}

fn route(gauges: &Gauges, topic: ResourceId, channel: ResourceId) -> Labels {
    vec![
        ("topic", name(&gauges.topics, topic)),
        ("channel", name(&gauges.channels, channel)),
    ]
}

fn name(names: &HashMap<ResourceId, String>, id: ResourceId) -> String {
    names.get(&id).cloned().unwrap_or_default()
}

/// The class's name as in the attempts log.
const fn class_name(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Delivered => "delivered",
        OutcomeClass::Limited => "limited",
        OutcomeClass::RefreshAuth => "refresh_auth",
        OutcomeClass::Retry => "retry",
        OutcomeClass::Unknown => "unknown",
        OutcomeClass::Rejected => "rejected",
        OutcomeClass::Degrade => "degrade",
        OutcomeClass::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anser_core::connection::Loss;
    use anser_core::inbound::RefusalKind;
    use anser_core::store::{BlobTotals, CommitObserver as _};

    fn gauges() -> Gauges {
        Gauges {
            topics: HashMap::from([(ResourceId(1), "orders".to_owned())]),
            channels: HashMap::from([
                (ResourceId(2), "shop".to_owned()),
                (ResourceId(3), "queue:jobs".to_owned()),
            ]),
            depths: vec![Depth {
                topic: ResourceId(1),
                channel: ResourceId(2),
                count: 3,
                retrying: 0,
                bytes: 768,
            }],
            ages: vec![Age {
                topic: ResourceId(1),
                channel: ResourceId(2),
                due_for: Duration::from_millis(1_500),
            }],
            connections: vec![(ResourceId(2), true)],
            attempts_in_flight: 4,
            receives_waiting: 6,
            live: Census::default(),
            version: "1.2.3",
        }
    }

    #[test]
    fn a_scrape_names_topics_channels_and_outcomes() {
        let metrics = Metrics::new();
        metrics.accepted(ResourceId(1), 2, 512);
        metrics.delivered(ResourceId(1), ResourceId(2), Duration::from_millis(3));
        metrics.retried(ResourceId(1), ResourceId(2));
        metrics.attempt(ResourceId(2), OutcomeClass::Retry);
        metrics.queue_received(ResourceId(3), 3);
        metrics.inbound_received(ResourceId(2), 7, 1);
        metrics.inbound_refused(ResourceId(2), RefusalKind::Forged);
        metrics.connection_ended(ResourceId(2), Loss::Deaf, true);
        metrics.committed(5, Duration::from_millis(2));
        metrics.blob_stored(7);
        metrics.blobs_kept(BlobTotals { count: 2, bytes: 9 });
        let text = metrics.render(&gauges());
        for line in [
            "anser_accepted_total{topic=\"orders\"} 2",
            "anser_accepted_bytes_total{topic=\"orders\"} 512",
            "anser_delivered_total{topic=\"orders\",channel=\"shop\"} 1",
            "anser_retried_total{topic=\"orders\",channel=\"shop\"} 1",
            "anser_dead_total{topic=\"orders\",channel=\"shop\"} 0",
            "anser_attempts_total{channel=\"shop\",outcome=\"retry\"} 1",
            "anser_queue_depth{topic=\"orders\",channel=\"shop\"} 3",
            "anser_queue_bytes{topic=\"orders\",channel=\"shop\"} 768",
            "anser_queue_age_seconds{topic=\"orders\",channel=\"shop\"} 1.5",
            "anser_commit_seconds_count 1",
            "anser_commit_operations_sum 5.0",
            "anser_delivery_latency_seconds_count 1",
            "anser_attempts_in_flight 4",
            "anser_receives_waiting 6",
            "anser_queue_received_total{queue=\"jobs\"} 3",
            "anser_queue_expired_total{queue=\"jobs\"} 0",
            "anser_inbound_received_total{channel=\"shop\"} 7",
            "anser_inbound_duplicates_total{channel=\"shop\"} 1",
            "anser_inbound_refused_total{channel=\"shop\",reason=\"wrong_signature\"} 1",
            "anser_connection_live{channel=\"shop\"} 1",
            "anser_connection_lost_total{channel=\"shop\",reason=\"deaf\"} 1",
            "anser_connection_failed_total{channel=\"shop\",reason=\"deaf\"} 0",
            "anser_blobs_stored_bytes_total 7",
            "anser_blobs_swept_total 0",
            "anser_blobs_kept 2",
            "anser_blobs_kept_bytes 9",
            "anser_build_info{version=\"1.2.3\"} 1",
            "# HELP anser_accepted Messages accepted, by topic.",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line}\n{text}"
            );
        }
    }

    #[test]
    fn series_of_what_no_longer_exists_are_dropped() {
        let metrics = Metrics::new();
        for topic in 10..200 {
            metrics.accepted(ResourceId(topic), 1, 1);
            metrics.dead(ResourceId(topic), ResourceId(2));
            metrics.attempt(ResourceId(topic), OutcomeClass::Gone);
        }
        let text = metrics.render(&gauges());
        assert!(!text.contains("anser_accepted_total{"), "{text}");
        assert!(!text.contains("anser_dead_total{"), "{text}");
        assert_eq!(metrics.topics.retain(|_| true).len(), 0);
    }

    #[test]
    fn http_requests_are_counted_while_their_guard_lives() {
        let metrics = std::sync::Arc::new(Metrics::new());
        let request = metrics.http_request();
        let shown = |count: u32| format!("anser_http_requests_in_flight {count}\n");
        assert!(metrics.render(&gauges()).contains(&shown(1)));
        drop(request);
        assert!(metrics.render(&gauges()).contains(&shown(0)));
    }
}
