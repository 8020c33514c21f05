//! What people do to what they wrote: they edit it, and the update `edited_message` tells of it. Bots are not told what people
//! delete. From the reference of the Bot API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Amendment, Change, Desk};
use super::super::shown;
use super::heard::UPDATES;
use super::{Messages, hash};
use crate::emit::{Amended, Unsaid};

impl Messages {
    /// Takes what a person does to a message of theirs.
    pub(in super::super) fn amend(
        &mut self,
        amended: &Amended,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        let Some(text) = &amended.text else {
            return Err(Unsaid::new(
                "Telegram does not tell bots what people delete",
            ));
        };
        let none = || Unsaid::new("`id` is no message that people wrote in that chat");
        let mut chats = desk.chats.iter();
        let chat = chats.find(|chat| chat.id.to_string() == amended.chat);
        let chat = chat.ok_or_else(none)?;
        let id = amended.id.parse::<i64>().map_err(|_| none())?;
        let sent = self.existing(id, chat).ok_or_else(none)?;
        let from = sent.from.clone().ok_or_else(none)?;
        let message = json!({"message_id": id, "date": sent.at.seconds(), "edit_date": now.seconds(),
            "chat": shown(chat), "from": from, "text": text});
        sent.said = hash(&message);
        // It takes the place of a message's number.
        self.last += 1;
        let first = *self.updates.get_or_insert(now.millis() % UPDATES);
        let update = json!({"update_id": (first + self.last) % UPDATES, "edited_message": message});
        let change = Change {
            conversation: chat.id.to_string(),
            id: amended.id.clone(),
            kind: "message".to_owned(),
            text: text.clone(),
            ..Change::default()
        };
        Ok((Amendment::Edited(change), update))
    }
}
