//! Who did something, and in which chat, as Feishu says it. Must not know any event by name.

use anser_core::inbound::InboundContext;
use anser_core::message::{Conversation, ConversationType, Sender, SenderKind};
use serde_json::{Value, json};

use super::PLATFORM;
use crate::feishu_app::settings::Receiver;
use crate::kit::arrival::{is_word, sender, word};

/// Where events say who did it; the first that names somebody counts.
const ACTORS: [&str; 11] = [
    "/operator_id",
    "/operator/operator_id",
    "/operator",
    "/operator/id",
    "/reader/reader_id",
    "/user_id",
    "/user",
    "/start_user",
    "/assigned_user",
    "/operator_id_list/0",
    // Schema 1.0 has the ids beside the rest.
    "",
];

/// The id of a person: as an app knows it if possible, for messages can be sent to it.
pub(super) fn id(value: &Value) -> Option<&str> {
    if let Some(text) = value.as_str() {
        return Some(text).filter(|text| is_word(text));
    }
    ["open_id", "union_id", "user_id"]
        .into_iter()
        .find_map(|name| word(value, name))
}

/// Who did it; the platform itself when nobody is named.
pub(super) fn actor(event: &Value) -> Sender {
    let name = ["/operator/operator_name", "/operator/name"]
        .into_iter()
        .find_map(|place| event.pointer(place)?.as_str());
    let app = word(event, "app_id").filter(|_| event["operator_type"] == "app");
    if let Some(app) = app {
        return sender(SenderKind::Bot, app, None);
    }
    let found = ACTORS.into_iter().find_map(|place| {
        let value = event.pointer(place)?;
        id(value).filter(|_| value.is_object())
    });
    match found {
        Some(id) => sender(SenderKind::User, id, name),
        None => sender(SenderKind::System, PLATFORM, None),
    }
}

/// People as `[{id, name}]`.
pub(super) fn list(value: &Value) -> Value {
    let people = value.as_array().into_iter().flatten();
    people
        .filter_map(|person| {
            let id = id(&person["user_id"]).or_else(|| id(person))?;
            Some(json!({"id": id, "name": person["name"]}))
        })
        .collect::<Vec<Value>>()
        .into()
}

/// A chat or person that messages can be sent to.
pub(super) fn conversation(
    target: Option<&str>,
    of: Option<ConversationType>,
    thread: Option<String>,
    context: &InboundContext<'_>,
) -> Option<Conversation> {
    let target = target.filter(|target| Receiver::parse("target", target).is_ok())?;
    Some(Conversation {
        id: format!("{}/{target}", context.channel),
        r#type: of,
        thread,
    })
}
