//! The header of a message: who, where, when, how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::MessageId;
use crate::time::Timestamp;

/// The header as stored and sent. Absent and `null` mean the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Set by the gateway: UUIDv7, the same on every retry, replay and subscription. Receivers dedupe on it.
    pub id: MessageId,
    /// Set by the gateway: when it was accepted.
    pub time: Timestamp,
    /// When it happened, says the publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The topic it is on; `$direct` when it was only addressed.
    pub topic: String,
    /// Words split at `.`, for binding keys; absent: `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<String>,
    /// Event type, dotted; `message` for chat content.
    pub r#type: String,
    /// What kind of message it is (RFC 6121 §5.2.2).
    #[serde(default)]
    pub kind: Kind,
    /// Set by the gateway: who sent it, from the key, session or verified platform event.
    pub from: Sender,
    /// Direct addresses, beside the topic's subscriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Where an answer goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// The message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Set by the gateway on `message.edited` and `message.recalled`: the message that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<MessageId>,
    /// The publisher's own id for what this belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Ordering key: same key, same order, one at a time per subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Labels that filters match on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Not to be delivered earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Past this, deliveries that have not happened end as `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the message itself is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<Timestamp>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// W3C Trace Context `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The platform event it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Set by the gateway: how many answers to answers led to it; absent: none. What answers itself is cut by it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u8,
    /// Integrity of the payload bytes, RFC 9530 form: `sha-256=:BASE64:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Any custom fields, at most 8 KiB.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub ext: Map<String, Value>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(hops: &u8) -> bool {
    *hops == 0
}

/// What kind of message it is (RFC 6121 §5.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A single message outside a conversation.
    #[default]
    Normal,
    /// One-to-one conversation.
    Chat,
    /// Many-to-many conversation.
    Groupchat,
    /// News; no reply expected.
    Headline,
    /// An error about an earlier message.
    Error,
}

/// Who sent a message; stamped by the gateway, never taken from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// What kind of sender.
    pub kind: SenderKind,
    /// Its id: a key's name, a user's id on its platform.
    pub id: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The platform it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The account (channel) through which it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// Kinds of sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    /// A person.
    User,
    /// A bot on a platform.
    Bot,
    /// A program with an API key.
    Service,
    /// A device.
    Device,
    /// The gateway itself.
    System,
}

/// The chat a message belongs to: reply to it and it lands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// `CHANNEL/TARGET`.
    pub id: String,
    /// What kind of chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<ConversationType>,
    /// The thread inside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

/// Kinds of chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConversationType {
    /// One to one.
    Direct,
    /// A group.
    Group,
    /// A channel that many read.
    Channel,
}

/// The platform event a message came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The platform's kind.
    pub platform: String,
    /// The account (channel) it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The platform's own event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The platform's id of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The platform's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}
