//! The long connection of apps: its address for the app's credentials, and frames of protobuf on a WebSocket. From the platform's own
//! clients (larksuite/oapi-sdk-go `ws/`, PyPI `lark-oapi`). Must not know what an event is about.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use prost::Message as _;
use serde_json::{Value, json};

use super::super::mailbag::{Delays, Mailbag, Sent};
use super::super::{Answer, Call, Desk, Moment, Verdict, same_text};
use super::events::{AGAIN, PATIENCE};
use super::is_app;
use crate::line::{Heard, Told};

/// Where the address is asked for.
pub(super) const ADDRESS: &str = "/callback/ws/endpoint";
/// Where the WebSocket is.
const SOCKET: &str = "/ws/v2";
/// Connections of an app.
const LINES_MAX: usize = 50;
/// Addresses that were given and not used yet.
const TICKETS_MAX: usize = 1_000;
/// Bytes of an event's part. Real ones are larger; here long messages shall come in parts.
const PART_BYTES: usize = 1_024;
/// The service that pings name.
const SERVICE: i32 = 33_554_678;
/// The name of an event begins with this.
const NAME: &str = "sim-";
/// What a client is asked to do, in seconds. Real intervals are minutes; here a loss shall be seen soon.
const CONFIG: [(&str, i64); 4] = [
    ("ReconnectCount", -1),
    ("ReconnectInterval", 2),
    ("ReconnectNonce", 1),
    ("PingInterval", 2),
];

/// A name with its value.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

/// A frame.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Frame {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<Header>,
    #[prost(string, optional, tag = "6")]
    payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    payload_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    log_id_new: Option<String>,
}

impl Frame {
    fn of(method: i32, headers: &[(&str, &str)], payload: &[u8]) -> Self {
        let headers = headers.iter().map(|(key, value)| Header {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        Self {
            service: SERVICE,
            method,
            headers: headers.collect(),
            payload: Some(payload.to_vec()),
            ..Self::default()
        }
    }

    fn header(&self, key: &str) -> &str {
        let found = self.headers.iter().find(|header| header.key == key);
        found.map_or("", |header| header.value.as_str())
    }

    fn told(&self) -> Told {
        Told::Binary(self.encode_to_vec().into())
    }
}

/// The connections of all apps.
#[derive(Debug)]
pub(super) struct Lines {
    /// Addresses that were given, by their tickets, with their apps.
    tickets: BTreeMap<u64, String>,
    given: u64,
    /// Those that are open, with their apps.
    open: BTreeMap<u64, String>,
    mail: Mailbag,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            tickets: BTreeMap::new(),
            given: 0,
            open: BTreeMap::new(),
            mail: Mailbag::new(Delays {
                patience: PATIENCE,
                again: &AGAIN,
            }),
        }
    }
}

fn config() -> Value {
    let config = CONFIG
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()));
    Value::Object(config.collect())
}

fn refused(code: i64, msg: &str) -> Answer {
    Answer::json(200, &json!({"code": code, "msg": msg}))
}

impl Lines {
    /// Tells an app where its WebSocket is.
    pub(super) fn address(&mut self, call: &Call, desk: &Desk<'_>) -> Verdict {
        Verdict::Answered(self.told_address(call, desk))
    }

    fn told_address(&mut self, call: &Call, desk: &Desk<'_>) -> Answer {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let app = body["AppID"].as_str().and_then(|id| desk.robot(id));
        let secret = body["AppSecret"].as_str().unwrap_or_default();
        let app = app.filter(|app| {
            is_app(app) && same_text(secret, app.secret.as_deref().unwrap_or_default())
        });
        let Some(app) = app.filter(|_| call.method == Method::POST) else {
            return refused(514, "auth failed");
        };
        if self
            .open
            .values()
            .filter(|open| **open == app.token)
            .count()
            >= LINES_MAX
        {
            return refused(1_000_040_350, "exceed connection limit");
        }
        self.given += 1;
        let ticket = self.given;
        self.tickets.insert(ticket, app.token.clone());
        if self.tickets.len() > TICKETS_MAX {
            self.tickets.pop_first();
        }
        let base = desk.base.replacen("http", "ws", 1);
        let url =
            format!("{base}{SOCKET}?device_id=sim{ticket}&service_id={SERVICE}&ticket={ticket}");
        let data = json!({"URL": url, "ClientConfig": config()});
        Answer::json(200, &json!({"code": 0, "msg": "ok", "data": data}))
    }

    /// Opens a WebSocket by its ticket, which is good once.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        if call.path != SOCKET {
            return Err(Answer::text(404, "404 page not found"));
        }
        let ticket = call
            .parameter("ticket")
            .and_then(|ticket| ticket.parse().ok());
        let app = ticket.and_then(|ticket: u64| self.tickets.remove(&ticket));
        let app = app.ok_or_else(|| {
            Answer::text(400, "")
                .with("handshake-status", 514)
                .with("handshake-msg", "auth failed")
        })?;
        self.open.insert(line, app);
        Ok(())
    }

    /// Takes an event for one of the connections.
    pub(super) fn spread(&mut self, event: &Value, copies: usize, moment: Moment) {
        self.mail.put(event, copies, moment.monotonic);
    }

    /// What is said on a WebSocket.
    pub(super) fn hear(&mut self, line: u64, heard: Heard, moment: Moment) -> Vec<Told> {
        let now = moment.monotonic;
        match heard {
            Heard::Binary(bytes) => match Frame::decode(bytes) {
                Ok(frame) => self.frame(line, frame, now),
                Err(error) => vec![Told::Close(1002, error.to_string())],
            },
            Heard::Text(_) => vec![Told::Close(1003, "frames are binary".to_owned())],
            Heard::Opened | Heard::Look => {
                let mut told = self.mail.look(now);
                while let Some(sent) = self.mail.send(line, now) {
                    told.extend(parts(&sent));
                    told.push(Told::Sent);
                }
                told
            }
            Heard::Refresh => vec![Told::Close(1001, "server is going away".to_owned())],
            Heard::Gone => {
                self.open.remove(&line);
                self.mail.gone(line, now);
                Vec::new()
            }
        }
    }

    fn frame(&mut self, line: u64, frame: Frame, now: Duration) -> Vec<Told> {
        if frame.method == 0 {
            return match frame.header("type") {
                "ping" => {
                    let config = config().to_string();
                    vec![Frame::of(0, &[("type", "pong")], config.as_bytes()).told()]
                }
                _ => Vec::new(),
            };
        }
        let name = frame.header("message_id").strip_prefix(NAME);
        let Some(name) = name.and_then(|name| name.parse().ok()) else {
            return Vec::new();
        };
        let payload = frame.payload.unwrap_or_default();
        let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let taken = payload["code"] == 200;
        self.mail
            .answered(line, name, taken, now)
            .into_iter()
            .collect()
    }
}

/// The frames of an event; of a long one several.
fn parts(sent: &Sent) -> Vec<Told> {
    let payload = sent.event.to_string().into_bytes();
    let sum = payload.chunks(PART_BYTES).count().to_string();
    let name = format!("{NAME}{}", sent.name);
    let frames = payload.chunks(PART_BYTES).enumerate().map(|(seq, part)| {
        let headers = [
            ("type", "event"),
            ("message_id", &*name),
            ("sum", &*sum),
            ("seq", &*seq.to_string()),
            ("trace_id", &*name),
        ];
        Frame::of(1, &headers, part).told()
    });
    frames.collect()
}

#[cfg(test)]
mod tests;
