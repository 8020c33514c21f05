//! Telegram, bots: `POST /bot{token}/{method}`, in JSON or as a form. The HTTP status repeats the `error_code`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::fields::{gist, text};
use super::html;
use super::whole_seconds;
use super::{Answer, Breach, Call, Chat, ChatKind, Desk, Letter, Refusal, Stand, Verdict};
use crate::limit::{Counted, Limit, Over};

/// UTF-16 code units of a text, without its tags.
const TEXT_MAX: usize = 4096;
/// UTF-16 code units of a caption, without its tags.
const CAPTION_MAX: usize = 1024;
/// Bytes of a button's `callback_data`.
const CALLBACK_MAX: usize = 64;
/// Buttons of a keyboard.
const BUTTONS_MAX: usize = 100;
/// Items of an album.
const ALBUM: std::ops::RangeInclusive<usize> = 2..=10;
/// Messages that are known to exist, so that they can be answered, edited and deleted.
const SENT_MAX: usize = 100_000;
/// Methods that send one file, with the member that names it.
const FILES: &[(&str, &str)] = &[
    ("sendPhoto", "photo"),
    ("sendDocument", "document"),
    ("sendAudio", "audio"),
    ("sendVoice", "voice"),
    ("sendVideo", "video"),
    ("sendAnimation", "animation"),
    ("sendSticker", "sticker"),
];
/// Members that are JSON also where the request is a form.
const NESTED: &[&str] = &[
    "reply_markup",
    "reply_parameters",
    "entities",
    "caption_entities",
    "link_preview_options",
    "media",
];

/// 30 a second for each bot, 1 a second to each chat, 20 a minute to each group.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        Limit::sliding(Counted::Robot, 30, Duration::from_secs(1)),
        Limit::sliding(Counted::Chat, 1, Duration::from_secs(1)),
        Limit::sliding(Counted::Group, 20, Duration::from_secs(60)),
    ]
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (
        format!("{}:SimTelegramBotToken{number:016}", bot_id(number)),
        None,
    )
}

fn bot_id(number: u32) -> u64 {
    7_000_000_000 + u64::from(number)
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Telegram {
    last: i64,
    /// Messages that exist, with their chats.
    sent: BTreeMap<i64, i64>,
}

/// What was asked for, with what is known of it.
struct Request<'a> {
    method: &'a str,
    token: &'a str,
    body: Value,
}

impl Stand for Telegram {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let named = call.path.strip_prefix("/bot");
        let Some((token, method)) = named.and_then(|rest| rest.split_once('/')) else {
            return Err(refuse(404, "Not Found", Breach::Content));
        };
        if desk.robot(token).is_none() {
            return Err(refuse(401, "Unauthorized", Breach::Credentials));
        }
        let request = Request {
            method,
            token,
            body: parameters(call)?,
        };
        match method {
            "getMe" => Ok(done(&me(token))),
            "getChat" => chat(&request.body, desk).map(|chat| done(&shown(chat))),
            "sendChatAction" => chat(&request.body, desk).map(|_| done(&json!(true))),
            "sendMessage" | "sendLocation" | "sendVenue" | "sendContact" | "sendMediaGroup" => {
                self.send(&request, call, desk)
            }
            "editMessageText" | "deleteMessage" => self.change(&request, call, desk),
            _ if FILES.iter().any(|(known, _)| *known == method) => self.send(&request, call, desk),
            _ => Err(refuse(404, "Not Found", Breach::Content)),
        }
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        let description = match code {
            "429" => return too_many(wait),
            "401" => "Unauthorized",
            "403" => "Forbidden: bot was blocked by the user",
            "404" => "Not Found",
            "409" => "Conflict: terminated by other getUpdates request",
            "400" => "Bad Request: chat not found",
            "500" => "Internal Server Error",
            described => described,
        };
        let status = code.parse().unwrap_or(400);
        error(status, description)
    }
}

