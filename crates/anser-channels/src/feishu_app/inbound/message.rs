//! Messages to the app, of both schemas. Must not read what they say, but hand it on.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{ConversationType, Item, Kind, SenderKind};
use serde_json::Value;

use super::envelope::Envelope;
use super::{PLATFORM, content, people};
use crate::feishu_app::address::is_message_id;
use crate::kit::arrival::{Content, moment, sender, word};

/// A message of schema 2.0; `None` for one of our own.
pub(super) fn second(
    envelope: &Envelope,
    app_id: &str,
    context: &InboundContext<'_>,
) -> Option<InboundEvent> {
    let (message, from) = (&envelope.event["message"], &envelope.event["sender"]);
    let by_app = ["app", "bot"]
        .iter()
        .any(|kind| from["sender_type"] == *kind);
    let app = word(&from["sender_id"], "app_id");
    // A bot is told of what other bots say with their ids; without one it is the bot itself.
    let from_id = people::id(&from["sender_id"]).or(app);
    if by_app && (from_id.is_none() || app == Some(app_id)) {
        return None;
    }
    let kind = if by_app {
        SenderKind::Bot
    } else {
        SenderKind::User
    };
    let from = sender(kind, from_id.unwrap_or("unknown"), None);
    let msg_type = message["message_type"].as_str().unwrap_or("unknown");
    let text = message["content"].as_str().unwrap_or_default();
    let value = serde_json::from_str(text).unwrap_or_else(|_| message["content"].clone());
    let read = content::read(msg_type, &value, &message["mentions"]);
    let mut item = read.into_item(PLATFORM, &value);
    let (id, root) = (
        message_id(message, "message_id"),
        message_id(message, "root_id"),
    );
    // Where there is a thread, its first message names it: replies go to that.
    let thread = word(message, "thread_id")
        .and(root.or(id))
        .map(str::to_owned);
    item.header.reply_to = message_id(message, "parent_id").map(str::to_owned);
    place(&mut item, message, "chat_id", thread, context);
    item.header.occurred_at = moment(&message["create_time"]).or(envelope.time);
    Some(envelope.arrived(id.map(str::to_owned), from, item, context))
}

/// A message of schema 1.0.
pub(super) fn first(envelope: &Envelope, context: &InboundContext<'_>) -> InboundEvent {
    let message = &envelope.event;
    let from = sender(
        SenderKind::User,
        people::id(message).unwrap_or("unknown"),
        None,
    );
    let msg_type = message["msg_type"].as_str().unwrap_or("unknown");
    let read = match message["text"].as_str() {
        Some(text) if msg_type == "text" => {
            let mut read = Content::default();
            content::tagged_text(&mut read, text);
            read
        }
        _ => content::read(msg_type, message, &Value::Null),
    };
    let mut item = read.into_item(PLATFORM, message);
    item.header.reply_to = message_id(message, "parent_id").map(str::to_owned);
    place(&mut item, message, "open_chat_id", None, context);
    item.header.occurred_at = envelope.time;
    let id = message_id(message, "open_message_id").map(str::to_owned);
    envelope.arrived(id, from, item, context)
}

/// In which chat it was said, of which kind.
fn place(
    item: &mut Item,
    message: &Value,
    chat: &str,
    thread: Option<String>,
    context: &InboundContext<'_>,
) {
    let is_direct = ["p2p", "private"]
        .iter()
        .any(|kind| message["chat_type"] == *kind);
    let (kind, of) = if is_direct {
        (Kind::Chat, ConversationType::Direct)
    } else {
        (Kind::Groupchat, ConversationType::Group)
    };
    item.header.kind = kind;
    item.header.conversation = people::conversation(word(message, chat), Some(of), thread, context);
}

fn message_id<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    word(message, name).filter(|id| is_message_id(id))
}
