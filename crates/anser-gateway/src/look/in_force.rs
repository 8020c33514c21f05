//! What a door needs to know to translate a call: the configuration in force, the time, a random number. No right is
//! asked for, as nothing of it is shown: the use case that the call becomes asks for its own.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::id::ResourceId;
use anser_core::name::is_system_topic;
use anser_core::store::Depth;

use crate::config::{QueueEntry, Topic};
use crate::gateway::Gateway;

impl Gateway {
    /// The topic of that name, whatever its case.
    #[must_use]
    pub fn topic_in_force(&self, name: &str) -> Option<Arc<Topic>> {
        self.config.load().topic(name).cloned()
    }

    /// The queue of that name, whatever its case.
    #[must_use]
    pub fn queue_in_force(&self, name: &str) -> Option<Arc<QueueEntry>> {
        self.config.load().queue(name).cloned()
    }

    /// How many topics there are beside the system's.
    #[must_use]
    pub fn topics_configured(&self) -> usize {
        let snapshot = self.config.load();
        let names = snapshot.topics.keys();
        names.filter(|name| !is_system_topic(name)).count()
    }

    /// How many queues there are.
    #[must_use]
    pub fn queues_configured(&self) -> usize {
        self.config.load().queues.len()
    }

    /// How many of a topic's messages each channel and queue has yet to deliver.
    #[must_use]
    pub fn waiting(&self, topic: ResourceId) -> Vec<Depth> {
        let mut depths = self.store.depths();
        depths.retain(|depth| depth.topic == topic);
        depths
    }

    /// The installation's number, made at first start; nine or ten decimal digits.
    #[must_use]
    pub fn installation(&self) -> u64 {
        self.info.installation
    }

    /// The address under which platforms and people reach the gateway, if the settings name one.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        self.links.as_ref().map(|links| links.base())
    }

    /// The time by the gateway's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number that nobody can guess.
    #[must_use]
    pub fn random_number(&self) -> u64 {
        self.random.next_u64()
    }
}
