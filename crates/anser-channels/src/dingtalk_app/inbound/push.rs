//! Events that DingTalk pushes (<https://open.dingtalk.com/document/orgapp/org-event-overview>): what the format has a name
//! for gets that name, the rest keeps its own. Must not know how they are wrapped.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{Kind, Origin, SenderKind};
use serde_json::{Value, json};

use super::{PLATFORM, target};
use crate::kit::arrival::{data, event_type, key, key_of, moment, sender, shallow, word};
use crate::kit::inbound::event as event_item;

/// The checks of the URL, the later two of which want their `Random` back.
const CHECKS: [&str; 3] = [
    "check_url",
    "check_create_suite_url",
    "check_update_suite_url",
];

/// Where an event has its id.
const IDS: [&str; 2] = ["eventId", "EventId"];
/// Where an event has its time.
const TIMES: [&str; 3] = ["TimeStamp", "timeStamp", "createTime"];

/// What a check of the URL wants to hear, if something else than success; `None` when it is none.
pub(super) fn check(event: &Value) -> Option<Option<&str>> {
    let is_check = CHECKS.iter().any(|name| event["EventType"] == *name);
    is_check.then(|| word(event, "Random"))
}

/// An event that came over a stream, whose headers say what its data may not; `None` for a check.
pub(in crate::dingtalk_app) fn streamed(
    mut event: Value,
    headers: &Value,
    context: &InboundContext<'_>,
) -> Option<InboundEvent> {
    for (names, header) in [
        (&["EventType"][..], "eventType"),
        (&IDS, "eventId"),
        (&TIMES, "eventBornTime"),
    ] {
        if names.iter().all(|name| event[*name].is_null())
            && let Some(told) = word(headers, header)
        {
            event[names[0]] = told.into();
        }
    }
    check(&event).is_none().then(|| normalised(&event, context))
}

/// The event in the standard format. Few have an id, so it is known again by all it says.
pub(in crate::dingtalk_app) fn normalised(
    event: &Value,
    context: &InboundContext<'_>,
) -> InboundEvent {
    let own_type = word(event, "EventType").unwrap_or("unknown");
    let id = IDS.iter().find_map(|name| word(event, name));
    let dedupe_key = id.map_or_else(|| key_of(event), |id| key(&[id]));
    let mut item = match named(own_type, event) {
        Some((name, fields)) => event_item(&format!("chat.{name}"), &data(fields, event)),
        None => event_item(&event_type(PLATFORM, own_type), &shallow(event)),
    };
    let chat = ["OpenConversationId", "openConversationId"];
    let chat = chat.iter().find_map(|name| word(event, name));
    item.header.conversation = target::group(chat, context);
    if item.header.conversation.is_some() {
        item.header.kind = Kind::Groupchat;
    }
    item.header.occurred_at = TIMES.iter().find_map(|name| moment(&event[*name]));
    let actors = ["operator", "OptStaffId", "staffId", "Operator"];
    let from = match actors.iter().find_map(|name| word(event, name)) {
        Some(id) => sender(SenderKind::User, id, None),
        None => sender(SenderKind::System, PLATFORM, None),
    };
    let origin = Origin {
        platform: PLATFORM.to_owned(),
        account: None,
        r#type: Some(own_type.to_owned()),
        event_id: id.map(str::to_owned),
        message_id: None,
    };
    InboundEvent::new(context, dedupe_key, from, origin, item)
}

fn named(own_type: &str, event: &Value) -> Option<(&'static str, Value)> {
    let users = || -> Value {
        let ids = either(event, "UserId")
            .as_array()
            .or_else(|| either(event, "UserIds").as_array());
        let ids = ids.into_iter().flatten();
        ids.map(|id| json!({"id": id}))
            .collect::<Vec<Value>>()
            .into()
    };
    Some(match own_type {
        "chat_add_member" => ("joined", json!({"users": users()})),
        "chat_remove_member" => ("left", json!({"users": users(), "reason": "removed"})),
        "chat_quit" => ("left", json!({"users": users()})),
        "chat_disband" => ("disbanded", json!({})),
        "chat_update_title" => (
            "updated",
            json!({"after": {"name": either(event, "Title")}}),
        ),
        "chat_update_owner" => (
            "updated",
            json!({"after": {"owner_id": either(event, "Owner")}}),
        ),
        "bpms_instance_change" | "bpms_task_change" => (
            "approval",
            json!({
                "approval": event["processCode"],
                "instance": event["processInstanceId"],
                "task": event["taskId"],
                "status": event["type"],
                "result": event["result"],
                "user": event["staffId"],
            }),
        ),
        _ => return None,
    })
}

/// A member whose name newer events begin in lower case.
fn either<'v>(event: &'v Value, name: &str) -> &'v Value {
    match event.get(name) {
        Some(value) => value,
        None => &event[name[..1].to_ascii_lowercase() + &name[1..]],
    }
}
