//! Queues: created, replaced, changed, looked at and removed. What is in them is the matter of `queues`.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::id::ResourceId;
use anser_core::name::{check_name, fold, queue_address};
use anser_core::resource::{DeadLetterSpec, QueueSpec, Scope, TriggerSpec};
use anser_core::store::ConfigKind;
use serde_json::Value;

use super::change::{
    already_exists, check_revision, delete, delete_subscription, envelope, in_use, internal,
    not_found, put,
};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, Put, QueueView};
use crate::auth::Principal;
use crate::config::{Destination, QueueEntry, Snapshot, Subscription};
use crate::gateway::Gateway;
use crate::look::Page;

/// Queues whose dead letters may go to the same queue (Tencent CMQ's rule, `cmq.md` "Dead letters").
pub const DEAD_LETTER_SOURCES_MAX: usize = 6;

impl Gateway {
    /// Creates a queue. The same again answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `out_of_range`, `invalid_dead_letter`,
    /// `unknown_queue`, `nested_dead_letter`, `too_many_sources`, `unknown_channel`, `invalid_trigger`; 403 without the right; the store's.
    pub async fn create_queue(
        &self,
        principal: &Principal,
        name: &str,
        spec: QueueSpec,
    ) -> Result<Put<QueueView>, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(queue) = snapshot.queue(name) {
            if queue.spec != spec {
                return Err(already_exists("queue", &queue.meta.name));
            }
            return Ok(unchanged(&snapshot, queue));
        }
        check_name("name", name)?;
        self.store_queue(principal, &snapshot, None, name, spec)
            .await
    }

    /// Creates or replaces a queue; what is in it stays. A new `ordering` is for what comes from now on, everything else
    /// also for what is in it.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_queue`].
    pub async fn put_queue(
        &self,
        principal: &Principal,
        name: &str,
        spec: QueueSpec,
        expected: Option<u64>,
    ) -> Result<Put<QueueView>, Problem> {
        may_change(principal, name)?;
        check_name("name", name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.queue(name);
        check_revision(before.map(|queue| &queue.meta), expected)?;
        self.store_queue(principal, &snapshot, before, name, spec)
            .await
    }

    /// Changes fields of a queue (RFC 7396).
    ///
    /// # Errors
    /// As [`Gateway::put_queue`]; `queue_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_queue(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<QueueView, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        let put = self
            .store_queue(principal, &snapshot, Some(before), name, spec)
            .await?;
        Ok(put.view)
    }

    /// A queue.
    ///
    /// # Errors
    /// `queue_not_found`; 403 without the right.
    pub fn get_queue(&self, principal: &Principal, name: &str) -> Result<QueueView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_queue("name", name)?;
        let snapshot = self.config.load();
        find(&snapshot, name).map(|queue| show(&snapshot, queue))
    }

    /// The queues that the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_queues(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<QueueView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let covered = snapshot
            .queues
            .iter()
            .filter(|(_, queue)| principal.covers_target(&queue_address(&queue.meta.name)))
            .map(|(key, queue)| (key.clone(), queue))
            .collect();
        page(covered, query, |queue| show(&snapshot, queue))
    }

    /// Removes a queue and what is in it, with `cascade` also the subscriptions that bring messages to it.
    ///
    /// # Errors
    /// `in_use` when it is a dead-letter queue, or has subscriptions and not `cascade`; `queue_not_found`,
    /// `stale_revision`; 403 without the right; the store's.
    pub async fn delete_queue(
        &self,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let queue = find(&snapshot, name)?;
        check_revision(Some(&queue.meta), expected)?;
        let users = check_unused(&snapshot, queue, cascade)?;
        let key = fold(&queue.meta.name);
        let mut changes = vec![delete(ConfigKind::Queue, key, &queue.meta)];
        for user in users {
            principal.require_topic(&user.topic_name)?;
            changes.push(delete_subscription(user));
        }
        self.commit(changes).await?;
        self.cancel_groups(vec![queue.meta.id]).await;
        Ok(())
    }

    async fn store_queue(
        &self,
        principal: &Principal,
        snapshot: &Snapshot,
        before: Option<&Arc<QueueEntry>>,
        name: &str,
        spec: QueueSpec,
    ) -> Result<Put<QueueView>, Problem> {
        if let Some(queue) = before.filter(|queue| queue.spec == spec) {
            return Ok(unchanged(snapshot, queue));
        }
        spec.check()?;
        let dead_letter = match &spec.dead_letter {
            Some(wanted) => {
                // Its dead letters are sent there, so the caller must be allowed to.
                principal.require_queue("dead_letter.queue", &wanted.queue)?;
                Some(check_dead_letter(snapshot, before, wanted)?)
            }
            None => None,
        };
        if let Some(trigger) = &spec.trigger {
            // Its messages are given to the channel, so the caller must be allowed to.
            principal.require_target("trigger.channel", &trigger.channel)?;
            check_trigger(snapshot, trigger)?;
        }
        let meta = before.map(|queue| &queue.meta);
        let now = self.clock.now();
        let rewind_since = match before {
            _ if spec.rewind == 0 => None,
            Some(queue) if queue.spec.rewind > 0 => Some(queue.rewind_since),
            Some(_) | None => Some(now),
        };
        let mut document = envelope(meta, name, spec, now);
        document.dead_letter = dead_letter;
        document.rewind_since = rewind_since;
        let change = put(ConfigKind::Queue, fold(name), &document, meta);
        let next = self.commit(vec![change]).await?;
        let queue = next
            .queue(name)
            .ok_or_else(|| internal("the queue was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: show(&next, queue),
        })
    }
}

