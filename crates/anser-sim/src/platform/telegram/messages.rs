//! The messages of bots: sent, answered, edited and deleted. Must not know how a request was read.

mod amended;
mod heard;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::fields::{gist, text};
use super::super::{Breach, Change, Chat, Desk, Gone, Letter, Refusal, Verdict};
use super::answer::{bad, done, ok, refuse};
use super::content::{self, number};
use super::files::{self, Given, Wanted};
use super::{Request, chat, me, shown, take};

/// Messages that are known to exist, so that they can be answered, edited and deleted.
const SENT_MAX: usize = 100_000;
/// For how long a message can be deleted.
const DELETE_AGE_MAX: Duration = Duration::from_secs(48 * 3_600);
/// Messages that one `deleteMessages` names.
const DELETE_MAX: usize = 100;
/// Methods that send one file, with the member that names it, which is also what kind of file it is.
const FILES: &[(&str, &str)] = &[
    ("sendPhoto", "photo"),
    ("sendDocument", "document"),
    ("sendAudio", "audio"),
    ("sendVoice", "voice"),
    ("sendVideo", "video"),
    ("sendAnimation", "animation"),
    ("sendSticker", "sticker"),
];
/// The kind of a message without a file.
const TEXT: &str = "text";

/// The messages of all bots.
#[derive(Default)]
pub(super) struct Messages {
    last: i64,
    /// What the number of the first update was made of.
    updates: Option<i64>,
    sent: BTreeMap<i64, Sent>,
}

/// A message that exists.
struct Sent {
    chat: i64,
    conversation: String,
    at: Timestamp,
    /// `text`, the kind of its file, or the method for anything else.
    kind: String,
    /// Its text or caption and its keyboard, to tell whether an edit changes them.
    said: u64,
    keyboard: u64,
    /// The person who wrote it, as the API shows people; `None`: the bot.
    from: Option<Value>,
}

/// What a message will be, once everything about it was checked.
struct Draft<'a> {
    said: String,
    files: Vec<(&'a str, Wanted<'a>)>,
}

impl Messages {
    /// Judges a request for a method that sends, edits or deletes.
    pub(super) fn judge(
        &mut self,
        request: &Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let sends = FILES.iter().any(|(method, _)| *method == request.method);
        match request.method {
            "sendMessage" | "sendLocation" | "sendVenue" | "sendContact" | "sendMediaGroup" => {
                self.send(request, desk)
            }
            "editMessageText"
            | "editMessageCaption"
            | "editMessageReplyMarkup"
            | "editMessageMedia" => self.edit(request, desk),
            "deleteMessage" => self.delete(request, desk),
            "deleteMessages" => self.delete_many(request, desk),
            _ if sends => self.send(request, desk),
            _ => Err(refuse(404, "Not Found", Breach::Content)),
        }
    }

    fn send(
        &mut self,
        request: &Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let body = &request.body;
        let chat = chat(body, desk)?;
        take(request.call, desk, request.token, chat)?;
        let draft = draft(request, desk)?;
        self.check_reply(body, chat)?;
        content::check_keyboard(&body["reply_markup"])?;
        let mut given = Vec::new();
        for (kind, wanted) in draft.files {
            let file = files::place(request.call, desk, request.token, kind, wanted);
            given.push((kind, file));
        }
        let ids: Vec<i64> = (0..given.len().max(1))
            .map(|_| self.note(request, chat, &given))
            .collect();
        let result = result(request, chat, &ids, &draft.said, &given);
        let letter = Letter {
            robot: request.token.to_owned(),
            conversation: conversation(chat, body),
            id: ids.first().map(ToString::to_string),
            more_ids: ids.iter().skip(1).map(ToString::to_string).collect(),
            kind: request.method.to_owned(),
            text: match draft.said.is_empty() {
                true => gist(body),
                false => draft.said,
            },
            body: request.body.clone(),
            uploads: keys(&given),
        };
        Ok(Verdict::Taken(letter, ok(&result)))
    }

    /// Notes one more message; answers its id.
    fn note(&mut self, request: &Request<'_>, chat: &Chat, given: &[(&str, Given)]) -> i64 {
        let body = &request.body;
        let kind = match request.method {
            "sendMessage" => TEXT,
            method => given.first().map_or(method, |(kind, _)| kind),
        };
        self.last += 1;
        let sent = Sent {
            chat: chat.id,
            conversation: conversation(chat, body),
            at: request.call.now,
            kind: kind.to_owned(),
            said: said(body),
            keyboard: hash(&body["reply_markup"]),
            from: None,
        };
        self.keep(sent);
        self.last
    }

