//! Interactions in the standard format. Each is known as the message that it can be answered by: `APP_ID:TOKEN`. Must not
//! keep that token in what is data: it is good for 15 minutes, and for nothing but the answer.

use anser_core::inbound::{InboundContext, InboundEvent, Refusal};
use anser_core::message::{Conversation, ConversationType, Sender, SenderKind};
use serde_json::{Map, Value, json};

use super::super::address::{Interaction, Target};
use crate::kit::arrival::{is_word, shallow};
use crate::kit::discord::is_number;
use crate::kit::draft::{self, Draft, sender};
use crate::kit::inbound::{conversation, malformed};

/// The platform's name in what comes in.
pub(super) const PLATFORM: &str = "discord";
/// Types of channels (<https://discord.com/developers/docs/resources/channel#channel-object-channel-types>) that are one
/// to one.
const DIRECT: u64 = 1;
/// Direct messages of a group.
const GROUP: u64 = 3;
/// How deep components and options nest.
const DEPTH_MAX: usize = 8;

/// An interaction as the event `chat.NAME`.
///
/// # Errors
/// `malformed_event` when it has no id.
pub(super) fn read(
    name: &str,
    interaction: &Value,
    context: &InboundContext<'_>,
) -> Result<InboundEvent, Refusal> {
    let id = interaction["id"].as_str().filter(|id| is_number(id));
    let id = id.ok_or_else(|| malformed("the interaction has no id"))?;
    let data = &interaction["data"];
    let message = sent(&interaction["message"]);
    let fields = match name {
        "command" => command(data),
        "button" => button(data, message.as_deref()),
        _ => form(data),
    };
    let item = draft::chat(name, fields, &without_token(interaction));
    let text = |name: &str| interaction[name].as_str().unwrap_or_default();
    let answered = Interaction::new(text("application_id"), text("token"));
    let draft = Draft::new(PLATFORM, own_type(name), &[id], item)
        .by(person(interaction))
        .at(Some(context.now))
        .inside(chat(interaction, context.channel))
        .message_id(answered.map(|interaction| interaction.to_string()))
        .ext("x-message-id", message.as_deref());
    Ok(draft.build(context))
}

fn own_type(name: &str) -> &'static str {
    match name {
        "command" => "APPLICATION_COMMAND",
        "button" => "MESSAGE_COMPONENT",
        _ => "MODAL_SUBMIT",
    }
}

fn without_token(interaction: &Value) -> Value {
    let mut interaction = shallow(interaction);
    if let Value::Object(members) = &mut interaction {
        members.shift_remove("token");
    }
    interaction
}

/// How the bot knows a message.
fn sent(message: &Value) -> Option<String> {
    let number = |name: &str| message[name].as_str().filter(|id| is_number(id));
    Some(format!("{}:{}", number("channel_id")?, number("id")?))
}

/// In a server a member, elsewhere a user.
fn person(interaction: &Value) -> Option<Sender> {
    let member = &interaction["member"];
    let user = match &member["user"] {
        Value::Null => &interaction["user"],
        user => user,
    };
    let mut names = [&member["nick"], &user["global_name"], &user["username"]].into_iter();
    let name = names.find_map(Value::as_str);
    sender(SenderKind::User, user["id"].as_str()?, name)
}

fn chat(interaction: &Value, channel: &str) -> Option<Conversation> {
    let mut ids = [&interaction["channel_id"], &interaction["channel"]["id"]].into_iter();
    let id = ids.find_map(Value::as_str)?;
    Target::parse("conversation", id).ok()?;
    let of = match interaction["channel"]["type"].as_u64() {
        Some(DIRECT) => ConversationType::Direct,
        Some(GROUP) => ConversationType::Group,
        // In a server there is a member.
        _ if interaction["member"].is_null() => ConversationType::Direct,
        _ => ConversationType::Channel,
    };
    Some(conversation(channel, id, of, None))
}

/// The name with those of its group and subcommand, and what was given, by the options' names.
fn command(data: &Value) -> Value {
    let mut name = data["name"].as_str().unwrap_or_default().to_owned();
    let mut options = &data["options"];
    for _ in 0..DEPTH_MAX {
        // A subcommand stands alone, with options and no value.
        let inner = &options[0];
        if inner["value"].is_null() && inner["name"].is_string() {
            name = format!("{name} {}", inner["name"].as_str().unwrap_or_default());
            options = &inner["options"];
        } else {
            break;
        }
    }
    let given = options.as_array().into_iter().flatten();
    let given: Map<String, Value> = given
        .filter_map(|option| Some((option["name"].as_str()?.to_owned(), option["value"].clone())))
        .collect();
    let mut given = given;
    // Of a command in the menu of a person or message.
    if let Some(target) = data["target_id"].as_str().filter(|id| is_word(id)) {
        given.insert("target_id".to_owned(), target.into());
    }
    json!({"name": name, "options": given})
}

/// A button says nothing but its id; a menu what was chosen.
fn button(data: &Value, message: Option<&str>) -> Value {
    json!({"message_id": message, "id": data["custom_id"], "value": data["values"]})
}

fn form(data: &Value) -> Value {
    let mut values = Map::new();
    collect(&data["components"], &mut values, 0);
    json!({"id": data["custom_id"], "values": values})
}

/// Inputs are in rows (`components`) or below labels (`component`).
fn collect(component: &Value, values: &mut Map<String, Value>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for one in component.as_array().into_iter().flatten() {
        collect(one, values, depth + 1);
    }
    if !component.is_object() {
        return;
    }
    if let Some(id) = component["custom_id"].as_str() {
        let mut given = ["value", "values"].into_iter();
        let given = given.find_map(|name| component.get(name));
        values.insert(id.to_owned(), given.cloned().unwrap_or_default());
    }
    collect(&component["components"], values, depth + 1);
    collect(&component["component"], values, depth + 1);
}
