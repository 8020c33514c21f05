//! What is around an event, of either schema. Must not look at what happened.

use anser_core::Timestamp;
use anser_core::inbound::{InboundContext, InboundEvent, Refusal};
use anser_core::message::{Item, Origin, Sender};
use serde_json::{Value, json};

use super::PLATFORM;
use crate::kit::arrival::{key, key_of, moment, word};
use crate::kit::inbound::malformed;

/// What a click on an old card is called, which has no name of its own.
pub(super) const OLD_CARD: &str = "card.action.trigger_v1";

/// An event without the schema's differences.
pub(super) struct Envelope {
    /// What happened, as the platform calls it.
    pub(super) own_type: String,
    /// The platform's id of it.
    pub(super) id: Option<String>,
    /// What happened.
    pub(super) event: Value,
    /// When.
    pub(super) time: Option<Timestamp>,
    /// Whether it is of schema 1.0.
    pub(super) is_first: bool,
}

impl Envelope {
    /// Reads either schema.
    ///
    /// # Errors
    /// `malformed_event` for what is neither.
    pub(super) fn read(mut value: Value) -> Result<Self, Refusal> {
        let second = value["schema"]
            .as_str()
            .is_some_and(|text| !text.is_empty());
        let (id, own_type, time) = if second {
            let header = &value["header"];
            (
                word(header, "event_id"),
                header["event_type"].as_str(),
                moment(&header["create_time"]),
            )
        } else {
            (
                word(&value, "uuid"),
                value["event"]["type"].as_str(),
                moment(&value["ts"]),
            )
        };
        let id = id.map(str::to_owned);
        let own_type = own_type
            .ok_or_else(|| malformed("it is no event of schema 1.0 or 2.0: it has no type"))?
            .to_owned();
        Ok(Self {
            id,
            own_type,
            time,
            event: value["event"].take(),
            is_first: !second,
        })
    }

    /// A click on an old card, as the event that it is by now.
    pub(super) fn of_card(mut card: Value) -> Self {
        let (message, chat) = (card["open_message_id"].take(), card["open_chat_id"].take());
        card["context"] = json!({"open_message_id": message, "open_chat_id": chat});
        let operator = ["open_id", "user_id", "union_id", "tenant_key"];
        card["operator"] = operator
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), card.get(name)?.clone())))
            .collect();
        Self {
            own_type: OLD_CARD.to_owned(),
            id: None,
            event: card,
            time: None,
            is_first: false,
        }
    }

    /// Whether it waits for an answer that the platform shows.
    pub(super) fn is_callback(&self) -> bool {
        ["card.action.trigger", OLD_CARD, "url.preview.get"].contains(&&*self.own_type)
    }

    /// The event as it goes on. Messages are known by their own id, which the platform also repeats in other events.
    pub(super) fn arrived(
        &self,
        message_id: Option<String>,
        from: Sender,
        item: Item,
        context: &InboundContext<'_>,
    ) -> InboundEvent {
        let is_message = item.body.segments.is_some();
        let dedupe_key = match (&message_id, &self.id) {
            (Some(id), _) if is_message => key(&[id]),
            (_, Some(id)) => key(&[id]),
            _ => key_of(&self.event),
        };
        let origin = Origin {
            platform: PLATFORM.to_owned(),
            account: None,
            r#type: Some(self.own_type.clone()),
            event_id: self.id.clone(),
            message_id,
        };
        InboundEvent::new(context, dedupe_key, from, origin, item)
    }
}
