//! Slack, messages of apps: posted, in threads, updated and deleted. Must not know tokens.

mod amended;
mod heard;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::fields::{chars, gist, text};
use super::super::{Answer, Breach, Change, Desk, Gone, Letter, Refusal, Verdict};
use super::blocks::{self, Wrong};
use super::kind;
use super::request::{
    APP_ID, BOT_ID, BOT_USER, Place, Request, TEAM, known_place, place, refuse, refuse_about,
};
use crate::limit::Counted;

/// Messages that are known to exist, so that they can be changed and deleted.
const SENT_MAX: usize = 100_000;
/// Bytes of what they say.
const SENT_BYTES_MAX: usize = 64 << 20;
/// Characters of a text in Markdown.
const MARKDOWN_MAX: usize = 12_000;
/// What a second has of the numbers that messages are known by.
const PER_SECOND: i64 = 1_000_000;

/// The messages of all apps, by the microsecond that each is known by.
#[derive(Default)]
pub(super) struct Messages {
    sent: BTreeMap<i64, Sent>,
    bytes: usize,
    /// What people did to theirs, so far.
    amended: i64,
    /// The names of those who wrote, by their ids.
    people: BTreeMap<String, String>,
}

/// A message that exists.
struct Sent {
    /// The app that sent it, or the person.
    app: String,
    channel: String,
    is_file: bool,
    /// As the API shows it.
    shown: Value,
    weight: usize,
}

impl Messages {
    /// `chat.postMessage`.
    pub(super) fn post(
        &mut self,
        request: Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let place = place(desk, request.required("channel")?)?;
        may_write(&place)?;
        let chat = format!("{} {}", request.app, place.id);
        let keys = [(Counted::Chat, &*chat), (Counted::App, request.app)];
        request.take(desk, &keys)?;
        check(&request.body)?;
        let thread = thread(&request.body)?;
        let number = self.free_number(&request, desk);
        let mut shown = json!({"user": BOT_USER, "type": "message", "ts": ts(number), "bot_id": BOT_ID,
            "app_id": APP_ID, "text": said(&request.body), "team": TEAM});
        for list in ["blocks", "attachments"] {
            if request.body[list]
                .as_array()
                .is_some_and(|list| !list.is_empty())
            {
                shown[list] = request.body[list].clone();
            }
        }
        if let Some(thread) = thread {
            shown["thread_ts"] = thread.into();
        }
        let answer = json!({"ok": true, "channel": place.id, "ts": ts(number), "message": shown});
        self.note(number, &request, &place, shown, false);
        let letter = Letter {
            robot: request.app.to_owned(),
            conversation: place.id,
            id: Some(ts(number)),
            kind: kind(&request.body).to_owned(),
            text: gist(&request.body),
            body: request.body,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, Answer::json(200, &answer)))
    }

    /// The message that shows files; answers what it is known by.
    pub(super) fn share(
        &mut self,
        request: &Request<'_>,
        desk: &Desk<'_>,
        place: &Place,
        files: &[String],
    ) -> Result<String, Box<Refusal>> {
        may_write(place)?;
        let thread = thread(&request.body)?;
        let number = self.free_number(request, desk);
        let mut shown = json!({"user": BOT_USER, "type": "message", "subtype": "file_share", "ts": ts(number),
            "bot_id": BOT_ID, "text": text(&request.body, "/initial_comment").unwrap_or_default(), "files": files});
        if let Some(thread) = thread {
            shown["thread_ts"] = thread.into();
        }
        self.note(number, request, place, shown, true);
        Ok(ts(number))
    }

    /// `chat.update`: what is not named stays, but blocks where a text comes without.
    pub(super) fn update(
        &mut self,
        request: Request<'_>,
        desk: &Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let place = known_place(desk, request.required("channel")?)?;
        let number = number(request.required("ts")?);
        check(&request.body)?;
        let sent = self.own(number, &place, request.app, "cant_update_message")?;
        if sent.is_file {
            return Err(refuse("cant_update_message", Breach::Content));
        }
        let (new, shown) = (&request.body, &mut sent.shown);
        if new.get("text").is_some() || new.get("markdown_text").is_some() {
            shown["text"] = said(new).into();
            if let (None, Some(members)) = (new.get("blocks"), shown.as_object_mut()) {
                members.remove("blocks");
            }
        }
        for list in ["blocks", "attachments"] {
            if let Some(list_of_new) = new.get(list) {
                shown[list] = list_of_new.clone();
            }
        }
        shown["edited"] = json!({"user": BOT_USER, "ts": ts(micros(request.call.now.millis()))});
        let id = shown["ts"].as_str().unwrap_or_default().to_owned();
        let answer = json!({"ok": true, "channel": place.id, "ts": id, "text": shown["text"], "message": shown});
        let (before, after) = (sent.weight, sent.shown.to_string().len());
        sent.weight = after;
        self.bytes = self.bytes - before + after;
        let change = Change {
            conversation: place.id,
            id,
            kind: kind(new).to_owned(),
            text: gist(new),
            body: request.body,
            uploads: Vec::new(),
        };
        Ok(Verdict::Edited(change, Answer::json(200, &answer)))
    }

    /// `chat.delete`.
    pub(super) fn delete(
        &mut self,
        request: &Request<'_>,
        desk: &Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let place = known_place(desk, request.required("channel")?)?;
        let id = request.required("ts")?;
        self.own(number(id), &place, request.app, "cant_delete_message")?;
        self.forget(id);
        let answer = json!({"ok": true, "channel": place.id, "ts": id});
        let gone = Gone {
            conversation: place.id,
            id: id.to_owned(),
        };
        Ok(Verdict::Recalled(vec![gone], Answer::json(200, &answer)))
    }

    /// Takes a message away.
    pub(super) fn forget(&mut self, id: &str) {
        let gone = number(id).and_then(|number| self.sent.remove(&number));
        self.bytes -= gone.map_or(0, |gone| gone.weight);
    }

    /// A message of that place that the app wrote itself; `word` refuses another's.
    fn own(
        &mut self,
        number: Option<i64>,
        place: &Place,
        app: &str,
        word: &str,
    ) -> Result<&mut Sent, Box<Refusal>> {
        let sent = number.and_then(|number| self.sent.get_mut(&number));
        let sent = sent.filter(|sent| sent.channel == place.id);
        let sent = sent.ok_or_else(|| refuse("message_not_found", Breach::Content))?;
        match sent.app == app {
            true => Ok(sent),
            false => Err(refuse(word, Breach::Content)),
        }
    }

    /// The microsecond that the next message is known by: no other has it.
    fn free_number(&self, request: &Request<'_>, desk: &Desk<'_>) -> i64 {
        let within = i64::try_from(desk.number % 1_000).unwrap_or(0);
        let mut number = micros(request.call.now.millis()) + within;
        while self.sent.contains_key(&number) {
            number += 1;
        }
        number
    }

    fn note(
        &mut self,
        number: i64,
        request: &Request<'_>,
        place: &Place,
        shown: Value,
        is_file: bool,
    ) {
        let weight = shown.to_string().len();
        let sent = Sent {
            app: request.app.to_owned(),
            channel: place.id.clone(),
            is_file,
            shown,
            weight,
        };
        self.keep(number, sent);
    }

    fn keep(&mut self, number: i64, sent: Sent) {
        self.bytes += sent.weight;
        self.sent.insert(number, sent);
        while self.sent.len() > SENT_MAX || self.bytes > SENT_BYTES_MAX {
            let Some((_, old)) = self.sent.pop_first() else {
                return;
            };
            self.bytes -= old.weight;
        }
    }
}

