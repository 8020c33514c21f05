//! Messages and statuses of WhatsApp in the standard format
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components>). Must not lose any of the many that one
//! request can have.

use anser_core::id::DeliveryId;
use anser_core::inbound::{DeliveryReport, InboundContext, InboundEvent, Refusal, ReportedState};
use anser_core::message::Item;
use serde_json::{Value, json};

use super::place::Place;
use super::{PLATFORM, content};
use crate::kit::arrival::moment;
use crate::kit::draft::{self, Draft, digest_of, id, other};
use crate::kit::inbound::malformed;

/// What a request about a business account is about.
const OBJECT: &str = "whatsapp_business_account";
/// Bytes of a failure's reason.
const REASON_BYTES_MAX: usize = 1_024;

/// Every event of a request.
///
/// # Errors
/// `malformed_event` when it is about something else.
pub(super) fn read(
    body: &Value,
    phone_number_id: &str,
    context: &InboundContext<'_>,
) -> Result<Vec<InboundEvent>, Refusal> {
    if body["object"] != OBJECT {
        return Err(malformed(format!("the request is not about a {OBJECT}")));
    }
    let mut events = Vec::new();
    for entry in list(&body["entry"]) {
        for change in list(&entry["changes"]) {
            of_change(entry, change, phone_number_id, context, &mut events);
        }
    }
    Ok(events)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn of_change(
    entry: &Value,
    change: &Value,
    phone_number_id: &str,
    context: &InboundContext<'_>,
    events: &mut Vec<InboundEvent>,
) {
    let value = &change["value"];
    let field = change["field"].as_str().unwrap_or_default();
    let place = Place {
        channel: context.channel,
        is_ours: value["metadata"]["phone_number_id"] == phone_number_id,
        contacts: &value["contacts"],
    };
    let before = events.len();
    if field == "messages" {
        let messages = list(&value["messages"]).iter();
        events.extend(messages.map(|message| of_message(message, &place).build(context)));
        let statuses = list(&value["statuses"]).iter();
        events.extend(statuses.map(|status| of_status(status, &place, context)));
    }
    if events.len() == before {
        // The account's own events have no ids, but a time.
        let item = other(PLATFORM, field, change);
        let known = json!([entry["id"], entry["time"], change]).to_string();
        let draft = Draft::new(PLATFORM, field, &[&digest_of(known.as_bytes())], item);
        events.push(draft.at(moment(&entry["time"])).build(context));
    }
}

fn of_message(message: &Value, place: &Place<'_>) -> Draft {
    let own = message["type"].as_str().unwrap_or_default();
    let number = id(&message["id"]);
    let repeated = number.clone();
    let repeated = repeated.unwrap_or_else(|| digest_of(message.to_string().as_bytes()));
    let about = id(&message["context"]["id"]);
    let item = item(own, message, about.as_deref());
    let is_said = item.header.r#type.is_none();
    let from = &message["from"];
    let is_group = !message["group_id"].is_null();
    let chat = place.chat(from).filter(|_| !is_group);
    let draft = Draft::new(PLATFORM, own, &[&repeated], item)
        .by(place.person(from))
        .at(moment(&message["timestamp"]))
        .inside(chat)
        .message_id(number);
    if is_said {
        return draft.reply_to(about);
    }
    draft
}

/// The message as what it is: said, pressed, filled in, or a reaction.
fn item(own: &str, message: &Value, about: Option<&str>) -> Item {
    match own {
        "reaction" => {
            let reaction = &message["reaction"];
            let emoji = reaction["emoji"].as_str().filter(|emoji| !emoji.is_empty());
            let action = if emoji.is_some() { "added" } else { "removed" };
            let fields =
                json!({"message_id": reaction["message_id"], "emoji": emoji, "action": action});
            draft::chat("reaction", fields, message)
        }
        // A button of a template.
        "button" => {
            let button = &message["button"];
            let fields =
                json!({"message_id": about, "value": button["payload"], "label": button["text"]});
            draft::chat("button", fields, message)
        }
        "interactive" => interactive(message, about),
        "system" | "request_welcome" => other(PLATFORM, own, message),
        _ => content::read(message).into_item(PLATFORM, message),
    }
}

fn interactive(message: &Value, about: Option<&str>) -> Item {
    let answer = &message["interactive"];
    let own = answer["type"].as_str().unwrap_or_default();
    let chosen = &answer[own];
    match own {
        "button_reply" | "list_reply" => {
            let fields = json!({"message_id": about, "id": chosen["id"], "label": chosen["title"]});
            draft::chat("button", fields, message)
        }
        "nfm_reply" => {
            let text = chosen["response_json"].as_str().unwrap_or_default();
            let values: Value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
            let fields = json!({"id": chosen["name"], "values": values});
            draft::chat("form", fields, message)
        }
        _ => content::read(message).into_item(PLATFORM, message),
    }
}

/// What became of a message that the number sent. They can come in another order than they happened in.
fn of_status(status: &Value, place: &Place<'_>, context: &InboundContext<'_>) -> InboundEvent {
    let own = status["status"].as_str().unwrap_or_default();
    let state = match own {
        "sent" => Some((ReportedState::Sent, "sent")),
        "delivered" => Some((ReportedState::Delivered, "delivered")),
        "read" | "played" => Some((ReportedState::Read, "read")),
        "failed" => Some((ReportedState::Failed, "failed")),
        _ => None,
    };
    let number = id(&status["id"]);
    let to = &status["recipient_id"];
    let reason = reason(status);
    let item = match state {
        Some((_, name)) => {
            let fields = json!({"message_id": number, "user": to, "reason": reason});
            draft::chat(name, fields, status)
        }
        None => other(PLATFORM, own, status),
    };
    let repeated = number.clone();
    let repeated = repeated.unwrap_or_else(|| digest_of(status.to_string().as_bytes()));
    // What is read or has arrived, a person's device says.
    let by_person = matches!(own, "delivered" | "read" | "played");
    let mut event = Draft::new(PLATFORM, own, &[&repeated, own], item)
        .by(place.person(to).filter(|_| by_person))
        .at(moment(&status["timestamp"]))
        .inside(place.chat(to))
        .message_id(number)
        .build(context);
    let ours = status["biz_opaque_callback_data"].as_str();
    let delivery: Option<DeliveryId> = ours.and_then(|text| text.parse().ok());
    event.report = state
        .zip(delivery)
        .map(|((state, _), delivery)| DeliveryReport {
            delivery,
            state,
            reason,
        });
    event
}

/// Why a message failed, as the first error says.
fn reason(status: &Value) -> Option<String> {
    let error = &status["errors"][0];
    let code = error["code"].as_i64()?;
    let mut texts = [
        &error["error_data"]["details"],
        &error["message"],
        &error["title"],
    ]
    .into_iter();
    let text = texts.find_map(Value::as_str).unwrap_or_default();
    let mut reason = format!("{code} {text}").trim_end().to_owned();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    Some(reason)
}
