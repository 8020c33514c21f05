//! Topics: created, replaced, changed, looked at and removed. Of the system's own topics only times and bounds change.

use std::sync::Arc;

use anser_core::name::{check_name, fold, is_system_topic};
use anser_core::resource::{Scope, TopicSpec};
use anser_core::store::ConfigKind;
use anser_core::{Problem, ProblemKind};
use serde_json::Value;

use super::change::{
    already_exists, check_revision, delete, delete_subscription, envelope, in_use, internal,
    not_found, put,
};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, Put, TopicView};
use crate::auth::Principal;
use crate::config::{ChannelEntry, Robot, Snapshot, Topic, compile_schema};
use crate::gateway::Gateway;
use crate::look::Page;

impl Gateway {
    /// Creates a topic. The same again answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `system_topic`, `out_of_range`,
    /// `invalid_schema`; 403 without the right; the store's.
    pub async fn create_topic(
        &self,
        principal: &Principal,
        name: &str,
        spec: TopicSpec,
    ) -> Result<Put<TopicView>, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(topic) = snapshot.topic(name) {
            if topic.spec != spec {
                return Err(already_exists("topic", &topic.meta.name));
            }
            return Ok(Put {
                created: false,
                view: view::topic(topic),
            });
        }
        check_name("name", name)?;
        self.store_topic(None, name, spec).await
    }

    /// Creates or replaces a topic; its subscriptions stay.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_topic`].
    pub async fn put_topic(
        &self,
        principal: &Principal,
        name: &str,
        spec: TopicSpec,
        expected: Option<u64>,
    ) -> Result<Put<TopicView>, Problem> {
        may_change(principal, name)?;
        check_name("name", name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.topic(name);
        check_revision(before.map(|topic| &topic.meta), expected)?;
        self.store_topic(before, name, spec).await
    }

    /// Changes fields of a topic (RFC 7396). Of a system topic: `retention`, `max_age`, `max_bytes`, `dedupe_window`.
    ///
    /// # Errors
    /// As [`Gateway::put_topic`]; `topic_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_topic(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<TopicView, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        if is_system_topic(&before.meta.name) {
            check_system_topic(&before.spec, &spec)?;
        }
        let put = self.store_topic(Some(before), name, spec).await?;
        Ok(put.view)
    }

    /// A topic.
    ///
    /// # Errors
    /// `topic_not_found`; 403 without the right.
    pub fn get_topic(&self, principal: &Principal, name: &str) -> Result<TopicView, Problem> {
        may_read(principal, name)?;
        find(&self.config.load(), name).map(|topic| view::topic(topic))
    }

    /// The topics that the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_topics(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<TopicView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let covered = snapshot
            .topics
            .iter()
            .filter(|(_, topic)| principal.covers_topic(&topic.meta.name))
            .map(|(key, topic)| (key.clone(), topic))
            .collect();
        page(covered, query, |topic| view::topic(topic))
    }

    /// Removes a topic, with `cascade` also its subscriptions, whose unfinished deliveries are cancelled. Its messages
    /// stay until retention removes them.
    ///
    /// # Errors
    /// `in_use` when a robot or a channel publishes to it, or it has subscriptions and not `cascade`; `topic_not_found`,
    /// `system_topic`, `stale_revision`; the store's.
    pub async fn delete_topic(
        &self,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let topic = find(&snapshot, name)?;
        if is_system_topic(&topic.meta.name) {
            return Err(system_topic("system topics cannot be deleted"));
        }
        check_revision(Some(&topic.meta), expected)?;
        if !topic.subscriptions.is_empty() && !cascade {
            let users = topic.subscriptions.iter();
            return Err(in_use(
                "topic",
                &topic.meta.name,
                users.map(|user| user.meta.name.clone()).collect(),
                "delete its subscriptions first, or give cascade=true",
            ));
        }
        let robots = robots(&snapshot, &topic.meta.name);
        if !robots.is_empty() {
            let remedy = "robots publish to it; delete them first, or give them another topic";
            return Err(in_use("topic", &topic.meta.name, robots, remedy));
        }
        let channels = receivers(&snapshot, &topic.meta.name);
        if !channels.is_empty() {
            let remedy = "what comes in through these channels goes to it; delete them first, or change their `inbound`";
            return Err(in_use("topic", &topic.meta.name, channels, remedy));
        }
        let mut changes = vec![delete(
            ConfigKind::Topic,
            fold(&topic.meta.name),
            &topic.meta,
        )];
        changes.extend(
            topic
                .subscriptions
                .iter()
                .map(|user| delete_subscription(user)),
        );
        self.commit(changes).await?;
        let users = topic.subscriptions.iter();
        let groups = users.flat_map(|user| snapshot.groups_of(user));
        self.cancel_groups(groups.collect()).await;
        Ok(())
    }

    async fn store_topic(
        &self,
        before: Option<&Arc<Topic>>,
        name: &str,
        spec: TopicSpec,
    ) -> Result<Put<TopicView>, Problem> {
        if let Some(topic) = before.filter(|topic| topic.spec == spec) {
            return Ok(Put {
                created: false,
                view: view::topic(topic),
            });
        }
        spec.check()?;
        if let Some(schema) = &spec.schema {
            compile_schema("schema", schema)?;
        }
        let meta = before.map(|topic| &topic.meta);
        let document = envelope(meta, name, spec, self.clock.now());
        let change = put(ConfigKind::Topic, fold(name), &document, meta);
        let snapshot = self.commit(vec![change]).await?;
        let topic = snapshot
            .topic(name)
            .ok_or_else(|| internal("the topic was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::topic(topic),
        })
    }
}

fn may_change(principal: &Principal, name: &str) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_topic(name)
}

fn may_read(principal: &Principal, name: &str) -> Result<(), Problem> {
    principal.require(Scope::Read)?;
    principal.require_topic(name)
}

/// The names of the robots that publish to a topic.
fn robots(snapshot: &Snapshot, topic: &str) -> Vec<String> {
    let publishes = |robot: &&Arc<Robot>| {
        let named = robot.spec.topic.as_ref();
        named.is_some_and(|name| name.eq_ignore_ascii_case(topic))
    };
    let robots = snapshot.robots.values().filter(publishes);
    robots.map(|robot| robot.meta.name.clone()).collect()
}

/// The names of the channels whose platforms' events go to a topic.
fn receivers(snapshot: &Snapshot, topic: &str) -> Vec<String> {
    let receives = |entry: &&Arc<ChannelEntry>| {
        let inbound = entry.spec.inbound.as_ref();
        inbound.is_some_and(|inbound| inbound.topic.eq_ignore_ascii_case(topic))
    };
    let channels = snapshot.channels.values().filter(receives);
    channels.map(|entry| entry.meta.name.clone()).collect()
}

pub(super) fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Topic>, Problem> {
    snapshot
        .topic(name)
        .ok_or_else(|| not_found("topic_not_found", "topic", name))
}

fn check_system_topic(before: &TopicSpec, after: &TopicSpec) -> Result<(), Problem> {
    if before.schema == after.schema
        && before.description == after.description
        && before.cmq == after.cmq
    {
        return Ok(());
    }
    Err(system_topic(
        "of a system topic only retention, max_age, max_bytes and dedupe_window can be changed",
    ))
}

fn system_topic(detail: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, "system_topic", detail)
}
