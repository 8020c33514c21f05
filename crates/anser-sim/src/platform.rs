//! What every stand-in has: the request as it came, the robots and chats that exist, and what is answered. Each platform's
//! own rules are in its module below. Must not do I/O or read a clock: a call brings its time along.

mod dingtalk;
mod dingtalk_app;
mod discord;
mod feishu;
mod feishu_app;
mod feishu_forms;
mod fields;
mod html;
mod mailbag;
mod slack;
mod telegram;
mod wecom;
mod wecom_app;
mod whatsapp;

use std::time::Duration;

use anser_core::Timestamp;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::emit::{Amended, Caller, Said, Secrets, Unsaid};
use crate::intake::Part;
use crate::limit::{Counted, Limit, Limiter, Over};
use crate::line::{Heard, Told};
use crate::shelf::Shelf;

/// What `anser sim` calls the token of a bot beside that of a webhook.
const BOT_TOKEN: &str = "bot_token";

/// A platform with a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Feishu and Lark: robots of a group, and self-built apps.
    Feishu,
    /// DingTalk: robots of a group, and self-built apps.
    DingTalk,
    /// WeCom: robots of a group, and self-built apps.
    WeCom,
    /// Slack: incoming webhooks, and apps by the Web API.
    Slack,
    /// Discord: webhooks and bots.
    Discord,
    /// Telegram: bots.
    Telegram,
    /// WhatsApp: numbers of businesses, by the Cloud API.
    WhatsApp,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Feishu,
        Self::DingTalk,
        Self::WeCom,
        Self::Slack,
        Self::Discord,
        Self::Telegram,
        Self::WhatsApp,
    ];

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::DingTalk => "dingtalk",
            Self::WeCom => "wecom",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
            Self::WhatsApp => "whatsapp",
        }
    }

    /// Who can send to it: its doors, in a few words.
    #[must_use]
    pub const fn doors(self) -> &'static str {
        match self {
            Self::Feishu => "Robots of a group, and self-built apps; Lark too",
            Self::DingTalk => "Robots of a group, and self-built apps",
            Self::WeCom => "Robots of a group, and self-built apps",
            Self::Slack => "Incoming webhooks, and apps by the Web API",
            Self::Discord => "Webhooks, and bots by the API v10",
            Self::Telegram => "Bots",
            Self::WhatsApp => "Numbers of the Cloud API",
        }
    }

    /// The platform with that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.name() == name)
    }

    /// Its rate limits, as its documents tell them.
    #[must_use]
    pub fn limits(self) -> Vec<Limit> {
        match self {
            Self::Feishu => feishu::limits(),
            Self::DingTalk => dingtalk::limits(),
            Self::WeCom => wecom::limits(),
            Self::Slack => slack::limits(),
            Self::Discord => discord::limits(),
            Self::Telegram => telegram::limits(),
            Self::WhatsApp => whatsapp::limits(),
        }
    }

    /// A robot with a token of the platform's form; `number` tells several apart. It has a secret where the platform
    /// has signed robots.
    #[must_use]
    pub fn robot(self, number: u32) -> Robot {
        let (token, secret) = match self {
            Self::Feishu => feishu::credentials(number),
            Self::DingTalk => dingtalk::credentials(number),
            Self::WeCom => wecom::credentials(number),
            Self::Slack => slack::credentials(number),
            Self::Discord => discord::credentials(number),
            Self::Telegram => telegram::credentials(number),
            Self::WhatsApp => whatsapp::credentials(number),
        };
        Robot {
            token,
            secret,
            keywords: Vec::new(),
        }
    }

    /// An app with credentials of the platform's form, where the platform has apps.
    #[must_use]
    pub fn app(self, number: u32) -> Option<Robot> {
        match self {
            Self::Feishu => Some(feishu_app::app(number)),
            Self::DingTalk => Some(dingtalk_app::app(number)),
            Self::WeCom => Some(wecom_app::app(number)),
            Self::Slack => Some(slack::app(number)),
            Self::Discord => Some(discord::bot(number)),
            _ => None,
        }
    }

    /// What the owner of a robot or app reads off the platform beside its URL, by the names that `anser sim` prints.
    #[must_use]
    pub fn credentials(self, robot: &Robot) -> Vec<(&'static str, String)> {
        let secret = robot.secret.clone();
        match self {
            Self::Feishu if feishu_app::is_app(robot) => {
                let id = Some(("app_id", robot.token.clone()));
                let secret = secret.map(|secret| ("app_secret", secret));
                id.into_iter().chain(secret).collect()
            }
            Self::DingTalk if dingtalk_app::is_app(robot) => vec![
                ("app_key", robot.token.clone()),
                ("app_secret", secret.unwrap_or_default()),
            ],
            Self::WhatsApp => vec![
                ("phone_number_id", robot.token.clone()),
                ("access_token", secret.unwrap_or_default()),
            ],
            Self::WeCom => match wecom_app::ids(robot) {
                Some((corp, agent)) => vec![
                    ("corp_id", corp.to_owned()),
                    ("agent_id", agent.to_owned()),
                    ("corp_secret", secret.unwrap_or_default()),
                ],
                None => Vec::new(),
            },
            Self::Slack if slack::is_app(robot) => {
                let token = secret.map(|secret| ("app_token", secret));
                let bot = (BOT_TOKEN, robot.token.clone());
                std::iter::once(bot).chain(token).collect()
            }
            Self::Discord if discord::is_bot(robot) => vec![(BOT_TOKEN, robot.token.clone())],
            _ => secret
                .map(|secret| ("secret", secret))
                .into_iter()
                .collect(),
        }
    }

    /// The chats that there are where robots are told a chat that must exist.
    #[must_use]
    pub fn chats(self) -> Vec<Chat> {
        match self {
            Self::Slack => slack::chats(),
            Self::Discord => discord::chats(),
            Self::Telegram => telegram::chats(),
            Self::Feishu | Self::DingTalk | Self::WeCom | Self::WhatsApp => Vec::new(),
        }
    }

    /// The id that messages name a chat by, as their JSON has it.
    #[must_use]
    pub fn chat_id(self, chat: &Chat) -> Value {
        match self {
            Self::Slack => slack::chat_id(chat).into(),
            Self::Discord => chat.id.to_string().into(),
            _ => chat.id.into(),
        }
    }

    /// Path and query of a robot's URL, as its owner copies it from the platform.
    #[must_use]
    pub fn path(self, robot: &Robot) -> String {
        let token = &robot.token;
        match self {
            Self::Feishu if feishu_app::is_app(robot) => feishu_app::MESSAGES.to_owned(),
            Self::Feishu => format!("/open-apis/bot/v2/hook/{token}"),
            Self::DingTalk if dingtalk_app::is_app(robot) => dingtalk_app::TO_USERS.to_owned(),
            Self::DingTalk => format!("/robot/send?access_token={token}"),
            Self::WeCom if wecom_app::ids(robot).is_some() => wecom_app::SEND.to_owned(),
            Self::WeCom => format!("/cgi-bin/webhook/send?key={token}"),
            Self::Slack if slack::is_app(robot) => slack::POST_MESSAGE.to_owned(),
            Self::Slack => format!("/services/{token}"),
            Self::Discord if discord::is_bot(robot) => discord::messages_path(),
            Self::Discord => format!("/api/webhooks/{token}"),
            Self::Telegram => format!("/bot{token}/sendMessage"),
            Self::WhatsApp => whatsapp::path(token),
        }
    }

    /// The chats that people can write in, the first of them a group's; none where the stand-in sends no events.
    #[must_use]
    pub fn talks(self, chats: &[Chat]) -> Vec<String> {
        match self {
            Self::Feishu => feishu_app::TALKS.map(str::to_owned).to_vec(),
            Self::Slack => slack::talks(chats),
            Self::Telegram => telegram::talks(chats),
            Self::DingTalk => dingtalk_app::TALKS.map(str::to_owned).to_vec(),
            Self::WeCom => wecom_app::TALKS.map(str::to_owned).to_vec(),
            Self::Discord => discord::talks(chats),
            Self::WhatsApp => whatsapp::TALKS.map(str::to_owned).to_vec(),
        }
    }

    /// The secrets of a callback that was given none, the same at every start.
    #[must_use]
    pub fn secrets(self) -> Secrets {
        self.caller().secrets()
    }

    /// What the owner of a bot reads off the platform to verify its events, by the names that `anser sim` prints.
    #[must_use]
    pub fn proof(self, secrets: &Secrets) -> Vec<(&'static str, String)> {
        let (key, token) = match self {
            Self::Feishu => ("encrypt_key", "verification_token"),
            Self::Slack => ("signing_secret", ""),
            Self::Telegram => ("", "secret_token"),
            Self::DingTalk => ("app_secret", ""),
            Self::WeCom => ("encoding_aes_key", "callback_token"),
            Self::WhatsApp => ("app_secret", "verify_token"),
            Self::Discord => {
                let key = discord::public_key(secrets);
                return key.map(|key| ("public_key", key)).into_iter().collect();
            }
        };
        [(key, &secrets.key), (token, &secrets.token)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .filter(|(name, _)| !name.is_empty())
            .collect()
    }

    /// How it sends events.
    pub(crate) fn caller(self) -> &'static dyn Caller {
        match self {
            Self::Feishu => &feishu_app::Events,
            Self::DingTalk => &dingtalk_app::Callbacks,
            Self::WeCom => &wecom_app::Callbacks,
            Self::Slack => &slack::Events,
            Self::Discord => &discord::Interactions,
            Self::Telegram => &telegram::Updates,
            Self::WhatsApp => &whatsapp::Webhooks,
        }
    }

    pub(crate) fn stand(self) -> Box<dyn Stand> {
        match self {
            Self::Feishu => Box::<feishu::Feishu>::default(),
            Self::DingTalk => Box::<dingtalk::DingTalk>::default(),
            Self::WeCom => Box::<wecom::WeCom>::default(),
            Self::Slack => Box::<slack::Slack>::default(),
            Self::Discord => Box::<discord::Discord>::default(),
            Self::Telegram => Box::<telegram::Telegram>::default(),
            Self::WhatsApp => Box::new(whatsapp::WhatsApp),
        }
    }
}

