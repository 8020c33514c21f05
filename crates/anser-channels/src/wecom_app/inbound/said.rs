//! What a decrypted callback has around what it says: who, when, and by which key a repeat is known. Must not look at what
//! it says.

use anser_core::Timestamp;
use anser_core::inbound::{InboundContext, InboundEvent, Refusal};
use anser_core::message::{Conversation, ConversationType, Item, Kind, Origin, SenderKind};
use serde_json::Value;

use super::PLATFORM;
use crate::kit::arrival::{key, key_of, moment, sender, word};
use crate::kit::inbound::malformed;
use crate::wecom_app::target::Target;

/// Who sends what nobody of the company did.
const SYSTEM: &str = "sys";

/// A callback, as an object of its elements.
pub(super) struct Said {
    /// All of it.
    pub(super) value: Value,
    /// `text`, `image`, …, or `event`.
    pub(super) msg_type: String,
    time: Option<Timestamp>,
}

impl Said {
    /// Reads what every callback has.
    ///
    /// # Errors
    /// `malformed_event`.
    pub(super) fn read(value: Value) -> Result<Self, Refusal> {
        let msg_type = word(&value, "MsgType")
            .ok_or_else(|| malformed("the message has no text \"MsgType\""))?
            .to_owned();
        Ok(Self {
            msg_type,
            time: moment(&value["CreateTime"]),
            value,
        })
    }

    /// Whether it is an event and no message.
    pub(super) fn is_event(&self) -> bool {
        self.msg_type == "event"
    }

    /// Who did it, if it was a person.
    fn user(&self) -> Option<&str> {
        word(&self.value, "FromUserName").filter(|user| *user != SYSTEM)
    }

    /// The chat with whoever did it.
    fn conversation(&self, context: &InboundContext<'_>) -> Option<Conversation> {
        let target = format!("user/{}", self.user()?);
        Target::parse("target", &target).ok()?;
        Some(Conversation {
            id: format!("{}/{target}", context.channel),
            r#type: Some(ConversationType::Direct),
            thread: None,
        })
    }

    /// It as it goes on. WeCom tells to know messages by MsgId and events by who did them when
    /// (<https://developer.work.weixin.qq.com/document/path/90238>); the system does several things in one second, so
    /// events count by all they say.
    pub(super) fn arrived(
        &self,
        own_type: &str,
        mut item: Item,
        context: &InboundContext<'_>,
    ) -> InboundEvent {
        let message_id = word(&self.value, "MsgId").map(str::to_owned);
        let event_key = || {
            let from = word(&self.value, "FromUserName").unwrap_or_default();
            let time = word(&self.value, "CreateTime").unwrap_or_default();
            key(&[from, time, &key_of(&self.value)])
        };
        let dedupe_key = match &message_id {
            Some(id) if !self.is_event() => key(&[id]),
            _ => event_key(),
        };
        item.header.occurred_at = self.time;
        item.header.conversation = self.conversation(context);
        if item.header.conversation.is_some() {
            item.header.kind = Kind::Chat;
        }
        let from = match self.user() {
            Some(user) => sender(SenderKind::User, user, None),
            None => sender(SenderKind::System, PLATFORM, None),
        };
        let origin = Origin {
            platform: PLATFORM.to_owned(),
            account: None,
            r#type: Some(own_type.to_owned()),
            event_id: None,
            message_id,
        };
        InboundEvent::new(context, dedupe_key, from, origin, item)
    }
}
