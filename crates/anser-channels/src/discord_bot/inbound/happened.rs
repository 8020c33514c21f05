//! What happens in the channels and servers of a bot, as the Gateway dispatches it
//! (<https://discord.com/developers/docs/events/gateway-events>), in the standard format. Must not take the bot's own messages
//! for those of others.

use anser_core::Timestamp;
use anser_core::inbound::{InboundContext, InboundEvent};
use anser_core::message::{Conversation, ConversationType, Item, Sender, SenderKind};
use serde_json::{Value, json};

use super::super::address::Target;
use super::content;
use super::events::PLATFORM;
use crate::kit::discord::is_number;
use crate::kit::draft::{self, Draft, other, sender};
use crate::kit::inbound::conversation;

/// The first second of 2015 in milliseconds since the Unix epoch, from which ids count
/// (<https://discord.com/developers/docs/reference#snowflakes>).
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits of an id below its time.
const ID_TIME_SHIFT: u32 = 22;
/// Types of messages that somebody wrote: an ordinary one, a reply, and the answers to a command and to a command of a menu
/// (<https://discord.com/developers/docs/resources/message#message-object-message-types>).
const WRITTEN: [u64; 4] = [0, 19, 20, 23];
/// The type of a reference to a message that is forwarded, and not answered.
const FORWARD: u64 = 1;
/// Messages that are deleted at once.
const DELETED_MAX: usize = 100;

/// Something that happened.
pub(in super::super) struct Happened<'a> {
    /// Its name, such as `MESSAGE_CREATE`.
    pub(in super::super) name: &'a str,
    /// The event.
    pub(in super::super) data: &'a Value,
    /// What is repeated when it comes again, where nothing in it is: the session and its number there.
    pub(in super::super) place: [&'a str; 2],
    /// The bot's own id.
    pub(in super::super) bot: &'a str,
    /// The id of the bot's application.
    pub(in super::super) app: &'a str,
}