/// A robot, bot or webhook that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    /// What its URL names it by: a token or key; `T…/B…/…` for Slack, `ID/TOKEN` for Discord, `ID:TOKEN` for Telegram.
    /// An app of Feishu, DingTalk or WeCom has its id or key here, and its secret below; an app of Slack and a bot of Discord
    /// have their bot's token, a number of WhatsApp its id, and its token below.
    pub token: String,
    /// The secret that its requests must be signed with, or that opens it.
    pub secret: Option<String>,
    /// One of these words must be in every message; none asks for nothing. Only Feishu and DingTalk have them.
    pub keywords: Vec<String>,
}

/// What a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatKind {
    /// With one person.
    Private,
    /// With several.
    Group,
    /// Where only its owners write.
    Channel,
}

/// A chat that a bot of Telegram or Discord or an app of Slack may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// Its id; those of Slack are made of it, see [`Platform::chat_id`].
    pub id: i64,
    /// What it is.
    pub kind: ChatKind,
    /// Its name for people.
    pub title: String,
    /// Its public name without `@`, where it has one.
    pub username: Option<String>,
}

/// A request to the platform's API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// All of the body; empty where it brought files.
    pub(crate) body: Bytes,
    /// The parts of a form with files; one without a name where the platform takes a file as the whole body.
    pub(crate) parts: Vec<Part>,
    /// The wall time.
    pub(crate) now: Timestamp,
    /// The time that windows are measured with.
    pub(crate) monotonic: Duration,
    /// What it was held with, when it is judged again.
    pub(crate) held: Option<Hold>,
}

