//! Events of Slack (<https://docs.slack.dev/reference/events>) in the standard format. Must not take the app's own messages
//! for those of others.

use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{Sender, SenderKind};
use serde_json::{Value, json};

use super::place::{chat, message_id, person, time};
use super::{PLATFORM, content};
use crate::kit::arrival::{moment, shallow};
use crate::kit::draft::{self, Draft, other, sender};

/// An event, and its envelope.
struct Event<'a> {
    envelope: &'a Value,
    event: &'a Value,
    /// What tells a repeat: the event's id.
    id: String,
    channel: &'a str,
}

/// The event in an envelope; `None` for what the app itself said.
pub(super) fn read(
    envelope: &Value,
    body: &[u8],
    context: &InboundContext<'_>,
) -> Option<InboundEvent> {
    let id = envelope["event_id"].as_str();
    let event = Event {
        envelope,
        event: &envelope["event"],
        id: id.map_or_else(|| draft::digest_of(body), str::to_owned),
        channel: context.channel,
    };
    event.draft().map(|draft| draft.build(context))
}

/// What comes in an envelope of another type, such as `app_rate_limited`.
pub(super) fn envelope(
    own: &str,
    envelope: &Value,
    body: &[u8],
    context: &InboundContext<'_>,
) -> InboundEvent {
    let item = other(PLATFORM, own, &without_token(envelope));
    let id = draft::digest_of(body);
    Draft::new(PLATFORM, own, &[&id], item).build(context)
}

/// The verification token of old is a secret that whoever reads the event has no need of.
pub(super) fn without_token(value: &Value) -> Value {
    let mut value = shallow(value);
    if let Value::Object(members) = &mut value {
        members.shift_remove("token");
    }
    value
}