impl Telegram {
    fn send(
        &mut self,
        request: &Request<'_>,
        call: &Call,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let body = &request.body;
        let chat = chat(body, desk)?;
        take(call, desk, request.token, chat)?;
        let said = check(request)?;
        self.check_reply(body, chat)?;
        check_keyboard(&body["reply_markup"])?;
        let count = body["media"].as_array().map_or(1, Vec::len);
        let first = self.last + 1;
        for _ in 0..count {
            self.last += 1;
            self.sent.insert(self.last, chat.id);
        }
        while self.sent.len() > SENT_MAX {
            self.sent.pop_first();
        }
        let messages: Vec<Value> = (first..=self.last)
            .map(|id| message(id, request, chat, &said, call.now.seconds()))
            .collect();
        let result = match request.method {
            "sendMediaGroup" => json!(messages),
            _ => json!(messages[0]),
        };
        let letter = Letter {
            robot: request.token.to_owned(),
            conversation: conversation(chat, body),
            id: Some(first.to_string()),
            kind: request.method.to_owned(),
            text: if said.is_empty() { gist(body) } else { said },
            body: request.body.clone(),
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, ok(&result)))
    }

    /// Edits or deletes a message that the bot has sent.
    fn change(
        &mut self,
        request: &Request<'_>,
        call: &Call,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let body = &request.body;
        let chat = chat(body, desk)?;
        let id = number(&body["message_id"]).unwrap_or(0);
        let deletes = request.method == "deleteMessage";
        if self.sent.get(&id) != Some(&chat.id) {
            let what = if deletes { "delete" } else { "edit" };
            let told = format!("Bad Request: message to {what} not found");
            return Err(refuse(400, &told, Breach::Content));
        }
        take(call, desk, request.token, chat)?;
        let said = if deletes {
            self.sent.remove(&id);
            String::new()
        } else {
            check(request)?
        };
        let result = match deletes {
            true => json!(true),
            false => message(id, request, chat, &said, call.now.seconds()),
        };
        let letter = Letter {
            robot: request.token.to_owned(),
            conversation: conversation(chat, body),
            id: Some(id.to_string()),
            kind: request.method.to_owned(),
            text: said,
            body: request.body.clone(),
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, ok(&result)))
    }

    fn check_reply(&self, body: &Value, chat: &Chat) -> Result<(), Box<Refusal>> {
        let reply = &body["reply_parameters"];
        let old = number(&body["reply_to_message_id"]);
        let Some(id) = number(&reply["message_id"]).or(old) else {
            return Ok(());
        };
        let exists = self.sent.get(&id) == Some(&chat.id);
        let without = reply["allow_sending_without_reply"] == true;
        if exists || without {
            return Ok(());
        }
        let told = "Bad Request: message to be replied not found";
        Err(refuse(400, told, Breach::Content))
    }
}

fn conversation(chat: &Chat, body: &Value) -> String {
    match number(&body["message_thread_id"]) {
        Some(thread) => format!("{}/{thread}", chat.id),
        None => chat.id.to_string(),
    }
}

/// The parameters of the query and the body, as one object.
fn parameters(call: &Call) -> Result<Value, Box<Refusal>> {
    let unreadable = || {
        let told = "Bad Request: can't parse request body";
        refuse(400, told, Breach::Content)
    };
    let mut all = Map::new();
    let form: Vec<(String, String)> = match call.media_type().as_str() {
        "application/json" => {
            let body: Value = serde_json::from_slice(&call.body).map_err(|_| unreadable())?;
            let Value::Object(members) = body else {
                return Err(unreadable());
            };
            all = members;
            Vec::new()
        }
        "application/x-www-form-urlencoded" => {
            form_urlencoded::parse(&call.body).into_owned().collect()
        }
        _ if call.body.is_empty() => Vec::new(),
        _ => return Err(unreadable()),
    };
    for (name, value) in call.query.iter().cloned().chain(form) {
        all.insert(name, Value::String(value));
    }
    for name in NESTED {
        if let Some(Value::String(nested)) = all.get(*name) {
            let nested = serde_json::from_str(nested).map_err(|_| unreadable())?;
            all.insert((*name).to_owned(), nested);
        }
    }
    Ok(Value::Object(all))
}

/// A number, also as a text: forms have nothing else.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// The chat that `chat_id` names, by its number or its public name.
fn chat<'a>(body: &Value, desk: &Desk<'a>) -> Result<&'a Chat, Box<Refusal>> {
    let id = &body["chat_id"];
    if id.is_null() || *id == "" {
        return Err(refuse(
            400,
            "Bad Request: chat_id is empty",
            Breach::Content,
        ));
    }
    let name = id.as_str().and_then(|name| name.strip_prefix('@'));
    let named = |chat: &&Chat| match name {
        Some(name) => chat.username.as_deref() == Some(name),
        None => number(id) == Some(chat.id),
    };
    let found = desk.chats.iter().find(named);
    found.ok_or_else(|| refuse(400, "Bad Request: chat not found", Breach::Content))
}

