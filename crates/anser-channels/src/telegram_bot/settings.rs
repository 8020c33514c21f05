//! What a user sets on a bot, checked, and to which chat a message goes. Must not show the token, which is in the address
//! of every request.

use anser_core::Problem;
use anser_core::message::Conversation;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Where the Bot API is.
const BASE: &str = "https://api.telegram.org";
/// What a token looks like.
const TOKEN_RULE: &str =
    "123456789:AA…, a number, a colon and 35 letters, digits, hyphens and underscores";
/// What a chat looks like.
const CHAT_RULE: &str =
    "a number such as -1001234567890, or @name, and for a topic /NUMBER after it";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The bot's token as @BotFather shows it: `123456789:AA…`.
    #[schemars(length(min = 1, max = 128), extend("writeOnly" = true))]
    token: String,
    /// The chat for messages whose address names none: its number, or the `@name` of a public channel or group; for a
    /// topic of a forum `CHAT/TOPIC`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    chat_id: Option<String>,
    /// A secret of 1 to 256 letters, digits, `_` and `-`, the same that `setWebhook` is given as `secret_token`. With it,
    /// updates are taken at `/in/CHANNEL`.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,256}$"), extend("writeOnly" = true))]
    secret_token: Option<String>,
    /// Another address of the Bot API, for a server of one's own, a proxy or a simulator. Default
    /// `https://api.telegram.org`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where to post messages.
    pub(super) url: Url,
    /// What the requests prove themselves with that come in.
    pub(super) secret_token: Option<String>,
    /// The bot's own id.
    pub(super) bot: i64,
    chat: Option<Chat>,
}

/// A chat, perhaps a topic in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chat {
    /// A number, or a text that begins with `@`.
    id: Value,
    topic: Option<i64>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({"token": "123456789:AAabcdefghijklmnopqrstuvwxyz0123456", "chat_id": "-1001234567890",
        "secret_token": "a_secret-that-you-make"});
    kit::schema::<Settings>("Telegram bot settings", example)
}

/// Checks the form of a token.
///
/// # Errors
/// `invalid_secret`, without it.
pub(super) fn check_token(field: &str, token: &str) -> Result<(), Problem> {
    let good = token.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && secret.len() >= 2
            && secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    });
    if good && token.len() <= 128 {
        return Ok(());
    }
    let detail = "is no bot token; copy it from @BotFather again";
    Err(Problem::invalid("invalid_secret", field, detail).accepted(TOKEN_RULE))
}

fn check_secret(secret: &str) -> Result<(), Problem> {
    /// Characters of a secret.
    const SECRET_CHARS: std::ops::RangeInclusive<usize> = 1..=256;
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if SECRET_CHARS.contains(&secret.len()) && secret.bytes().all(is_good) {
        return Ok(());
    }
    let detail = "is no secret that Telegram takes";
    let problem = Problem::invalid("invalid_secret", "settings.secret_token", detail);
    Err(problem.accepted("1 to 256 letters, digits, underscores and hyphens"))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_token("settings.token", &settings.token)?;
        if let Some(secret) = &settings.secret_token {
            check_secret(secret)?;
        }
        let chat = settings.chat_id.as_deref();
        let chat = chat.map(|chat| Chat::parse("settings.chat_id", chat));
        let mut url = kit::base(settings.base_url.as_deref().unwrap_or(BASE))?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/bot{}/sendMessage", settings.token));
        // Every id of Telegram's has at most 52 bits; a longer one is nobody's.
        let bot = settings.token.split(':').next().unwrap_or_default();
        Ok(Endpoint {
            url,
            secret_token: settings.secret_token,
            bot: bot.parse().unwrap_or_default(),
            chat: chat.transpose()?,
        })
    }
}

impl Endpoint {
    /// The address of a method, of letters.
    pub(super) fn method(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(name);
        }
        url
    }

    /// The chat: that of the target, else the channel's own.
    ///
    /// # Errors
    /// `missing_target` when there is neither, `invalid_target` for a target that is no chat.
    pub(super) fn chat(&self, target: Option<&str>) -> Result<Chat, Problem> {
        match (target, &self.chat) {
            (Some(target), _) => Chat::parse("to", target),
            (None, Some(chat)) => Ok(chat.clone()),
            (None, None) => Err(Problem::invalid(
                "missing_target",
                "to",
                "names no chat: add it to the address (NAME/CHAT_ID), or set settings.chat_id",
            )),
        }
    }
}

impl Chat {
    /// Reads `CHAT` or `CHAT/TOPIC`.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let (chat, topic) = match text.split_once('/') {
            Some((chat, topic)) => (chat, Some(topic)),
            None => (text, None),
        };
        let invalid =
            || Problem::invalid("invalid_target", field, "is no Telegram chat").accepted(CHAT_RULE);
        let is_name = |name: &str| {
            (4..=32).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let id = match chat.strip_prefix('@') {
            Some(name) if is_name(name) => chat.into(),
            Some(_) => return Err(invalid()),
            None => chat.parse::<i64>().map_err(|_| invalid())?.into(),
        };
        let topic = topic.map(str::parse::<i64>).transpose();
        let topic = topic.map_err(|_| invalid())?;
        Ok(Self { id, topic })
    }

    /// Its id without the topic: limits count chats.
    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Whether it is a group or channel, whose ids are negative or names, and not one person.
    pub(super) fn is_shared(&self) -> bool {
        self.id.as_i64().is_none_or(|id| id < 0)
    }

    /// The chat with the topic that a message's conversation names, unless it has one: only where that is this chat.
    pub(super) fn within(mut self, conversation: Option<&Conversation>) -> Self {
        let Some(conversation) = conversation else {
            return self;
        };
        let named = conversation.id.split_once('/').map(|(_, chat)| chat);
        let named = named.and_then(|chat| Self::parse("conversation", chat).ok());
        if named.is_some_and(|named| named.id == self.id) && self.topic.is_none() {
            let thread = conversation.thread.as_deref();
            self.topic = thread.and_then(message_number);
        }
        self
    }

    /// The body with the chat put before its own members, and the message that it answers, if that is known by a number
    /// of Telegram's. Where a message goes is not its body's matter.
    pub(super) fn address(
        &self,
        members: Map<String, Value>,
        reply_to: Option<&str>,
    ) -> Map<String, Value> {
        let mut addressed = Map::new();
        addressed.insert("chat_id".to_owned(), self.id.clone());
        if let Some(topic) = self.topic {
            addressed.insert("message_thread_id".to_owned(), topic.into());
        }
        if let Some(number) = reply_to.and_then(message_number) {
            let answered = json!({"message_id": number, "allow_sending_without_reply": true});
            addressed.insert("reply_parameters".to_owned(), answered);
        }
        for (name, value) in members {
            if name != "chat_id" {
                addressed.insert(name, value);
            }
        }
        addressed
    }

    /// The chat alone, with a message in it that was sent before.
    ///
    /// # Errors
    /// `no_platform_id` for what is no number of a message.
    pub(super) fn message(&self, id: Option<&str>) -> Result<Map<String, Value>, Problem> {
        let number = id.and_then(message_number).ok_or_else(|| {
            let detail = "is known by no number that Telegram gives to messages";
            Problem::invalid("no_platform_id", "id", detail)
        })?;
        let mut members = Map::new();
        members.insert("chat_id".to_owned(), self.id.clone());
        members.insert("message_id".to_owned(), number.into());
        Ok(members)
    }
}

fn message_number(id: &str) -> Option<i64> {
    id.parse().ok().filter(|number| *number > 0)
}