fn may_change(principal: &Principal, name: &str) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_queue("name", name)
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<QueueEntry>, Problem> {
    snapshot
        .queue(name)
        .ok_or_else(|| not_found("queue_not_found", "queue", name))
}

fn show(snapshot: &Snapshot, queue: &QueueEntry) -> QueueView {
    view::queue(queue, sources(snapshot, queue.meta.id))
}

fn unchanged(snapshot: &Snapshot, queue: &QueueEntry) -> Put<QueueView> {
    Put {
        created: false,
        view: show(snapshot, queue),
    }
}

/// The names of the queues whose dead letters go to this one.
fn sources(snapshot: &Snapshot, dead_letter: ResourceId) -> Vec<String> {
    let mut names: Vec<String> = snapshot
        .queues
        .values()
        .filter(|queue| queue.dead_letter == Some(dead_letter))
        .map(|queue| queue.meta.name.clone())
        .collect();
    names.sort_unstable();
    names
}

/// The number of the dead-letter queue of `source`, which must fit.
fn check_dead_letter(
    snapshot: &Snapshot,
    source: Option<&Arc<QueueEntry>>,
    wanted: &DeadLetterSpec,
) -> Result<ResourceId, Problem> {
    let field = "dead_letter.queue";
    let queue = snapshot.queue(&wanted.queue).ok_or_else(|| {
        Problem::invalid(
            "unknown_queue",
            field,
            format!("there is no queue {:?}; create it first", wanted.queue),
        )
    })?;
    let id = queue.meta.id;
    let own = source.map(|source| source.meta.id);
    let is_dead_letter = own.is_some_and(|own| !sources(snapshot, own).is_empty());
    if own == Some(id) || queue.dead_letter.is_some() || is_dead_letter {
        return Err(Problem::invalid(
            "nested_dead_letter",
            field,
            "a queue that dead letters go to has no dead-letter queue itself; name a queue without one",
        ));
    }
    let others = snapshot
        .queues
        .values()
        .filter(|other| other.dead_letter == Some(id) && Some(other.meta.id) != own);
    if others.count() >= DEAD_LETTER_SOURCES_MAX {
        return Err(Problem::invalid(
            "too_many_sources",
            field,
            format!(
                "the dead letters of {DEAD_LETTER_SOURCES_MAX} queues go to {:?} already; name another queue",
                queue.meta.name
            ),
        ));
    }
    Ok(id)
}

/// The channel of a trigger must be there, and take batches.
fn check_trigger(snapshot: &Snapshot, trigger: &TriggerSpec) -> Result<(), Problem> {
    let field = "trigger.channel";
    let name = &trigger.channel;
    let channel = snapshot.channel(name).ok_or_else(|| {
        let detail = format!("there is no channel {name:?}; create it first");
        Problem::invalid("unknown_channel", field, detail)
    })?;
    if channel.channel.batches().is_some() {
        return Ok(());
    }
    let detail = format!(
        "the channel {name:?} is of kind {}, which takes no batches",
        channel.spec.kind
    );
    Err(Problem::invalid("invalid_trigger", field, detail)
        .accepted("a channel of kind exec, which runs a program"))
}

/// The queues whose messages a channel takes.
pub(super) fn pulled_by(snapshot: &Snapshot, channel: &str) -> Vec<String> {
    let takes = |queue: &&Arc<QueueEntry>| {
        let trigger = queue.spec.trigger.as_ref();
        trigger.is_some_and(|trigger| fold(&trigger.channel) == fold(channel))
    };
    let queues = snapshot.queues.values().filter(takes);
    queues.map(|queue| queue.meta.name.clone()).collect()
}

/// The subscriptions that go with the queue.
fn check_unused<'s>(
    snapshot: &'s Snapshot,
    queue: &QueueEntry,
    cascade: bool,
) -> Result<Vec<&'s Arc<Subscription>>, Problem> {
    let sources = sources(snapshot, queue.meta.id);
    if !sources.is_empty() {
        return Err(in_use(
            "queue",
            &queue.meta.name,
            sources,
            "their dead letters go there; give them another dead-letter queue first, or none",
        ));
    }
    let users: Vec<_> = snapshot
        .subscriptions
        .values()
        .filter(|user| user.destination == Destination::Queue(queue.meta.id))
        .collect();
    if users.is_empty() || cascade {
        return Ok(users);
    }
    let names = users
        .iter()
        .map(|user| format!("{}/{}", user.topic_name, user.meta.name));
    Err(in_use(
        "queue",
        &queue.meta.name,
        names.collect(),
        "delete these subscriptions first, or give cascade=true",
    ))
}
