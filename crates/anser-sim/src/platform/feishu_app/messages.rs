//! Messages of apps: sent to a chat or as a reply, edited, updated, recalled and looked at. Must not know tokens.

mod amended;
mod heard;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use anser_core::Timestamp;
use http::Method;
use serde_json::{Value, json};

use super::super::fields::{gist, text};
use super::super::{Answer, Breach, Call, Change, Desk, Gone, Letter, Refusal, Verdict};
use super::codes::{invalid, not_found, refuse};
use super::content;
use super::media;
use super::{done, take};

/// Bytes of a request with text.
const TEXT_BYTES_MAX: usize = 150 * 1024;
/// Bytes of any other request.
pub(super) const RICH_BYTES_MAX: usize = 30 * 1024;
/// Characters of a `uuid`.
const KEY_MAX: usize = 50;
/// For how long a `uuid` makes one message only.
pub(super) const KEY_LIFE: Duration = Duration::from_secs(3_600);
/// Messages that are known to exist, so that they can be answered, changed and recalled.
const SENT_MAX: usize = 100_000;
/// Bytes of what they say.
const SENT_BYTES_MAX: usize = 64 << 20;
/// How often a text or post can be edited.
const EDITS_MAX: u32 = 20;
/// For how long a message can be recalled, where the company has said nothing else.
const RECALL_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// For how long a card can be updated.
const UPDATE_AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Types of message that can be edited.
const EDITABLE: [&str; 2] = ["text", "post"];
/// What the ids of people begin with.
const PERSON: &str = "ou_";
const CARD: &str = "interactive";
/// Kinds of id, with what theirs begin with.
const ID_TYPES: [(&str, &str); 5] = [
    ("chat_id", "oc_"),
    ("open_id", "ou_"),
    ("union_id", "on_"),
    ("email", ""),
    ("user_id", ""),
];

/// The messages of all apps.
#[derive(Default)]
pub(super) struct Messages {
    sent: BTreeMap<u64, Sent>,
    bytes: usize,
    /// Keys with the numbers of their messages, and in the order in which they came.
    keys: HashMap<String, u64>,
    keys_by_age: VecDeque<(Timestamp, String)>,
    /// The names of those who wrote, by their ids.
    people: BTreeMap<String, String>,
}

/// A message that exists.
struct Sent {
    /// The app that sent it, or the person.
    app: String,
    way: Way,
    kind: String,
    content: String,
    in_thread: bool,
    at: Timestamp,
    changed_at: Timestamp,
    edits: u32,
    recalled: bool,
    uploads: Vec<String>,
}

/// Where a message goes.
#[derive(Clone)]
struct Way {
    chat: String,
    /// What it answers.
    parent: Option<String>,
}

/// What a message says, once it was checked.
struct Checked {
    kind: String,
    content: String,
    text: String,
    uploads: Vec<String>,
}