impl Call {
    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A part of the form.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// What a field of the form says.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.part(name)?.text()
    }

    /// Bytes of the request that are kept with the message that it makes.
    pub(crate) fn weight(&self) -> usize {
        let texts = self.parts.iter().filter_map(Part::text).map(str::len);
        self.body.len() + texts.sum::<usize>()
    }

    /// The media type of the body, in lower case and without parameters.
    pub(crate) fn media_type(&self) -> String {
        let value = self.headers.get(http::header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
        text.split(';').next().unwrap_or("").trim().to_lowercase()
    }
}

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// How long the platform takes its time with it.
    pub(crate) wait: Duration,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into(),
            wait: Duration::ZERO,
        }
    }

    /// The bytes of a file.
    pub(crate) fn bytes(body: Bytes) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/octet-stream".to_owned())],
            body,
            wait: Duration::ZERO,
        }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: Bytes::copy_from_slice(body.as_bytes()),
            wait: Duration::ZERO,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A message that was taken, before it has its number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Letter {
    pub(crate) robot: String,
    pub(crate) conversation: String,
    pub(crate) id: Option<String>,
    /// The ids of the others that the same request made.
    pub(crate) more_ids: Vec<String>,
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) body: Value,
    /// The keys of the files that it shows.
    pub(crate) uploads: Vec<String>,
}

/// A change of a message that was taken before.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) conversation: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) body: Value,
    /// The keys of the files that it shows now.
    pub(crate) uploads: Vec<String>,
}

/// Which message was taken back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gone {
    pub(crate) conversation: String,
    pub(crate) id: String,
}

/// What a person did to a message of theirs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amendment {
    /// It says something else.
    Edited(Change),
    /// It was taken back.
    Recalled(Gone),
}

/// What a refused request was wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    Rate,
    Size,
    Credentials,
    Content,
}

/// A request that was refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// The platform's code.
    pub(crate) code: String,
    pub(crate) breach: Breach,
    pub(crate) answer: Answer,
}

/// What a stand-in makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// A message was taken.
    Taken(Letter, Answer),
    /// A message was changed.
    Edited(Change, Answer),
    /// Messages were taken back.
    Recalled(Vec<Gone>, Answer),
    /// The request is answered, without a message in it. A file that it brought is on the shelf.
    Answered(Answer),
    /// The request is answered with events.
    Polled {
        /// The answer.
        answer: Answer,
        /// How many it brings.
        sent: u64,
        /// How many of those before it confirms.
        taken: u64,
    },
    /// The request waits until something comes, or this time is over.
    Held(Hold),
}

