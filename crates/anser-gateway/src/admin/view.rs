//! Resources as users see them: what was configured, secrets masked, with name, revision and times.

use std::collections::BTreeMap;

use anser_core::Timestamp;
use anser_core::id::ResourceId;
use anser_core::resource::{
    ChannelSpec, EventTypeSpec, IssuerSpec, QueueSpec, RobotSpec, RoomSpec, Scope,
    SubscriptionSpec, TopicSpec,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{
    ChannelEntry, EventType, Issuer, Key, Meta, QueueEntry, Robot, Room, Subscription, Topic,
};
use crate::secrets::{MASK, mask};

/// A resource: what it carries beside its own fields, then these.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ResourceView<S> {
    /// Its name, in the case it was created with.
    pub name: String,
    /// Its number, never reused.
    pub id: ResourceId,
    /// Rises with every change; the `ETag`.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// As configured.
    #[serde(flatten)]
    pub spec: S,
}

impl<S> ResourceView<S> {
    fn new(meta: &Meta, spec: S) -> Self {
        Self {
            name: meta.name.clone(),
            id: meta.id,
            revision: meta.revision,
            created_at: meta.created_at,
            updated_at: meta.updated_at,
            spec,
        }
    }
}

/// A topic as users see it.
pub type TopicView = ResourceView<TopicSpec>;

/// An event type as users see it.
pub type EventTypeView = ResourceView<EventTypeSpec>;
/// A room as users see it.
pub type RoomView = ResourceView<RoomSpec>;

/// An issuer as users see it: its secret is masked, unless the gateway made it just now.
pub type IssuerView = ResourceView<IssuerSpec>;

/// A channel as users see it: the secrets of its settings are masked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChannelView {
    /// Name, numbers and what was configured.
    #[serde(flatten)]
    pub resource: ResourceView<ChannelSpec>,
    /// Whether it delivers.
    pub state: ChannelState,
    /// Every attempt has failed since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Disabled by the gateway since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
}

/// Whether a channel delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelState {
    /// It does.
    Active,
    /// An operator paused it: deliveries wait.
    Paused,
    /// The gateway disabled it, as its endpoint is gone or kept failing: deliveries wait until it is enabled.
    Disabled,
}

/// A subscription as users see it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SubscriptionView {
    /// The topic's name.
    pub topic: String,
    /// Name, numbers and what was configured.
    #[serde(flatten)]
    pub resource: ResourceView<SubscriptionSpec>,
}

/// A queue as users see it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct QueueView {
    /// Name, numbers and what was configured.
    #[serde(flatten)]
    pub resource: ResourceView<QueueSpec>,
    /// The queues whose dead letters come here, by name.
    pub dead_letter_sources: Vec<String>,
}

/// A robot as users see it: its secret is masked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RobotView {
    /// Name, numbers and what was configured.
    #[serde(flatten)]
    pub resource: ResourceView<RobotSpec>,
    /// Its token, shown this once: when it is created, or got another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where to post, by dialect; shown with the token, which is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<BTreeMap<String, String>>,
}

/// A key as users see it: never its text.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KeyView {
    /// Its number, never reused.
    pub id: ResourceId,
    /// Rises with every change; the `ETag`.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Patterns of topics it is for; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// Patterns of direct addresses it may use; absent: all, or none when `topics` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
    /// The key that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What Tencent CMQ's clients use it by; absent: they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmq: Option<CmqKeyView>,
}

/// A key as Tencent CMQ's clients use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CmqKeyView {
    /// Its SecretId.
    pub secret_id: String,
    /// Its SecretKey, shown this once: only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<String>,
    /// Its APPID.
    pub app_id: u64,
}

/// A key just created.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KeyCreated {
    /// The key.
    #[serde(flatten)]
    pub view: KeyView,
    /// Its text, shown this once; absent when the key existed already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A signing secret just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotatedSecret {
    /// Which secret of the channel.
    pub kind: String,
    /// The new secret, shown this once.
    pub secret: String,
    /// Until when the old one signs too.
    pub old_until: Timestamp,
}

/// The answer to a creation or replacement.
#[derive(Debug, Clone, PartialEq)]
pub struct Put<V> {
    /// It was not there before.
    pub created: bool,
    /// As it is now.
    pub view: V,
}

pub(super) fn topic(topic: &Topic) -> TopicView {
    ResourceView::new(&topic.meta, topic.spec.clone())
}

pub(super) fn room(room: &Room) -> RoomView {
    ResourceView::new(&room.meta, room.spec.clone())
}

pub(super) fn event_type(event_type: &EventType) -> EventTypeView {
    ResourceView::new(&event_type.meta, event_type.spec.clone())
}

/// `made` is the secret that the gateway has just made: it is shown this once.
pub(super) fn issuer(issuer: &Issuer, made: Option<String>) -> IssuerView {
    let mut spec = issuer.spec.clone();
    spec.secret = spec.secret.map(|_| made.unwrap_or_else(|| MASK.to_owned()));
    ResourceView::new(&issuer.meta, spec)
}

pub(super) fn channel(entry: &ChannelEntry) -> ChannelView {
    let mut spec = entry.spec.clone();
    spec.settings = mask(&entry.manifest.settings, &spec.settings);
    ChannelView {
        state: match (entry.endpoint.disabled_at, entry.spec.paused) {
            (Some(_), _) => ChannelState::Disabled,
            (None, true) => ChannelState::Paused,
            (None, false) => ChannelState::Active,
        },
        failing_since: entry.endpoint.failing_since,
        disabled_at: entry.endpoint.disabled_at,
        disabled_reason: entry.endpoint.disabled_reason.clone(),
        resource: ResourceView::new(&entry.meta, spec),
    }
}

pub(super) fn subscription(subscription: &Subscription) -> SubscriptionView {
    SubscriptionView {
        topic: subscription.topic_name.clone(),
        resource: ResourceView::new(&subscription.meta, subscription.spec.clone()),
    }
}

pub(super) fn queue(queue: &QueueEntry, dead_letter_sources: Vec<String>) -> QueueView {
    QueueView {
        resource: ResourceView::new(&queue.meta, queue.spec.clone()),
        dead_letter_sources,
    }
}

pub(super) fn robot(robot: &Robot, token: Option<String>) -> RobotView {
    let mut spec = robot.spec.clone();
    spec.secret = spec.secret.map(|_| MASK.to_owned());
    RobotView {
        resource: ResourceView::new(&robot.meta, spec),
        token,
        urls: None,
    }
}

/// `installation` is the APPID of a key without one.
pub(super) fn key(key: &Key, installation: u64) -> KeyView {
    let cmq = key.secret_id.as_ref().map(|secret_id| CmqKeyView {
        secret_id: secret_id.clone(),
        secret_key: None,
        app_id: key.spec.app_id.unwrap_or(installation),
    });
    KeyView {
        id: key.meta.id,
        revision: key.meta.revision,
        created_at: key.meta.created_at,
        updated_at: key.meta.updated_at,
        name: key.spec.name.clone(),
        scopes: key.spec.scopes.clone(),
        topics: key.spec.topics.clone(),
        targets: key.spec.targets.clone(),
        replaces: key.spec.replaces.clone(),
        cmq,
    }
}
