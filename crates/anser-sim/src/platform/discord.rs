//! Discord: webhooks, `/api[/v10]/webhooks/{id}/{token}`, and bots, by their token. Tells the state of its rate windows in every
//! answer, and bans an address that goes on being refused.

mod bot;
mod codes;
mod content;
mod files;
mod gateway;
mod interactions;
mod messages;
mod webhook;
mod who;

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Answer, Breach, Call, Chat, ChatKind, Desk, Letter, Moment, Refusal, Robot, Stand, Verdict,
};
use crate::emit::{Said, Unsaid};
use crate::limit::{Counted, Limit, Shape};
use crate::line::{Heard, Told};
use codes::{banned, refuse};
use interactions::Open;
pub(super) use interactions::{Interactions, public_key};
use messages::Messages;

const API: &str = "/api/";
/// What a command begins with where everything is written.
const COMMAND: &str = "/say ";
/// The events of a message and of an interaction.
const MESSAGE: &str = "MESSAGE_CREATE";
const INTERACTION: &str = "INTERACTION_CREATE";
/// The first second of 2015 in milliseconds since the Unix epoch, from which the platform's ids count.
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits of an id below its time.
const ID_TIME_SHIFT: u32 = 22;
/// Answers of 401, 403 and 429 in [`BAN_WINDOW`] that get an address banned.
const BAN_AFTER: usize = 10_000;
const BAN_WINDOW: Duration = Duration::from_secs(600);
/// The server, and the channel that the webhook posts to.
const GUILD_ID: &str = "1000000000000000000";
const CHANNEL_ID: &str = "1000000000000000001";
/// What a window is called: one for what webhooks do, and one each for what bots do with messages.
const BUCKETS: [(&str, &str); 5] = [
    ("", "a1b2c3d4e5f60718293a4b5c6d7e8f90"),
    ("GET", "b1b2c3d4e5f60718293a4b5c6d7e8f90"),
    ("POST", "c1b2c3d4e5f60718293a4b5c6d7e8f90"),
    ("PATCH", "d1b2c3d4e5f60718293a4b5c6d7e8f90"),
    ("DELETE", "e1b2c3d4e5f60718293a4b5c6d7e8f90"),
];

/// 5 in 2 seconds for each webhook, and 5 in 5 seconds of each kind for each channel of a bot, as their answers have told in
/// practice; 50 a second for all that a bot does.
pub(super) fn limits() -> Vec<Limit> {
    let second = Duration::from_secs(1);
    vec![
        Limit::sliding(Counted::Robot, 5, 2 * second).shaped(Shape::Fixed),
        Limit::sliding(Counted::Chat, 5, 5 * second).shaped(Shape::Fixed),
        Limit::sliding(Counted::App, 50, second),
    ]
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    let id = 1_100_000_000_000_000_000_u64 + u64::from(number);
    (format!("{id}/SimDiscordWebhookToken{number:046}"), None)
}

/// A bot that exists: its token begins with its id.
pub(super) fn bot(number: u32) -> Robot {
    let id = 1_200_000_000_000_000_000_u64 + u64::from(number);
    let id = STANDARD_NO_PAD.encode(id.to_string());
    Robot {
        token: format!("{id}.GSimBt.SimDiscordBotToken{number:020}"),
        secret: None,
        keywords: Vec::new(),
    }
}

/// Whether it is a bot and no webhook.
pub(super) fn is_bot(robot: &Robot) -> bool {
    !robot.token.contains('/')
}

/// Where a bot posts to the first channel.
pub(super) fn messages_path() -> String {
    format!("{API}v10/channels/{CHANNEL_ID}/messages")
}

/// A person, a channel that the bot may write to, and one where it may not.
pub(super) fn chats() -> Vec<Chat> {
    let chat = |id, kind, title: &str| Chat {
        id,
        kind,
        title: title.to_owned(),
        username: None,
    };
    vec![
        chat(1_000_000_000_000_001_001, ChatKind::Private, "tom"),
        chat(1_000_000_000_000_000_001, ChatKind::Group, "operations"),
        chat(
            1_000_000_000_000_000_002,
            ChatKind::Channel,
            "announcements",
        ),
    ]
}