/// A request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Tells it from others.
    pub(crate) turn: u64,
    /// Until when, by the time that windows are measured with.
    pub(crate) until: Duration,
}

/// A platform's own rules.
pub(crate) trait Stand: Send {
    /// Whether the body of a request like this is a file by itself, to be measured and not kept: [`Call::parts`] then has
    /// the one part.
    fn takes_file(&self, _method: &Method, _path: &str) -> bool {
        false
    }

    /// Judges a request.
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>>;

    /// Takes what a person writes: the message, and the event that tells the bot of it.
    fn hear(
        &mut self,
        _said: &Said,
        _desk: &mut Desk<'_>,
        _now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        Err(Unsaid::new("this stand-in sends no events"))
    }

    /// Takes what a person does to a message of theirs, and the event that tells the bot of it.
    fn amend(
        &mut self,
        _amended: &Amended,
        _desk: &mut Desk<'_>,
        _now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        Err(Unsaid::new("this stand-in tells bots of no such change"))
    }

    /// Takes an event for the bots that are connected, or that ask; `copies` times where the platform may repeat it.
    fn spread(&mut self, _event: Value, _copies: usize, _moment: Moment) {}

    /// Lets a bot open a WebSocket to that path, which has the number `line` from then on.
    fn admit(&mut self, _call: &Call, _line: u64, _desk: &mut Desk<'_>) -> Result<(), Answer> {
        Err(Answer::text(404, "Not Found"))
    }

    /// What is said on a line.
    fn hear_line(
        &mut self,
        _line: u64,
        _heard: Heard,
        _desk: &mut Desk<'_>,
        _moment: Moment,
    ) -> Vec<Told> {
        Vec::new()
    }

    /// A bot has closed a line with this code; [`Heard::Gone`] follows.
    fn line_closed(&mut self, _line: u64, _code: u16) {}

    /// The answer to a request that is refused with one of the platform's codes, for no reason of its own. `wait` is
    /// what a refusal for the rate names.
    fn refusal(&self, code: &str, wait: Duration) -> Answer;

    /// The same for a request whose path tells in which form it is refused.
    fn refusal_to(&self, _call: &Call, code: &str, wait: Duration) -> Answer {
        self.refusal(code, wait)
    }

    /// What every answer carries, such as the state of a rate window.
    fn finish(&self, _call: &Call, _desk: &Desk<'_>, answer: Answer) -> Answer {
        answer
    }
}

/// When something happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The wall time.
    pub(crate) now: Timestamp,
    /// The time that windows are measured with.
    pub(crate) monotonic: Duration,
}

/// What a stand-in works with.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) robots: &'a [Robot],
    pub(crate) chats: &'a [Chat],
    pub(crate) limiter: &'a mut Limiter,
    /// The files that were taken.
    pub(crate) shelf: &'a mut Shelf,
    /// The number that the next message will have.
    pub(crate) number: u64,
    /// What stands for the platform's own base URL.
    pub(crate) base: &'a str,
    /// The chat or robot whose limit this request exceeded.
    pub(crate) exceeded: Option<String>,
    /// Whether events go to a callback URL.
    pub(crate) is_called: bool,
}

impl<'a> Desk<'a> {
    /// The robot with that token.
    pub(crate) fn robot(&self, token: &str) -> Option<&'a Robot> {
        let same = |robot: &&Robot| {
            verify_slices_are_equal(robot.token.as_bytes(), token.as_bytes()).is_ok()
        };
        self.robots.iter().find(same)
    }

    /// Counts the request of a robot, and of the chat it is for.
    pub(crate) fn take(&mut self, call: &Call, keys: &[(Counted, &str)]) -> Result<(), Over> {
        let taken = self.limiter.take(keys, call.monotonic);
        if let Err(over) = &taken {
            let key = keys.iter().find(|(counted, _)| *counted == over.counted);
            self.exceeded = key.map(|(_, key)| (*key).to_owned());
        }
        taken
    }
}

/// HMAC-SHA256 in base64.
fn hmac_base64(key: &str, signed: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    BASE64.encode(hmac::sign(&key, signed.as_bytes()))
}

/// Hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number that a person of that name is known by, below 2^48.
fn person(name: &str) -> u64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let bytes = digest.as_ref().iter().take(6);
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether two texts are the same, in a time that does not tell how much of them is.
fn same_text(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// Whether a time in milliseconds since the Unix epoch is within `most` of `now`, on either side.
fn is_near(millis: i64, now: Timestamp, most: Duration) -> bool {
    u128::from(millis.abs_diff(now.millis())) <= most.as_millis()
}

/// Seconds as an integer, rounded up, at least 1: what a `Retry-After` tells.
fn whole_seconds(wait: Duration) -> u64 {
    let more = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + more).max(1)
}

#[cfg(test)]
mod trial;
