//! A scrape: the state of things now, put beside what was counted.

use anser_core::id::ResourceId;
use anser_core::name::{TOPIC_DIRECT, queue_address};

use crate::config::Snapshot;
use crate::gateway::Gateway;
use crate::metrics::{Age, Gauges};

impl Gateway {
    /// The text of one scrape, of the media type [`crate::metrics::CONTENT_TYPE`].
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let snapshot = self.config.load();
        let now = self.clock.now();
        let ages = self.dispatch.oldest_due().into_iter();
        let ages = ages.filter_map(|(group, due)| {
            let (topic, channel) = route(&snapshot, group)?;
            Some(Age {
                topic,
                channel,
                due_for: now.since(due),
            })
        });
        let channels = snapshot.channels_by_id.iter();
        let channels = channels.map(|(id, channel)| (*id, channel.meta.name.clone()));
        let queues = snapshot.queues_by_id.iter();
        let queues = queues.map(|(id, queue)| (*id, queue_address(&queue.meta.name)));
        self.metrics.render(&Gauges {
            topics: snapshot
                .topics_by_id
                .iter()
                .map(|(id, topic)| (*id, topic.meta.name.clone()))
                .collect(),
            channels: channels.chain(queues).collect(),
            depths: self.store.depths(),
            ages: ages.collect(),
            connections: self.connections.live(),
            attempts_in_flight: self.dispatch.in_flight(),
            receives_waiting: self.leasing.waiting(),
            live: self.sessions.state().plan.census(),
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}

/// The topic and channel of a group. A channel's own group holds direct addresses, whatever topic they came with; they
/// are shown under `$direct`.
fn route(snapshot: &Snapshot, group: ResourceId) -> Option<(ResourceId, ResourceId)> {
    if let Some(subscription) = snapshot.subscriber(group) {
        return Some((subscription.topic, subscription.destination.id()?));
    }
    let direct = snapshot.topic(TOPIC_DIRECT)?;
    let channel = snapshot.channels_by_id.get(&group)?;
    Some((direct.meta.id, channel.meta.id))
}
