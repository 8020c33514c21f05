//! Slack: incoming webhooks, and apps with a bot's token. A webhook, `POST /services/T…/B…/X…`, answers `ok` as a text, and a
//! short word when it refuses; the Web API of apps is in `app`.

mod app;
mod blocks;
mod events;
mod files;
mod messages;
mod request;
mod socket;

use std::time::Duration;

use anser_core::Timestamp;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::fields::gist;
use super::{
    Amendment, Answer, Breach, Call, Chat, ChatKind, Desk, Letter, Moment, Refusal, Robot, Stand,
    Verdict, whole_seconds,
};
use crate::emit::{Amended, Said, Unsaid};
use crate::limit::{Counted, Limit, Shape};
use crate::line::{Heard, Told};
pub(super) use events::Events;

const SERVICES: &str = "/services/";
/// Where the methods of the Web API are.
const API: &str = "/api/";
/// What a bot's token begins with.
const BOT: &str = "xoxb-";
/// Where a message is sent to.
pub(super) const POST_MESSAGE: &str = "/api/chat.postMessage";

/// About one message a second for each webhook, which stands for a channel, and for each channel that an app writes to;
/// three may go at once. A few hundred messages a minute for an app in a workspace. Of each other method of the Web API 100
/// a minute (tier 4); those of tier 3 weigh twice.
pub(super) fn limits() -> Vec<Limit> {
    let second = Duration::from_secs(1);
    vec![
        Limit::sliding(Counted::Robot, 3, 3 * second).shaped(Shape::Bucket),
        Limit::sliding(Counted::Chat, 3, 3 * second).shaped(Shape::Bucket),
        Limit::sliding(Counted::App, 300, 60 * second),
        Limit::sliding(Counted::Method, 100, 60 * second),
    ]
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (
        format!("T{number:08}/B{number:08}/SimSlackWebhookToken{number:04}"),
        None,
    )
}

/// An app that exists, by its bot's token, with its app-level token.
pub(super) fn app(number: u32) -> Robot {
    Robot {
        token: format!("{BOT}{number:012}-{number:013}-SimSlackBotToken{number:08}"),
        secret: Some(socket::app_token(number)),
        keywords: Vec::new(),
    }
}

/// Whether it is an app and no webhook.
pub(super) fn is_app(robot: &Robot) -> bool {
    robot.token.starts_with(BOT)
}

/// A person, a channel that the bot is in, and one where only administrators write.
pub(super) fn chats() -> Vec<Chat> {
    let chat = |id, kind, title: &str| Chat {
        id,
        kind,
        title: title.to_owned(),
        username: Some(title.to_owned()),
    };
    vec![
        chat(1_001, ChatKind::Private, "tom"),
        chat(2_001, ChatKind::Group, "operations"),
        chat(3_001, ChatKind::Channel, "announcements"),
    ]
}

/// The id that messages name a chat by: of a person the person's, as the conversation has one of its own.
pub(super) fn chat_id(chat: &Chat) -> String {
    let initial = match chat.kind {
        ChatKind::Private => 'U',
        ChatKind::Group | ChatKind::Channel => 'C',
    };
    format!("{initial}{:010}", chat.id)
}

