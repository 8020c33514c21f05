//! The catalogue of event types.

use anser_core::resource::EventTypeSpec;
use anser_gateway::admin::EventTypeView;

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

    kind::served_by!(
        list_event_types,
        get_event_type,
        create_event_type,
        put_event_type,
        patch_event_type,
        delete_event_type
    );

    fn name(view: &EventTypeView) -> &str {
        &view.name
    }
}
