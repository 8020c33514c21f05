//! The catalogue of event types.

use anser_core::Problem;
use anser_core::resource::EventTypeSpec;
use anser_gateway::Gateway;
use anser_gateway::admin::EventTypeView;
use anser_gateway::auth::Principal;

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

    kind::served_by!(
        list_event_types,
        get_event_type,
        create_event_type,
        put_event_type,
        patch_event_type
    );

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
