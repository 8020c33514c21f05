//! An event on its way to be one of the gateway's: what happened, where, when, by whom, and what tells a repeat. Must not
//! know any platform.
//!
//! Events whose type is `chat.NAME` have these fields beside `raw`, the platform's own event; what a platform does not say
//! is absent (`docs/spec/events.md`):
//!
//! | type | fields |
//! |---|---|
//! | `chat.edited` | `message_id`, `segments` |
//! | `chat.recalled` | `message_id` |
//! | `chat.reaction` | `message_id`, `emoji`, `action` (`added`, `removed`) |
//! | `chat.button` | `message_id`, `id`, `value`, `label` |
//! | `chat.command` | `name`, `text`, `options` |
//! | `chat.form` | `id`, `values` |
//! | `chat.joined`, `chat.left` | `users` (`[{id, name}]`) |
//! | `chat.bot_added`, `chat.bot_removed` | |
//! | `chat.opened`, `chat.updated`, `chat.disbanded` | `before`, `after` |
//! | `chat.approval` | `approval`, `instance`, `task`, `status`, `user` |
//! | `chat.sent`, `chat.delivered`, `chat.read`, `chat.failed` | `message_id`, `user`, `reason` |

use anser_core::Timestamp;
use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::limits::{EXT_BYTES_MAX, TYPE_BYTES_MAX};
use anser_core::message::{Conversation, ConversationType, Item, Kind, Origin, Sender, SenderKind};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::arrival::{data, event_type, hex, is_word, key, shallow};
use super::inbound::event;

/// An event, put together piece by piece.
#[derive(Debug)]
pub(crate) struct Draft {
    dedupe_key: String,
    from: Sender,
    origin: Origin,
    item: Item,
}

impl Draft {
    /// An event of `platform`, of the platform's own type, known by what the platform repeats when it sends it again. It is
    /// from the platform itself unless [`Draft::by`] says otherwise.
    pub(crate) fn new(platform: &str, own_type: &str, repeated: &[&str], item: Item) -> Self {
        let dedupe_key = key(repeated);
        Self {
            from: super::arrival::sender(SenderKind::System, platform, None),
            origin: Origin {
                platform: platform.to_owned(),
                account: None,
                r#type: Some(own_type)
                    .filter(|own| own.len() <= TYPE_BYTES_MAX && is_word(own))
                    .map(str::to_owned),
                event_id: Some(dedupe_key.clone()),
                message_id: None,
            },
            dedupe_key,
            item,
        }
    }

    /// The platform's id of the event, where that is not what tells a repeat.
    pub(crate) fn event_id(mut self, id: Option<&str>) -> Self {
        self.origin.event_id = id.filter(|id| is_word(id)).map(str::to_owned);
        self
    }

    /// Who did it, when that is known.
    pub(crate) fn by(mut self, from: Option<Sender>) -> Self {
        self.from = from.unwrap_or(self.from);
        self
    }

    /// Which message it is, or is about, in the form that the channel's `reply_to` takes.
    pub(crate) fn message_id(mut self, id: Option<String>) -> Self {
        self.origin.message_id = id.filter(|id| is_word(id));
        self
    }

    /// When it happened.
    pub(crate) fn at(mut self, time: Option<Timestamp>) -> Self {
        self.item.header.occurred_at = time;
        self
    }

    /// In which chat.
    pub(crate) fn inside(mut self, conversation: Option<Conversation>) -> Self {
        if let Some(of) = conversation.as_ref().and_then(|chat| chat.r#type) {
            self.item.header.kind = match of {
                ConversationType::Direct => Kind::Chat,
                ConversationType::Group | ConversationType::Channel => Kind::Groupchat,
            };
        }
        self.item.header.conversation = conversation;
        self
    }

    /// Which message it answers.
    pub(crate) fn reply_to(mut self, id: Option<String>) -> Self {
        self.item.header.reply_to = id.filter(|id| is_word(id));
        self
    }

    /// A field of `header.ext`, left out when there is no room for it.
    pub(crate) fn ext(mut self, name: &str, value: Option<&str>) -> Self {
        let Some(value) = value.filter(|value| is_word(value) || value.len() < EXT_BYTES_MAX / 4)
        else {
            return self;
        };
        let ext = &mut self.item.header.ext;
        ext.insert(name.to_owned(), value.into());
        if serde_json::to_vec(ext).map_or(usize::MAX, |json| json.len()) > EXT_BYTES_MAX {
            ext.shift_remove(name);
        }
        self
    }

    /// The event.
    pub(crate) fn build(self, context: &InboundContext<'_>) -> InboundEvent {
        InboundEvent::new(context, self.dedupe_key, self.from, self.origin, self.item)
    }
}

/// A `chat.NAME` event: its fields, those that are not null, and the platform's own event.
pub(crate) fn chat(name: &str, fields: Value, own: &Value) -> Item {
    event(&format!("chat.{name}"), &data(fields, own))
}

/// An event that the format has no name for: `PLATFORM.TYPE`, with the platform's event as its data.
pub(crate) fn other(platform: &str, own_type: &str, own: &Value) -> Item {
    event(&event_type(platform, own_type), &shallow(own))
}

/// Who did something, of an id that is fit for one.
pub(crate) fn sender(kind: SenderKind, id: &str, name: Option<&str>) -> Option<Sender> {
    is_word(id).then(|| super::arrival::sender(kind, id, name))
}

/// An id, which platforms write as text or as a number.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| is_word(text)),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// What tells a repeat where the platform gives no id: the SHA-256 of what came.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(digest(&SHA256, bytes).as_ref()))
}