impl Messages {
    /// Judges a request below `/im/v1/messages`.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        rest: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        match (&call.method, &parts[..]) {
            (&Method::POST, []) => {
                let body = body(call)?;
                let chat = receiver(call, &body)?;
                self.send(call, desk, app, body, Way { chat, parent: None })
            }
            (&Method::POST, [id, "reply"]) => {
                let body = body(call)?;
                let chat = self.existing(id)?.way.chat.clone();
                let parent = Some((*id).to_owned());
                self.send(call, desk, app, body, Way { chat, parent })
            }
            (&Method::PUT, [id]) => self.edit(call, desk, app, id),
            (&Method::PATCH, [id]) => self.update(call, desk, app, id),
            (&Method::DELETE, [id]) => self.recall(call, desk, app, id),
            (&Method::GET, [id]) => self.show(call, desk, app, id),
            (&Method::GET, [id, "resources", key]) => self.resource(call, desk, app, (id, key)),
            _ => Err(not_found()),
        }
    }

    fn send(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        body: Value,
        way: Way,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages"), Some(&way.chat))?;
        let kind = text(&body, "/msg_type").ok_or_else(invalid)?;
        let checked = check(call, desk, app, kind, &body)?;
        let key = body["uuid"].as_str().unwrap_or_default();
        if key.chars().count() > KEY_MAX {
            return Err(invalid());
        }
        self.forget_keys(call.now);
        let key = format!("{app}/{key}");
        if let Some(number) = self.keys.get(&key)
            && let Some(sent) = self.sent.get(number)
        {
            return Ok(Verdict::Answered(success(&shown(*number, sent))));
        }
        if !key.ends_with('/') {
            self.keys.insert(key.clone(), desk.number);
            self.keys_by_age.push_back((call.now, key));
        }
        let sent = Sent {
            app: app.to_owned(),
            way: way.clone(),
            kind: checked.kind.clone(),
            content: checked.content,
            in_thread: body["reply_in_thread"] == true,
            at: call.now,
            changed_at: call.now,
            edits: 0,
            recalled: false,
            uploads: checked.uploads.clone(),
        };
        let answer = success(&shown(desk.number, &sent));
        self.note(desk.number, sent);
        let letter = Letter {
            robot: app.to_owned(),
            conversation: way.chat,
            id: Some(id(desk.number)),
            kind: checked.kind,
            text: checked.text,
            body,
            uploads: checked.uploads,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, answer))
    }

    /// `PUT`: a text or post says something else.
    fn edit(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        id: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages.update"), None)?;
        let body = body(call)?;
        let kind = text(&body, "/msg_type").filter(|kind| EDITABLE.contains(kind));
        let kind = kind.ok_or_else(invalid)?;
        let sent = self.existing(id)?;
        if sent.app != app {
            return Err(refuse("230071", Breach::Content));
        }
        if !EDITABLE.contains(&&*sent.kind) {
            return Err(refuse("230054", Breach::Content));
        }
        if sent.edits == EDITS_MAX {
            return Err(refuse("230072", Breach::Content));
        }
        let checked = check(call, desk, app, kind, &body)?;
        self.change(call, id, checked, body, true)
    }

    /// `PATCH`: a card is replaced.
    fn update(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        id: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages.patch"), Some(id))?;
        let body = body(call)?;
        let sent = self.existing(id)?;
        if sent.app != app {
            return Err(refuse("230027", Breach::Content));
        }
        if sent.kind != CARD {
            return Err(refuse("230054", Breach::Content));
        }
        if call.now.since(sent.at) > UPDATE_AGE_MAX {
            return Err(refuse("230031", Breach::Content));
        }
        let checked = check(call, desk, app, CARD, &body)?;
        self.change(call, id, checked, body, false)
    }

    fn change(
        &mut self,
        call: &Call,
        id: &str,
        checked: Checked,
        body: Value,
        counts: bool,
    ) -> Result<Verdict, Box<Refusal>> {
        let number = number(id).ok_or_else(invalid)?;
        let sent = self.existing(id)?;
        let before = sent.content.len();
        sent.kind.clone_from(&checked.kind);
        sent.uploads.clone_from(&checked.uploads);
        sent.content = checked.content;
        sent.changed_at = call.now;
        sent.edits += u32::from(counts);
        let answer = match counts {
            true => success(&shown(number, sent)),
            false => done(),
        };
        let change = Change {
            conversation: sent.way.chat.clone(),
            id: id.to_owned(),
            kind: checked.kind,
            text: checked.text,
            body,
            uploads: checked.uploads,
        };
        self.bytes = self.bytes - before + self.sent[&number].content.len();
        Ok(Verdict::Edited(change, answer))
    }

    fn recall(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        id: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages.delete"), None)?;
        let sent = self.existing(id)?;
        if sent.app != app {
            return Err(refuse("230026", Breach::Content));
        }
        if call.now.since(sent.at) > RECALL_AGE_MAX {
            return Err(refuse("230009", Breach::Content));
        }
        sent.recalled = true;
        let gone = Gone {
            conversation: sent.way.chat.clone(),
            id: id.to_owned(),
        };
        Ok(Verdict::Recalled(vec![gone], done()))
    }

    fn show(
        &self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        id: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages.get"), None)?;
        let number = number(id).ok_or_else(invalid)?;
        let sent = self.sent.get(&number).ok_or_else(invalid)?;
        let items = json!({"items": [shown(number, sent)]});
        Ok(Verdict::Answered(success(&items)))
    }

    /// An image or file of a message.
    fn resource(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        (id, key): (&str, &str),
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, (app, "messages.resources"), None)?;
        let wrong = || refuse("234001", Breach::Content);
        let wanted = call.parameter("type").ok_or_else(wrong)?;
        let sent = self.existing(id)?;
        let upload = desk.shelf.get(key).ok_or_else(wrong)?;
        if !sent.uploads.iter().any(|known| known == key) {
            return Err(refuse("234003", Breach::Content));
        }
        let fits = (wanted == "image") == (upload.kind == "image");
        if !fits || !["image", "file"].contains(&wanted) {
            return Err(wrong());
        }
        media::contents(upload)
    }

    /// A message that exists and was not recalled.
    fn existing(&mut self, id: &str) -> Result<&mut Sent, Box<Refusal>> {
        let sent = number(id).and_then(|number| self.sent.get_mut(&number));
        let sent = sent.ok_or_else(invalid)?;
        if sent.recalled {
            return Err(refuse("230011", Breach::Content));
        }
        Ok(sent)
    }

    fn note(&mut self, number: u64, sent: Sent) {
        self.bytes += sent.content.len();
        self.sent.insert(number, sent);
        while self.sent.len() > SENT_MAX || self.bytes > SENT_BYTES_MAX {
            let Some((_, old)) = self.sent.pop_first() else {
                return;
            };
            self.bytes -= old.content.len();
        }
    }

    /// Keys that are too old, or whose message is forgotten.
    fn forget_keys(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.keys_by_age.front()
            && (now.since(*at) >= KEY_LIFE || self.keys_by_age.len() > SENT_MAX)
        {
            let old = self.keys_by_age.pop_front();
            old.and_then(|(_, key)| self.keys.remove(&key));
        }
    }
}

