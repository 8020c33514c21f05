//! The configuration in force: an immutable snapshot, compiled and indexed, replaced as a whole on every change so that
//! publishing and dispatch never wait for a lock and never see half a change. Must not change anything itself, beyond
//! creating the system topics that are missing at start.

mod bridge;
mod compile;
mod document;
mod held;
mod load;
mod schema;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Channel, Counted, Manifest};
use anser_core::filter::Filter;
use anser_core::id::ResourceId;
use anser_core::name::fold;
use anser_core::resource::{
    ChannelSpec, EventTypeSpec, IssuerSpec, KeySpec, Ordering, QueueSpec, Rate, RobotSpec,
    RoomSpec, SubscriptionSpec, TopicSpec,
};
use anser_core::retry::RetrySchedule;
use anser_core::store::DeliveryRow;
use serde::{Deserialize, Serialize};

use crate::tokens::Verifier;

pub use bridge::{Bridge, Chat};
pub(crate) use compile::{
    cmq_context, issuer_context, key as read_key, robot_context, secret_context,
};
pub use document::LoadError;
pub(crate) use document::{CmqSecret, Envelope, subscription_key, write};
pub use held::{HELD_INTERVALS_MAX, Held};
pub use load::load;
pub(crate) use load::{Changes, load_keys};
pub(crate) use schema::compile_schema;

/// What every resource carries beside its own fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Internal number, never reused.
    pub id: ResourceId,
    /// Its name, in the case it was created with.
    pub name: String,
    /// Rises with every change.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A topic in force.
#[derive(Clone)]
pub struct Topic {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured.
    pub spec: TopicSpec,
    /// The compiled `schema`.
    pub schema: Option<Arc<jsonschema::Validator>>,
    /// Its subscriptions, by number.
    pub subscriptions: Vec<Arc<Subscription>>,
}

/// A subscription in force.
pub struct Subscription {
    /// Name and numbers.
    pub meta: Meta,
    /// The topic's number.
    pub topic: ResourceId,
    /// The topic's name.
    pub topic_name: String,
    /// As configured.
    pub spec: SubscriptionSpec,
    /// Where it goes.
    pub destination: Destination,
    /// The chats that it links, of a bridge and of its legs.
    pub bridge: Option<Arc<Bridge>>,
    /// The compiled filter.
    pub filter: Filter,
    /// The compiled schedule; of no use with a queue.
    pub retry: RetrySchedule,
    /// The ordering in force: the subscription's own, `gate` with a CMQ policy, else the channel kind's default; of no
    /// use with a queue, which has its own.
    pub ordering: Ordering,
    /// It goes to a chat: without a target the channel itself is one.
    pub chat: bool,
}

/// Where a subscription goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To a channel.
    Channel(ResourceId),
    /// Into a queue.
    Queue(ResourceId),
    /// To the chats of a bridge, each through the leg of its channel.
    Bridge,
}

impl Destination {
    /// The number of the channel or queue; a bridge has none.
    #[must_use]
    pub const fn id(self) -> Option<ResourceId> {
        match self {
            Self::Channel(id) | Self::Queue(id) => Some(id),
            Self::Bridge => None,
        }
    }

    /// The number of the channel, if it is one.
    #[must_use]
    pub const fn channel(self) -> Option<ResourceId> {
        match self {
            Self::Channel(id) => Some(id),
            Self::Queue(_) | Self::Bridge => None,
        }
    }
}

/// A queue in force.
pub struct QueueEntry {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured.
    pub spec: QueueSpec,
    /// The number of its dead-letter queue.
    pub dead_letter: Option<ResourceId>,
    /// When `rewind` was last turned on: what was acknowledged before it cannot be had again.
    pub rewind_since: Timestamp,
}

/// A channel in force.
#[derive(Clone)]
pub struct ChannelEntry {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured, its secrets decrypted: never shown, never logged.
    pub spec: ChannelSpec,
    /// What its kind is and can do.
    pub manifest: Arc<Manifest>,
    /// Ready to render and classify.
    pub channel: Arc<dyn Channel>,
    /// The kind's default ordering, for direct addresses.
    pub ordering: Ordering,
    /// What is remembered of its endpoint.
    pub endpoint: EndpointState,
}

impl ChannelEntry {
    /// The rate in force: the channel's own, else the platform's.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.spec.rate.or(self.manifest.rate)
    }

    /// The rate to one chat or person in force: the channel's own, else the platform's.
    #[must_use]
    pub fn target_rate(&self, counted: &Counted<'_>) -> Option<Rate> {
        let platform = counted.rate.or(self.manifest.target_rate);
        self.spec.target_rate.or(platform)
    }

    /// Whether what goes to one chat or person may be limited.
    #[must_use]
    pub fn limits_targets(&self) -> bool {
        self.spec.target_rate.is_some() || !self.manifest.generic
    }
}

/// What the gateway remembers of an endpoint, across restarts (`ConfigKind::Endpoint`, keyed by the channel's number).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointState {
    /// Every attempt has failed since then; `None` while it works.
    pub failing_since: Option<Timestamp>,
    /// How many attempts have failed since then.
    pub failures: u64,
    /// Disabled by the gateway since then (gone, or failing too long); an operator enables it again.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// The share of the auto-disable limit (50, 70, 90) that was last reported.
    pub reported_percent: u8,
}

/// A key in force.
pub struct Key {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured.
    pub spec: KeySpec,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// The scope of its dedupe keys: the number of the first key of its line of replacements.
    pub lineage: u64,
    /// Its SecretId for CMQ clients.
    pub secret_id: Option<String>,
}

/// A key as CMQ clients use it.
pub struct CmqKey {
    /// The key.
    pub key: Arc<Key>,
    /// What its requests are signed with: never shown, never logged.
    pub secret_key: String,
}

