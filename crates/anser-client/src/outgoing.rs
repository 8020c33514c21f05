//! A message to send, put together. The gateway checks it; here only its form is kept.

use anser_core::message::Item;
use anser_core::message::Kind;
use anser_core::message::item::ItemHeader;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::Error;

/// A message to send: to a topic, or to addresses (`user:ID`, `room:NAME`, `queue:NAME`, `CHANNEL/TARGET`).
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) topic: Option<String>,
    pub(crate) transient: bool,
    pub(crate) item: Item,
}

impl Outgoing {
    /// A text for people.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut outgoing = Self::empty();
        outgoing.item.body.segments = Some(vec![json!({"type": "text", "text": text})]);
        outgoing
    }

    /// Data for machines, any JSON.
    ///
    /// # Errors
    /// [`Error::Setting`] for what cannot be written as JSON, such as a map whose keys are no strings.
    pub fn data<T: Serialize + ?Sized>(data: &T) -> Result<Self, Error> {
        let data = to_raw_value(data).map_err(|error| Error::setting("data", error.to_string()))?;
        Ok(Self::json(data))
    }

    /// Data for machines, whose bytes are kept as they are.
    #[must_use]
    pub fn json(data: Box<RawValue>) -> Self {
        let mut outgoing = Self::empty();
        outgoing.item.body.data = Some(data);
        outgoing
    }

    /// Any item of the message format.
    #[must_use]
    pub const fn item(item: Item) -> Self {
        Self {
            topic: None,
            transient: false,
            item,
        }
    }

    fn empty() -> Self {
        Self::item(Item {
            header: ItemHeader::default(),
            body: anser_core::message::body::BodyFields::default(),
            attachments: Vec::new(),
            dedupe_key: None,
        })
    }

    /// On this topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// To this address too.
    #[must_use]
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.item.header.to.push(address.into());
        self
    }

    /// Its event type; `message` unless given.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.item.header.r#type = Some(event_type.into());
        self
    }

    /// Its ordering key: deliveries of one key come in order.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.item.header.key = Some(key.into());
        self
    }

    /// A label that filters match on.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.item.header.tags.push(tag.into());
        self
    }

    /// What kind of message it is.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.item.header.kind = kind;
        self
    }

    /// The id of the message that it answers: it goes to where that came from.
    #[must_use]
    pub fn reply_to(mut self, id: impl Into<String>) -> Self {
        self.item.header.reply_to = Some(id.into());
        self
    }

    /// Makes it once with whatever else is published under this key, also by another run of the program. Without, the
    /// client takes a random key, which makes its own repeats once.
    #[must_use]
    pub fn dedupe_key(mut self, key: impl Into<String>) -> Self {
        self.item.dedupe_key = Some(key.into());
        self
    }

    /// Not stored, and given only to who is connected now; for live sessions alone.
    #[must_use]
    pub const fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// The item, to change what has no method here.
    pub const fn item_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}