    /// Keeps the message of the last number.
    fn keep(&mut self, sent: Sent) {
        self.sent.insert(self.last, sent);
        if self.sent.len() > SENT_MAX {
            self.sent.pop_first();
        }
    }

    /// Edits a message that the bot has sent.
    fn edit(
        &mut self,
        request: &Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let body = &request.body;
        let chat = chat(body, desk)?;
        let id = number(&body["message_id"]).unwrap_or(0);
        self.existing(id, chat)
            .ok_or_else(|| bad("message to edit not found"))?;
        take(request.call, desk, request.token, chat)?;
        content::check_keyboard(&body["reply_markup"])?;
        let sent = self
            .existing(id, chat)
            .filter(|sent| sent.from.is_none())
            .ok_or_else(|| bad("message can't be edited"))?;
        let keyboard = hash(&body["reply_markup"]);
        let mut given = Vec::new();
        let (says, words) = match request.method {
            "editMessageText" if sent.kind != TEXT => {
                return Err(bad("there is no text in the message to edit"));
            }
            "editMessageText" => (content::said(body)?, said(body)),
            "editMessageCaption" if sent.kind == TEXT => {
                return Err(bad("there is no caption in the message to edit"));
            }
            "editMessageCaption" => (content::caption(body)?, said(body)),
            "editMessageMedia" => {
                let media = &body["media"];
                let (kind, wanted) = item(request, desk, media)?;
                let says = content::caption(media)?;
                given.push((
                    kind,
                    files::place(request.call, desk, request.token, kind, wanted),
                ));
                (says, said(media))
            }
            _ => (String::new(), sent.said),
        };
        if given.is_empty() && words == sent.said && keyboard == sent.keyboard {
            return Err(bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
            ));
        }
        (sent.said, sent.keyboard) = (words, keyboard);
        if let Some((kind, _)) = given.first() {
            sent.kind = (*kind).to_owned();
        }
        let change = Change {
            conversation: sent.conversation.clone(),
            id: id.to_string(),
            kind: request.method.to_owned(),
            text: says.clone(),
            body: request.body.clone(),
            uploads: keys(&given),
        };
        let file = given.first().map(|(kind, file)| (*kind, file));
        let mut message = message(id, request, chat, &says, file);
        message["edit_date"] = request.call.now.seconds().into();
        Ok(Verdict::Edited(change, ok(&message)))
    }

    fn delete(
        &mut self,
        request: &Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let chat = chat(&request.body, desk)?;
        let id = number(&request.body["message_id"]).unwrap_or(0);
        let sent = self
            .existing(id, chat)
            .ok_or_else(|| bad("message to delete not found"))?;
        if request.call.now.since(sent.at) > DELETE_AGE_MAX {
            return Err(bad("message can't be deleted for everyone"));
        }
        let conversation = sent.conversation.clone();
        take(request.call, desk, request.token, chat)?;
        self.sent.remove(&id);
        let id = id.to_string();
        Ok(Verdict::Recalled(
            vec![Gone { conversation, id }],
            ok(&json!(true)),
        ))
    }

    /// Those that are not there are passed over.
    fn delete_many(
        &mut self,
        request: &Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let chat = chat(&request.body, desk)?;
        let ids = request.body["message_ids"].as_array();
        let ids = ids.filter(|ids| (1..=DELETE_MAX).contains(&ids.len()));
        let ids = ids.ok_or_else(|| bad("message identifiers are not specified"))?;
        take(request.call, desk, request.token, chat)?;
        let mut gone = Vec::new();
        for id in ids.iter().filter_map(number) {
            if self.existing(id, chat).is_some()
                && let Some(sent) = self.sent.remove(&id)
            {
                let conversation = sent.conversation;
                gone.push(Gone {
                    conversation,
                    id: id.to_string(),
                });
            }
        }
        match gone.is_empty() {
            true => Ok(done(&json!(true))),
            false => Ok(Verdict::Recalled(gone, ok(&json!(true)))),
        }
    }

    fn existing(&mut self, id: i64, chat: &Chat) -> Option<&mut Sent> {
        self.sent.get_mut(&id).filter(|sent| sent.chat == chat.id)
    }

    fn check_reply(&mut self, body: &Value, chat: &Chat) -> Result<(), Box<Refusal>> {
        let reply = &body["reply_parameters"];
        let old = number(&body["reply_to_message_id"]);
        let Some(id) = number(&reply["message_id"]).or(old) else {
            return Ok(());
        };
        let without = reply["allow_sending_without_reply"] == true;
        if self.existing(id, chat).is_some() || without {
            return Ok(());
        }
        Err(bad("message to be replied not found"))
    }
}

