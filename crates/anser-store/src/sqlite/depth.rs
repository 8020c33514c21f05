//! Unfinished deliveries by topic and channel, counted in memory: rebuilt at open, then moved by every commit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anser_core::id::ResourceId;
use anser_core::store::{DeliveryRow, Depth};

type Key = (ResourceId, ResourceId);

/// The counters as committed.
#[derive(Debug, Default)]
pub(super) struct Depths(Mutex<HashMap<Key, (u64, u64)>>);

/// What a group of operations changes, kept back until it is committed.
#[derive(Debug, Default)]
pub(super) struct DepthChanges(Vec<(Key, bool, u32)>);

impl DepthChanges {
    /// A row became what it is from what it was; `None` when it did not exist, or does no longer.
    pub(super) fn note(&mut self, before: Option<&DeliveryRow>, after: Option<&DeliveryRow>) {
        let open = |row: Option<&DeliveryRow>| row.is_some_and(|row| !row.state.is_final());
        if open(before) == open(after) {
            return;
        }
        if let Some(row) = after.or(before) {
            self.0
                .push(((row.topic, row.channel), open(after), row.bytes));
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
    pub(super) fn count(&self, topic: ResourceId, channel: ResourceId, bytes: u32) {
        let mut changes = DepthChanges(vec![((topic, channel), true, bytes)]);
        self.apply(&mut changes);
    }

    /// Takes the changes over and leaves none.
    pub(super) fn apply(&self, changes: &mut DepthChanges) {
        let mut depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, opened, bytes) in changes.0.drain(..) {
            let (count, total) = depths.entry(key).or_default();
            if opened {
                *count += 1;
                *total += u64::from(bytes);
            } else {
                *count = count.saturating_sub(1);
                *total = total.saturating_sub(u64::from(bytes));
            }
            if *count == 0 {
                depths.remove(&key);
            }
        }
    }

    /// The counters, by topic and channel.
    pub(super) fn list(&self) -> Vec<Depth> {
        let depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Depth> = depths
            .iter()
            .map(|(&(topic, channel), &(count, bytes))| Depth {
                topic,
                channel,
                count,
                bytes,
            })
            .collect();
        list.sort_by_key(|depth| (depth.topic, depth.channel));
        list
    }
}
