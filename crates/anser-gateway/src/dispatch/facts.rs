//! The configuration as the plan sees it.

use std::sync::Arc;

use anser_core::id::ResourceId;
use anser_core::resource::{Ordering, Rate};
use anser_core::store::Group;

use super::plan::{Facts, GroupFacts, Scope};
use crate::config::{ChannelEntry, Snapshot};

/// Marks scopes that are buckets; channels' numbers never reach this bit.
const BUCKET: u64 = 1 << 63;

/// A snapshot, seen by groups and scopes.
pub(super) struct ConfigFacts(pub(super) Arc<Snapshot>);

impl Facts for ConfigFacts {
    fn group(&self, group: Group) -> Option<GroupFacts> {
        let subscription = self.0.subscriptions.get(&group);
        let channel = match subscription {
            Some(subscription) => subscription.destination.channel()?,
            None => group,
        };
        let channel = self.0.channels_by_id.get(&channel)?;
        let paused = subscription.is_some_and(|subscription| subscription.spec.paused);
        Some(GroupFacts {
            scope: scope(channel),
            channel: channel.meta.id,
            gate: subscription.is_some_and(|subscription| subscription.ordering == Ordering::Gate),
            held: paused || channel.spec.paused || channel.endpoint.disabled_at.is_some(),
            no_breaker: subscription.is_some_and(|subscription| subscription.retry.is_cmq()),
            rate: subscription.and_then(|subscription| subscription.spec.rate),
        })
    }

    fn scope_rate(&self, wanted: Scope) -> Option<Rate> {
        if wanted.0 & BUCKET == 0 {
            let channel = self.0.channels_by_id.get(&ResourceId(wanted.0));
            return channel.and_then(|channel| channel.rate());
        }
        let sharing = self
            .0
            .channels_by_id
            .values()
            .filter(|channel| scope(channel) == wanted);
        // Channels of one bucket should agree on its rate; where they do not, the strictest one holds.
        sharing
            .filter_map(|channel| channel.rate())
            .min_by(|a, b| a.per_second.total_cmp(&b.per_second))
    }
}

fn scope(channel: &ChannelEntry) -> Scope {
    match &channel.spec.bucket {
        None => Scope(channel.meta.id.0),
        Some(name) => {
            let hash = name
                .bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            Scope(hash | BUCKET)
        }
    }
}
