//! The configuration as the plan sees it.

use std::collections::HashMap;
use std::sync::Arc;

use anser_core::id::ResourceId;
use anser_core::resource::{Ordering, Rate};
use anser_core::store::Group;

use super::plan::{Facts, GroupFacts, Scope, TargetFacts, TargetKey};
use crate::config::{ChannelEntry, Snapshot};

/// Marks scopes that are buckets; channels' numbers never reach this bit.
const BUCKET: u64 = 1 << 63;

/// A snapshot, seen by groups and scopes.
pub(super) struct ConfigFacts {
    config: Arc<Snapshot>,
    /// The channels of each bucket.
    sharing: HashMap<Scope, Vec<Arc<ChannelEntry>>>,
}

impl ConfigFacts {
    pub(super) fn new(config: Arc<Snapshot>) -> Self {
        let mut sharing: HashMap<Scope, Vec<Arc<ChannelEntry>>> = HashMap::new();
        for channel in config.channels_by_id.values() {
            if channel.spec.bucket.is_some() {
                let all = sharing.entry(scope(channel)).or_default();
                all.push(Arc::clone(channel));
            }
        }
        Self { config, sharing }
    }

    fn channel(&self, group: Group) -> Option<&ChannelEntry> {
        let channel = match self.config.subscriber(group) {
            Some(subscription) => subscription.destination.channel()?,
            None => group,
        };
        Some(self.config.channels_by_id.get(&channel)?)
    }

    /// Channels of one bucket should agree on its rates; where they do not, the strictest one holds.
    fn strictest(
        &self,
        scope: Scope,
        rate: impl Fn(&ChannelEntry) -> Option<Rate>,
    ) -> Option<Rate> {
        let sharing = self.sharing.get(&scope)?;
        let rates = sharing.iter().filter_map(|channel| rate(channel));
        rates.min_by(|a, b| a.per_second.total_cmp(&b.per_second))
    }
}

impl Facts for ConfigFacts {
    fn group(&self, group: Group) -> Option<GroupFacts> {
        let subscription = self.config.subscriber(group);
        let channel = match subscription {
            Some(subscription) => subscription.destination.channel()?,
            None => group,
        };
        let channel = self.config.channels_by_id.get(&channel)?;
        let paused = subscription.is_some_and(|subscription| subscription.spec.paused);
        Some(GroupFacts {
            scope: scope(channel),
            channel: channel.meta.id,
            gate: subscription.is_some_and(|subscription| subscription.ordering == Ordering::Gate),
            held: paused || channel.spec.paused || channel.endpoint.disabled_at.is_some(),
            no_breaker: subscription.is_some_and(|subscription| subscription.retry.is_cmq()),
            rate: subscription.and_then(|subscription| subscription.spec.rate),
            targets: channel.limits_targets(),
        })
    }

    fn scope_rate(&self, wanted: Scope) -> Option<Rate> {
        if wanted.0 & BUCKET == 0 {
            let channel = self.config.channels_by_id.get(&ResourceId(wanted.0));
            return channel.and_then(|channel| channel.rate());
        }
        self.strictest(wanted, ChannelEntry::rate)
    }

    fn target(&self, group: Group, target: Option<&str>) -> Option<TargetFacts> {
        let channel = self.channel(group)?;
        let scope = scope(channel);
        let counted = channel.channel.counted(target);
        let key = scope
            .0
            .to_le_bytes()
            .into_iter()
            .chain(counted.whom.bytes());
        let rate = match channel.spec.bucket {
            None => channel.target_rate(&counted),
            Some(_) => self.strictest(scope, |channel| channel.target_rate(&counted)),
        };
        Some(TargetFacts {
            key: TargetKey(hash(key)),
            rate,
        })
    }
}

fn scope(channel: &ChannelEntry) -> Scope {
    match &channel.spec.bucket {
        None => Scope(channel.meta.id.0),
        Some(name) => {
            let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
            Scope(hash(lower) | BUCKET)
        }
    }
}

/// FNV-1a, which needs no key and is the same in every run.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
