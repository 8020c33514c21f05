//! The event type catalogue: descriptions, schemas and examples that people and forms look up. Nothing is enforced.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::name::{check_type, fold};
use anser_core::resource::{EventTypeSpec, Scope};
use anser_core::store::ConfigKind;
use serde_json::Value;

use super::change::{already_exists, check_revision, delete, envelope, internal, not_found, put};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, EventTypeView, Put};
use crate::auth::Principal;
use crate::config::{EventType, Snapshot, compile_schema};
use crate::gateway::Gateway;
use crate::look::Page;

impl Gateway {
    /// Creates an event type. The same again answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_type`, `invalid_schema`, `invalid_example`;
    /// 403 without the right; the store's.
    pub async fn create_event_type(
        &self,
        principal: &Principal,
        name: &str,
        spec: EventTypeSpec,
    ) -> Result<Put<EventTypeView>, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(event_type) = snapshot.event_type(name) {
            if event_type.spec != spec {
                return Err(already_exists("event type", &event_type.meta.name));
            }
            return Ok(Put {
                created: false,
                view: view::event_type(event_type),
            });
        }
        self.store_event_type(None, name, spec).await
    }

    /// Creates or replaces an event type.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_event_type`].
    pub async fn put_event_type(
        &self,
        principal: &Principal,
        name: &str,
        spec: EventTypeSpec,
        expected: Option<u64>,
    ) -> Result<Put<EventTypeView>, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.event_type(name);
        check_revision(before.map(|event_type| &event_type.meta), expected)?;
        self.store_event_type(before, name, spec).await
    }

    /// Changes fields of an event type (RFC 7396).
    ///
    /// # Errors
    /// As [`Gateway::put_event_type`]; `event_type_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_event_type(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<EventTypeView, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        let put = self.store_event_type(Some(before), name, spec).await?;
        Ok(put.view)
    }

    /// An event type.
    ///
    /// # Errors
    /// `event_type_not_found`; 403 without the right.
    pub fn get_event_type(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<EventTypeView, Problem> {
        principal.require(Scope::Read)?;
        find(&self.config.load(), name).map(|event_type| view::event_type(event_type))
    }

    /// The catalogue.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_event_types(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<EventTypeView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let all = snapshot
            .event_types
            .iter()
            .map(|(key, event_type)| (key.clone(), event_type))
            .collect();
        page(all, query, |event_type| view::event_type(event_type))
    }

    /// Removes an event type from the catalogue.
    ///
    /// # Errors
    /// `event_type_not_found`, `stale_revision`; 403 without the right; the store's.
    pub async fn delete_event_type(
        &self,
        principal: &Principal,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let event_type = find(&snapshot, name)?;
        check_revision(Some(&event_type.meta), expected)?;
        let key = fold(&event_type.meta.name);
        self.commit(vec![delete(ConfigKind::EventType, key, &event_type.meta)])
            .await?;
        Ok(())
    }

    async fn store_event_type(
        &self,
        before: Option<&Arc<EventType>>,
        name: &str,
        spec: EventTypeSpec,
    ) -> Result<Put<EventTypeView>, Problem> {
        if let Some(event_type) = before.filter(|event_type| event_type.spec == spec) {
            return Ok(Put {
                created: false,
                view: view::event_type(event_type),
            });
        }
        check_type("name", name)?;
        check(&spec)?;
        let meta = before.map(|event_type| &event_type.meta);
        let document = envelope(meta, name, spec, self.clock.now());
        let change = put(ConfigKind::EventType, fold(name), &document, meta);
        let snapshot = self.commit(vec![change]).await?;
        let event_type = snapshot
            .event_type(name)
            .ok_or_else(|| internal("the event type was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::event_type(event_type),
        })
    }
}

/// The catalogue belongs to no topic, so a key that is limited to some may not change it.
fn may_change(principal: &Principal) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_unlimited()
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<EventType>, Problem> {
    snapshot
        .event_type(name)
        .ok_or_else(|| not_found("event_type_not_found", "event type", name))
}

fn check(spec: &EventTypeSpec) -> Result<(), Problem> {
    spec.check()?;
    let Some(schema) = &spec.schema else {
        return Ok(());
    };
    let validator = compile_schema("schema", schema)?;
    match spec
        .example
        .as_ref()
        .map(|example| validator.validate(example))
    {
        Some(Err(error)) => Err(Problem::invalid(
            "invalid_example",
            "example",
            format!("does not satisfy the schema: {error}"),
        )),
        Some(Ok(())) | None => Ok(()),
    }
}
