//! Discord, messages that exist: posted by bots and webhooks, edited, deleted and shown again. Must not know routes or tokens.

mod heard;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::fields::{chars, gist};
use super::super::{Breach, Call, Change, Desk, Gone, Letter, Refusal};
use super::codes::{invalid, refuse, too_long};
use super::{content, files, snowflake};

/// Messages that are known to exist, so that they can be answered, changed and deleted.
const SENT_MAX: usize = 100_000;
/// Bytes of what they say.
const SENT_BYTES_MAX: usize = 64 << 20;
/// Characters of a nonce.
const NONCE_MAX: usize = 25;
/// For how long a nonce that shall be unique makes one message only: "the past few minutes".
const NONCE_LIFE: Duration = Duration::from_secs(180);
/// A message, and one that is a reply.
const DEFAULT: u64 = 0;
const REPLY: u64 = 19;

/// The messages of all bots and webhooks, by their ids.
#[derive(Default)]
pub(super) struct Messages {
    sent: BTreeMap<u64, Sent>,
    bytes: usize,
    /// Nonces that shall be unique, with the messages that they made, and in the order in which they came.
    nonces: HashMap<String, u64>,
    nonces_by_age: VecDeque<(Timestamp, String)>,
}

/// A message that exists.
struct Sent {
    /// The token of the bot or webhook.
    author: String,
    /// As the API shows it.
    shown: Value,
    weight: usize,
}

/// Who writes, and where.
pub(super) struct Writer<'a> {
    /// The token of the bot or webhook.
    pub(super) token: &'a str,
    /// As messages show it.
    pub(super) author: Value,
    /// The webhook's id, where it is one.
    pub(super) webhook: Option<&'a str>,
    /// The channel or thread.
    pub(super) channel: &'a str,
    /// What the stand-in's books know the place by.
    pub(super) conversation: &'a str,
}

/// What became of a message that was to be posted.
pub(super) enum Posted {
    /// It was taken, and is shown so.
    New(Box<Letter>, Value),
    /// The same nonce has made this one before.
    Before(Value),
}

impl Messages {
    /// Posts what a request says.
    pub(super) fn post(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        writer: &Writer<'_>,
        body: Value,
    ) -> Result<Posted, Box<Refusal>> {
        if content::is_empty(&body) && !files::brings_files(call) {
            return Err(refuse("50006", Breach::Content));
        }
        content::check(&body)?;
        files::check(call, &body, &[])?;
        let nonce = self.nonce(call, writer, &body)?;
        if let Some(before) = nonce
            .as_ref()
            .and_then(|nonce| self.sent.get(self.nonces.get(nonce)?))
        {
            return Ok(Posted::Before(before.shown.clone()));
        }
        let answered = self.answered(writer, &body)?;
        let id = snowflake(call.now, desk.number);
        let attachments = files::place(call, desk, writer.token, &body, writer.channel);
        let mut shown = shown(&body, writer, &id, call.now);
        if let Some(answered) = answered {
            shown["type"] = REPLY.into();
            shown["message_reference"] =
                json!({"type": 0, "channel_id": writer.channel, "message_id": answered["id"]});
            shown["referenced_message"] = answered;
        }
        let uploads = files::keys(&attachments);
        shown["attachments"] = attachments.into();
        let number: u64 = id.parse().unwrap_or_default();
        if let Some(nonce) = nonce {
            self.nonces.insert(nonce.clone(), number);
            self.nonces_by_age.push_back((call.now, nonce));
        }
        self.note(number, writer.token, shown.clone());
        let letter = Letter {
            robot: writer.token.to_owned(),
            conversation: writer.conversation.to_owned(),
            id: Some(id),
            kind: kind(&body, !uploads.is_empty()).to_owned(),
            text: gist(&body),
            body,
            uploads,
            ..Letter::default()
        };
        Ok(Posted::New(Box::new(letter), shown))
    }

