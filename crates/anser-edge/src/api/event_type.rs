//! The catalogue of event types.

use anser_core::Problem;
use anser_core::resource::EventTypeSpec;
use anser_gateway::Gateway;
use anser_gateway::admin::{EventTypeView, ListQuery, Put};
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use serde_json::Value;

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    kind::routes::<EventTypes>()
}

impl Revised for EventTypeView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Event types, to the six calls that every kind has.
struct EventTypes;

impl Kind for EventTypes {
    type Spec = EventTypeSpec;
    type View = EventTypeView;

    const ALL: &'static str = "/v1/event-types";
    const ONE: &'static str = "/v1/event-types/{type}";
    const NAME: &'static str = "type";
    const CALLS: Calls = Calls {
        list: ("listEventTypes", "List event types"),
        create: ("createEventType", "Create an event type"),
        show: ("getEventType", "Show an event type"),
        replace: ("putEventType", "Create or replace an event type"),
        change: ("patchEventType", "Change an event type"),
        delete: ("deleteEventType", "Delete an event type"),
    };
    const CASCADES: bool = false;

    fn list(
        gateway: &Gateway,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<EventTypeView>, Problem> {
        gateway.list_event_types(principal, query)
    }

    fn show(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
    ) -> Result<EventTypeView, Problem> {
        gateway.get_event_type(principal, name)
    }

    async fn create(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: EventTypeSpec,
    ) -> Result<Put<EventTypeView>, Problem> {
        gateway.create_event_type(principal, name, spec).await
    }

    async fn replace(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: EventTypeSpec,
        expected: Option<u64>,
    ) -> Result<Put<EventTypeView>, Problem> {
        gateway
            .put_event_type(principal, name, spec, expected)
            .await
    }

    async fn change(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<EventTypeView, Problem> {
        gateway
            .patch_event_type(principal, name, patch, expected)
            .await
    }

    async fn delete(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        _: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        gateway.delete_event_type(principal, name, expected).await
    }

    fn name(view: &EventTypeView) -> &str {
        &view.name
    }
}