fn take(call: &Call, desk: &mut Desk<'_>, token: &str, chat: &Chat) -> Result<(), Box<Refusal>> {
    let id = format!("{token}/{}", chat.id);
    let mut keys = vec![(Counted::Robot, token), (Counted::Chat, &*id)];
    if chat.kind == ChatKind::Group {
        keys.push((Counted::Group, &*id));
    }
    desk.take(call, &keys).map_err(|Over { wait, .. }| {
        Box::new(Refusal {
            code: "429".to_owned(),
            breach: Breach::Rate,
            answer: too_many(wait),
        })
    })
}

/// Checks what a message says or carries; answers what it says.
fn check(request: &Request<'_>) -> Result<String, Box<Refusal>> {
    let body = &request.body;
    let bad = |told: &str| refuse(400, &format!("Bad Request: {told}"), Breach::Content);
    match request.method {
        "sendMessage" | "editMessageText" => {
            let said = spoken(body, "text", "parse_mode")?;
            if said.trim().is_empty() {
                return Err(bad("message text is empty"));
            }
            within(&said, TEXT_MAX, "message is too long")?;
            Ok(said)
        }
        "sendLocation" | "sendVenue" => {
            let degrees = |name: &str| match &body[name] {
                Value::String(text) => text.parse().ok(),
                other => other.as_f64(),
            };
            let latitude = degrees("latitude").filter(|at: &f64| at.abs() <= 90.0);
            let longitude = degrees("longitude").filter(|at: &f64| at.abs() <= 180.0);
            if latitude.is_none() || longitude.is_none() {
                return Err(bad("latitude and longitude must be non-empty"));
            }
            Ok(String::new())
        }
        "sendContact" => {
            let phone = text(body, "/phone_number").ok_or_else(|| bad("phone number invalid"))?;
            Ok(phone.to_owned())
        }
        "sendMediaGroup" => {
            let media = body["media"].as_array().map_or(&[][..], Vec::as_slice);
            if !ALBUM.contains(&media.len()) {
                return Err(bad("expected from 2 to 10 media in an album"));
            }
            for item in media {
                file(&item["media"])?;
                let caption = spoken(item, "caption", "parse_mode")?;
                within(&caption, CAPTION_MAX, "message caption is too long")?;
            }
            Ok(gist(&body["media"]))
        }
        method => {
            let known = FILES.iter().find(|(known, _)| *known == method);
            let member = known.map_or("document", |(_, member)| *member);
            file(&body[member])?;
            let caption = spoken(body, "caption", "parse_mode")?;
            within(&caption, CAPTION_MAX, "message caption is too long")?;
            Ok(caption)
        }
    }
}

/// A text without its marks, as its `parse_mode` has them.
fn spoken(body: &Value, member: &str, mode: &str) -> Result<String, Box<Refusal>> {
    let text = body[member].as_str().unwrap_or_default();
    let parsed = match body[mode].as_str().unwrap_or_default() {
        "" => Ok(text.to_owned()),
        mode if mode.eq_ignore_ascii_case("html") => html::plain(text),
        mode if mode.eq_ignore_ascii_case("markdownv2") => unescaped(text),
        mode if mode.eq_ignore_ascii_case("markdown") => Ok(text.to_owned()),
        _ => {
            let told = "Bad Request: unsupported parse_mode";
            return Err(refuse(400, told, Breach::Content));
        }
    };
    parsed.map_err(|why| {
        let told = format!("Bad Request: can't parse entities: {why}");
        refuse(400, &told, Breach::Content)
    })
}

/// MarkdownV2: what is a mark is not said, and the characters that are reserved but never open a mark must be escaped.
fn unescaped(text: &str) -> Result<String, String> {
    let mut said = String::new();
    let mut characters = text.chars();
    let mut code = false;
    while let Some(next) = characters.next() {
        match next {
            '\\' => said.extend(characters.next()),
            '`' => code = !code,
            '_' | '*' | '~' | '|' | '[' | ']' | '(' | ')' if !code => {}
            '>' if !code && (said.is_empty() || said.ends_with('\n')) => {}
            '>' | '#' | '+' | '-' | '=' | '{' | '}' | '.' | '!' if !code => {
                return Err(format!(
                    "Character '{next}' is reserved and must be escaped with the preceding '\\'"
                ));
            }
            other => said.push(other),
        }
    }
    Ok(said)
}

