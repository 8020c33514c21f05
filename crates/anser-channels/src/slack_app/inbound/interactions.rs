//! Slash commands, shortcuts, buttons and forms of Slack (<https://docs.slack.dev/interactivity>) in the standard format.
//! Must not answer them: what is shown to people is the answer to the message.

use anser_core::inbound::{InboundContext, InboundEvent};
use serde_json::{Map, Value, json};

use super::PLATFORM;
use super::content::unescaped;
use super::events::without_token;
use super::place::{chat, message_id, person, time};
use crate::kit::draft::{self, Draft, digest_of, other};

/// An address at which the interaction can be answered five times within 30 minutes.
const RESPONSE_URL: &str = "x-response-url";
/// What opens a view, within three seconds.
const TRIGGER_ID: &str = "x-trigger-id";

/// A slash command: its form's fields.
pub(super) fn command(fields: &Value, body: &[u8], context: &InboundContext<'_>) -> InboundEvent {
    let text = |name: &str| fields[name].as_str().filter(|text| !text.is_empty());
    let data = json!({
        "name": text("command").map(|name| name.trim_start_matches('/')),
        "text": text("text").map(unescaped),
    });
    let item = draft::chat("command", data, &without_token(fields));
    let user = json!({"id": fields["user_id"], "name": fields["user_name"]});
    let of = text("channel_name").filter(|name| *name == "directmessage");
    let place = text("channel_id");
    Draft::new(PLATFORM, "slash_command", &[&trigger(fields, body)], item)
        .by(person(&user))
        .at(Some(context.now))
        .inside(place.and_then(|id| chat(context.channel, id, of.map(|_| "im"), None)))
        .ext(RESPONSE_URL, text("response_url"))
        .ext(TRIGGER_ID, text("trigger_id"))
        .build(context)
}

/// An interaction: its payload.
pub(super) fn read(payload: &Value, body: &[u8], context: &InboundContext<'_>) -> InboundEvent {
    let own = payload["type"].as_str().unwrap_or_default();
    let clean = without_token(payload);
    let (channel, message) = (place(payload), &payload["message"]);
    let mut stamps = [&payload["container"]["message_ts"], &message["ts"]].into_iter();
    let id = message_id(channel, stamps.find_map(Value::as_str));
    let item = match own {
        "block_actions" => draft::chat("button", button(payload, id.as_deref()), &clean),
        "view_submission" => draft::chat("form", form(&payload["view"]), &clean),
        "shortcut" | "message_action" => {
            draft::chat("command", json!({"name": payload["callback_id"]}), &clean)
        }
        _ => other(PLATFORM, own, &clean),
    };
    let thread = message["thread_ts"].as_str();
    let inside = match channel {
        Some(channel) => chat(context.channel, channel, None, thread),
        // A view is of no channel: whoever submits it can be written to.
        None => payload["user"]["id"]
            .as_str()
            .and_then(|user| chat(context.channel, user, None, None)),
    };
    let mut times = [&payload["action_ts"], &payload["actions"][0]["action_ts"]].into_iter();
    let response_url = payload["response_url"]
        .as_str()
        .or_else(|| payload["response_urls"][0]["response_url"].as_str());
    Draft::new(PLATFORM, own, &[&trigger(payload, body)], item)
        .by(person(&payload["user"]))
        .at(times.find_map(time).or(Some(context.now)))
        .inside(inside)
        .message_id(id)
        .ext(RESPONSE_URL, response_url)
        .ext(TRIGGER_ID, payload["trigger_id"].as_str())
        .build(context)
}

/// What tells a repeat: each interaction has a trigger of its own.
fn trigger(fields: &Value, body: &[u8]) -> String {
    match fields["trigger_id"].as_str() {
        Some(id) if !id.is_empty() => format!("trigger:{id}"),
        _ => digest_of(body),
    }
}

fn place(payload: &Value) -> Option<&str> {
    let mut places = [
        &payload["channel"]["id"],
        &payload["container"]["channel_id"],
    ]
    .into_iter();
    places.find_map(Value::as_str)
}

/// What was pressed or chosen. Slack sends one action at a time.
fn button(payload: &Value, message: Option<&str>) -> Value {
    let action = &payload["actions"][0];
    json!({
        "message_id": message,
        "id": action["action_id"],
        "value": value(action),
        "label": action["text"]["text"],
    })
}

/// What stands in an element: of a button its value, of a choice what was chosen.
fn value(element: &Value) -> Value {
    if !element["value"].is_null() {
        return element["value"].clone();
    }
    let members = element.as_object().into_iter().flatten();
    let mut chosen = members.filter(|(name, _)| name.starts_with("selected_"));
    let of_option = |option: &Value| match option.get("value") {
        Some(value) => value.clone(),
        None => option.clone(),
    };
    match chosen.next() {
        Some((_, Value::Array(options))) => options.iter().map(of_option).collect(),
        Some((_, option)) => of_option(option),
        None => Value::Null,
    }
}

/// The name of a view, and what stands in its elements, by their action's id; by block and action where two have one id.
fn form(view: &Value) -> Value {
    let mut values = Map::new();
    for (block, elements) in view["state"]["values"].as_object().into_iter().flatten() {
        for (action, element) in elements.as_object().into_iter().flatten() {
            let name = if values.contains_key(action) {
                format!("{block}.{action}")
            } else {
                action.clone()
            };
            values.insert(name, value(element));
        }
    }
    json!({"id": view["callback_id"], "values": values})
}
