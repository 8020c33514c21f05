//! The catalogue of event types.

use anser_core::resource::{EventTypeSpec, Scope};
use anser_gateway::admin::EventTypeView;
use anser_gateway::auth::Principal;
use http::StatusCode;

use super::resource::{self, Revised};
use crate::answer;
use crate::call::Call;
use crate::route::{Handled, Route, keyed};

const ALL: &str = "/v1/event-types";
const ONE: &str = "/v1/event-types/{type}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        keyed(
            &[Scope::Read],
            resource::list::<EventTypeView>(ALL, "listEventTypes", "List event types"),
            list,
        ),
        keyed(
            &[Scope::Admin],
            resource::create::<EventTypeSpec, EventTypeView>(
                ALL,
                "createEventType",
                "Create an event type",
            ),
            create,
        ),
        keyed(
            &[Scope::Read],
            resource::show::<EventTypeView>(ONE, "getEventType", "Show an event type"),
            show,
        ),
        keyed(
            &[Scope::Admin],
            resource::replace::<EventTypeSpec, EventTypeView>(
                ONE,
                "putEventType",
                "Create or replace an event type",
            ),
            replace,
        ),
        keyed(
            &[Scope::Admin],
            resource::change::<EventTypeSpec, EventTypeView>(
                ONE,
                "patchEventType",
                "Change an event type",
            ),
            change,
        ),
        keyed(
            &[Scope::Admin],
            resource::delete(ONE, "deleteEventType", "Delete an event type"),
            delete,
        ),
    ]
}

impl Revised for EventTypeView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

async fn list(call: Call, principal: Principal) -> Handled {
    let page = call
        .edge
        .gateway
        .list_event_types(&principal, &resource::list_query(&call)?)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let (name, spec) = call.named().await?;
    let put = edge
        .gateway
        .create_event_type(&principal, &name, spec)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let view = call
        .edge
        .gateway
        .get_event_type(&principal, &call.param("type")?)?;
    Ok(resource::shown(&view))
}

async fn replace(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("type")?.into_owned();
    let spec = call.json().await?;
    let put = edge
        .gateway
        .put_event_type(&principal, &name, spec, expected)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn change(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("type")?.into_owned();
    let patch = call.json().await?;
    let view = edge
        .gateway
        .patch_event_type(&principal, &name, patch, expected)
        .await?;
    Ok(resource::shown(&view))
}

async fn delete(call: Call, principal: Principal) -> Handled {
    let expected = call.if_match()?;
    call.edge
        .gateway
        .delete_event_type(&principal, &call.param("type")?, expected)
        .await?;
    Ok(answer::no_content())
}

fn path(view: &EventTypeView) -> String {
    format!("{ALL}/{}", view.name)
}