/// The channels where people give commands, servers' first.
pub(super) fn talks(chats: &[Chat]) -> Vec<String> {
    let mut chats: Vec<&Chat> = chats.iter().collect();
    chats.sort_by_key(|chat| chat.kind == ChatKind::Private);
    chats.into_iter().map(who::channel_id).collect()
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Discord {
    messages: Messages,
    interactions: Open,
    sessions: gateway::Sessions,
    /// When answers of 401, 403 and 429 were given.
    invalid: VecDeque<Duration>,
}

impl Stand for Discord {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let is_old = |at: &Duration| *at + BAN_WINDOW <= call.monotonic;
        while self.invalid.front().is_some_and(is_old) {
            self.invalid.pop_front();
        }
        if self.invalid.len() >= BAN_AFTER {
            return Err(banned(BAN_WINDOW));
        }
        let judged = self.route(call, desk);
        if let Err(refusal) = &judged
            && matches!(refusal.answer.status, 401 | 403 | 429)
        {
            self.invalid.push_back(call.monotonic);
        }
        if let Ok(verdict) = &judged
            && bot::bot(call, desk).is_some()
        {
            self.tell(verdict, call);
        }
        judged
    }

    fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        // An app's endpoint is sent commands only.
        if desk.is_called {
            return self.interactions.hear(said, desk, now);
        }
        let (name, (letter, event)) = match said.text.strip_prefix(COMMAND) {
            Some(text) => {
                let said = Said {
                    text: text.to_owned(),
                    ..said.clone()
                };
                (INTERACTION, self.interactions.hear(&said, desk, now)?)
            }
            None => (MESSAGE, self.messages.hear(said, desk, now)?),
        };
        Ok((letter, json!({"t": name, "d": event})))
    }

    fn spread(&mut self, event: Value, _: usize, moment: Moment) {
        let name = event["t"].as_str().unwrap_or_default();
        self.sessions.spread(name, &event["d"], moment);
    }

    fn admit(&mut self, call: &Call, line: u64, _: &mut Desk<'_>) -> Result<(), Answer> {
        self.sessions.admit(call, line)
    }

    fn hear_line(
        &mut self,
        line: u64,
        heard: Heard,
        desk: &mut Desk<'_>,
        moment: Moment,
    ) -> Vec<Told> {
        self.sessions.hear(line, heard, desk, moment)
    }

    fn line_closed(&mut self, line: u64, code: u16) {
        self.sessions.closed(line, code);
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        codes::refusal(code, wait)
    }

    fn finish(&self, call: &Call, desk: &Desk<'_>, answer: Answer) -> Answer {
        let banned = answer.status == 429 && answer.body.starts_with(b"error");
        let Some((counted, key, bucket)) = window(call, desk).filter(|_| !banned) else {
            return match banned {
                true => answer,
                false => answer.with("via", "1.1 google"),
            };
        };
        let answer = answer.with("via", "1.1 google");
        let Some(left) = desk.limiter.left(counted, &key, call.monotonic) else {
            return answer;
        };
        let reset = call.now.plus(left.reset).millis();
        answer
            .with("x-ratelimit-limit", left.max)
            .with("x-ratelimit-remaining", left.remaining)
            .with(
                "x-ratelimit-reset",
                format!("{}.{:03}", reset / 1000, reset % 1000),
            )
            .with(
                "x-ratelimit-reset-after",
                format!("{:.3}", left.reset.as_secs_f64()),
            )
            .with("x-ratelimit-bucket", bucket)
    }
}

impl Discord {
    fn route(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        if let Some(path) = call.path.strip_prefix(files::ATTACHMENTS) {
            return Ok(files::download(desk, path));
        }
        match parts(&call.path).as_slice() {
            ["webhooks", id, token, rest @ ..] => {
                match self.interactions.get(id, token, call.now) {
                    Some(open) => webhook::answer(&mut self.messages, call, desk, open, rest),
                    None => webhook::judge(&mut self.messages, call, desk, (id, token, rest)),
                }
            }
            ["gateway"] => {
                let url = &gateway::address(desk.base)["url"];
                Ok(Verdict::Answered(Answer::json(200, &json!({"url": url}))))
            }
            ["interactions", _, token, "callback"] => {
                match self.interactions.answer(token, call.now) {
                    Some(()) => Ok(Verdict::Answered(no_content())),
                    None => Err(refuse("10062", Breach::Content)),
                }
            }
            [] => Err(refuse("404", Breach::Content)),
            parts => bot::judge(&mut self.messages, call, desk, parts),
        }
    }
}

impl Discord {
    /// Tells bots of what a bot did, as they are told of everybody.
    fn tell(&mut self, verdict: &Verdict, call: &Call) {
        let moment = Moment {
            now: call.now,
            monotonic: call.monotonic,
        };
        let mut told = |name: &str, event: &mut Value| {
            if event["channel_id"] == CHANNEL_ID {
                event["guild_id"] = GUILD_ID.into();
            }
            self.sessions.spread(name, event, moment);
        };
        let shown = |answer: &Answer| serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match verdict {
            Verdict::Taken(_, answer) => told(MESSAGE, &mut shown(answer)),
            Verdict::Edited(_, answer) => told("MESSAGE_UPDATE", &mut shown(answer)),
            Verdict::Recalled(gone, _) => {
                for gone in gone {
                    let mut event = json!({"id": gone.id, "channel_id": gone.conversation});
                    told("MESSAGE_DELETE", &mut event);
                }
            }
            Verdict::Answered(_) | Verdict::Polled { .. } | Verdict::Held(_) => {}
        }
    }
}

/// What a path of the API names, with or without the API's version.
fn parts(path: &str) -> Vec<&str> {
    let Some(rest) = path.strip_prefix(API) else {
        return Vec::new();
    };
    let rest = match rest.strip_prefix('v').and_then(|rest| rest.split_once('/')) {
        Some((version, rest)) if version.parse::<u8>().is_ok() => rest,
        _ => rest,
    };
    rest.split('/').collect()
}

/// The window that a request counts in: by what it is counted, its key, and its name.
fn window(call: &Call, desk: &Desk<'_>) -> Option<(Counted, String, &'static str)> {
    let parts = parts(&call.path);
    let bucket = |method: &str| BUCKETS.iter().find(|(known, _)| *known == method);
    if let Some(robot) = webhook::webhook(desk, &parts) {
        return Some((Counted::Robot, robot.token.clone(), bucket("")?.1));
    }
    let bot = bot::bot(call, desk)?;
    let key = bot::window(call, bot, &parts)?;
    Some((Counted::Chat, key, bucket(call.method.as_str())?.1))
}

fn snowflake(now: Timestamp, number: u64) -> String {
    let since = u64::try_from(now.millis().saturating_sub(EPOCH_MS)).unwrap_or(0);
    let below = number & ((1 << ID_TIME_SHIFT) - 1);
    ((since << ID_TIME_SHIFT) | below).to_string()
}

/// A success that has nothing to tell.
fn no_content() -> Answer {
    Answer {
        status: 204,
        headers: Vec::new(),
        ..Answer::bytes(Bytes::new())
    }
}

#[cfg(test)]
mod tests;
