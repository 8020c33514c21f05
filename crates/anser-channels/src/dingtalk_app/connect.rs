//! The stream of an app: for its key and secret a WebSocket with a ticket, over which what is said to its robot, events and
//! clicks on cards come in frames of JSON; each is answered once it is stored. As in open-dingtalk/dingtalk-stream-sdk-go
//! (`client/client.go`) and PyPI `dingtalk-stream` 0.24.3. Must not read events itself: they are those of the callback, and who
//! connected with the app's secret needs no other proof of where they come from.

mod gateway;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::channel::HttpRequest;
use anser_core::connection::{Action, Again, Connection, Connector, Frame, Input, Loss, Recovery};
use anser_core::inbound::{INBOUND_BYTES_MAX, InboundContext, InboundEvent, Refusal, RefusalKind};
use bytes::Bytes;
use serde_json::{Value, json};

use super::inbound::{REMEMBER, card, push, robot};
use super::settings::Endpoint;
use crate::kit::arrival::word;
use crate::kit::connecting::{End, closed};
use crate::kit::inbound::{malformed, parse};

/// How long the gateway may be asked for.
const ASK_MAX: Duration = Duration::from_secs(15);
/// Between two pings of ours, which are answered at once; the platform's own clients send one a minute or two.
const PING_EVERY: Duration = Duration::from_secs(60);
/// Longer than [`PING_EVERY`], with room for a late answer.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How long what is being stored may hold up the end that the platform asked for. It takes no events back before it closes
/// the connection itself, some seconds later.
const LEAVE_MAX: Duration = Duration::from_secs(3);
/// The timer of pings.
const PING: u8 = 0;
/// The timer of the end.
const LEAVE: u8 = 1;
/// The tag of the one request.
const GATEWAY: u32 = 0;
/// Codes of close frames that say that all is well (RFC 6455 §7.4.1): done, going away, service restart.
const CLOSED_WELL: [u16; 3] = [1000, 1001, 1012];
/// Codes of answers (`frames.py` of `dingtalk-stream`).
const OK: u16 = 200;
const BAD_REQUEST: u16 = 400;
const NOT_FOUND: u16 = 404;
const LATER: u16 = 500;

/// An app's way to be connected.
pub(super) struct Stream {
    request: HttpRequest,
}

impl Stream {
    /// Connects with an app's credentials.
    pub(super) fn new(app: &Endpoint) -> Self {
        Self {
            request: gateway::request(app),
        }
    }
}

impl Connector for Stream {
    fn begin(&self, _resume: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Line {
            request: self.request.clone(),
            is_live: false,
            is_leaving: false,
            unstored: BTreeMap::new(),
            batches: 0,
        })
    }

    fn silence_max(&self) -> Duration {
        SILENCE_MAX
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// One connection.
struct Line {
    request: HttpRequest,
    is_live: bool,
    /// The platform asked for another connection; what is being stored is answered first.
    is_leaving: bool,
    /// What is being stored, by its batch.
    unstored: BTreeMap<u64, Unanswered>,
    /// How many batches there were.
    batches: u64,
}

/// A frame that is answered once its event is stored.
struct Unanswered {
    kind: Kind,
    /// The frame's id; without one it cannot be answered.
    id: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something about the connection.
    System,
    /// An event of the company.
    Event,
    /// Something that was said or clicked.
    Callback,
}

impl Connection for Line {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![Action::Ask {
                tag: GATEWAY,
                request: self.request.clone(),
                limit: ASK_MAX,
            }],
            Input::Answered { exchange, .. } => {
                match gateway::read(&exchange, &self.request.url, context.now) {
                    Ok(url) => vec![Action::Open {
                        url,
                        headers: http::HeaderMap::new(),
                    }],
                    Err(end) => vec![end.into()],
                }
            }
            Input::Opened => self.opened(),
            Input::NotOpened { response } => vec![gateway::not_opened(&response).into()],
            Input::Frame(Frame::Text(text)) => self.frame(&text, context),
            Input::Frame(Frame::Binary(_)) => {
                vec![unread("a binary frame, where all are of text")]
            }
            Input::Frame(Frame::Ping(_) | Frame::Pong(_)) => Vec::new(),
            Input::Stored { batch } => self.settled(batch, true),
            Input::NotStored { batch } => self.settled(batch, false),
            Input::Timer(PING) => vec![Action::Send(Frame::Ping(Bytes::new())), next_ping()],
            Input::Timer(_) => vec![left()],
            Input::Closed { code, reason } => vec![self.closed(code, &reason).into()],
        }
    }
}

impl Line {
    fn opened(&mut self) -> Vec<Action> {
        self.is_live = true;
        // The platform names the connection in its frames only; what was not answered it sends again.
        let live = Action::Live {
            session: None,
            recovery: Recovery::Redelivered,
        };
        vec![live, next_ping()]
    }

