//! Feishu and Lark, self-built apps: a token for the app's credentials, and the routes of what a token opens: messages, their
//! edits and recalls, images and files. Refuses with HTTP 400 and a code in the body. From the open platform's server API.

mod codes;
mod content;
mod events;
mod lines;
mod media;
mod messages;

use std::collections::HashMap;
use std::time::Duration;

use anser_core::Timestamp;
use http::{Method, header};
use serde_json::{Value, json};

use super::same_text;
use super::{Amendment, Answer, Breach, Call, Desk, Letter, Moment, Refusal, Robot, Verdict};
use crate::emit::{Amended, Said, Unsaid};
use crate::limit::{Counted, Limit, Over};
use crate::line::{Heard, Told};
pub(super) use codes::refusal;
use codes::{refuse, refuse_for};
pub(super) use events::Events;
use lines::Lines;
use messages::Messages;

const TENANT_TOKEN: &str = "/open-apis/auth/v3/tenant_access_token/internal";
const APP_TOKEN: &str = "/open-apis/auth/v3/app_access_token/internal";
/// What an app's id begins with.
const APP: &str = "cli_";
/// Where messages are sent to.
pub(super) const MESSAGES: &str = "/open-apis/im/v1/messages";
/// Chats that people can write in: a group, and the chat of a person with the bot.
pub(super) const TALKS: [&str; 2] = [
    "oc_sim0000000000000000000000000001",
    "oc_p2p0000000000000000000000000001",
];
/// Where people are looked up, by their open_id.
const USERS: &str = "/open-apis/contact/v3/users/";
/// Where images and files are sent to.
const IMAGES: &str = "/open-apis/im/v1/images";
const FILES: &str = "/open-apis/im/v1/files";
/// What tells an app about itself.
const BOT: &str = "/open-apis/bot/v3/info";
/// How long a token is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(7_200);
/// A token that is valid for longer than this is given again.
const TOKEN_AGAIN: Duration = Duration::from_secs(1_800);

/// 50 a second and 1,000 a minute for each API of an app, 5 a second to each chat or person and of each card's updates.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        Limit::sliding(Counted::App, 50, Duration::from_secs(1)),
        Limit::sliding(Counted::App, 1_000, Duration::from_secs(60)),
        Limit::sliding(Counted::Chat, 5, Duration::from_secs(1)),
    ]
}

/// An app that exists.
pub(super) fn app(number: u32) -> Robot {
    Robot {
        token: format!("{APP}sim{number:013}"),
        secret: Some(format!("SimFeishuAppSecret{number:014}")),
        keywords: Vec::new(),
    }
}

/// Whether it is an app and no robot of a group.
pub(super) fn is_app(robot: &Robot) -> bool {
    robot.token.starts_with(APP)
}

/// What there is of all apps.
#[derive(Default)]
pub(super) struct Apps {
    /// Tokens that are valid, with their apps.
    tokens: HashMap<String, Token>,
    /// Tokens that were given.
    given: u64,
    messages: Messages,
    lines: Lines,
}

/// A token of an app.
struct Token {
    app: String,
    end: Timestamp,
}