    /// The nonce of a message, where it shall be unique among its author's. Webhooks have none.
    fn nonce(
        &mut self,
        call: &Call,
        writer: &Writer<'_>,
        body: &Value,
    ) -> Result<Option<String>, Box<Refusal>> {
        while let Some((at, _)) = self.nonces_by_age.front()
            && (call.now.since(*at) >= NONCE_LIFE || self.nonces_by_age.len() > SENT_MAX)
        {
            let old = self.nonces_by_age.pop_front();
            old.and_then(|(_, nonce)| self.nonces.remove(&nonce));
        }
        let nonce = match &body["nonce"] {
            Value::Null => return Ok(None),
            _ if writer.webhook.is_some() => return Ok(None),
            Value::String(nonce) => nonce.clone(),
            Value::Number(nonce) => nonce.to_string(),
            _ => {
                let message = "Value must be a string or an integer.";
                return Err(invalid(
                    "/nonce",
                    "BASE_TYPE_BAD_TYPE",
                    message,
                    Breach::Content,
                ));
            }
        };
        if chars(&nonce) > NONCE_MAX {
            return Err(too_long("/nonce", NONCE_MAX));
        }
        let key = format!("{} {nonce}", writer.token);
        Ok((body["enforce_nonce"] == true).then_some(key))
    }

    /// The message that is replied to. One that is gone is an error, unless the request says that it is none.
    fn answered(&self, writer: &Writer<'_>, body: &Value) -> Result<Option<Value>, Box<Refusal>> {
        let reference = &body["message_reference"];
        let Some(id) = reference.get("message_id") else {
            return Ok(None);
        };
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let sent = id.parse().ok().and_then(|id: u64| self.sent.get(&id));
        match sent.filter(|sent| sent.shown["channel_id"] == writer.channel) {
            Some(sent) => {
                let mut shown = sent.shown.clone();
                if let Some(members) = shown.as_object_mut() {
                    members.remove("referenced_message");
                }
                Ok(Some(shown))
            }
            None if reference["fail_if_not_exists"] == false => Ok(None),
            None => Err(invalid(
                "/message_reference",
                "REPLIES_UNKNOWN_MESSAGE",
                "Unknown message",
                Breach::Content,
            )),
        }
    }

    /// Changes what a message says: what the request does not name stays.
    pub(super) fn edit(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        writer: &Writer<'_>,
        id: &str,
        body: Value,
    ) -> Result<(Change, Value), Box<Refusal>> {
        content::check(&body)?;
        let sent = self.own(writer, id, "50005")?;
        let known = sent.shown["attachments"].as_array();
        let mut attachments = files::check(call, &body, known.map_or(&[], Vec::as_slice))?;
        let mut new = sent.shown.clone();
        for (member, none) in [
            ("content", json!("")),
            ("embeds", json!([])),
            ("components", json!([])),
        ] {
            match body.get(member) {
                Some(Value::Null) => new[member] = none,
                Some(value) => new[member] = value.clone(),
                None => {}
            }
        }
        let gone = attachments.is_empty() && !files::brings_files(call);
        if content::is_empty(&new) && gone {
            return Err(refuse("50006", Breach::Content));
        }
        attachments.extend(files::place(
            call,
            desk,
            writer.token,
            &body,
            writer.channel,
        ));
        let uploads = files::keys(&attachments);
        new["attachments"] = attachments.into();
        new["edited_timestamp"] = call.now.to_string().into();
        let (before, after) = (sent.weight, new.to_string().len());
        sent.weight = after;
        sent.shown = new.clone();
        self.bytes = self.bytes - before + after;
        let change = Change {
            conversation: writer.conversation.to_owned(),
            id: id.to_owned(),
            kind: kind(&body, !uploads.is_empty()).to_owned(),
            text: gist(&body),
            body,
            uploads,
        };
        Ok((change, new))
    }

