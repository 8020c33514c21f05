//! Subscriptions: created, replaced, changed, looked at and removed.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::id::ResourceId;
use anser_core::name::{check_name, fold};
use anser_core::resource::{Scope, SubscriptionSpec};
use anser_core::store::ConfigKind;
use serde_json::Value;

use super::change::{
    already_exists, check_revision, delete_subscription, envelope, held_after, internal, not_found,
    put,
};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::topic;
use super::view::{self, Put, SubscriptionView};
use crate::auth::Principal;
use crate::config::{
    Bridge, ChannelEntry, Destination, Snapshot, Subscription, Topic, subscription_key,
};
use crate::gateway::Gateway;
use crate::look::Page;

impl Gateway {
    /// Creates a subscription. The same again answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `topic_not_found`, `invalid_name`, `unknown_channel`,
    /// `unknown_queue`, `unknown_format`, `not_a_chat`, and what [`SubscriptionSpec::check`] refuses; 403 without the right; the store's.
    pub async fn create_subscription(
        &self,
        principal: &Principal,
        topic: &str,
        name: &str,
        spec: SubscriptionSpec,
    ) -> Result<Put<SubscriptionView>, Problem> {
        may_change(principal, topic)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let topic = topic::find(&snapshot, topic)?;
        if let Some(subscription) = snapshot.subscription(&topic.meta.name, name) {
            if subscription.spec != spec {
                return Err(already_exists("subscription", &subscription.meta.name));
            }
            return Ok(Put {
                created: false,
                view: view::subscription(subscription),
            });
        }
        self.store_subscription(principal, &snapshot, topic, name, spec)
            .await
    }

    /// Creates or replaces a subscription; the channel or queue cannot change, but the chats of a bridge can. A new filter and target apply to new
    /// messages, everything else from the next attempt.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, `immutable_field`, else as [`Gateway::create_subscription`].
    pub async fn put_subscription(
        &self,
        principal: &Principal,
        topic: &str,
        name: &str,
        spec: SubscriptionSpec,
        expected: Option<u64>,
    ) -> Result<Put<SubscriptionView>, Problem> {
        may_change(principal, topic)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let topic = topic::find(&snapshot, topic)?;
        let before = snapshot.subscription(&topic.meta.name, name);
        check_revision(before.map(|subscription| &subscription.meta), expected)?;
        self.store_subscription(principal, &snapshot, topic, name, spec)
            .await
    }

    /// Changes fields of a subscription (RFC 7396).
    ///
    /// # Errors
    /// As [`Gateway::put_subscription`]; `subscription_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_subscription(
        &self,
        principal: &Principal,
        topic: &str,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<SubscriptionView, Problem> {
        may_change(principal, topic)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let topic = topic::find(&snapshot, topic)?;
        let before = find(&snapshot, topic, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        let put = self
            .store_subscription(principal, &snapshot, topic, name, spec)
            .await?;
        Ok(put.view)
    }

    /// A subscription.
    ///
    /// # Errors
    /// `topic_not_found`, `subscription_not_found`; 403 without the right.
    pub fn get_subscription(
        &self,
        principal: &Principal,
        topic: &str,
        name: &str,
    ) -> Result<SubscriptionView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_topic(topic)?;
        let snapshot = self.config.load();
        let topic = topic::find(&snapshot, topic)?;
        find(&snapshot, topic, name).map(|subscription| view::subscription(subscription))
    }

    /// The subscriptions of one topic, or of every topic that the caller's patterns cover.
    ///
    /// # Errors
    /// `topic_not_found`, `out_of_range`, `invalid_cursor`; 403 without the right.
    pub fn list_subscriptions(
        &self,
        principal: &Principal,
        topic: Option<&str>,
        query: &ListQuery,
    ) -> Result<Page<SubscriptionView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let members: Vec<&Arc<Subscription>> = match topic {
            Some(name) => {
                principal.require_topic(name)?;
                topic::find(&snapshot, name)?.subscriptions.iter().collect()
            }
            None => snapshot
                .subscriptions
                .values()
                .filter(|subscription| principal.covers_topic(&subscription.topic_name))
                .collect(),
        };
        let keyed = members.into_iter().map(|subscription| {
            // No name holds the separator, so the members of a topic stay together.
            let key = format!("{}/{}", subscription.topic_name, subscription.meta.name);
            (fold(&key), subscription)
        });
        page(keyed.collect(), query, |subscription| {
            view::subscription(subscription)
        })
    }

    /// Removes a subscription; its unfinished deliveries are cancelled, but what is in a queue stays there.
    ///
    /// # Errors
    /// `topic_not_found`, `subscription_not_found`, `stale_revision`; 403 without the right; the store's.
    pub async fn delete_subscription(
        &self,
        principal: &Principal,
        topic: &str,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal, topic)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let topic = topic::find(&snapshot, topic)?;
        let subscription = find(&snapshot, topic, name)?;
        check_revision(Some(&subscription.meta), expected)?;
        self.commit(vec![delete_subscription(subscription)]).await?;
        self.cancel_groups(snapshot.groups_of(subscription)).await;
        Ok(())
    }

    async fn store_subscription(
        &self,
        principal: &Principal,
        snapshot: &Snapshot,
        topic: &Topic,
        name: &str,
        spec: SubscriptionSpec,
    ) -> Result<Put<SubscriptionView>, Problem> {
        let before = snapshot.subscription(&topic.meta.name, name);
        if let Some(subscription) = before.filter(|subscription| subscription.spec == spec) {
            return Ok(Put {
                created: false,
                view: view::subscription(subscription),
            });
        }
        check_name("name", name)?;
        spec.check()?;
        may_send(principal, &spec)?;
        check(snapshot, before, &spec)?;
        let meta = before.map(|subscription| &subscription.meta);
        let now = self.clock.now();
        let held = held_after(snapshot, meta, spec.paused, now);
        let mut document = envelope(meta, name, spec, now);
        document.topic = Some(topic.meta.id);
        document.held = held;
        let key = subscription_key(topic.meta.id, name);
        let change = put(ConfigKind::Subscription, key, &document, meta);
        let next = self.commit(vec![change]).await?;
        let subscription = next
            .subscription(&topic.meta.name, name)
            .ok_or_else(|| internal("the subscription was stored and is not there"))?;
        if let Some(before) = before {
            let mut left = snapshot.groups_of(before);
            left.retain(|group| next.subscriber(*group).is_none());
            self.cancel_groups(left).await;
        }
        Ok(Put {
            created: before.is_none(),
            view: view::subscription(subscription),
        })
    }
}

