//! What a stand-in sends to a bot's callback URL: where to, with which secrets, and the events that wait, first and again.
//! Must not know a platform's forms or delays, nor send anything itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Events that may wait; those beyond are lost, as those are that a platform gives up.
const WAITING_MAX: usize = 100_000;
/// Characters of what a person writes.
const TEXT_MAX: usize = 4_000;
/// Characters of a name or an id.
const NAME_MAX: usize = 100;
/// Who writes where nobody says.
pub(crate) const PERSON: &str = "Ann";

/// What proves to a bot that an event is the platform's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// What events are signed or encrypted with: Feishu's Encrypt Key, without which its events are plain and unsigned,
    /// Slack's signing secret, the secret of a DingTalk or WhatsApp app, WeCom's EncodingAESKey, or the seed of Discord's key
    /// pair in hexadecimal digits.
    pub key: Option<String>,
    /// What they carry, or the check of the URL does: Feishu's Verification Token, Telegram's secret token, WeCom's Token,
    /// WhatsApp's verify token.
    pub token: Option<String>,
}

/// Where a stand-in sends its events.
#[derive(Debug, Clone)]
pub struct Callback {
    url: Url,
    /// What proves them.
    pub secrets: Secrets,
    /// Whether each is sent twice at the same time, as platforms do at times.
    pub duplicates: bool,
}

impl Callback {
    /// To that address, which must begin with `http://`: what it goes to is on this machine or behind a proxy of yours.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn new(url: &str, secrets: Secrets) -> Result<Self, InvalidCallback> {
        match Url::parse(url) {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(Self {
                url,
                secrets,
                duplicates: false,
            }),
            _ => Err(InvalidCallback),
        }
    }

    /// The same, with each event sent twice.
    #[must_use]
    pub const fn duplicated(mut self) -> Self {
        self.duplicates = true;
        self
    }

    /// Where.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }
}

/// An address that no events can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCallback;

impl std::fmt::Display for InvalidCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a callback is an address that begins with http://")
    }
}

impl std::error::Error for InvalidCallback {}

/// What somebody writes in a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The chat's id.
    pub chat: String,
    /// Who writes; empty: Ann. The platform's id of a person is made of the name.
    #[serde(default)]
    pub name: String,
    /// What; may be empty beside a file.
    #[serde(default)]
    pub text: String,
    /// The id of the message of that chat that it answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// A file that is sent with it.
    #[serde(default)]
    pub file: Option<SaidFile>,
}

/// A file that somebody sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidFile {
    /// Its name.
    pub name: String,
    /// Its media type; what begins with `image/` is shown as a picture.
    pub media_type: String,
    /// Its bytes, in JSON as base64.
    #[serde(rename = "base64", deserialize_with = "bytes_of")]
    pub bytes: Bytes,
}

impl SaidFile {
    /// Whether it is shown as a picture.
    pub(crate) fn is_picture(&self) -> bool {
        self.media_type.starts_with("image/")
    }
}

fn bytes_of<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = BASE64.decode(text).map_err(serde::de::Error::custom)?;
    Ok(bytes.into())
}

impl Said {
    /// The same, once it is neither empty nor too long.
    pub(crate) fn checked(&self) -> Result<Self, Unsaid> {
        let mut said = self.clone();
        said.reply_to = said.reply_to.filter(|id| !id.is_empty());
        if said.name.trim().is_empty() {
            said.name = PERSON.to_owned();
        }
        let ids = [Some(&said.chat), Some(&said.name), said.reply_to.as_ref()];
        let is_long = |id: &String| id.chars().count() > NAME_MAX;
        if ids.into_iter().flatten().any(is_long) {
            return Err(Unsaid::new("a name or an id has 100 characters at most"));
        }
        if said.text.is_empty() && said.file.is_none() || said.text.chars().count() > TEXT_MAX {
            return Err(Unsaid::new("`text` must have 1 to 4000 characters"));
        }
        if said.file.as_ref().is_some_and(|file| file.bytes.is_empty()) {
            return Err(Unsaid::new("a file is not empty"));
        }
        Ok(said)
    }
}