impl Apps {
    /// Judges a request to the API of apps.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        if call.method == Method::POST && [TENANT_TOKEN, APP_TOKEN].contains(&&*call.path) {
            return self.give_token(call, desk);
        }
        if call.path == lines::ADDRESS {
            return Ok(self.lines.address(call, desk));
        }
        let known = [MESSAGES, IMAGES, FILES, BOT, USERS]
            .iter()
            .any(|api| call.path.starts_with(api));
        if !known {
            return Ok(Verdict::Answered(Answer::text(404, "404 page not found")));
        }
        let app = self.authorized(call)?;
        if call.path == BOT {
            return Ok(Verdict::Answered(Answer::json(200, &about(&app))));
        }
        if let Some(id) = call.path.strip_prefix(USERS) {
            return self.messages.person(id);
        }
        if let Some(rest) = call.path.strip_prefix(IMAGES) {
            return media::images(call, desk, &app, rest);
        }
        if let Some(rest) = call.path.strip_prefix(FILES) {
            return media::files(call, desk, &app, rest);
        }
        let rest = call.path.strip_prefix(MESSAGES).unwrap_or_default();
        self.messages.judge(call, desk, &app, rest)
    }

    /// Takes what a person writes to the first app's bot.
    pub(super) fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let app = desk.robots.iter().find(|robot| is_app(robot));
        let app = app.ok_or_else(|| Unsaid::new("there is no app"))?;
        let bot = bot(&app.token);
        let heard = (app.token.as_str(), bot.as_str());
        self.messages.hear(said, heard, desk, now)
    }

    /// Takes an event for the apps that are connected.
    pub(super) fn spread(&mut self, event: &Value, copies: usize, moment: Moment) {
        self.lines.spread(event, copies, moment);
    }

    /// Opens the WebSocket of an app.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        self.lines.admit(call, line)
    }

    /// What is said on a WebSocket.
    pub(super) fn hear_line(&mut self, line: u64, heard: Heard, moment: Moment) -> Vec<Told> {
        self.lines.hear(line, heard, moment)
    }

    /// Takes what a person does to a message of theirs.
    pub(super) fn amend(
        &mut self,
        amended: &Amended,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        let app = desk.robots.iter().find(|robot| is_app(robot));
        let app = app.ok_or_else(|| Unsaid::new("there is no app"))?;
        self.messages.amend(amended, &app.token, now)
    }

    fn give_token(&mut self, call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("10003", Breach::Credentials))?;
        let app = body["app_id"]
            .as_str()
            .and_then(|app| desk.robot(app))
            .filter(|app| is_app(app));
        let app = app.ok_or_else(|| refuse("10003", Breach::Credentials))?;
        let secret = body["app_secret"].as_str().unwrap_or_default();
        if !same_text(secret, app.secret.as_deref().unwrap_or_default()) {
            return Err(refuse("10014", Breach::Credentials));
        }
        self.tokens.retain(|_, held| call.now < held.end);
        let lasting = self
            .tokens
            .iter()
            .find(|(_, held)| held.app == app.token && call.now.plus(TOKEN_AGAIN) <= held.end);
        let (token, end) = match lasting {
            Some((token, held)) => (token.clone(), held.end),
            None => {
                self.given += 1;
                let token = format!("t-sim{:028}", self.given);
                let end = call.now.plus(TOKEN_LIFE);
                let app = app.token.clone();
                self.tokens.insert(token.clone(), Token { app, end });
                (token, end)
            }
        };
        let expire = end.since(call.now).as_secs();
        let mut answer =
            json!({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": expire});
        if call.path == APP_TOKEN {
            answer["app_access_token"] = token.into();
        }
        Ok(Verdict::Answered(Answer::json(200, &answer)))
    }

    /// The app whose token it is.
    fn authorized(&self, call: &Call) -> Result<String, Box<Refusal>> {
        let value = call.headers.get(header::AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("99991661", Breach::Credentials))?;
        let mut held = self.tokens.iter();
        held.find(|(given, held)| same_text(given, token) && call.now < held.end)
            .map(|(_, held)| held.app.clone())
            .ok_or_else(|| refuse("99991663", Breach::Credentials))
    }
}

/// The id of an app's bot.
fn bot(app: &str) -> String {
    format!("ou_{}", app.trim_start_matches(APP))
}

/// What an app is told of its bot.
fn about(app: &str) -> Value {
    json!({"code": 0, "msg": "ok", "bot": {"activate_status": 2, "app_name": "Anser", "avatar_url": "",
        "ip_white_list": [], "open_id": bot(app)}})
}

/// Counts a request of the app to one API, and what it is for: a chat, or a card.
fn take(
    call: &Call,
    desk: &mut Desk<'_>,
    (app, api): (&str, &str),
    chat: Option<&str>,
) -> Result<(), Box<Refusal>> {
    let app = format!("{app} {api}");
    let mut keys = vec![(Counted::App, &*app)];
    keys.extend(chat.map(|chat| (Counted::Chat, chat)));
    desk.take(call, &keys)
        .map_err(|Over { counted, wait }| match counted {
            Counted::App | Counted::Robot | Counted::Method => {
                refuse_for("99991400", Breach::Rate, wait)
            }
            Counted::Chat | Counted::Group => refuse("230020", Breach::Rate),
        })
}

/// An answer without data.
fn done() -> Answer {
    Answer::json(200, &json!({"code": 0, "msg": "success", "data": {}}))
}

#[cfg(test)]
mod tests;
