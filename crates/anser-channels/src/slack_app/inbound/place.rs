//! Where and when something happened in Slack, who did it, and to which message. Must not read what was said.

use anser_core::Timestamp;
use anser_core::message::{Conversation, ConversationType, Sender, SenderKind};
use serde_json::Value;

use super::super::address::{Sent, Target};
use crate::kit::draft::sender;
use crate::kit::inbound::conversation;

/// Microseconds have so many digits.
const MICROS_DIGITS: usize = 6;

/// The chat of that id, when the channel could send to it.
pub(super) fn chat(
    channel: &str,
    id: &str,
    of: Option<&str>,
    thread: Option<&str>,
) -> Option<Conversation> {
    Target::parse("conversation", id).ok()?;
    let of = match (of, id.as_bytes().first()) {
        (Some("im"), _) | (None, Some(b'D' | b'U' | b'W')) => ConversationType::Direct,
        (Some("channel"), _) | (None, Some(b'C')) => ConversationType::Channel,
        _ => ConversationType::Group,
    };
    let thread = thread.filter(|thread| Sent::parse(thread).is_some());
    Some(conversation(channel, id, of, thread.map(str::to_owned)))
}

/// How a message is known: its timestamp is unique in its channel only.
pub(super) fn message_id(channel: Option<&str>, ts: Option<&str>) -> Option<String> {
    let id = format!("{}:{}", channel?, ts?);
    Sent::parse(&id).is_some().then_some(id)
}

/// The person whose id, or object with id and name, that is.
pub(super) fn person(user: &Value) -> Option<Sender> {
    let id = user.as_str().or_else(|| user["id"].as_str())?;
    let mut names = ["name", "username"].into_iter();
    let name = names.find_map(|name| user[name].as_str());
    sender(SenderKind::User, id, name)
}

/// The time in a timestamp, seconds and microseconds with a dot between.
pub(super) fn time(ts: &Value) -> Option<Timestamp> {
    let (seconds, micros) = ts.as_str()?.split_once('.')?;
    if micros.len() != MICROS_DIGITS {
        return None;
    }
    let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds > 0)?;
    let micros: i64 = micros.parse().ok()?;
    let millis = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
    Some(Timestamp::from_millis(millis))
}
