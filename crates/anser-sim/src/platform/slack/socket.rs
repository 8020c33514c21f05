//! Slack, Socket Mode: WebSockets at addresses that are good once, envelopes on them, and what is not acknowledged in time again.
//! From the guide to Socket Mode and the reference of `apps.connections.open`. Must not know what an event is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Answer, Breach, Call, Desk, Moment, Refusal, Robot, Verdict};
use super::events::{AGAIN, PATIENCE};
use super::is_app;
use super::request::{APP_ID, bearer, done, refuse};
use crate::line::{Heard, Told};

/// Where the address of one is asked for.
pub(super) const OPEN: &str = "/api/apps.connections.open";
/// Where the WebSockets are.
const LINK: &str = "/link/";
/// Connections that an app has at once.
const LINES_MAX: usize = 10;
/// Addresses that were told and not used yet.
const TICKETS_MAX: usize = 1_000;
/// Events that wait.
const WAITING_MAX: usize = 100_000;
/// How often a connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a connection stays open once it is to be replaced.
const LEAVE: Duration = Duration::from_secs(10);
/// The host that a connection is told.
const HOST: &str = "applink-sim";

/// The app-level token of the app with that number.
pub(super) fn app_token(number: u32) -> String {
    format!("xapp-1-{APP_ID}-{number:013}-SimSlackAppToken{number:08}")
}

/// All connections of apps, and the events that wait for one.
#[derive(Default)]
pub(super) struct Sockets {
    number: u64,
    tickets: BTreeSet<String>,
    lines: BTreeMap<u64, Line>,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
}

/// A connection.
struct Line {
    is_open: bool,
    pinged: Duration,
    /// When it is closed, once it is to be replaced.
    leaves: Option<Duration>,
}

/// An event that is not acknowledged.
struct Waiting {
    event: Value,
    /// How often it came before, and why it comes again.
    retries: u32,
    reason: &'static str,
    /// When it comes.
    due: Duration,
    /// On which connection it came, and in which envelope.
    given: Option<(u64, String)>,
}

impl Sockets {
    /// `apps.connections.open`: the address of a WebSocket, for whoever has an app-level token.
    pub(super) fn open(&mut self, call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let token = bearer(call).ok_or_else(|| refuse("not_authed", Breach::Credentials))?;
        let is_its = |robot: &Robot| is_app(robot) && robot.secret.as_deref() == Some(token);
        if !desk.robots.iter().any(is_its) {
            let is_bot = desk.robot(token).is_some();
            let word = if is_bot {
                "not_allowed_token_type"
            } else {
                "invalid_auth"
            };
            return Err(refuse(word, Breach::Credentials));
        }
        self.number += 1;
        let ticket = format!("sim-{:08x}-{}", self.number, call.now.millis());
        while self.tickets.len() >= TICKETS_MAX {
            self.tickets.pop_first();
        }
        self.tickets.insert(ticket.clone());
        let host = desk.base.trim_start_matches("http");
        let url = format!("ws{host}{LINK}?ticket={ticket}&app_id={APP_ID}");
        Ok(done(&json!({"url": url})))
    }

