//! What people write to a bot: a message that exists from then on, and the update `message` that tells of it. From the
//! reference of the Bot API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Chat, ChatKind, Desk, Letter, person};
use super::super::{files, me, shown};
use super::{Messages, Sent, TEXT, hash};
use crate::emit::{Said, Unsaid};

/// The name by which people mention the bot.
const MENTION: &str = "@anser_sim_bot";
/// Updates are numbered from the time of the first, so that they are unlike those of earlier starts; as large as numbers of
/// updates may become.
pub(super) const UPDATES: i64 = 1 << 31;

impl Messages {
    /// Takes what a person writes, to the bot of that token.
    pub(in super::super) fn hear(
        &mut self,
        said: &Said,
        token: &str,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let open = |kind| kind != ChatKind::Channel;
        let chat = desk
            .chats
            .iter()
            .find(|chat| chat.id.to_string() == said.chat);
        let chat = chat.filter(|chat| open(chat.kind));
        let chat = chat.ok_or_else(|| Unsaid::new("there is no such chat where people write"))?;
        let answered = said.reply_to.as_deref();
        let answered = answered.map(|answered| self.answered(answered, chat, token));
        let answered = answered.transpose()?;
        let from = match chat.kind {
            ChatKind::Private => chat.id,
            ChatKind::Group | ChatKind::Channel => person(&said.name).cast_signed(),
        };
        self.last += 1;
        let mut message = json!({"message_id": self.last, "date": now.seconds(), "chat": shown(chat),
            "from": {"id": from, "is_bot": false, "first_name": said.name, "language_code": "en"}});
        let (text, marks) = match &said.file {
            None => ("text", "entities"),
            Some(file) => {
                let (kind, shown) = files::said(desk, token, file, now);
                message[kind] = shown;
                ("caption", "caption_entities")
            }
        };
        if !said.text.is_empty() {
            message[text] = said.text.as_str().into();
        }
        if let Some(answered) = answered {
            message["reply_to_message"] = answered;
        }
        if let Some((before, _)) = said.text.split_once(MENTION) {
            message[marks] = json!([{"type": "mention", "offset": before.encode_utf16().count(),
                "length": MENTION.len()}]);
        }
        let first = *self.updates.get_or_insert(now.millis() % UPDATES);
        let update = json!({"update_id": (first + self.last) % UPDATES, "message": message});
        let from = Some(message["from"].clone());
        let sent = Sent {
            from,
            chat: chat.id,
            conversation: chat.id.to_string(),
            at: now,
            kind: TEXT.to_owned(),
            said: hash(&message),
            keyboard: 0,
        };
        self.keep(sent);
        let letter = Letter {
            robot: token.to_owned(),
            conversation: chat.id.to_string(),
            id: Some(self.last.to_string()),
            kind: "message".to_owned(),
            text: said.text.clone(),
            body: update.clone(),
            ..Letter::default()
        };
        Ok((letter, update))
    }

    /// A message that is answered, as the answer shows it.
    fn answered(&mut self, answered: &str, chat: &Chat, token: &str) -> Result<Value, Unsaid> {
        let none = || Unsaid::new("`reply_to` is no message of that chat");
        let id = answered.parse::<i64>().map_err(|_| none())?;
        let sent = self.existing(id, chat).ok_or_else(none)?;
        let mut answered =
            json!({"message_id": id, "date": sent.at.seconds(), "chat": shown(chat)});
        if sent.from.is_none() {
            answered["from"] = me(token);
        }
        Ok(answered)
    }
}
