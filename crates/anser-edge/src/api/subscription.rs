//! Subscriptions, each under its topic.

use anser_core::resource::{Scope, SubscriptionSpec};
use anser_gateway::admin::SubscriptionView;
use anser_gateway::auth::Principal;
use http::StatusCode;

use super::resource::{self, Revised};
use crate::answer;
use crate::call::Call;
use crate::route::{Handled, Route, keyed};

const EVERY: &str = "/v1/subscriptions";
const ALL: &str = "/v1/topics/{topic}/subscriptions";
const ONE: &str = "/v1/topics/{topic}/subscriptions/{subscription}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        keyed(
            &[Scope::Read],
            resource::list::<SubscriptionView>(
                EVERY,
                "listSubscriptions",
                "List the subscriptions of all topics",
            ),
            list_every,
        ),
        keyed(
            &[Scope::Read],
            resource::list::<SubscriptionView>(
                ALL,
                "listTopicSubscriptions",
                "List a topic's subscriptions",
            ),
            list,
        ),
        keyed(
            &[Scope::Admin],
            resource::create::<SubscriptionSpec, SubscriptionView>(
                ALL,
                "createSubscription",
                "Create a subscription",
            ),
            create,
        ),
        keyed(
            &[Scope::Read],
            resource::show::<SubscriptionView>(ONE, "getSubscription", "Show a subscription"),
            show,
        ),
        keyed(
            &[Scope::Admin],
            resource::replace::<SubscriptionSpec, SubscriptionView>(
                ONE,
                "putSubscription",
                "Create or replace a subscription",
            ),
            replace,
        ),
        keyed(
            &[Scope::Admin],
            resource::change::<SubscriptionSpec, SubscriptionView>(
                ONE,
                "patchSubscription",
                "Change a subscription",
            ),
            change,
        ),
        keyed(
            &[Scope::Admin],
            resource::delete(
                ONE,
                "deleteSubscription",
                "Delete a subscription and cancel its unfinished deliveries",
            ),
            delete,
        ),
    ]
}

impl Revised for SubscriptionView {
    fn revision(&self) -> u64 {
        self.resource.revision
    }
}

async fn list_every(call: Call, principal: Principal) -> Handled {
    let query = resource::list_query(&call)?;
    let page = call
        .edge
        .gateway
        .list_subscriptions(&principal, None, &query)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn list(call: Call, principal: Principal) -> Handled {
    let query = resource::list_query(&call)?;
    let topic = call.param("topic")?;
    let page = call
        .edge
        .gateway
        .list_subscriptions(&principal, Some(&topic), &query)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let topic = call.param("topic")?.into_owned();
    let (name, spec) = call.named().await?;
    let put = edge
        .gateway
        .create_subscription(&principal, &topic, &name, spec)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let (topic, name) = (call.param("topic")?, call.param("subscription")?);
    let view = call
        .edge
        .gateway
        .get_subscription(&principal, &topic, &name)?;
    Ok(resource::shown(&view))
}

async fn replace(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let (topic, name) = names(&call)?;
    let spec = call.json().await?;
    let put = edge
        .gateway
        .put_subscription(&principal, &topic, &name, spec, expected)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn change(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let (topic, name) = names(&call)?;
    let patch = call.json().await?;
    let view = edge
        .gateway
        .patch_subscription(&principal, &topic, &name, patch, expected)
        .await?;
    Ok(resource::shown(&view))
}

async fn delete(call: Call, principal: Principal) -> Handled {
    let expected = call.if_match()?;
    let (topic, name) = (call.param("topic")?, call.param("subscription")?);
    call.edge
        .gateway
        .delete_subscription(&principal, &topic, &name, expected)
        .await?;
    Ok(answer::no_content())
}

fn names(call: &Call) -> Result<(String, String), anser_core::Problem> {
    Ok((
        call.param("topic")?.into_owned(),
        call.param("subscription")?.into_owned(),
    ))
}

fn path(view: &SubscriptionView) -> String {
    format!(
        "/v1/topics/{}/subscriptions/{}",
        view.topic, view.resource.name
    )
}