    /// A ticket lets one connection in.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        let ticket = call.parameter("ticket").unwrap_or_default();
        if call.path != LINK || !self.tickets.remove(ticket) {
            return Err(Answer::text(408, "Request Timeout"));
        }
        let line_of = Line {
            is_open: false,
            pinged: call.monotonic,
            leaves: None,
        };
        self.lines.insert(line, line_of);
        Ok(())
    }

    /// An event for any of the connections; a second copy looks as if the first had not been acknowledged.
    pub(super) fn spread(&mut self, event: &Value, copies: usize, moment: Moment) {
        for copy in 0..copies {
            if self.waiting.len() >= WAITING_MAX {
                return;
            }
            self.number += 1;
            let retries = u32::try_from(copy).unwrap_or(u32::MAX);
            let waiting = Waiting {
                event: event.clone(),
                retries,
                reason: if retries > 0 { "timeout" } else { "" },
                due: moment.monotonic,
                given: None,
            };
            self.waiting.insert(self.number, waiting);
        }
    }

    /// What is said on a connection.
    pub(super) fn hear(&mut self, line: u64, heard: Heard, moment: Moment) -> Vec<Told> {
        let count = self.lines.values().filter(|line| line.is_open).count();
        let Some(known) = self.lines.get_mut(&line) else {
            return Vec::new();
        };
        match heard {
            Heard::Opened if count >= LINES_MAX => {
                let told = disconnect("too_many_websockets");
                vec![told, Told::Close(1000, String::new())]
            }
            Heard::Opened => {
                known.is_open = true;
                let hello = json!({"type": "hello", "num_connections": count + 1,
                    "debug_info": {"host": HOST, "build_number": 1, "approximate_connection_time": 18_060},
                    "connection_info": {"app_id": APP_ID}});
                vec![Told::Text(hello.to_string())]
            }
            Heard::Text(text) => self.acknowledged(line, &text),
            Heard::Refresh => {
                known.leaves = Some(moment.monotonic + LEAVE);
                vec![disconnect("refresh_requested")]
            }
            Heard::Gone => {
                self.lines.remove(&line);
                for waiting in self.waiting.values_mut() {
                    if waiting.given.take_if(|(on, _)| *on == line).is_some() {
                        waiting.again("connection_lost", moment.monotonic);
                    }
                }
                Vec::new()
            }
            Heard::Look => self.look(line, moment),
            Heard::Binary(_) => Vec::new(),
        }
    }

    fn acknowledged(&mut self, line: u64, text: &str) -> Vec<Told> {
        let said: Value = serde_json::from_str(text).unwrap_or_default();
        let envelope = said["envelope_id"].as_str().unwrap_or_default();
        let is_meant = |waiting: &Waiting| {
            let given = waiting.given.as_ref();
            given.is_some_and(|(on, id)| *on == line && id == envelope)
        };
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| !is_meant(waiting));
        vec![Told::Taken; before - self.waiting.len()]
    }

    /// Sends what is due, as far as this connection is good for it.
    fn look(&mut self, line: u64, moment: Moment) -> Vec<Told> {
        let now = moment.monotonic;
        let mut told = Vec::new();
        let Some(known) = self.lines.get_mut(&line) else {
            return told;
        };
        if let Some(leaves) = known.leaves {
            if leaves <= now {
                told.push(Told::Close(1000, String::new()));
            }
            return told;
        }
        if known.pinged + PING_EVERY <= now {
            known.pinged = now;
            told.push(Told::Ping);
        }
        let number = &mut self.number;
        self.waiting.retain(|_, waiting| {
            if waiting.due > now {
                return true;
            }
            if waiting.given.take().is_some() {
                // It came, and nobody said so in time.
                let Some(delay) = usize::try_from(waiting.retries)
                    .ok()
                    .and_then(|place| AGAIN.get(place))
                else {
                    told.push(Told::Missed);
                    return false;
                };
                waiting.again("timeout", now + *delay);
                return true;
            }
            *number += 1;
            let id = format!("sim-envelope-{number}");
            told.push(Told::Text(waiting.envelope(&id).to_string()));
            told.push(Told::Sent);
            waiting.given = Some((line, id));
            waiting.due = now + PATIENCE;
            true
        });
        told
    }
}

impl Waiting {
    fn again(&mut self, reason: &'static str, due: Duration) {
        self.retries = self.retries.saturating_add(1);
        self.reason = reason;
        self.due = due;
    }

    fn envelope(&self, id: &str) -> Value {
        json!({"envelope_id": id, "payload": self.event, "type": "events_api", "accepts_response_payload": false,
            "retry_attempt": self.retries, "retry_reason": self.reason})
    }
}

fn disconnect(reason: &str) -> Told {
    let told = json!({"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}});
    Told::Text(told.to_string())
}

#[cfg(test)]
mod tests;
