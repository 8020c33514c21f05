//! In which chat of Telegram something happened, and who did it. Must not read what was said.

use anser_core::message::{Conversation, ConversationType, Sender, SenderKind};
use serde_json::Value;

use super::super::settings::Chat;
use crate::kit::draft::{id, sender};
use crate::kit::inbound::conversation;

/// The chat of an update or message, and the topic in it. None of a business account's: the bot writes there in the name of
/// its owner only.
pub(super) fn chat(channel: &str, event: &Value) -> Option<Conversation> {
    if !event["business_connection_id"].is_null() {
        return None;
    }
    let chat = &event["chat"];
    let target = chat["id"].as_i64()?.to_string();
    Chat::parse("conversation", &target).ok()?;
    let of = match chat["type"].as_str() {
        Some("private") => ConversationType::Direct,
        Some("channel") => ConversationType::Channel,
        _ => ConversationType::Group,
    };
    // In other groups it names the message that a chain of answers began with, and nothing can be sent there.
    let is_topic = event["is_topic_message"] == true;
    let topic = event["message_thread_id"].as_i64().filter(|_| is_topic);
    Some(conversation(
        channel,
        &target,
        of,
        topic.map(|topic| topic.to_string()),
    ))
}

/// A person, or a bot.
pub(super) fn user(user: &Value) -> Option<Sender> {
    let kind = if user["is_bot"] == true {
        SenderKind::Bot
    } else {
        SenderKind::User
    };
    sender(kind, &id(&user["id"])?, Some(&name(user)))
}

/// Who wrote: a person, or a chat in whose name somebody wrote.
pub(super) fn author(event: &Value) -> Option<Sender> {
    let of_chat =
        |chat: &Value| sender(SenderKind::User, &id(&chat["id"])?, chat["title"].as_str());
    let mut chats = ["sender_chat", "actor_chat"].into_iter();
    chats
        .find_map(|name| of_chat(&event[name]))
        .or_else(|| user(&event["from"]))
        .or_else(|| user(&event["user"]))
}

/// First and last name, else the name of an account.
pub(super) fn name(user: &Value) -> String {
    let names = ["first_name", "last_name"].map(|name| user[name].as_str().unwrap_or_default());
    let name = names.join(" ");
    match name.trim() {
        "" => user["username"].as_str().unwrap_or_default().to_owned(),
        name => name.to_owned(),
    }
}