fn may_change(principal: &Principal, topic: &str) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_topic(topic)
}

/// A subscription sends to an address, so the caller must be allowed to. One destination is given, as was checked.
fn may_send(principal: &Principal, spec: &SubscriptionSpec) -> Result<(), Problem> {
    if let Some(queue) = &spec.queue {
        return principal.require_queue("queue", queue);
    }
    if let Some(bridge) = &spec.bridge {
        let mut chats = bridge.chats.iter().enumerate();
        return chats.try_for_each(|(i, chat)| {
            principal.require_target(&format!("bridge.chats[{i}]"), chat)
        });
    }
    let channel = spec.channel.as_deref().unwrap_or_default();
    match &spec.target {
        Some(target) => principal.require_target("target", &format!("{channel}/{target}")),
        None => principal.require_target("channel", channel),
    }
}

fn find<'s>(
    snapshot: &'s Snapshot,
    topic: &Topic,
    name: &str,
) -> Result<&'s Arc<Subscription>, Problem> {
    snapshot
        .subscription(&topic.meta.name, name)
        .ok_or_else(|| not_found("subscription_not_found", "subscription", name))
}

/// Checks what refers to others.
fn check(
    snapshot: &Snapshot,
    before: Option<&Arc<Subscription>>,
    spec: &SubscriptionSpec,
) -> Result<(), Problem> {
    let (field, destination) = destination(snapshot, spec)?;
    if before.is_some_and(|subscription| subscription.destination != destination) {
        // Its waiting deliveries go where they were made for.
        return Err(Problem::invalid(
            "immutable_field",
            field,
            "a subscription keeps its channel or queue, or stays a bridge; create another subscription and delete this one",
        ));
    }
    let channel = destination
        .channel()
        .and_then(|id| snapshot.channels_by_id.get(&id));
    check_format(spec, channel)
}

/// Where it goes, and the field that says so.
fn destination(
    snapshot: &Snapshot,
    spec: &SubscriptionSpec,
) -> Result<(&'static str, Destination), Problem> {
    let unknown = |code, field, name: &str| {
        Problem::invalid(
            code,
            field,
            format!("there is no {field} {name:?}; create it first"),
        )
    };
    if let Some(bridge) = &spec.bridge {
        // Any number does: what is looked up does not depend on it.
        Bridge::of(bridge, ResourceId(1), snapshot)?;
        return Ok(("bridge", Destination::Bridge));
    }
    if let Some(name) = &spec.queue {
        return match snapshot.queue(name) {
            Some(queue) => Ok(("queue", Destination::Queue(queue.meta.id))),
            None => Err(unknown("unknown_queue", "queue", name)),
        };
    }
    let name = spec.channel.as_deref().unwrap_or_default();
    match snapshot.channel(name) {
        Some(channel) => Ok(("channel", Destination::Channel(channel.meta.id))),
        None => Err(unknown("unknown_channel", "channel", name)),
    }
}

/// A queue keeps the message itself, so a subscription to it has no form to choose.
fn check_format(
    spec: &SubscriptionSpec,
    channel: Option<&Arc<ChannelEntry>>,
) -> Result<(), Problem> {
    let Some(format) = spec.format.as_deref() else {
        return Ok(());
    };
    let (kind, formats) = match channel {
        Some(channel) => (
            format!("a channel of kind {}", channel.spec.kind),
            channel.manifest.formats.as_slice(),
        ),
        None => ("a queue".to_owned(), [].as_slice()),
    };
    if formats.contains(&format) {
        return Ok(());
    }
    let problem = Problem::invalid(
        "unknown_format",
        "format",
        format!("{kind} has no format {format:?}"),
    );
    Err(match formats {
        [] => problem,
        formats => problem.accepted(formats.join(", ")),
    })
}
