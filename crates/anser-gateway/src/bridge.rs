//! What bridges do with a message: whether it crosses, to which chats, by what names it is known afterwards, and how its copy
//! reads. Pure. What has become of earlier copies is looked up by the dispatcher, at the attempt.

mod copy;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use anser_core::Message;
use anser_core::id::ResourceId;
use anser_core::message::SenderKind;
use anser_core::store::{Alias, AliasKey, AliasKind, LinkKind, NewDelivery};
use aws_lc_rs::digest;
use serde::Deserialize;
use serde_json::Value;

use crate::config::{Bridge, Chat, Subscription};

pub(crate) use copy::{Form, Manner, copy};

/// The type of a message that somebody wrote.
const SAID: &str = "message";
/// The type of an event that says that one was edited.
const EDITED: &str = "chat.edited";
/// The type of an event that says that one was taken back.
const RECALLED: &str = "chat.recalled";

/// What somebody did in a chat that a bridge may carry over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event<'a> {
    /// What it is to the message that it names.
    pub(crate) kind: AliasKind,
    /// The platform's id of the message that was written, edited or taken back.
    pub(crate) message: Option<String>,
    /// Where: `CHANNEL/TARGET`.
    pub(crate) conversation: &'a str,
}

/// What events of edits and recalls say.
#[derive(Debug, Default, Deserialize)]
struct Said {
    message_id: Option<String>,
    #[serde(default)]
    segments: Vec<Value>,
}

impl Said {
    fn of(message: &Message) -> Self {
        let said = message.body.data();
        said.and_then(|data| serde_json::from_str(data.get()).ok())
            .unwrap_or_default()
    }
}

/// What a message is to a bridge; `None` for what never crosses: what did not come in from a platform, what a bot wrote,
/// answers of the gateway's own, and events that are none of [`AliasKind`].
///
/// Bots are left out so that two bridges, or a bridge and another program, cannot carry each other's copies to and fro.
pub(crate) fn event(message: &Message) -> Option<Event<'_>> {
    let header = &message.header;
    let origin = header.origin.as_ref()?;
    let conversation = header.conversation.as_ref()?.id.as_str();
    if header.from.kind == SenderKind::Bot || header.hops > 0 || header.target_id.is_some() {
        return None;
    }
    let (kind, id) = match header.r#type.as_str() {
        SAID => (AliasKind::Original, origin.message_id.clone()),
        EDITED => (AliasKind::Edited, Said::of(message).message_id),
        RECALLED => (AliasKind::Recalled, Said::of(message).message_id),
        _ => return None,
    };
    // What names no message can be carried over only where it is one.
    (kind == AliasKind::Original || id.is_some()).then_some(Event {
        kind,
        message: id,
        conversation,
    })
}

/// The chats that a message on the bridge's topic goes to: all of them but the one where it was written.
pub(crate) fn others<'a>(
    bridge: &'a Bridge,
    event: &Event<'_>,
) -> impl Iterator<Item = &'a Chat> + use<'a> {
    let source = bridge.chat(event.conversation);
    let chats = source.map_or(&[][..], |_| &bridge.chats[..]);
    chats.iter().filter(move |chat| Some(*chat) != source)
}

/// The chats that one message was routed to by the bridges of its topic so far: where they overlap, one copy does.
#[derive(Debug, Default)]
pub(crate) struct Taken<'a>(HashSet<(ResourceId, Option<&'a str>)>);

impl<'a> Taken<'a> {
    /// Whether the chat has no copy yet; it has one then.
    pub(crate) fn take(&mut self, chat: &'a Chat) -> bool {
        self.0.insert((chat.channel, chat.target.as_deref()))
    }
}

/// The names that a message is known by once it is stored with these deliveries: those that have bridges pay for names.
pub(crate) fn names<'a>(
    subscriptions: impl Iterator<Item = &'a Subscription>,
    message: &Message,
    deliveries: &[NewDelivery],
) -> Vec<Alias> {
    let mut bridges = subscriptions
        .filter_map(|subscription| subscription.bridge.as_deref())
        .peekable();
    if bridges.peek().is_none() {
        return Vec::new();
    }
    let Some(event) = event(message) else {
        return Vec::new();
    };
    let Some(id) = event.message.as_deref() else {
        return Vec::new();
    };
    let crosses = |bridge: &&Bridge| {
        let mut groups = deliveries.iter().map(|delivery| delivery.group);
        groups.any(|group| bridge.has_leg(group))
    };
    let chat = bridges
        .filter(crosses)
        .find_map(|bridge| bridge.chat(event.conversation));
    let alias = chat.map(|chat| Alias {
        key: name(chat.channel, chat.target.as_deref(), id),
        kind: event.kind,
    });
    alias.into_iter().collect()
}

/// A platform's id of a message, with the chat that it is valid in. It is stored, so it must never change.
pub(crate) fn name(channel: ResourceId, target: Option<&str>, id: &str) -> AliasKey {
    let mut hashed = digest::Context::new(&digest::SHA256);
    hashed.update(&channel.0.to_le_bytes());
    hashed.update(target.unwrap_or_default().as_bytes());
    // No target and no id holds it.
    hashed.update(&[0]);
    hashed.update(id.as_bytes());
    let mut key = AliasKey([0; 16]);
    let length = key.0.len();
    key.0.copy_from_slice(&hashed.finish().as_ref()[..length]);
    key
}

/// The type of the message that does the same on another platform.
const fn type_of(kind: AliasKind) -> &'static str {
    match kind {
        AliasKind::Original | AliasKind::Copy => SAID,
        AliasKind::Edited => LinkKind::Edited.message_type(),
        AliasKind::Recalled => LinkKind::Recalled.message_type(),
    }
}
