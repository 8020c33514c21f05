//! Clicks on cards, which come over the stream only (`card/model.go` of open-dingtalk/dingtalk-stream-sdk-go). Must not answer
//! them: the card stays as it is.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{Kind, Origin, SenderKind};
use serde_json::{Value, json};

use super::{PLATFORM, target};
use crate::kit::arrival::{data, key, key_of, sender, shallow, word};
use crate::kit::inbound::event as event_item;

/// What a card in a group is in.
const GROUP: &str = "IM_GROUP";

/// The click in the standard format. It has no id of its own, but that of the frame.
pub(in crate::dingtalk_app) fn normalised(
    click: &Value,
    frame: Option<&str>,
    context: &InboundContext<'_>,
) -> InboundEvent {
    let dedupe_key = frame.map_or_else(|| key_of(click), |id| key(&["card", id]));
    let content = ["content", "value"].iter().find_map(|name| {
        let text = click[*name].as_str()?;
        serde_json::from_str::<Value>(text).ok()
    });
    let content = content.unwrap_or_default();
    let pressed = &content["cardPrivateData"];
    let fields = json!({
        "message_id": click["outTrackId"],
        "id": pressed["actionIds"][0],
        "value": shallow(&pressed["params"]),
    });
    let mut item = event_item("chat.button", &data(fields, click));
    let user = word(click, "userId");
    let space = word(click, "spaceId");
    (item.header.kind, item.header.conversation) = if click["spaceType"] == GROUP {
        // The space is told with or without its address.
        let group = space.map(|id| id.rsplit_once("IM_GROUP.").map_or(id, |(_, id)| id));
        (Kind::Groupchat, target::group(group, context))
    } else {
        (Kind::Chat, target::person(user, context))
    };
    let from = sender(SenderKind::User, user.unwrap_or("unknown"), None);
    let origin = Origin {
        platform: PLATFORM.to_owned(),
        account: None,
        r#type: Some("card".to_owned()),
        event_id: frame.map(str::to_owned),
        message_id: word(click, "outTrackId").map(str::to_owned),
    };
    InboundEvent::new(context, dedupe_key, from, origin, item)
}