/// A robot in force.
pub struct Robot {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured, its secret decrypted: never shown, never logged.
    pub spec: RobotSpec,
    /// SHA-256 of its token.
    pub token: [u8; 32],
}

/// An issuer in force.
pub struct Issuer {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured, its secret decrypted: never shown, never logged.
    pub spec: IssuerSpec,
    /// What the signatures of its tokens are checked with.
    pub(crate) verifier: Verifier,
}

/// A room in force.
pub struct Room {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured.
    pub spec: RoomSpec,
    /// The topic that its messages are on.
    pub topic: ResourceId,
}

/// An event type in force.
pub struct EventType {
    /// Name and numbers.
    pub meta: Meta,
    /// As configured.
    pub spec: EventTypeSpec,
}

/// Everything configured, at one moment.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// By folded name.
    pub topics: HashMap<String, Arc<Topic>>,
    /// By number.
    pub topics_by_id: HashMap<ResourceId, Arc<Topic>>,
    /// By folded name.
    pub channels: HashMap<String, Arc<ChannelEntry>>,
    /// By number.
    pub channels_by_id: HashMap<ResourceId, Arc<ChannelEntry>>,
    /// By number.
    pub subscriptions: HashMap<ResourceId, Arc<Subscription>>,
    /// The legs of bridges, by number.
    pub legs: HashMap<ResourceId, Arc<Subscription>>,
    /// By folded name.
    pub queues: HashMap<String, Arc<QueueEntry>>,
    /// By number.
    pub queues_by_id: HashMap<ResourceId, Arc<QueueEntry>>,
    /// By SHA-256 of the secret.
    pub keys: HashMap<[u8; 32], Arc<Key>>,
    /// Those that CMQ clients use, by SecretId.
    pub cmq_keys: HashMap<String, Arc<CmqKey>>,
    /// By folded name.
    pub event_types: HashMap<String, Arc<EventType>>,
    /// By folded name.
    pub robots: HashMap<String, Arc<Robot>>,
    /// By folded name.
    pub rooms: HashMap<String, Arc<Room>>,
    /// By SHA-256 of the token.
    pub robots_by_token: HashMap<[u8; 32], Arc<Robot>>,
    /// By folded name.
    pub issuers: HashMap<String, Arc<Issuer>>,
    /// When subscriptions and channels were held, by number; those that never were are absent.
    pub held: HashMap<ResourceId, Held>,
    /// The manifest of every kind of channel and its place in the registry, by the kind's name.
    pub kinds: Arc<BTreeMap<&'static str, (usize, Arc<Manifest>)>>,
}

impl Snapshot {
    /// The topic of that name, whatever its case.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(&fold(name))
    }

    /// The channel of that name, whatever its case.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&Arc<ChannelEntry>> {
        self.channels.get(&fold(name))
    }

    /// The queue of that name, whatever its case.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Arc<QueueEntry>> {
        self.queues.get(&fold(name))
    }

    /// Deliveries into queues, and the others. Only the latter are the dispatcher's.
    #[must_use]
    pub fn split_queued(&self, rows: Vec<DeliveryRow>) -> (Vec<DeliveryRow>, Vec<DeliveryRow>) {
        if self.queues_by_id.is_empty() {
            return (Vec::new(), rows);
        }
        rows.into_iter()
            .partition(|row| self.queues_by_id.contains_key(&row.group))
    }

    /// The subscription of that name on that topic, whatever their case.
    #[must_use]
    pub fn subscription(&self, topic: &str, name: &str) -> Option<&Arc<Subscription>> {
        let wanted =
            |subscription: &&Arc<Subscription>| subscription.meta.name.eq_ignore_ascii_case(name);
        self.topic(topic)?.subscriptions.iter().find(wanted)
    }

    /// What the deliveries of a group come from: a subscription, or the leg of one that is a bridge.
    #[must_use]
    pub fn subscriber(&self, group: ResourceId) -> Option<&Arc<Subscription>> {
        self.subscriptions
            .get(&group)
            .or_else(|| self.legs.get(&group))
    }

    /// The groups of a subscription's deliveries.
    #[must_use]
    pub fn groups_of(&self, subscription: &Subscription) -> Vec<ResourceId> {
        match &subscription.bridge {
            None => vec![subscription.meta.id],
            Some(_) => bridge::legs(subscription).into_keys().collect(),
        }
    }

    /// The event type of that name, whatever its case.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&Arc<EventType>> {
        self.event_types.get(&fold(name))
    }

    /// The room of that name, whatever its case.
    #[must_use]
    pub fn room(&self, name: &str) -> Option<&Arc<Room>> {
        self.rooms.get(&fold(name))
    }

    /// The robot of that name, whatever its case.
    #[must_use]
    pub fn robot(&self, name: &str) -> Option<&Arc<Robot>> {
        self.robots.get(&fold(name))
    }

    /// The issuer of that name, whatever its case.
    #[must_use]
    pub fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(&fold(name))
    }

    /// The key of that name, whatever its case.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&Arc<Key>> {
        self.keys
            .values()
            .find(|key| key.meta.name.eq_ignore_ascii_case(name))
    }

    /// Whether one of these subscriptions and channels is held now.
    #[must_use]
    pub fn is_held(&self, ids: &[ResourceId]) -> bool {
        ids.iter()
            .filter_map(|id| self.held.get(id))
            .any(Held::is_open)
    }

    /// For how long, between two moments, at least one of these subscriptions and channels was held.
    #[must_use]
    pub fn held_between(&self, ids: &[ResourceId], from: Timestamp, until: Timestamp) -> Duration {
        let histories: Vec<&Held> = ids.iter().filter_map(|id| self.held.get(id)).collect();
        held::union_between(&histories, from, until)
    }
}
