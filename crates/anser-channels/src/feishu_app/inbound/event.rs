//! Events of both schemas, as one: what is said in chats goes to `message`, what the format has a name for gets that name,
//! and the rest keeps its own. Must not verify anything.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{Conversation, ConversationType, Kind};
use serde_json::{Value, json};

use super::envelope::{Envelope, OLD_CARD};
use super::{PLATFORM, message, people};
use crate::kit::arrival::{data, event_type, moment, shallow, word};
use crate::kit::inbound::event as event_item;

/// An event with a name of the format's.
struct Named {
    name: &'static str,
    fields: Value,
    /// Whom an answer goes to.
    conversation: Option<Conversation>,
    message: Option<String>,
}

/// The event in the standard format; `None` for what the app did itself.
pub(super) fn normalised(
    envelope: &Envelope,
    app_id: &str,
    context: &InboundContext<'_>,
) -> Option<InboundEvent> {
    let event = &envelope.event;
    match (&*envelope.own_type, envelope.is_first) {
        ("im.message.receive_v1", false) => return message::second(envelope, app_id, context),
        ("message", true) => return Some(message::first(envelope, context)),
        _ => {}
    }
    // The app's own reactions.
    if event["operator_type"] == "app" && event["app_id"] == app_id {
        return None;
    }
    let named = if envelope.is_first {
        first(&envelope.own_type, event, context)
    } else {
        second(&envelope.own_type, event, context)
    };
    let from = people::actor(event);
    let (message, mut item) = match named {
        Some(named) => {
            let mut item = event_item(&format!("chat.{}", named.name), &data(named.fields, event));
            let of = named.conversation.as_ref().and_then(|chat| chat.r#type);
            item.header.kind = match of {
                Some(ConversationType::Direct) => Kind::Chat,
                Some(_) => Kind::Groupchat,
                None => Kind::Normal,
            };
            item.header.conversation = named.conversation;
            (named.message, item)
        }
        None => {
            let own = event_type(PLATFORM, &envelope.own_type);
            (None, event_item(&own, &shallow(event)))
        }
    };
    item.header.occurred_at = envelope.time;
    Some(envelope.arrived(message, from, item, context))
}

/// Schema 2.0 (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-list>).
fn second(own_type: &str, event: &Value, context: &InboundContext<'_>) -> Option<Named> {
    let chat = word(event, "chat_id");
    let anywhere = |name, fields| {
        Some(Named {
            name,
            fields,
            conversation: people::conversation(chat, None, None, context),
            message: word(event, "message_id").map(str::to_owned),
        })
    };
    let group = |name, fields| {
        Some(Named {
            conversation: people::conversation(chat, Some(ConversationType::Group), None, context),
            ..anywhere(name, fields)?
        })
    };
    let direct = |name, fields, target| {
        Some(Named {
            conversation: people::conversation(
                target,
                Some(ConversationType::Direct),
                None,
                context,
            ),
            ..anywhere(name, fields)?
        })
    };
    let chat_name = &event["name"];
    match own_type {
        "im.message.message_read_v1" => anywhere(
            "read",
            json!({"message_ids": event["message_id_list"], "user": people::id(&event["reader"]["reader_id"]),
                   "time": moment(&event["reader"]["read_time"])}),
        ),
        "im.message.recalled_v1" => anywhere(
            "recalled",
            json!({"message_id": event["message_id"], "by": event["recall_type"]}),
        ),
        "im.message.reaction.created_v1" => anywhere("reaction", reaction(event, "added")),
        "im.message.reaction.deleted_v1" => anywhere("reaction", reaction(event, "removed")),
        "im.chat.member.bot.added_v1" => group("bot_added", json!({"name": chat_name})),
        "im.chat.member.bot.deleted_v1" => group("bot_removed", json!({"name": chat_name})),
        "im.chat.member.user.added_v1" => group("joined", members(event, None)),
        "im.chat.member.user.deleted_v1" => group("left", members(event, Some("removed"))),
        "im.chat.member.user.withdrawn_v1" => group("left", members(event, Some("withdrawn"))),
        "im.chat.updated_v1" => group(
            "updated",
            json!({"before": event["before_change"], "after": event["after_change"]}),
        ),
        "im.chat.disbanded_v1" => group("disbanded", json!({"name": chat_name})),
        "im.chat.access_event.bot_p2p_chat_entered_v1" => direct(
            "opened",
            json!({"last_message_id": event["last_message_id"]}),
            chat,
        ),
        "application.bot.menu_v6" => direct(
            "command",
            json!({"name": event["event_key"], "via": "menu"}),
            people::id(&event["operator"]["operator_id"]),
        ),
        "card.action.trigger" | OLD_CARD => Some(click(event, context)),
        "approval.instance.status_changed_v4"
        | "approval.task.status_changed_v4"
        | "approval.approval.updated_v4" => anywhere("approval", approval(event)),
        _ => None,
    }
}

/// Schema 1.0 (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-list>, history versions).
fn first(own_type: &str, event: &Value, context: &InboundContext<'_>) -> Option<Named> {
    let chat = word(event, "open_chat_id").or_else(|| word(event, "chat_id"));
    let of = match own_type {
        "p2p_chat_create" => Some(ConversationType::Direct),
        "message_read" => None,
        _ => Some(ConversationType::Group),
    };
    let fields = match own_type {
        "message_read" => {
            json!({"message_ids": event["open_message_ids"], "user": people::id(event)})
        }
        "add_user_to_chat" => json!({"users": people::list(&event["users"])}),
        "remove_user_from_chat" | "revoke_add_user_from_chat" => {
            json!({"users": people::list(&event["users"]), "reason": "removed"})
        }
        "add_bot" | "remove_bot" => json!({"name": event["chat_name"]}),
        "p2p_chat_create" | "chat_disband" => json!({}),
        "approval_instance" | "approval_task" | "leave_approvalV2" | "work_approval"
        | "shift_approval" | "remedy_approval" | "trip_approval" | "out_approval" => {
            approval(event)
        }
        _ => return None,
    };
    let name = match own_type {
        "message_read" => "read",
        "add_user_to_chat" => "joined",
        "remove_user_from_chat" | "revoke_add_user_from_chat" => "left",
        "add_bot" => "bot_added",
        "remove_bot" => "bot_removed",
        "p2p_chat_create" => "opened",
        "chat_disband" => "disbanded",
        _ => "approval",
    };
    Some(Named {
        name,
        fields,
        conversation: people::conversation(chat, of, None, context),
        message: None,
    })
}

fn reaction(event: &Value, action: &str) -> Value {
    json!({
        "message_id": event["message_id"],
        "emoji": event["reaction_type"]["emoji_type"],
        "action": action,
    })
}

fn members(event: &Value, reason: Option<&str>) -> Value {
    json!({"users": people::list(&event["users"]), "reason": reason})
}

fn approval(event: &Value) -> Value {
    let of = if event["object"].is_object() {
        &event["object"]
    } else {
        event
    };
    let person = [
        "assigned_user",
        "start_user",
        "employee_id",
        "open_id",
        "user_id",
    ];
    json!({
        "approval": of["approval_code"],
        "instance": of["instance_code"],
        "task": of["task_id"],
        "status": of["status"],
        "user": person.into_iter().find_map(|name| people::id(&of[name])),
        "time": moment(&of["operate_time"]),
    })
}

/// A click on a card: a form when it brings values, else a button.
fn click(event: &Value, context: &InboundContext<'_>) -> Named {
    let (action, place) = (&event["action"], &event["context"]);
    let is_form = action["form_value"].is_object();
    let mut fields = json!({
        "message_id": place["open_message_id"],
        "id": word(action, "name").or_else(|| word(action, "tag")),
        "tag": action["tag"],
        "value": action["value"],
        "option": action["option"],
        "options": action["options"],
        "input": action["input_value"],
        "checked": action["checked"],
    });
    if is_form {
        fields["values"] = action["form_value"].clone();
    }
    Named {
        name: if is_form { "form" } else { "button" },
        fields,
        conversation: people::conversation(word(place, "open_chat_id"), None, None, context),
        message: word(place, "open_message_id").map(str::to_owned),
    }
}