    fn frame(&mut self, text: &str, context: &InboundContext<'_>) -> Vec<Action> {
        let Ok(frame) = parse(text.as_bytes()) else {
            return vec![unread("a frame that is no JSON")];
        };
        let headers = &frame["headers"];
        let topic = headers["topic"].as_str().unwrap_or_default();
        let kind = match frame["type"].as_str() {
            Some("SYSTEM") => return self.system(topic, &frame),
            Some("EVENT") => Kind::Event,
            Some("CALLBACK") => Kind::Callback,
            _ => return vec![unread("a frame of a type that is not known")],
        };
        let id = word(headers, "messageId").map(str::to_owned);
        let event = data(&frame).and_then(|data| match (kind, topic) {
            (Kind::Event, _) => Ok(push::streamed(data, headers, context)),
            (_, gateway::ROBOT) => robot::normalised(&data, context).map(Some),
            (_, gateway::CARD) => Ok(Some(card::normalised(&data, id.as_deref(), context))),
            _ => Err(Refusal::new(
                RefusalKind::Method,
                "a callback that was not asked for",
            )),
        });
        let unanswered = Unanswered { kind, id };
        match event {
            Ok(Some(event)) => self.take(event, unanswered),
            Ok(None) => unanswered.answer(OK),
            Err(refusal) => {
                let code = match refusal.kind {
                    RefusalKind::Method => NOT_FOUND,
                    _ => BAD_REQUEST,
                };
                let mut actions = vec![unread(refusal.detail)];
                actions.extend(unanswered.answer(code));
                actions
            }
        }
    }

    fn take(&mut self, event: InboundEvent, unanswered: Unanswered) -> Vec<Action> {
        self.batches += 1;
        self.unstored.insert(self.batches, unanswered);
        vec![Action::Take {
            batch: self.batches,
            events: vec![event],
        }]
    }

    /// A ping wants its data back; a disconnect another connection, with another ticket. The rest tells how things are.
    fn system(&mut self, topic: &str, frame: &Value) -> Vec<Action> {
        let id = word(&frame["headers"], "messageId").map(str::to_owned);
        let kind = Kind::System;
        let given = frame["data"].as_str().unwrap_or("{}");
        let mut actions = Unanswered { kind, id }.with(OK, given);
        if topic == "disconnect" && !self.is_leaving {
            self.is_leaving = true;
            actions.push(if self.unstored.is_empty() {
                left()
            } else {
                Action::Timer {
                    number: LEAVE,
                    after: LEAVE_MAX,
                }
            });
        }
        actions
    }

    fn settled(&mut self, batch: u64, is_stored: bool) -> Vec<Action> {
        let Some(unanswered) = self.unstored.remove(&batch) else {
            return Vec::new();
        };
        let mut actions = match (is_stored, unanswered.kind) {
            (true, _) => unanswered.answer(OK),
            // An event is sent again when its answer says so; a callback when it has none.
            (false, Kind::Event) => unanswered.answer(LATER),
            (false, _) => Vec::new(),
        };
        if self.is_leaving && self.unstored.is_empty() {
            actions.push(left());
        }
        actions
    }

    fn closed(&self, code: Option<u16>, reason: &str) -> End {
        let detail = closed(code, reason);
        let well = code.is_some_and(|code| CLOSED_WELL.contains(&code));
        if self.is_leaving || self.is_live && well {
            return End::new(Loss::Asked, Again::AtOnce, detail);
        }
        End::network(detail)
    }
}

impl Unanswered {
    /// The answer, in the words of the platform's own clients; none to a frame without an id.
    fn answer(self, code: u16) -> Vec<Action> {
        let data = match (self.kind, code) {
            (Kind::Event, OK) => json!({"status": "SUCCESS", "message": "success"}),
            (Kind::Event, _) => json!({"status": "LATER", "message": "later"}),
            _ => json!({"response": {}}),
        };
        self.with(code, &data.to_string())
    }

    fn with(self, code: u16, data: &str) -> Vec<Action> {
        let Some(id) = self.id else {
            return vec![unread("a frame without an id, which cannot be answered")];
        };
        let message = if code == OK { "OK" } else { "not taken" };
        let answer = json!({
            "code": code,
            "headers": {"messageId": id, "contentType": "application/json"},
            "message": message,
            "data": data,
        });
        vec![Action::Send(Frame::Text(answer.to_string()))]
    }
}

/// What a frame says: JSON in a text.
fn data(frame: &Value) -> Result<Value, Refusal> {
    let text = frame["data"].as_str();
    let text = text.ok_or_else(|| malformed("a frame whose data is no text"))?;
    if text.len() > INBOUND_BYTES_MAX {
        return Err(malformed("an event that is larger than an event may be"));
    }
    match parse(text.as_bytes())? {
        value @ Value::Object(_) => Ok(value),
        _ => Err(malformed("a frame whose data is no object")),
    }
}

fn next_ping() -> Action {
    Action::Timer {
        number: PING,
        after: PING_EVERY,
    }
}

/// The end that the platform asked for.
fn left() -> Action {
    let detail = "the platform asked for another connection";
    End::new(Loss::Asked, Again::AtOnce, detail).into()
}

fn unread(detail: impl Into<String>) -> Action {
    Action::Unread {
        detail: detail.into(),
    }
}
