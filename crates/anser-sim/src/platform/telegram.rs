//! Telegram, bots: `POST /bot{token}/{method}`, in JSON or as a form. The HTTP status repeats the `error_code`. From the Bot
//! API's documentation and its server.

mod answer;
mod content;
mod files;
mod messages;
mod polls;
mod updates;

use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{
    Amendment, Answer, Breach, Call, Chat, ChatKind, Desk, Letter, Moment, Refusal, Stand, Verdict,
};
use crate::emit::{Amended, Said, Unsaid};
use crate::intake::Part;
use crate::limit::{Counted, Limit, Over};
use answer::{bad, done, error, refuse, too_many};
use content::number;
use messages::Messages;
use polls::Polls;
pub(super) use updates::Updates;

/// Members that are JSON also where the request is a form.
const NESTED: &[&str] = &[
    "reply_markup",
    "reply_parameters",
    "entities",
    "caption_entities",
    "link_preview_options",
    "media",
    "message_ids",
    "allowed_updates",
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

/// A private chat, a group and a channel.
pub(super) fn chats() -> Vec<Chat> {
    let chat = |id, kind, title: &str, username: Option<&str>| Chat {
        id,
        kind,
        title: title.to_owned(),
        username: username.map(str::to_owned),
    };
    vec![
        chat(1_001, ChatKind::Private, "Tom", Some("tom")),
        chat(-1_001_000_000_001, ChatKind::Group, "Operations", None),
        chat(-1_001_000_000_002, ChatKind::Channel, "News", Some("news")),
    ]
}

fn bot_id(number: u32) -> u64 {
    7_000_000_000 + u64::from(number)
}

/// The chats that people can write in, groups first.
pub(super) fn talks(chats: &[Chat]) -> Vec<String> {
    let open = chats.iter().filter(|chat| chat.kind != ChatKind::Channel);
    let mut ids: Vec<i64> = open.map(|chat| chat.id).collect();
    ids.sort_unstable();
    ids.iter().map(ToString::to_string).collect()
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Telegram {
    messages: Messages,
    polls: Polls,
}

/// What was asked for, with what is known of it.
struct Request<'a> {
    call: &'a Call,
    method: &'a str,
    token: &'a str,
    body: Value,
}

impl Stand for Telegram {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let (path, is_file) = match call.path.strip_prefix("/file") {
            Some(path) => (path, true),
            None => (&*call.path, false),
        };
        let named = path.strip_prefix("/bot");
        let Some((token, method)) = named.and_then(|rest| rest.split_once('/')) else {
            return Err(refuse(404, "Not Found", Breach::Content));
        };
        if desk.robot(token).is_none() {
            return Err(refuse(401, "Unauthorized", Breach::Credentials));
        }
        if is_file {
            return files::download(desk, token, method);
        }
        let request = Request {
            call,
            method,
            token,
            body: parameters(call)?,
        };
        let body = &request.body;
        match method {
            "getMe" => Ok(done(&me(token))),
            "getChat" => chat(body, desk).map(|chat| done(&shown(chat))),
            "getFile" => files::get(desk, token, body),
            "getUpdates" => self.polls.poll(&request, desk),
            "getWebhookInfo" => Ok(done(&self.polls.webhook(desk))),
            "answerCallbackQuery" => Err(bad(
                "query is too old and response timeout expired or query ID is invalid",
            )),
            "deleteWebhook" => Ok(done(&json!(true))),
            "sendChatAction" => chat(body, desk).map(|_| done(&json!(true))),
            _ => self.messages.judge(&request, desk),
        }
    }

    fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let robot = desk.robots.first();
        let robot = robot.ok_or_else(|| Unsaid::new("there is no bot"))?;
        self.messages.hear(said, &robot.token, desk, now)
    }

    fn spread(&mut self, event: Value, _: usize, moment: Moment) {
        self.polls.keep(event, moment);
    }

    fn amend(
        &mut self,
        amended: &Amended,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        self.messages.amend(amended, desk, now)
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        let description = match code {
            "429" => return too_many(wait),
            "401" => "Unauthorized",
            "403" => "Forbidden: bot was blocked by the user",
            "404" => "Not Found",
            "409" => polls::TERMINATED,
            "400" => "Bad Request: chat not found",
            "500" => "Internal Server Error",
            described => described,
        };
        let status = code.parse().unwrap_or(400);
        error(status, description)
    }
}

/// The parameters of the query and the body, as one object.
fn parameters(call: &Call) -> Result<Value, Box<Refusal>> {
    let unreadable = || bad("can't parse request body");
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
        _ if call.body.is_empty() => call.parts.iter().filter_map(field).collect(),
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

/// A field of a form that is no file.
fn field(part: &Part) -> Option<(String, String)> {
    let text = part.text().filter(|_| part.file_name.is_none())?;
    Some((part.name.clone(), text.to_owned()))
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

#[cfg(test)]
mod tests;
