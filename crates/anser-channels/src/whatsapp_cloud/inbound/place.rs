//! Who wrote to a number of WhatsApp, and in which chat. Must not read what was said.

use anser_core::message::{Conversation, ConversationType, Sender, SenderKind};
use serde_json::Value;

use super::super::settings;
use crate::kit::draft::sender;
use crate::kit::inbound::conversation;

/// What a change is about: the number, and the names of those who wrote.
pub(super) struct Place<'a> {
    /// The channel's name.
    pub(super) channel: &'a str,
    /// Whether it is about the channel's own number: one app can have several, and sends the events of all.
    pub(super) is_ours: bool,
    /// Who wrote, with their names.
    pub(super) contacts: &'a Value,
}

impl Place<'_> {
    /// The chat with somebody; none when the channel would answer from another number, or cannot write there.
    pub(super) fn chat(&self, id: &Value) -> Option<Conversation> {
        let number = settings::number("conversation", id.as_str()?).ok()?;
        let of = ConversationType::Direct;
        self.is_ours
            .then(|| conversation(self.channel, &number, of, None))
    }

    /// A person, with the name of their own that they show.
    pub(super) fn person(&self, id: &Value) -> Option<Sender> {
        let mut contacts = self.contacts.as_array().into_iter().flatten();
        let known = contacts.find(|contact| !id.is_null() && contact["wa_id"] == *id);
        let name = known.and_then(|contact| contact["profile"]["name"].as_str());
        sender(SenderKind::User, id.as_str()?, name)
    }
}