/// The conversations that people can write in.
pub(super) fn talks(chats: &[Chat]) -> Vec<String> {
    let open = chats.iter().filter(|chat| chat.kind != ChatKind::Channel);
    let mut talks: Vec<String> = open.map(request::conversation).collect();
    talks.sort_unstable();
    talks
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Slack {
    apps: app::Apps,
    sockets: socket::Sockets,
}

impl Stand for Slack {
    fn takes_file(&self, method: &Method, path: &str) -> bool {
        *method == Method::POST && path.starts_with(files::UPLOAD)
    }

    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        if call.path == socket::OPEN {
            return self.sockets.open(call, desk);
        }
        if let Some(method) = call.path.strip_prefix(API) {
            return self.apps.judge(call, desk, method);
        }
        if let Some(ticket) = call.path.strip_prefix(files::UPLOAD) {
            return self.apps.upload(call, desk, ticket);
        }
        if let Some(path) = call.path.strip_prefix(files::PRIVATE) {
            return self.apps.private(call, desk, path);
        }
        webhook(call, desk)
    }

    fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        self.apps.hear(said, desk, now)
    }

    fn spread(&mut self, event: Value, copies: usize, moment: Moment) {
        self.sockets.spread(&event, copies, moment);
    }

    fn admit(&mut self, call: &Call, line: u64, _: &mut Desk<'_>) -> Result<(), Answer> {
        self.sockets.admit(call, line)
    }

    fn hear_line(
        &mut self,
        line: u64,
        heard: Heard,
        _: &mut Desk<'_>,
        moment: Moment,
    ) -> Vec<Told> {
        self.sockets.hear(line, heard, moment)
    }

    fn amend(
        &mut self,
        amended: &Amended,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        self.apps.amend(amended, desk, now)
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        let status = match code {
            "ratelimited" => return too_many(wait),
            "action_prohibited" | "invalid_token" | "posting_to_general_channel_denied" => 403,
            "no_service" | "no_service_id" | "no_team" | "team_disabled" | "channel_not_found" => {
                404
            }
            "channel_is_archived" => 410,
            "rollup_error" => 500,
            _ => 400,
        };
        Answer::text(status, code)
    }

    fn refusal_to(&self, call: &Call, code: &str, wait: Duration) -> Answer {
        match call.path.starts_with(API) {
            true => request::refusal(code, wait),
            false => self.refusal(code, wait),
        }
    }

    fn finish(&self, call: &Call, _: &Desk<'_>, answer: Answer) -> Answer {
        match call.path.starts_with(API) {
            true => request::finish(call, answer),
            false => answer,
        }
    }
}

fn webhook(call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
    let Some(token) = call.path.strip_prefix(SERVICES) else {
        return Ok(Verdict::Answered(Answer::text(404, "not_found")));
    };
    if call.method != Method::POST {
        return Ok(Verdict::Answered(Answer::text(405, "method_not_allowed")));
    }
    if desk.robot(token).is_none_or(is_app) {
        // The last part is the secret one: what is before it may well exist.
        let service = token.rsplit_once('/').map_or(token, |(service, _)| service);
        let known = |robot: &Robot| {
            let end = robot.token.rsplit_once('/');
            end.is_some_and(|(before, _)| before == service)
        };
        let code = match desk.robots.iter().any(known) {
            true => "invalid_token",
            false => "no_service",
        };
        return Err(refuse(code, Breach::Credentials));
    }
    desk.take(call, &[(Counted::Robot, token)])
        .map_err(|over| refuse_in("ratelimited", Breach::Rate, over.wait))?;
    let body = payload(call).ok_or_else(|| refuse("invalid_payload", Breach::Content))?;
    blocks::check(&body).map_err(|wrong| refuse(wrong.code, wrong.breach))?;
    let letter = Letter {
        robot: token.to_owned(),
        conversation: token.to_owned(),
        id: None,
        kind: kind(&body).to_owned(),
        text: gist(&body),
        body,
        ..Letter::default()
    };
    Ok(Verdict::Taken(letter, Answer::text(200, "ok")))
}

/// What a message is made of.
fn kind(body: &Value) -> &'static str {
    match body["blocks"].is_array() {
        true => "blocks",
        false => "text",
    }
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    refuse_in(code, breach, Duration::ZERO)
}

fn refuse_in(code: &str, breach: Breach, wait: Duration) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: Slack::default().refusal(code, wait),
    })
}

fn too_many(wait: Duration) -> Answer {
    let body = json!({"ok": false, "error": "ratelimited"});
    Answer::json(429, &body).with("retry-after", whole_seconds(wait))
}

/// JSON, or a form whose `payload` is JSON.
fn payload(call: &Call) -> Option<Value> {
    let body: Value = if call.media_type() == "application/x-www-form-urlencoded" {
        let found = form_urlencoded::parse(&call.body).find(|(name, _)| name == "payload");
        serde_json::from_str(&found?.1).ok()?
    } else {
        serde_json::from_slice(&call.body).ok()?
    };
    body.is_object().then_some(body)
}

#[cfg(test)]
mod tests;