fn may_write(place: &Place) -> Result<(), Box<Refusal>> {
    match place.is_closed {
        true => Err(refuse(
            "restricted_action_read_only_channel",
            Breach::Content,
        )),
        false => Ok(()),
    }
}

/// Checks what a message says.
fn check(body: &Value) -> Result<(), Box<Refusal>> {
    let metadata = &body["metadata"];
    let is_whole = text(metadata, "/event_type").is_some() && metadata["event_payload"].is_object();
    if !metadata.is_null() && !is_whole {
        return Err(refuse("invalid_metadata_format", Breach::Content));
    }
    if let Some(markdown) = text(body, "/markdown_text") {
        if body.get("text").is_some() || body.get("blocks").is_some() {
            return Err(refuse("markdown_text_conflict", Breach::Content));
        }
        if chars(markdown) > MARKDOWN_MAX {
            return Err(refuse("msg_too_long", Breach::Size));
        }
        return Ok(());
    }
    blocks::check(body).map_err(|wrong| {
        let Wrong {
            code,
            breach,
            block,
        } = wrong;
        match block {
            Some(place) => {
                let told = format!(
                    "[ERROR] failed to match all allowed schemas [json-pointer:/blocks/{place}]"
                );
                refuse_about(code, breach, &told)
            }
            None => refuse(code, breach),
        }
    })
}

/// The text of a message.
fn said(body: &Value) -> String {
    let said = text(body, "/text").or_else(|| text(body, "/markdown_text"));
    said.unwrap_or_default().to_owned()
}

/// The thread that a message goes to. One below a message that nobody knows is taken: that may be gone.
fn thread(body: &Value) -> Result<Option<String>, Box<Refusal>> {
    let Some(named) = body.get("thread_ts").filter(|named| !named.is_null()) else {
        return Ok(None);
    };
    match named.as_str().and_then(number) {
        Some(number) => Ok(Some(ts(number))),
        None => {
            let told = format!("[ERROR] {named} is not a valid thread_ts");
            Err(refuse_about("invalid_thread_ts", Breach::Content, &told))
        }
    }
}

const fn micros(millis: i64) -> i64 {
    millis * 1_000
}

/// What a message is known by: seconds and microseconds.
fn ts(number: i64) -> String {
    format!("{}.{:06}", number / PER_SECOND, number % PER_SECOND)
}

/// The microsecond that a message is known by.
fn number(ts: &str) -> Option<i64> {
    let (seconds, micros) = ts.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if micros.len() != 6 || !digits(seconds) || !digits(micros) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    seconds
        .checked_mul(PER_SECOND)?
        .checked_add(micros.parse().ok()?)
}