    /// Deletes a message.
    pub(super) fn delete(
        &mut self,
        writer: &Writer<'_>,
        id: &str,
    ) -> Result<Vec<Gone>, Box<Refusal>> {
        self.own(writer, id, "50013")?;
        let gone = id.parse().ok().and_then(|id: u64| self.sent.remove(&id));
        self.bytes -= gone.map_or(0, |gone| gone.weight);
        Ok(vec![Gone {
            conversation: writer.conversation.to_owned(),
            id: id.to_owned(),
        }])
    }

    /// A message as the API shows it.
    pub(super) fn show(&mut self, writer: &Writer<'_>, id: &str) -> Result<Value, Box<Refusal>> {
        let sent = self.existing(writer, id)?;
        Ok(sent.shown.clone())
    }

    /// A message of the writer's channel. Webhooks see no others' messages.
    fn existing(&mut self, writer: &Writer<'_>, id: &str) -> Result<&mut Sent, Box<Refusal>> {
        let sent = id.parse().ok().and_then(|id: u64| self.sent.get_mut(&id));
        let sent = sent.filter(|sent| {
            let mine = writer.webhook.is_none() || sent.author == writer.token;
            mine && sent.shown["channel_id"] == writer.channel
        });
        sent.ok_or_else(|| refuse("10008", Breach::Content))
    }

    /// A message that the writer wrote; `code` refuses another's.
    fn own(
        &mut self,
        writer: &Writer<'_>,
        id: &str,
        code: &str,
    ) -> Result<&mut Sent, Box<Refusal>> {
        let sent = self.existing(writer, id)?;
        match sent.author == writer.token {
            true => Ok(sent),
            false => Err(refuse(code, Breach::Content)),
        }
    }

    fn note(&mut self, number: u64, author: &str, shown: Value) {
        let weight = shown.to_string().len();
        self.bytes += weight;
        let sent = Sent {
            author: author.to_owned(),
            shown,
            weight,
        };
        self.sent.insert(number, sent);
        while self.sent.len() > SENT_MAX || self.bytes > SENT_BYTES_MAX {
            let Some((_, old)) = self.sent.pop_first() else {
                return;
            };
            self.bytes -= old.weight;
        }
    }
}

/// What a message is made of.
fn kind(body: &Value, has_files: bool) -> &'static str {
    let has_embeds = body["embeds"]
        .as_array()
        .is_some_and(|embeds| !embeds.is_empty());
    match (has_embeds, has_files) {
        (true, _) => "embeds",
        (false, true) => "files",
        (false, false) => "content",
    }
}

/// What the platform shows of a message that was posted.
fn shown(body: &Value, writer: &Writer<'_>, id: &str, now: Timestamp) -> Value {
    let pinged = content::pinged(body);
    let users = pinged.users.iter().map(|id| content::user(id, "tom"));
    let list = |name: &str| body.get(name).filter(|list| list.is_array()).cloned();
    let mut shown = json!({"type": DEFAULT, "content": body["content"].as_str().unwrap_or_default(),
        "mentions": users.collect::<Vec<_>>(), "mention_roles": pinged.roles, "attachments": [],
        "embeds": list("embeds").unwrap_or_else(|| json!([])), "timestamp": now.to_string(),
        "edited_timestamp": null, "flags": body["flags"].as_u64().unwrap_or(0),
        "components": list("components").unwrap_or_else(|| json!([])), "id": id, "channel_id": writer.channel,
        "author": writer.author, "pinned": false, "mention_everyone": pinged.everyone,
        "tts": body["tts"].as_bool().unwrap_or(false)});
    let nonce = body.get("nonce").filter(|nonce| !nonce.is_null());
    match (writer.webhook, nonce) {
        (Some(webhook), _) => shown["webhook_id"] = webhook.into(),
        (None, Some(nonce)) => shown["nonce"] = nonce.clone(),
        (None, None) => {}
    }
    shown
}
