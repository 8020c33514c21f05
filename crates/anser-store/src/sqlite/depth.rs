//! Unfinished deliveries by topic and channel, counted in memory: rebuilt at open, then moved by every commit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anser_core::delivery::DeliveryState;
use anser_core::id::ResourceId;
use anser_core::store::{DeliveryRow, Depth};

/// Topic and channel.
type Key = (ResourceId, ResourceId);

/// What is counted of one topic and channel.
#[derive(Debug, Default)]
struct Counts {
    open: u64,
    retrying: u64,
    bytes: u64,
}

/// The counters as committed, by channel and then topic.
#[derive(Debug, Default)]
pub(super) struct Depths(Mutex<HashMap<ResourceId, HashMap<ResourceId, Counts>>>);

/// What a group of operations changes, kept back until it is committed.
#[derive(Debug, Default)]
pub(super) struct DepthChanges(Vec<Change>);

/// What one row adds to the counters, or takes away.
#[derive(Debug)]
struct Change {
    key: Key,
    open: i64,
    retrying: i64,
    bytes: i64,
}

impl DepthChanges {
    /// A row became what it is from what it was; `None` when it did not exist, or does no longer.
    pub(super) fn note(&mut self, before: Option<&DeliveryRow>, after: Option<&DeliveryRow>) {
        let difference = |is: fn(&DeliveryRow) -> bool| {
            i64::from(after.is_some_and(is)) - i64::from(before.is_some_and(is))
        };
        let open = difference(|row| !row.state.is_final());
        let retrying = difference(|row| row.state == DeliveryState::Retrying);
        if let Some(row) = after.or(before).filter(|_| open != 0 || retrying != 0) {
            self.0.push(Change {
                key: (row.topic, row.channel),
                open,
                retrying,
                bytes: open * i64::from(row.bytes),
            });
        }
    }

    /// How many changes there are; for [`Self::truncate`].
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back the changes after the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

impl Depths {
    /// Counts one unfinished delivery, while the store is opened.
    pub(super) fn count(&self, row: &DeliveryRow) {
        let mut changes = DepthChanges::default();
        changes.note(None, Some(row));
        self.apply(&mut changes);
    }

    /// Takes the changes over and leaves none.
    pub(super) fn apply(&self, changes: &mut DepthChanges) {
        let mut depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes.0.drain(..) {
            let (topic, channel) = change.key;
            let of_channel = depths.entry(channel).or_default();
            let counts = of_channel.entry(topic).or_default();
            counts.open = counts.open.saturating_add_signed(change.open);
            counts.retrying = counts.retrying.saturating_add_signed(change.retrying);
            counts.bytes = counts.bytes.saturating_add_signed(change.bytes);
            if counts.open == 0 {
                of_channel.remove(&topic);
            }
            if of_channel.is_empty() {
                depths.remove(&channel);
            }
        }
    }

    /// The counters, by topic and channel.
    pub(super) fn list(&self) -> Vec<Depth> {
        let depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Depth> = depths
            .iter()
            .flat_map(|(channel, topics)| listed(*channel, topics))
            .collect();
        list.sort_by_key(|depth| (depth.topic, depth.channel));
        list
    }

    /// The counters of one channel, by topic.
    pub(super) fn list_of(&self, channel: ResourceId) -> Vec<Depth> {
        let depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let topics = depths.get(&channel).into_iter();
        let mut list: Vec<Depth> = topics.flat_map(|topics| listed(channel, topics)).collect();
        list.sort_by_key(|depth| depth.topic);
        list
    }
}

fn listed(
    channel: ResourceId,
    topics: &HashMap<ResourceId, Counts>,
) -> impl Iterator<Item = Depth> {
    topics.iter().map(move |(topic, counts)| Depth {
        topic: *topic,
        channel,
        count: counts.open,
        retrying: counts.retrying,
        bytes: counts.bytes,
    })
}
