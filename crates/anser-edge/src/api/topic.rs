//! Topics.

use anser_core::resource::{Scope, TopicSpec};
use anser_gateway::admin::TopicView;
use anser_gateway::auth::Principal;
use http::StatusCode;

use super::resource::{self, CascadeQuery, Revised};
use crate::answer;
use crate::call::Call;
use crate::route::{Handled, Route, keyed};

const ALL: &str = "/v1/topics";
const ONE: &str = "/v1/topics/{topic}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        keyed(
            &[Scope::Read],
            resource::list::<TopicView>(ALL, "listTopics", "List topics"),
            list,
        ),
        keyed(
            &[Scope::Admin],
            resource::create::<TopicSpec, TopicView>(ALL, "createTopic", "Create a topic"),
            create,
        ),
        keyed(
            &[Scope::Read],
            resource::show::<TopicView>(ONE, "getTopic", "Show a topic"),
            show,
        ),
        keyed(
            &[Scope::Admin],
            resource::replace::<TopicSpec, TopicView>(ONE, "putTopic", "Create or replace a topic"),
            replace,
        ),
        keyed(
            &[Scope::Admin],
            resource::change::<TopicSpec, TopicView>(ONE, "patchTopic", "Change a topic"),
            change,
        ),
        keyed(
            &[Scope::Admin],
            resource::delete(ONE, "deleteTopic", "Delete a topic").query::<CascadeQuery>(),
            delete,
        ),
    ]
}

impl Revised for TopicView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

async fn list(call: Call, principal: Principal) -> Handled {
    let page = call
        .edge
        .gateway
        .list_topics(&principal, &resource::list_query(&call)?)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let (name, spec) = call.named().await?;
    let put = edge.gateway.create_topic(&principal, &name, spec).await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let view = call
        .edge
        .gateway
        .get_topic(&principal, &call.param("topic")?)?;
    Ok(resource::shown(&view))
}

async fn replace(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("topic")?.into_owned();
    let spec = call.json().await?;
    let put = edge
        .gateway
        .put_topic(&principal, &name, spec, expected)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn change(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("topic")?.into_owned();
    let patch = call.json().await?;
    let view = edge
        .gateway
        .patch_topic(&principal, &name, patch, expected)
        .await?;
    Ok(resource::shown(&view))
}

async fn delete(call: Call, principal: Principal) -> Handled {
    let query: CascadeQuery = call.query()?;
    let expected = call.if_match()?;
    call.edge
        .gateway
        .delete_topic(&principal, &call.param("topic")?, query.cascade, expected)
        .await?;
    Ok(answer::no_content())
}

fn path(view: &TopicView) -> String {
    format!("{ALL}/{}", view.name)
}
