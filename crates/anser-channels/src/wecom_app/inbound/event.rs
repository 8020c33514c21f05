//! Events of an app (<https://developer.work.weixin.qq.com/document/path/90240>): what the format has a name for gets that
//! name, the rest keeps its own. Must not know of messages.

use anser_core::inbound::{InboundContext, InboundEvent};
use serde_json::{Value, json};

use super::PLATFORM;
use super::said::Said;
use crate::kit::arrival::{data, event_type, shallow, word};
use crate::kit::inbound::event as event_item;

/// The event in the standard format.
pub(super) fn normalised(said: &Said, context: &InboundContext<'_>) -> InboundEvent {
    let of = &said.value;
    let own_type = word(of, "Event").unwrap_or("event").to_ascii_lowercase();
    let item = match named(&own_type, of) {
        Some((name, fields)) => event_item(&format!("chat.{name}"), &data(fields, of)),
        None => event_item(&event_type(PLATFORM, &own_type), &shallow(of)),
    };
    said.arrived(&own_type, item, context)
}

fn named(own_type: &str, of: &Value) -> Option<(&'static str, Value)> {
    let user = word(of, "FromUserName");
    Some(match own_type {
        "subscribe" => ("joined", json!({"users": [{"id": user}]})),
        "unsubscribe" => ("left", json!({"users": [{"id": user}]})),
        "enter_agent" => ("opened", json!({})),
        "click" => ("command", json!({"name": of["EventKey"], "via": "menu"})),
        "template_card_event" => click(of),
        "template_card_menu_event" => (
            "button",
            json!({"id": of["EventKey"], "task": of["TaskId"], "via": "menu"}),
        ),
        "open_approval_change" | "sys_approval_change" => ("approval", approval(of)),
        _ => return None,
    })
}

/// A click on a card: a form when it brings what was selected, else a button.
fn click(of: &Value) -> (&'static str, Value) {
    let mut fields = json!({
        "id": of["EventKey"],
        "task": of["TaskId"],
        "card": of["CardType"],
        "response_code": of["ResponseCode"],
    });
    let selected = listed(&of["SelectedItems"]["SelectedItem"]);
    if selected.is_empty() {
        return ("button", fields);
    }
    let field = |item: &Value| {
        let options = listed(&item["OptionIds"]["OptionId"]);
        let name = word(item, "QuestionKey")?.to_owned();
        Some((name, Value::Array(options)))
    };
    fields["values"] = selected.iter().filter_map(field).collect();
    ("form", fields)
}

/// One element or several of the same name.
fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// Approvals that a program made, and those of the app Approval.
fn approval(of: &Value) -> Value {
    let info = &of["ApprovalInfo"];
    let first = |names: [&str; 2]| {
        let value = names.into_iter().find_map(|name| info.get(name));
        value.cloned().unwrap_or_default()
    };
    json!({
        "instance": first(["SpNo", "ThirdNo"]),
        "approval": first(["TemplateId", "OpenTemplateId"]),
        "name": first(["SpName", "OpenSpName"]),
        "status": first(["SpStatus", "OpenSpStatus"]),
        "user": info.pointer("/Applyer/UserId").or_else(|| info.get("ApplyUserId")),
    })
}
