//! What people write to an app's bot: a message that exists from then on, and the event `im.message.receive_v1` that tells of
//! it. The app is one that gets all messages of its groups. From the open platform's reference of the event.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Desk, Letter, hex, person};
use super::super::media;
use super::{Messages, Sent, Way, id, number};
use crate::emit::{Said, Unsaid};

/// What ids of chats begin with.
const CHAT: &str = "oc_";
/// What ids of chats between a person and the bot begin with, here.
const ALONE: &str = "oc_p2p";
/// How people mention the bot.
const MENTION: &str = "@Anser";
/// What stands for it in the text.
const PLACE: &str = "@_user_1";
pub(super) const TENANT: &str = "sim";
/// Of a message's number: where the time is that makes it unlike those of earlier starts, by which events are known again.
const TIME_SHIFT: u32 = 20;

impl Messages {
    /// Takes what a person writes, to the bot of that id.
    pub(in super::super) fn hear(
        &mut self,
        said: &Said,
        (app, bot): (&str, &str),
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let known = said.chat.strip_prefix(CHAT).is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        });
        if !known {
            return Err(Unsaid::new(
                "a chat of Feishu has an id that begins with oc_",
            ));
        }
        let parent = said.reply_to.as_deref().map(|parent| {
            let sent = number(parent).and_then(|number| self.sent.get(&number));
            let sent = sent.filter(|sent| !sent.recalled && sent.way.chat == said.chat);
            let none = || Unsaid::new("`reply_to` is no message of that chat");
            sent.map(|sent| sent.in_thread).ok_or_else(none)
        });
        let in_thread = parent.transpose()?.unwrap_or_default();
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        let message = millis << TIME_SHIFT | desk.number & ((1 << TIME_SHIFT) - 1);
        let from = open_id(&said.name);
        self.people.insert(from.clone(), said.name.clone());
        let (kind, content, uploads) = match &said.file {
            None => ("text", json!({"text": said.text}), Vec::new()),
            Some(_) if !said.text.is_empty() => {
                return Err(Unsaid::new("a file of Feishu's comes without a text"));
            }
            Some(file) => media::said(desk, app, file, now),
        };
        let sent = Sent {
            app: from,
            way: Way {
                chat: said.chat.clone(),
                parent: said.reply_to.clone(),
            },
            kind: kind.to_owned(),
            content: content.to_string(),
            in_thread,
            at: now,
            changed_at: now,
            edits: 0,
            recalled: false,
            uploads: uploads.clone(),
        };
        let event = self.event(said, (app, bot), message, &sent);
        self.note(message, sent);
        let letter = Letter {
            robot: app.to_owned(),
            conversation: said.chat.clone(),
            id: Some(id(message)),
            kind: kind.to_owned(),
            text: said.text.clone(),
            body: event.clone(),
            uploads,
            ..Letter::default()
        };
        Ok((letter, event))
    }

    /// The event, apart from the token, which is the callback's.
    fn event(&self, said: &Said, (app, bot): (&str, &str), message: u64, sent: &Sent) -> Value {
        let time = sent.at.millis().to_string();
        let is_mentioned = said.text.contains(MENTION);
        let text = said.text.replace(MENTION, PLACE);
        let kind = if said.chat.starts_with(ALONE) {
            "p2p"
        } else {
            "group"
        };
        let mut told = json!({"message_id": id(message), "create_time": time, "update_time": time,
            "chat_id": said.chat, "chat_type": kind, "message_type": sent.kind, "content": sent.content});
        if sent.kind == "text" {
            told["content"] = json!({"text": text}).to_string().into();
        }
        if let Some(parent) = &said.reply_to {
            let root = self.root(parent);
            if sent.in_thread {
                told["thread_id"] = root.replacen("om_", "omt_", 1).into();
            }
            told["root_id"] = root.into();
            told["parent_id"] = parent.as_str().into();
        }
        if is_mentioned {
            let bot = json!({"union_id": "", "user_id": "", "open_id": bot});
            told["mentions"] = json!([{"key": PLACE, "id": bot, "mentioned_type": "bot", "name": "Anser",
                "tenant_key": TENANT}]);
        }
        let union_id = sent.app.replacen("ou_", "on_", 1);
        json!({
            "schema": "2.0",
            "header": {"event_id": format!("{message:032x}"), "event_type": "im.message.receive_v1", "create_time": time,
                "token": "", "app_id": app, "tenant_key": TENANT},
            "event": {
                "sender": {"sender_id": {"union_id": union_id, "user_id": "", "open_id": sent.app},
                    "sender_type": "user", "tenant_key": TENANT},
                "message": told,
            },
        })
    }

    /// The first message of those that answer each other.
    fn root(&self, answered: &str) -> String {
        let mut root = answered.to_owned();
        while let Some(parent) = number(&root)
            .and_then(|number| self.sent.get(&number))
            .and_then(|sent| sent.way.parent.clone())
        {
            root = parent;
        }
        root
    }
}

/// What the app knows a person by.
fn open_id(name: &str) -> String {
    let digits = hex(&person(name).to_be_bytes());
    format!("ou_sim{digits}{digits}")
}