/// What somebody does to a message that people wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amended {
    /// The chat's id.
    pub chat: String,
    /// The message's id.
    pub id: String,
    /// Its new text; absent: it is taken back.
    #[serde(default)]
    pub text: Option<String>,
}

impl Amended {
    /// The same, once it is neither empty nor too long.
    pub(crate) fn checked(&self) -> Result<Self, Unsaid> {
        let is_long = |id: &String| id.chars().count() > NAME_MAX;
        if [&self.chat, &self.id].into_iter().any(is_long) {
            return Err(Unsaid::new("an id has 100 characters at most"));
        }
        let good = |text: &String| !text.is_empty() && text.chars().count() <= TEXT_MAX;
        if !self.text.as_ref().is_none_or(good) {
            return Err(Unsaid::new("`text` must have 1 to 4000 characters"));
        }
        Ok(self.clone())
    }
}

/// Why nobody can write that there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaid(String);

impl Unsaid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl std::fmt::Display for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsaid {}

/// A request to the callback URL.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Post {
    /// It is a GET, as some platforms check a URL.
    pub(crate) is_get: bool,
    /// What is added to the URL's own query.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Post {
    /// With a body of JSON.
    pub(crate) fn json(body: &Value) -> Self {
        Self {
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body: body.to_string().into(),
            ..Self::default()
        }
    }

    /// A GET with that query.
    pub(crate) fn get(query: Vec<(&'static str, String)>) -> Self {
        Self {
            is_get: true,
            query,
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// One try to send an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The wall time.
    pub(crate) now: Timestamp,
    /// No other has this number.
    pub(crate) number: u64,
    /// How often it was sent before.
    pub(crate) retries: u32,
    /// What became of it the last time.
    pub(crate) failed: Option<Failed>,
}

/// Why an event was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nobody was there, or hung up.
    Connection,
    /// No answer in time.
    Timeout,
    /// Another answer than a success.
    Status(u16),
}

/// What became of a try; a failure also says whether the bot may want it again.
pub(crate) type Tried = Result<(), (Failed, bool)>;

/// How a platform calls a bot.
pub(crate) trait Caller: Send + Sync {
    /// The secrets of a callback that was given none: the same at every start.
    fn secrets(&self) -> Secrets;

    /// What is asked before the first event, if anything.
    fn check(&self, secrets: &Secrets, word: &str, attempt: &Attempt) -> Option<Post>;

    /// Whether what that was answered with is right: mostly, whether it holds the word.
    fn is_right(&self, word: &str, body: &[u8]) -> bool {
        let mut parts = body.windows(word.len());
        parts.any(|part| part == word.as_bytes())
    }

    /// An event as it is sent.
    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post;

    /// For how long an answer is waited for.
    fn patience(&self) -> Duration;

    /// How long after the failure of try `retries` (the first is 0) the next one comes; `None`: the event is lost.
    fn again(&self, retries: u32) -> Option<Duration>;
}

/// An event that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) event: Value,
    pub(crate) retries: u32,
    pub(crate) failed: Option<Failed>,
}

/// The events that wait, by when they are due.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<(Duration, u64), Waiting>,
    number: u64,
    /// Whether the callback URL is good, and else why not; `None` before it was asked.
    pub(crate) checked: Option<Result<(), String>>,
}

impl Outbox {
    /// A number that nothing had before.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Has one wait until `due`, by the time that windows are measured with; false when there are too many.
    pub(crate) fn add(&mut self, due: Duration, waiting: Waiting) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        let number = self.next_number();
        self.waiting.insert((due, number), waiting);
        true
    }

    /// The first that is due.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Waiting> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Whether any waits.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }
}