fn body(call: &Call) -> Result<Value, Box<Refusal>> {
    serde_json::from_slice(&call.body).map_err(|_| invalid())
}

/// The id of a message, by its number.
fn id(number: u64) -> String {
    format!("om_sim{number:026x}")
}

/// The number of a message, by its id.
fn number(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix("om_sim")?, 16).ok()
}

/// Whom a message is for: an id of the kind that the query names.
fn receiver(call: &Call, body: &Value) -> Result<String, Box<Refusal>> {
    let id = text(body, "/receive_id").ok_or_else(invalid)?;
    let named = call.parameter("receive_id_type").unwrap_or("open_id");
    let known = ID_TYPES.iter().find(|(id_type, _)| *id_type == named);
    let (id_type, prefix) = known.ok_or_else(invalid)?;
    let good = id.starts_with(prefix) && (*id_type != "email" || id.contains('@'));
    good.then(|| id.to_owned()).ok_or_else(invalid)
}

/// Checks what a message of that type says: how long it is, whether it is whole, and the images and files that it names.
fn check(
    call: &Call,
    desk: &Desk<'_>,
    app: &str,
    kind: &str,
    body: &Value,
) -> Result<Checked, Box<Refusal>> {
    let most = match kind {
        "text" => TEXT_BYTES_MAX,
        _ => RICH_BYTES_MAX,
    };
    if call.body.len() > most {
        return Err(refuse("230025", Breach::Size));
    }
    let stringified = body["content"].as_str().ok_or_else(invalid)?;
    let content: Value = serde_json::from_str(stringified).map_err(|_| invalid())?;
    content::check(kind, &content).ok_or_else(invalid)?;
    let uploads = media::check(desk, app, kind, &content::named(kind, &content))?;
    Ok(Checked {
        kind: kind.to_owned(),
        content: stringified.to_owned(),
        text: gist(&content),
        uploads,
    })
}

fn success(data: &Value) -> Answer {
    Answer::json(200, &json!({"code": 0, "msg": "success", "data": data}))
}

/// A message as the API shows it. Of one that was recalled it says no more than that.
fn shown(number: u64, sent: &Sent) -> Value {
    let content = match sent.recalled {
        true => "This message was recalled",
        false => &sent.content,
    };
    let (id_type, sender) = match sent.app.starts_with(PERSON) {
        true => ("open_id", "user"),
        false => ("app_id", "app"),
    };
    let mut data = json!({"message_id": id(number), "msg_type": sent.kind,
        "create_time": sent.at.millis().to_string(), "update_time": sent.changed_at.millis().to_string(),
        "deleted": sent.recalled, "updated": sent.edits > 0, "chat_id": sent.way.chat,
        "sender": {"id": sent.app, "id_type": id_type, "sender_type": sender, "tenant_key": "sim"},
        "body": {"content": content}});
    if let Some(parent) = &sent.way.parent {
        data["root_id"] = parent.as_str().into();
        data["parent_id"] = parent.as_str().into();
        if sent.in_thread {
            data["thread_id"] = parent.replacen("om_", "omt_", 1).into();
        }
    }
    data
}
