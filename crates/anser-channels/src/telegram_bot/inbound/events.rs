//! Updates of Telegram (<https://core.telegram.org/bots/api#update>) in the standard format. Must not take what the bot
//! itself said for what others say.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::Sender;
use serde_json::{Value, json};

use super::place::{author, chat, name, user};
use super::{PLATFORM, content};
use crate::kit::arrival::moment;
use crate::kit::draft::{self, Draft, id, other};

/// An update.
pub(super) struct Update<'a> {
    /// Its number, which is repeated when it comes again.
    pub(super) number: String,
    /// The member of the update that it is in.
    pub(super) kind: &'a str,
    /// What happened.
    pub(super) event: &'a Value,
    /// The bot's own id.
    pub(super) bot: i64,
}

impl Update<'_> {
    /// The events in it: none for what the bot itself said.
    pub(super) fn read(&self, context: &InboundContext<'_>) -> Vec<InboundEvent> {
        let drafts = match self.kind {
            "message" | "channel_post" => self.message(context.channel),
            "edited_message" | "edited_channel_post" => self.edited(context.channel),
            "callback_query" => vec![self.button(context.channel)],
            "message_reaction" => self.reactions(context.channel),
            "my_chat_member" => vec![self.member(context.channel, "bot_added", "bot_removed")],
            "chat_member" => vec![self.member(context.channel, "joined", "left")],
            _ => vec![self.other(context.channel)],
        };
        drafts
            .into_iter()
            .map(|draft| draft.build(context))
            .collect()
    }

    fn is_own(&self) -> bool {
        self.event["from"]["id"].as_i64() == Some(self.bot)
    }

    /// An event with when, where and by whom.
    fn draft(&self, channel: &str, item: anser_core::message::Item) -> Draft {
        let mut times = [&self.event["edit_date"], &self.event["date"]].into_iter();
        Draft::new(PLATFORM, self.kind, &[&self.number], item)
            .by(author(self.event))
            .at(times.find_map(moment))
            .inside(chat(channel, self.event))
            .message_id(id(&self.event["message_id"]))
    }

    fn message(&self, channel: &str) -> Vec<Draft> {
        let event = self.event;
        if let Some(people) = event["new_chat_members"].as_array() {
            return vec![self.people(channel, people, "joined", "bot_added")];
        }
        if !event["left_chat_member"].is_null() {
            let people = std::slice::from_ref(&event["left_chat_member"]);
            return vec![self.people(channel, people, "left", "bot_removed")];
        }
        if self.is_own() {
            return Vec::new();
        }
        let Some(content) = content::read(event) else {
            return vec![self.other(channel)];
        };
        let item = content.into_item(PLATFORM, event);
        // Whoever writes in a topic answers its first message, as Telegram has it.
        let answered = &event["reply_to_message"]["message_id"];
        let is_topic = event["is_topic_message"] == true && *answered == event["message_thread_id"];
        let answered = id(answered).filter(|_| !is_topic);
        vec![self.draft(channel, item).reply_to(answered)]
    }

    fn people(&self, channel: &str, people: &[Value], name_of: &str, as_bot: &str) -> Draft {
        let is_bot = people
            .iter()
            .any(|person| person["id"].as_i64() == Some(self.bot));
        let item = if is_bot {
            draft::chat(as_bot, json!({}), self.event)
        } else {
            let people: Vec<Value> = people.iter().map(person).collect();
            draft::chat(name_of, json!({"users": people}), self.event)
        };
        self.draft(channel, item)
    }

    fn edited(&self, channel: &str) -> Vec<Draft> {
        if self.is_own() {
            return Vec::new();
        }
        let Some(content) = content::read(self.event) else {
            return vec![self.other(channel)];
        };
        let new = content.into_item(PLATFORM, self.event);
        let fields =
            json!({"message_id": id(&self.event["message_id"]), "segments": new.body.segments});
        let mut item = draft::chat("edited", fields, self.event);
        item.header.ext = new.header.ext;
        vec![self.draft(channel, item)]
    }

    /// A button under a message of the bot's, or of one that it wrote inline, which has no chat.
    fn button(&self, channel: &str) -> Draft {
        let message = &self.event["message"];
        let message_id = id(&message["message_id"]);
        let fields = json!({"message_id": message_id, "value": self.event["data"]});
        let item = draft::chat("button", fields, self.event);
        self.draft(channel, item)
            .inside(chat(channel, message))
            .message_id(message_id)
    }

    /// One event for each reaction that came or went.
    fn reactions(&self, channel: &str) -> Vec<Draft> {
        let list = |name: &str| self.event[name].as_array().cloned().unwrap_or_default();
        let (before, now) = (list("old_reaction"), list("new_reaction"));
        let gone = before
            .iter()
            .filter(|one| !now.contains(one))
            .map(|one| ("removed", one));
        let come = now
            .iter()
            .filter(|one| !before.contains(one))
            .map(|one| ("added", one));
        let message_id = id(&self.event["message_id"]);
        gone.chain(come)
            .take(anser_core::inbound::INBOUND_EVENTS_MAX)
            .enumerate()
            .map(|(place, (action, reaction))| {
                let mut names = ["emoji", "custom_emoji_id", "type"].into_iter();
                let emoji = names.find_map(|name| reaction[name].as_str());
                let fields = json!({"message_id": message_id, "emoji": emoji, "action": action});
                let item = draft::chat("reaction", fields, self.event);
                let draft = Draft::new(
                    PLATFORM,
                    self.kind,
                    &[&self.number, &place.to_string()],
                    item,
                );
                draft
                    .event_id(Some(&self.number))
                    .by(author(self.event))
                    .at(moment(&self.event["date"]))
                    .inside(chat(channel, self.event))
                    .message_id(message_id.clone())
            })
            .collect()
    }

    /// Who is in a chat changed: from outside to inside, the other way, or only what somebody may do.
    fn member(&self, channel: &str, came: &str, went: &str) -> Draft {
        let is_in = |member: &Value| match member["status"].as_str() {
            Some("creator" | "administrator" | "member") => true,
            Some("restricted") => member["is_member"] == true,
            _ => false,
        };
        let (before, now) = (
            &self.event["old_chat_member"],
            &self.event["new_chat_member"],
        );
        let name = match (is_in(before), is_in(now)) {
            (false, true) => came,
            (true, false) => went,
            _ => return self.other(channel),
        };
        let users = match self.kind {
            "chat_member" => json!([person(&now["user"])]),
            _ => Value::Null,
        };
        let item = draft::chat(name, json!({"users": users}), self.event);
        self.draft(channel, item)
    }

    /// What the format has no name for. Some name a chat, some a person only.
    fn other(&self, channel: &str) -> Draft {
        let item = other(PLATFORM, self.kind, self.event);
        self.draft(channel, item).by(self.whom())
    }

    fn whom(&self) -> Option<Sender> {
        let mut names = ["user", "voter"].into_iter();
        author(self.event).or_else(|| names.find_map(|name| user(&self.event[name])))
    }
}

fn person(user: &Value) -> Value {
    json!({"id": id(&user["id"]), "name": name(user)})
}
