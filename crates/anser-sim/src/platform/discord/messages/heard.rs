//! What people write in a channel that a bot is in: a message that exists from then on, as the Gateway tells it. From the
//! reference of messages.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{ChatKind, Desk, Letter, person};
use super::super::who::{about, channel_id};
use super::super::{GUILD_ID, content, is_bot, snowflake};
use super::{DEFAULT, Messages, REPLY};
use crate::emit::{Said, Unsaid};

/// How people mention the bot.
const MENTION: &str = "@anser-sim";

impl Messages {
    /// Takes what a person writes, and answers with the message as the first bot is told of it.
    pub(in super::super) fn hear(
        &mut self,
        said: &Said,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let robot = desk.robots.iter().find(|robot| is_bot(robot));
        let robot = robot.ok_or_else(|| Unsaid::new("there is no bot"))?;
        let chat = desk.chats.iter().find(|chat| channel_id(chat) == said.chat);
        let chat = chat.ok_or_else(|| Unsaid::new("there is no such channel"))?;
        if said.file.is_some() {
            return Err(Unsaid::new("files are not sent to bots here"));
        }
        let answered = said.reply_to.as_deref().map(|id| {
            let sent = id.parse().ok().and_then(|id: u64| self.sent.get(&id));
            let sent = sent.filter(|sent| sent.shown["channel_id"] == *said.chat);
            let sent = sent.ok_or_else(|| Unsaid::new("`reply_to` is no message of that chat"))?;
            Ok(sent.shown.clone())
        });
        let is_direct = chat.kind == ChatKind::Private;
        let id = snowflake(now, desk.number);
        let user = match is_direct {
            true => chat.id.to_string(),
            false => person(&said.name).to_string(),
        };
        let mut author = content::user(&user, &said.name.to_lowercase());
        author["global_name"] = said.name.as_str().into();
        let bot = about(robot);
        let is_meant = said.text.contains(MENTION);
        let mention = format!("<@{}>", bot["id"].as_str().unwrap_or_default());
        let mut shown = json!({"type": DEFAULT, "content": said.text.replace(MENTION, &mention),
            "mentions": if is_meant { json!([bot]) } else { json!([]) }, "mention_roles": [], "attachments": [], "embeds": [],
            "timestamp": now.to_string(), "edited_timestamp": null, "flags": 0, "components": [], "id": id,
            "channel_id": said.chat, "author": author, "pinned": false, "mention_everyone": false, "tts": false});
        if let Some(answered) = answered.transpose()? {
            shown["type"] = REPLY.into();
            shown["message_reference"] = json!({"type": 0, "channel_id": said.chat, "message_id": answered["id"], "guild_id": GUILD_ID});
            shown["referenced_message"] = answered;
        }
        self.note(id.parse().unwrap_or_default(), &user, shown.clone());
        let mut event = shown;
        event["channel_type"] = if is_direct { 1 } else { 0 }.into();
        if !is_direct {
            event["guild_id"] = GUILD_ID.into();
            event["member"] = json!({"roles": [], "nick": null, "joined_at": "2026-01-01T00:00:00.000000+00:00",
                "deaf": false, "mute": false, "flags": 0, "premium_since": null, "pending": false, "avatar": null});
        }
        let letter = Letter {
            robot: robot.token.clone(),
            conversation: said.chat.clone(),
            id: Some(id),
            kind: "content".to_owned(),
            text: said.text.clone(),
            body: event.clone(),
            ..Letter::default()
        };
        Ok((letter, event))
    }
}
