//! Channels: the ways out, their kinds, their secrets, and a test of one.

use std::time::Duration;

use anser_core::attempt::Attempt;
use anser_core::channel::Manifest;
use anser_core::resource::{ChannelSpec, Scope};
use anser_gateway::admin::{ChannelView, RotatedSecret};
use anser_gateway::auth::Principal;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resource::{self, CascadeQuery, Revised};
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

const ALL: &str = "/v1/channels";
const ONE: &str = "/v1/channels/{channel}";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = resource_routes();
    routes.extend(action_routes());
    routes
}

fn resource_routes() -> Vec<Route> {
    vec![
        keyed(
            &[Scope::Read],
            resource::list::<ChannelView>(ALL, "listChannels", "List channels"),
            list,
        ),
        keyed(
            &[Scope::Admin],
            resource::create::<ChannelSpec, ChannelView>(ALL, "createChannel", "Create a channel"),
            create,
        ),
        keyed(
            &[Scope::Read],
            resource::show::<ChannelView>(ONE, "getChannel", "Show a channel, its secrets masked"),
            show,
        ),
        keyed(
            &[Scope::Admin],
            resource::replace::<ChannelSpec, ChannelView>(
                ONE,
                "putChannel",
                "Create or replace a channel; secrets left out are kept",
            ),
            replace,
        ),
        keyed(
            &[Scope::Admin],
            resource::change::<ChannelSpec, ChannelView>(ONE, "patchChannel", "Change a channel"),
            change,
        ),
        keyed(
            &[Scope::Admin],
            resource::delete(ONE, "deleteChannel", "Delete a channel").query::<CascadeQuery>(),
            delete,
        ),
    ]
}

fn action_routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/channels/{channel}/test",
                "testChannel",
                "Send a test message through a channel",
            )
            .answer::<Attempt>(200, "The attempt, whatever became of it."),
            test,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/channels/{channel}/enable",
                "enableChannel",
                "Enable a channel that the gateway disabled",
            )
            .answer::<ChannelView>(200, "Enabled: what waited is delivered.")
            .with_revision(),
            enable,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/channels/{channel}/secrets/rotate",
                "rotateSecret",
                "Replace a signing secret; the old one signs too for a while",
            )
            .body::<Rotate>(&[JSON])
            .answer::<RotatedSecret>(200, "The new secret, shown this once."),
            rotate,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/channel-kinds",
                "listChannelKinds",
                "List the kinds of channel, with the schema of their settings",
            )
            .answer::<Kinds>(200, "Every kind."),
            kinds,
        ),
    ]
}

/// Which secret to replace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// Which of the channel's secrets; a webhook has `v1` and `v1a`.
    kind: String,
    /// Seconds for which the old one signs too; default 24 h, at most 7 days.
    #[schemars(range(min = 0, max = 604_800))]
    grace: Option<u64>,
}

/// The kinds of channel.
#[derive(Debug, Serialize, JsonSchema)]
struct Kinds {
    /// One entry a kind.
    items: Vec<Manifest>,
}

impl Revised for ChannelView {
    fn revision(&self) -> u64 {
        self.resource.revision
    }
}

async fn list(call: Call, principal: Principal) -> Handled {
    let page = call
        .edge
        .gateway
        .list_channels(&principal, &resource::list_query(&call)?)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn create(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let (name, spec) = call.named().await?;
    let put = edge.gateway.create_channel(&principal, &name, spec).await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let view = call
        .edge
        .gateway
        .get_channel(&principal, &call.param("channel")?)?;
    Ok(resource::shown(&view))
}

async fn replace(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("channel")?.into_owned();
    let spec = call.json().await?;
    let put = edge
        .gateway
        .put_channel(&principal, &name, spec, expected)
        .await?;
    Ok(resource::put(&put, &path(&put.view)))
}

async fn change(call: Call, principal: Principal) -> Handled {
    let (edge, expected) = (call.edge.clone(), call.if_match()?);
    let name = call.param("channel")?.into_owned();
    let patch = call.json().await?;
    let view = edge
        .gateway
        .patch_channel(&principal, &name, patch, expected)
        .await?;
    Ok(resource::shown(&view))
}

async fn delete(call: Call, principal: Principal) -> Handled {
    let query: CascadeQuery = call.query()?;
    let expected = call.if_match()?;
    call.edge
        .gateway
        .delete_channel(&principal, &call.param("channel")?, query.cascade, expected)
        .await?;
    Ok(answer::no_content())
}

async fn test(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let attempt = call.edge.gateway.test_channel(&principal, &name).await?;
    Ok(answer::json(StatusCode::OK, &attempt))
}

async fn enable(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let view = call.edge.gateway.enable_channel(&principal, &name).await?;
    Ok(resource::shown(&view))
}

async fn rotate(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let name = call.param("channel")?.into_owned();
    let rotate: Rotate = call.json().await?;
    let grace = rotate.grace.map(Duration::from_secs);
    let rotated = edge
        .gateway
        .rotate_secret(&principal, &name, &rotate.kind, grace)
        .await?;
    Ok(answer::json(StatusCode::OK, &rotated))
}

async fn kinds(call: Call, principal: Principal) -> Handled {
    let items = call.edge.gateway.channel_kinds(&principal)?;
    Ok(answer::json(StatusCode::OK, &Kinds { items }))
}

fn path(view: &ChannelView) -> String {
    format!("{ALL}/{}", view.resource.name)
}