impl Event<'_> {
    fn draft(&self) -> Option<Draft> {
        let own = self.event["type"].as_str().unwrap_or_default();
        let draft = match own {
            "message" => return self.message(),
            // The same message as the event `message`, for an app that has not subscribed to that.
            "app_mention" => return self.said(self.event),
            "reaction_added" | "reaction_removed" => self.reaction(own),
            "member_joined_channel" => self.member("joined", "bot_added"),
            "member_left_channel" => self.member("left", "bot_removed"),
            _ => self.other(own),
        };
        Some(draft)
    }

    fn message(&self) -> Option<Draft> {
        let subtype = self.event["subtype"].as_str().unwrap_or_default();
        match subtype {
            "" | "file_share" | "thread_broadcast" | "me_message" | "bot_message" => {
                self.said(self.event)
            }
            "message_changed" => self.edited(),
            "message_deleted" => self.recalled(),
            _ => Some(self.other(&format!("message.{subtype}"))),
        }
    }

    /// Whether the app itself wrote that message.
    fn is_own(&self, message: &Value) -> bool {
        let app = self.envelope["api_app_id"].as_str();
        let by = [&message["app_id"], &message["bot_profile"]["app_id"]];
        let by_app = app.is_some() && by.into_iter().any(|id| id.as_str() == app);
        by_app || self.is_bot(&message["user"])
    }

    /// Whether that is the app's bot.
    fn is_bot(&self, user: &Value) -> bool {
        let bots = self.envelope["authorizations"].as_array();
        let mut bots = bots.into_iter().flatten();
        user.is_string() && bots.any(|bot| bot["is_bot"] == true && bot["user_id"] == *user)
    }

    fn said(&self, message: &Value) -> Option<Draft> {
        if self.is_own(message) {
            return None;
        }
        let ts = message["ts"].as_str();
        let id = message_id(message["channel"].as_str(), ts);
        let item = content::read(message).into_item(PLATFORM, message);
        // One message can come as two events, `message` and `app_mention`.
        let repeated = id.as_deref().unwrap_or(&self.id);
        let draft = Draft::new(PLATFORM, "message", &[repeated], item);
        let thread = message["thread_ts"].as_str();
        let answered = thread.filter(|thread| Some(*thread) != ts);
        let answered = message_id(message["channel"].as_str(), answered);
        Some(
            self.placed(draft, message)
                .event_id(Some(&self.id))
                .by(author(message))
                .message_id(id)
                .reply_to(answered),
        )
    }

    fn edited(&self) -> Option<Draft> {
        let (now, before) = (&self.event["message"], &self.event["previous_message"]);
        if self.is_own(now) {
            return None;
        }
        // A link that was given its preview is no edit.
        if now["edited"].is_null() && now["text"] == before["text"] {
            return Some(self.other("message.message_changed"));
        }
        let item = content::read(now).into_item(PLATFORM, now);
        let id = message_id(self.event["channel"].as_str(), now["ts"].as_str());
        let fields = json!({"message_id": id, "segments": item.body.segments});
        let mut edit = draft::chat("edited", fields, self.event);
        edit.header.ext = item.header.ext;
        let draft = Draft::new(PLATFORM, "message.message_changed", &[&self.id], edit);
        let draft = self.placed(draft, self.event);
        Some(draft.by(author(now)).message_id(id))
    }

    fn recalled(&self) -> Option<Draft> {
        let before = &self.event["previous_message"];
        if self.is_own(before) {
            return None;
        }
        let id = message_id(
            self.event["channel"].as_str(),
            self.event["deleted_ts"].as_str(),
        );
        let item = draft::chat("recalled", json!({"message_id": id}), self.event);
        let draft = Draft::new(PLATFORM, "message.message_deleted", &[&self.id], item);
        let draft = self.placed(draft, self.event);
        Some(draft.by(author(before)).message_id(id))
    }

    fn reaction(&self, own: &str) -> Draft {
        let item = &self.event["item"];
        let channel = item["channel"].as_str();
        let id = message_id(channel, item["ts"].as_str());
        let action = own.trim_start_matches("reaction_");
        let fields = json!({"message_id": id, "emoji": self.event["reaction"], "action": action});
        let data = draft::chat("reaction", fields, self.event);
        let draft = Draft::new(PLATFORM, own, &[&self.id], data);
        draft
            .by(person(&self.event["user"]))
            .message_id(id)
            .at(time(&self.event["event_ts"]))
            .inside(channel.and_then(|id| chat(self.channel, id, None, None)))
    }

    fn member(&self, name: &str, as_bot: &str) -> Draft {
        let own = self.event["type"].as_str().unwrap_or_default();
        let user = &self.event["user"];
        let item = if self.is_bot(user) {
            draft::chat(as_bot, json!({}), self.event)
        } else {
            draft::chat(name, json!({"users": [{"id": user}]}), self.event)
        };
        let draft = Draft::new(PLATFORM, own, &[&self.id], item);
        self.placed(draft, self.event).by(person(user))
    }

    fn other(&self, own: &str) -> Draft {
        let item = other(PLATFORM, own, self.event);
        let draft = Draft::new(PLATFORM, own, &[&self.id], item);
        self.placed(draft, self.event)
            .by(person(&self.event["user"]))
    }

    /// When and where it happened: the channel is of the event, the thread of the message.
    fn placed(&self, draft: Draft, message: &Value) -> Draft {
        let mut times = [&message["ts"], &self.event["event_ts"]].into_iter();
        let at = times
            .find_map(time)
            .or_else(|| moment(&self.envelope["event_time"]));
        let of = self.event["channel_type"].as_str();
        let of = of.filter(|of| ["channel", "group", "im", "mpim"].contains(of));
        let mut messages = [message, &message["message"], &message["previous_message"]].into_iter();
        let thread = messages.find_map(|message| message["thread_ts"].as_str());
        let id = self.event["channel"].as_str();
        draft
            .at(at)
            .inside(id.and_then(|id| chat(self.channel, id, of, thread)))
    }
}

/// Who wrote a message: a person, or another app's bot.
fn author(message: &Value) -> Option<Sender> {
    let Some(bot) = message["bot_id"].as_str() else {
        return person(&message["user"]);
    };
    let mut names = [&message["username"], &message["bot_profile"]["name"]].into_iter();
    let name = names.find_map(Value::as_str);
    sender(
        SenderKind::Bot,
        message["user"].as_str().unwrap_or(bot),
        name,
    )
}
