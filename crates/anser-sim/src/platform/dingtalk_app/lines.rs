//! The stream of apps: a WebSocket for the app's key and secret, with what it subscribes to, and frames of JSON. From the
//! platform's own clients (open-dingtalk/dingtalk-stream-sdk-go, PyPI `dingtalk-stream`). Must not know what an event is about.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::super::mailbag::{Delays, Mailbag};
use super::super::{Answer, Breach, Call, Desk, Moment, Refusal, Verdict, same_text};
use super::{is_app, refuse};
use crate::line::{Heard, Told};

/// Where a stream is asked for.
pub(super) const OPEN: &str = "/v1.0/gateway/connections/open";
/// Where the WebSocket is.
const SOCKET: &str = "/connect";
/// What the robot is told is a callback of this topic.
const ROBOT: &str = "/v1.0/im/bot/messages/get";
/// Tickets that were given and not used yet.
const TICKETS_MAX: usize = 1_000;
/// The name of an event begins with this.
const NAME: &str = "sim_";
/// How often the platform asks whether anybody is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Between the word that there shall be another connection and the end of this one.
const LEAVE_AFTER: Duration = Duration::from_secs(10);
/// What was not answered for so long comes again; bots are told of delays between some seconds and a minute.
const DELAYS: Delays = Delays {
    patience: Duration::from_secs(15),
    again: &[
        Duration::from_secs(1),
        Duration::from_secs(45),
        Duration::from_secs(60),
    ],
};

/// The streams of all apps.
#[derive(Debug)]
pub(super) struct Lines {
    /// Tickets that were given, and whether what is said to the robot was asked for.
    tickets: BTreeMap<u64, bool>,
    given: u64,
    open: BTreeMap<u64, Line>,
    mail: Mailbag,
    frames: u64,
}

#[derive(Debug)]
struct Line {
    hears_robot: bool,
    /// When the next ping is due.
    ping: Duration,
    /// When it ends, if that was said.
    end: Option<Duration>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            tickets: BTreeMap::new(),
            given: 0,
            open: BTreeMap::new(),
            mail: Mailbag::new(DELAYS),
            frames: 0,
        }
    }
}

impl Lines {
    /// Tells an app where its stream is.
    pub(super) fn ticket(&mut self, call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let app = body["clientId"].as_str().and_then(|id| desk.robot(id));
        let secret = body["clientSecret"].as_str().unwrap_or_default();
        let app = app.filter(|app| {
            is_app(app) && same_text(secret, app.secret.as_deref().unwrap_or_default())
        });
        if app.is_none() || call.method != Method::POST {
            return Err(refuse("authFailed", Breach::Credentials));
        }
        let subscribed = body["subscriptions"].as_array();
        let subscribed = subscribed.filter(|subscribed| !subscribed.is_empty());
        let subscribed =
            subscribed.ok_or_else(|| refuse("invalidParameter.param.invalid", Breach::Content))?;
        let hears_robot = subscribed
            .iter()
            .any(|one| one["type"] == "CALLBACK" && one["topic"] == ROBOT);
        self.given += 1;
        self.tickets.insert(self.given, hears_robot);
        if self.tickets.len() > TICKETS_MAX {
            self.tickets.pop_first();
        }
        let endpoint = format!("{}{SOCKET}", desk.base.replacen("http", "ws", 1));
        let given = json!({"endpoint": endpoint, "ticket": self.given.to_string()});
        Ok(Verdict::Answered(Answer::json(200, &given)))
    }

    /// Opens a WebSocket by its ticket, which is good once.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        if call.path != SOCKET {
            return Err(Answer::text(404, "Not Found"));
        }
        let ticket = call
            .parameter("ticket")
            .and_then(|ticket| ticket.parse().ok());
        let hears_robot = ticket.and_then(|ticket: u64| self.tickets.remove(&ticket));
        let hears_robot = hears_robot.ok_or_else(|| Answer::text(401, "ticket invalid"))?;
        let line_of = Line {
            hears_robot,
            ping: call.monotonic + PING_EVERY,
            end: None,
        };
        self.open.insert(line, line_of);
        Ok(())
    }

    /// Takes what was said to the robot for one of the streams.
    pub(super) fn spread(&mut self, event: &Value, copies: usize, moment: Moment) {
        self.mail.put(event, copies, moment.monotonic);
    }

    /// What is said on a WebSocket.
    pub(super) fn hear(&mut self, line: u64, heard: Heard, moment: Moment) -> Vec<Told> {
        let now = moment.monotonic;
        match heard {
            Heard::Text(text) => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                let name = answer["headers"]["messageId"].as_str();
                let name = name.and_then(|name| name.strip_prefix(NAME)?.parse().ok());
                let taken = answer["code"] == 200;
                let counted = name.and_then(|name| self.mail.answered(line, name, taken, now));
                counted.into_iter().collect()
            }
            Heard::Binary(_) => vec![Told::Close(1003, "frames are texts".to_owned())],
            Heard::Opened | Heard::Look => self.look(line, moment),
            Heard::Refresh => {
                if let Some(line) = self.open.get_mut(&line) {
                    line.end = Some(now + LEAVE_AFTER);
                }
                let data = json!({"reason": "connection is expired"}).to_string();
                vec![self.system("disconnect", &data, moment)]
            }
            Heard::Gone => {
                self.open.remove(&line);
                self.mail.gone(line, now);
                Vec::new()
            }
        }
    }

    fn look(&mut self, line: u64, moment: Moment) -> Vec<Told> {
        let now = moment.monotonic;
        let mut told = self.mail.look(now);
        let Some(of) = self.open.get_mut(&line) else {
            return told;
        };
        let pings = of.ping <= now;
        if pings {
            of.ping = now + PING_EVERY;
        }
        match of.end {
            Some(end) if end <= now => {
                told.push(Told::Close(1000, "bye".to_owned()));
                return told;
            }
            // Nothing more comes on it.
            Some(_) => return told,
            None => {}
        }
        let hears_robot = of.hears_robot;
        if pings {
            let data = json!({"opaque": now.as_millis().to_string()}).to_string();
            told.push(self.system("ping", &data, moment));
        }
        while hears_robot && let Some(sent) = self.mail.send(line, now) {
            let name = format!("{NAME}{}", sent.name);
            told.push(frame(
                "CALLBACK",
                ROBOT,
                &name,
                &sent.event.to_string(),
                moment,
            ));
            told.push(Told::Sent);
        }
        told
    }

    fn system(&mut self, topic: &str, data: &str, moment: Moment) -> Told {
        self.frames += 1;
        let name = format!("system_{}", self.frames);
        frame("SYSTEM", topic, &name, data, moment)
    }
}

fn frame(of: &str, topic: &str, name: &str, data: &str, moment: Moment) -> Told {
    let headers = json!({"topic": topic, "messageId": name, "contentType": "application/json",
        "time": moment.now.millis().to_string()});
    let frame = json!({"specVersion": "1.0", "type": of, "headers": headers, "data": data});
    Told::Text(frame.to_string())
}

#[cfg(test)]
mod tests;