fn within(said: &str, most: usize, told: &str) -> Result<(), Box<Refusal>> {
    if said.encode_utf16().count() > most {
        let told = format!("Bad Request: {told}");
        return Err(refuse(400, &told, Breach::Size));
    }
    Ok(())
}

/// A file by its URL or id. Uploads are not taken.
fn file(named: &Value) -> Result<(), Box<Refusal>> {
    let name = named.as_str().unwrap_or_default();
    let id = |name: &str| {
        name.len() >= 16
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if name.starts_with("https://") || name.starts_with("http://") || id(name) {
        return Ok(());
    }
    let told = "Bad Request: wrong remote file identifier specified: Wrong string length";
    Err(refuse(400, told, Breach::Content))
}

fn check_keyboard(markup: &Value) -> Result<(), Box<Refusal>> {
    let rows = markup["inline_keyboard"].as_array();
    let buttons: Vec<&Value> = rows
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .collect();
    if buttons.len() > BUTTONS_MAX {
        let told = "Bad Request: reply markup is too long";
        return Err(refuse(400, told, Breach::Size));
    }
    for button in buttons {
        let data = button["callback_data"].as_str();
        if data.is_some_and(|data| data.is_empty() || data.len() > CALLBACK_MAX) {
            let told = "Bad Request: BUTTON_DATA_INVALID";
            return Err(refuse(400, told, Breach::Size));
        }
        let acts = data.is_some() || text(button, "/url").is_some();
        if text(button, "/text").is_none() || !acts {
            let told = "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard";
            return Err(refuse(400, told, Breach::Content));
        }
    }
    Ok(())
}

fn me(token: &str) -> Value {
    let id: i64 = token
        .split(':')
        .next()
        .map_or(0, |id| id.parse().unwrap_or(0));
    json!({"id": id, "is_bot": true, "first_name": "Anser", "username": "anser_sim_bot", "can_join_groups": true,
        "can_read_all_group_messages": false, "supports_inline_queries": false})
}

fn shown(chat: &Chat) -> Value {
    let kind = match chat.kind {
        ChatKind::Private => "private",
        ChatKind::Group => "supergroup",
        ChatKind::Channel => "channel",
    };
    let mut shown = json!({"id": chat.id});
    let name = match chat.kind {
        ChatKind::Private => "first_name",
        ChatKind::Group | ChatKind::Channel => "title",
    };
    shown[name] = chat.title.as_str().into();
    if let Some(username) = &chat.username {
        shown["username"] = username.as_str().into();
    }
    shown["type"] = kind.into();
    shown
}

fn message(id: i64, request: &Request<'_>, chat: &Chat, said: &str, seconds: i64) -> Value {
    let mut message =
        json!({"message_id": id, "from": me(request.token), "chat": shown(chat), "date": seconds});
    let member = match request.method {
        "sendMessage" | "editMessageText" => "text",
        _ => "caption",
    };
    if !said.is_empty() {
        message[member] = said.into();
    }
    if request.method == "editMessageText" {
        message["edit_date"] = seconds.into();
    }
    message
}

fn ok(result: &Value) -> Answer {
    Answer::json(200, &json!({"ok": true, "result": result}))
}

fn done(result: &Value) -> Verdict {
    Verdict::Answered(ok(result))
}

fn error(status: u16, description: &str) -> Answer {
    let body = json!({"ok": false, "error_code": status, "description": description});
    Answer::json(status, &body)
}

fn too_many(wait: Duration) -> Answer {
    let seconds = whole_seconds(wait);
    let body = json!({"ok": false, "error_code": 429,
        "description": format!("Too Many Requests: retry after {seconds}"), "parameters": {"retry_after": seconds}});
    Answer::json(429, &body)
}

fn refuse(status: u16, description: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: status.to_string(),
        breach,
        answer: error(status, description),
    })
}

#[cfg(test)]
mod tests;