impl Happened<'_> {
    /// The events in it: none for what the bot itself said or did.
    pub(in super::super) fn read(&self, context: &InboundContext<'_>) -> Vec<InboundEvent> {
        let data = self.data;
        let drafts = match self.name {
            "MESSAGE_CREATE" => self.said(),
            "MESSAGE_UPDATE" => self.edited(),
            "MESSAGE_DELETE" => vec![self.deleted(&data["id"])],
            "MESSAGE_DELETE_BULK" => {
                let ids = data["ids"].as_array().into_iter().flatten();
                ids.take(DELETED_MAX).map(|id| self.deleted(id)).collect()
            }
            "MESSAGE_REACTION_ADD" => self.reaction("added"),
            "MESSAGE_REACTION_REMOVE" => self.reaction("removed"),
            "GUILD_MEMBER_ADD" => vec![self.member("joined")],
            "GUILD_MEMBER_REMOVE" => vec![self.member("left")],
            "GUILD_CREATE" => vec![self.brief_server()],
            _ => vec![self.other()],
        };
        let place = self.place_of(context.channel);
        drafts
            .into_iter()
            .map(|draft| draft.inside(place.clone()).build(context))
            .collect()
    }

    /// The channel, which of a thread is the thread: it has an id as channels have.
    fn place_of(&self, channel: &str) -> Option<Conversation> {
        let id = self.data["channel_id"].as_str()?;
        Target::parse("conversation", id).ok()?;
        let of = match self.data["guild_id"] {
            Value::Null => ConversationType::Direct,
            _ => ConversationType::Channel,
        };
        Some(conversation(channel, id, of, None))
    }

    fn is_own(&self) -> bool {
        let data = self.data;
        let by_app = data["webhook_id"] == self.app && data["application_id"] == self.app;
        data["author"]["id"] == self.bot || by_app
    }

    /// How the bot knows a message of the event's channel.
    fn message_id(&self, id: &Value) -> Option<String> {
        let channel = self.data["channel_id"].as_str();
        let numbers = channel.zip(id.as_str());
        let numbers = numbers.filter(|(channel, id)| is_number(channel) && is_number(id));
        numbers.map(|(channel, id)| format!("{channel}:{id}"))
    }

    fn said(&self) -> Vec<Draft> {
        if self.is_own() {
            return Vec::new();
        }
        let of = self.data["type"].as_u64().unwrap_or_default();
        if !WRITTEN.contains(&of) {
            return vec![self.other()];
        }
        let item = content::read(self.data).into_item(PLATFORM, self.data);
        let id = &self.data["id"];
        let repeated = ["message", id.as_str().unwrap_or_default()];
        let draft = match id.as_str() {
            Some(_) => Draft::new(PLATFORM, self.name, &repeated, item),
            None => self.draft(item),
        };
        let reference = &self.data["message_reference"];
        let answered = match reference["type"].as_u64() {
            Some(FORWARD) => None,
            _ => self.message_id(&reference["message_id"]),
        };
        // A reply to a message of another channel, as announcements have it, is none here.
        let is_here =
            reference["channel_id"].is_null() || reference["channel_id"] == self.data["channel_id"];
        vec![
            draft
                .event_id(id.as_str())
                .by(author(self.data))
                .at(made(id))
                .message_id(self.message_id(id))
                .reply_to(answered.filter(|_| is_here)),
        ]
    }

    /// An edit says when; without that only a preview was added.
    fn edited(&self) -> Vec<Draft> {
        if self.is_own() {
            return Vec::new();
        }
        let data = self.data;
        let (Some(id), Some(time)) = (data["id"].as_str(), data["edited_timestamp"].as_str())
        else {
            return vec![self.other()];
        };
        if data["content"].is_null() {
            return vec![self.other()];
        }
        let new = content::read(data).into_item(PLATFORM, data);
        let message_id = self.message_id(&data["id"]);
        let fields = json!({"message_id": message_id, "segments": new.body.segments});
        let mut item = draft::chat("edited", fields, data);
        item.header.ext = new.header.ext;
        let draft = Draft::new(PLATFORM, self.name, &["edited", id, time], item);
        vec![
            draft
                .by(author(data))
                .at(time.parse().ok())
                .message_id(message_id),
        ]
    }

    /// Discord does not say who deleted a message, nor whose it was.
    fn deleted(&self, id: &Value) -> Draft {
        let message_id = self.message_id(id);
        let item = draft::chat("recalled", json!({"message_id": message_id}), self.data);
        let draft = match id.as_str() {
            Some(id) => Draft::new(PLATFORM, self.name, &["deleted", id], item),
            None => self.draft(item),
        };
        draft.message_id(message_id)
    }

    fn reaction(&self, action: &str) -> Vec<Draft> {
        let data = self.data;
        if data["user_id"] == self.bot {
            return Vec::new();
        }
        let message_id = self.message_id(&data["message_id"]);
        let fields =
            json!({"message_id": message_id, "emoji": data["emoji"]["name"], "action": action});
        let item = draft::chat("reaction", fields, data);
        let member = &data["member"];
        let known = person(&member["user"], member);
        let by = known.or_else(|| sender(SenderKind::User, data["user_id"].as_str()?, None));
        vec![self.draft(item).by(by).message_id(message_id)]
    }

    fn member(&self, name: &str) -> Draft {
        let user = &self.data["user"];
        let by = person(user, self.data);
        let shown = by.as_ref().and_then(|by| by.name.clone());
        let users = json!([{"id": user["id"], "name": shown}]);
        let item = draft::chat(name, json!({"users": users}), self.data);
        self.draft(item).by(by)
    }

    /// A server that the bot came into, or that is there again, without all that is in it.
    fn brief_server(&self) -> Draft {
        let mut brief = json!({});
        for name in [
            "id",
            "name",
            "owner_id",
            "joined_at",
            "member_count",
            "unavailable",
        ] {
            if let Some(value) = self.data.get(name) {
                brief[name] = value.clone();
            }
        }
        self.draft(other(PLATFORM, self.name, &brief))
    }

    /// What the format has no name for.
    fn other(&self) -> Draft {
        let by = author(self.data).or_else(|| {
            let id = self.data["user_id"].as_str()?;
            sender(SenderKind::User, id, None)
        });
        self.draft(other(PLATFORM, self.name, self.data)).by(by)
    }

    /// An event that is known by its place in the session.
    fn draft(&self, item: Item) -> Draft {
        Draft::new(PLATFORM, self.name, &self.place, item)
    }
}

/// When something with that id was made.
fn made(id: &Value) -> Option<Timestamp> {
    let id: u64 = id.as_str()?.parse().ok()?;
    let since = i64::try_from(id >> ID_TIME_SHIFT).ok()?;
    Some(Timestamp::from_millis(EPOCH_MS + since))
}

/// Who wrote a message: a person, a bot, or a webhook.
fn author(message: &Value) -> Option<Sender> {
    person(&message["author"], &message["member"])
}

/// A person by the name that they have in the server, or a bot.
fn person(user: &Value, member: &Value) -> Option<Sender> {
    let mut names = [&member["nick"], &user["global_name"], &user["username"]].into_iter();
    let name = names.find_map(Value::as_str);
    let kind = match user["bot"] == true {
        true => SenderKind::Bot,
        false => SenderKind::User,
    };
    sender(kind, user["id"].as_str()?, name)
}