fn conversation(chat: &Chat, body: &Value) -> String {
    match number(&body["message_thread_id"]) {
        Some(thread) => format!("{}/{thread}", chat.id),
        None => chat.id.to_string(),
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    if !value.is_null() {
        value.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

/// Text or caption with what marks them up.
fn said(body: &Value) -> u64 {
    let text = [&body["text"], &body["caption"]];
    let text = text
        .iter()
        .find_map(|text| text.as_str())
        .unwrap_or_default();
    hash(&json!([
        text,
        body["parse_mode"],
        body["entities"],
        body["caption_entities"]
    ]))
}

fn keys(given: &[(&str, Given)]) -> Vec<String> {
    given
        .iter()
        .filter_map(|(_, file)| file.key.clone())
        .collect()
}

/// Checks what a message says and carries.
fn draft<'a>(request: &'a Request<'_>, desk: &Desk<'_>) -> Result<Draft<'a>, Box<Refusal>> {
    let body = &request.body;
    let mut files = Vec::new();
    let said = match request.method {
        "sendMessage" => content::said(body)?,
        "sendLocation" | "sendVenue" => {
            content::place(body)?;
            String::new()
        }
        "sendContact" => {
            let phone = text(body, "/phone_number").ok_or_else(|| bad("phone number invalid"))?;
            phone.to_owned()
        }
        "sendMediaGroup" => {
            let album = content::album(body)?;
            for (_, media) in album.items {
                files.push(item(request, desk, media)?);
            }
            album.said
        }
        method => {
            let known = FILES.iter().find(|(known, _)| *known == method);
            let kind = known.map_or("document", |(_, kind)| *kind);
            let named = (kind, &body[kind]);
            files.push((
                kind,
                files::wanted(request.call, desk, request.token, named, kind)?,
            ));
            content::caption(body)?
        }
    };
    Ok(Draft { said, files })
}

/// The file of an album's item, or of what a message is changed to.
fn item<'a>(
    request: &'a Request<'_>,
    desk: &Desk<'_>,
    media: &'a Value,
) -> Result<(&'a str, Wanted<'a>), Box<Refusal>> {
    let kind = media["type"].as_str().unwrap_or_default();
    let named = ("", &media["media"]);
    Ok((
        kind,
        files::wanted(request.call, desk, request.token, named, kind)?,
    ))
}

/// What the answer shows: a message, or one for each item of an album.
fn result(
    request: &Request<'_>,
    chat: &Chat,
    ids: &[i64],
    said: &str,
    given: &[(&str, Given)],
) -> Value {
    let album = request.method == "sendMediaGroup";
    let items = request.body["media"].as_array();
    let messages = ids.iter().enumerate().map(|(index, id)| {
        let file = given.get(index).map(|(kind, file)| (*kind, file));
        let item = items.and_then(|items| items.get(index)).filter(|_| album);
        let caption = item.map_or(said, |item| item["caption"].as_str().unwrap_or_default());
        let mut message = message(*id, request, chat, caption, file);
        if album && let Some(first) = ids.first() {
            message["media_group_id"] = first.to_string().into();
        }
        message
    });
    let mut messages: Vec<Value> = messages.collect();
    match album {
        true => messages.into(),
        false => messages.swap_remove(0),
    }
}

/// A message as the API shows it.
fn message(
    id: i64,
    request: &Request<'_>,
    chat: &Chat,
    said: &str,
    file: Option<(&str, &Given)>,
) -> Value {
    let seconds = request.call.now.seconds();
    let body = &request.body;
    let mut message =
        json!({"message_id": id, "from": me(request.token), "chat": shown(chat), "date": seconds});
    let member = match request.method {
        "sendMessage" | "editMessageText" => "text",
        _ => "caption",
    };
    if !said.is_empty() {
        message[member] = said.into();
    }
    if let Some((kind, file)) = file {
        message[kind] = file.shown(kind);
    }
    if let Some(thread) = number(&body["message_thread_id"]) {
        message["message_thread_id"] = thread.into();
    }
    if body["reply_markup"]["inline_keyboard"].is_array() {
        message["reply_markup"] = body["reply_markup"].clone();
    }
    match request.method {
        "sendLocation" | "sendVenue" => {
            if let Ok((latitude, longitude)) = content::place(body) {
                message["location"] = json!({"latitude": latitude, "longitude": longitude});
            }
        }
        "sendContact" => {
            message["contact"] = json!({"phone_number": said, "first_name": body["first_name"]});
        }
        _ => {}
    }
    message
}
