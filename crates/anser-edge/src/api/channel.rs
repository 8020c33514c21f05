//! Channels: the ways out, their kinds, their secrets, and a test of one.

use std::time::Duration;

use anser_core::attempt::Attempt;
use anser_core::channel::Manifest;
use anser_core::resource::{ChannelSpec, Scope};
use anser_gateway::admin::{ChannelCheck, ChannelView, RotatedSecret};
use anser_gateway::auth::Principal;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{self, Calls, Kind};
use super::resource::{self, Revised};
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = kind::routes::<Channels>();
    routes.extend(action_routes());
    routes
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
                "/v1/channels/{channel}/check",
                "checkChannel",
                "Ask the platform whether a channel's credentials are good; nothing is sent to anybody",
            )
            .answer::<ChannelCheck>(200, "What it says of them, good or not."),
            check,
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

/// Channels, to the six calls that every kind has.
struct Channels;

impl Kind for Channels {
    type Spec = ChannelSpec;
    type View = ChannelView;

    const ALL: &'static str = "/v1/channels";
    const ONE: &'static str = "/v1/channels/{channel}";
    const NAME: &'static str = "channel";
    const CALLS: Calls = Calls {
        list: ("listChannels", "List channels"),
        create: ("createChannel", "Create a channel"),
        show: ("getChannel", "Show a channel, its secrets masked"),
        replace: (
            "putChannel",
            "Create or replace a channel; secrets left out are kept",
        ),
        change: ("patchChannel", "Change a channel"),
        delete: ("deleteChannel", "Delete a channel"),
    };

    kind::served_by!(
        list_channels,
        get_channel,
        create_channel,
        put_channel,
        patch_channel,
        delete_channel cascade
    );

    fn name(view: &ChannelView) -> &str {
        &view.resource.name
    }
}

async fn test(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let attempt = call.edge.gateway.test_channel(&principal, &name).await?;
    Ok(answer::json(StatusCode::OK, &attempt))
}

async fn check(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let check = call.edge.gateway.check_channel(&principal, &name).await?;
    Ok(answer::json(StatusCode::OK, &check))
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
