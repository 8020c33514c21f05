//! The long connection of an app: for its credentials the address of a WebSocket, over which events come in frames of
//! protobuf; each is answered once it is stored. As in larksuite/oapi-sdk-go (`ws/`) and PyPI `lark-oapi` 1.7.5
//! (`lark_oapi/ws`). Must not read events itself: they are those of the callback, plain, for who connected with the app's
//! secret needs no other proof of where they come from.

mod endpoint;
mod frame;
mod joining;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Exchange, HttpRequest};
use anser_core::connection::{
    Action, Again, Connection, Connector, Frame as Wire, Input, Loss, Recovery,
};
use anser_core::inbound::{INBOUND_BYTES_MAX, InboundContext};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use super::inbound::{self, REMEMBER, Said};
use super::settings;
use crate::kit::connecting::{End, closed};
use crate::kit::inbound::{malformed, parse};
use endpoint::{Config, Place};
use frame::{Frame, Method};
use joining::{Joined, Joining};

/// How long the address of the WebSocket may be asked for.
const ASK_MAX: Duration = Duration::from_secs(15);
/// Pings go at most [`endpoint::PING_MAX`] apart, and each is answered at once.
const SILENCE_MAX: Duration = endpoint::PING_MAX.saturating_add(Duration::from_secs(30));
/// The timer of pings.
const PING: u8 = 0;
/// The tag of the one request.
const ADDRESS: u32 = 0;
/// Codes of close frames that say that all is well (RFC 6455 §7.4.1): done, going away, service restart.
const CLOSED_WELL: [u16; 3] = [1000, 1001, 1012];

/// An app's way to be connected.
pub(super) struct LongConnection {
    request: HttpRequest,
    app_id: String,
}

impl LongConnection {
    /// Connects with an app's credentials.
    pub(super) fn new(app: &settings::Endpoint) -> Self {
        Self {
            request: endpoint::request(app),
            app_id: app.app_id.clone(),
        }
    }
}

impl Connector for LongConnection {
    fn begin(&self, _resume: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Line {
            request: self.request.clone(),
            app_id: self.app_id.clone(),
            place: None,
            config: Config::default(),
            is_live: false,
            heard: false,
            joining: Joining::default(),
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
    app_id: String,
    /// Where it is connected to, once that is known.
    place: Option<Place>,
    config: Config,
    is_live: bool,
    /// Whether anything came since the last ping.
    heard: bool,
    joining: Joining,
    /// What is being stored, by its batch.
    unstored: BTreeMap<u64, Unanswered>,
    /// How many batches there were.
    batches: u64,
}

/// A frame that is answered once its event is stored.
struct Unanswered {
    /// The frame, without its payload.
    frame: Frame,
    /// What the platform is answered beside that it is stored.
    answer: Option<Value>,
    /// When it came.
    came: Timestamp,
}

impl Connection for Line {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![Action::Ask {
                tag: ADDRESS,
                request: self.request.clone(),
                limit: ASK_MAX,
            }],
            Input::Answered { exchange, .. } => self.told(&exchange, context.now),
            Input::Opened => self.opened(),
            Input::NotOpened { response } => {
                vec![endpoint::not_opened(&response, &self.config).into()]
            }
            Input::Frame(frame) => {
                self.heard = true;
                match frame {
                    Wire::Binary(bytes) => self.frame(bytes, context),
                    Wire::Text(_) => vec![unread("a frame of text, where all are binary")],
                    Wire::Ping(_) | Wire::Pong(_) => Vec::new(),
                }
            }
            Input::Stored { batch } => self.settled(batch, true, context.now),
            Input::NotStored { batch } => self.settled(batch, false, context.now),
            Input::Timer(_) => self.ping(context.now),
            Input::Closed { code, reason } => vec![self.closed(code, &reason, context).into()],
        }
    }
}

impl Line {
    /// The address was told, or not.
    fn told(&mut self, exchange: &Exchange, now: Timestamp) -> Vec<Action> {
        match endpoint::read(exchange, &self.request.url, now) {
            Ok((place, config)) => {
                let url = place.url.clone();
                self.config = config;
                self.place = Some(place);
                vec![Action::Open {
                    url,
                    headers: http::HeaderMap::new(),
                }]
            }
            Err(end) => vec![end.into()],
        }
    }

    fn opened(&mut self) -> Vec<Action> {
        self.is_live = true;
        let session = self.place.as_ref().and_then(|place| place.device.clone());
        // Feishu sends again what was not answered: after 15 seconds, 5 minutes, 1 hour and 6 hours.
        let live = Action::Live {
            session,
            recovery: Recovery::Redelivered,
        };
        let mut actions = vec![live];
        actions.extend(self.pinged());
        actions
    }

    /// A ping, and the time of the next one.
    fn pinged(&mut self) -> [Action; 2] {
        self.heard = false;
        let service = self.place.as_ref().map_or(0, |place| place.service);
        [
            Action::Send(Wire::Binary(Frame::ping(service).encoded())),
            self.next_ping(),
        ]
    }

    fn next_ping(&self) -> Action {
        Action::Timer {
            number: PING,
            after: self.config.ping,
        }
    }

    fn ping(&mut self, now: Timestamp) -> Vec<Action> {
        self.joining.forget(now);
        if !self.is_live {
            return Vec::new();
        }
        if !self.heard {
            let detail = "a ping was not answered before the next one was due";
            return vec![End::new(Loss::Deaf, Again::Backoff, detail).into()];
        }
        self.pinged().into()
    }

    fn frame(&mut self, bytes: Bytes, context: &InboundContext<'_>) -> Vec<Action> {
        let frame = match Frame::read(bytes) {
            Ok(frame) => frame,
            Err(why) => return vec![unread(format!("a frame that is no protobuf: {why}"))],
        };
        match frame.kind() {
            Some(Method::Control) => self.control(&frame),
            Some(Method::Data) => self.data(frame, context),
            None => vec![unread("a frame of a method that is not known")],
        }
    }

    /// A pong may bring other intervals. Nothing else of the platform's control wants an answer.
    fn control(&mut self, frame: &Frame) -> Vec<Action> {
        if frame.header("type") != Some("pong") || frame.payload().is_empty() {
            return Vec::new();
        }
        let Ok(told) = parse(frame.payload()) else {
            return vec![unread("a pong whose configuration is no JSON")];
        };
        let config = self.config.with(&told);
        if config == self.config {
            return Vec::new();
        }
        self.config = config;
        vec![self.next_ping()]
    }

    fn data(&mut self, mut frame: Frame, context: &InboundContext<'_>) -> Vec<Action> {
        let payload = match self.joining.add(&mut frame, context.now) {
            Ok(Joined::Whole(payload)) => payload,
            Ok(Joined::Waits) => return Vec::new(),
            Err(why) => return vec![unread(why)],
        };
        let is_card = match frame.header("type") {
            Some("event") => false,
            Some("card") => true,
            // The platform's own clients leave it without an answer too.
            _ => return vec![unread("data of a type that is not known")],
        };
        let said = match payload.len() {
            0..=INBOUND_BYTES_MAX => parse(&payload)
                .and_then(|value| inbound::said(value, is_card, &self.app_id, context)),
            _ => Err(malformed("an event that is larger than an event may be")),
        };
        let Said { event, answer } = match said {
            Ok(said) => said,
            Err(refusal) => return vec![unread(refusal.detail), frame.answer(500, None, None)],
        };
        let Some(event) = event else {
            // Nothing is to be stored.
            return vec![frame.answer(200, answer.as_ref(), Some(Duration::ZERO))];
        };
        self.batches += 1;
        let unanswered = Unanswered {
            frame,
            answer,
            came: context.now,
        };
        self.unstored.insert(self.batches, unanswered);
        vec![Action::Take {
            batch: self.batches,
            events: vec![event],
        }]
    }

    fn settled(&mut self, batch: u64, is_stored: bool, now: Timestamp) -> Vec<Action> {
        let Some(Unanswered {
            frame,
            answer,
            came,
        }) = self.unstored.remove(&batch)
        else {
            return Vec::new();
        };
        vec![if is_stored {
            frame.answer(200, answer.as_ref(), Some(now.since(came)))
        } else {
            // It comes again.
            frame.answer(500, None, None)
        }]
    }

    /// The first attempt after a loss is at a random moment, so that not all clients of a server that stops come at once.
    fn closed(&self, code: Option<u16>, reason: &str, context: &InboundContext<'_>) -> End {
        let detail = closed(code, reason);
        if !self.is_live {
            return End::new(Loss::Network, Again::After(self.config.interval), detail);
        }
        let loss = match code {
            Some(code) if CLOSED_WELL.contains(&code) => Loss::Asked,
            _ => Loss::Network,
        };
        let again = match self.config.jitter(context.random) {
            Duration::ZERO => Again::AtOnce,
            wait => Again::After(wait),
        };
        End::new(loss, again, detail)
    }
}

impl Frame {
    /// The answer to this frame: itself, with a code in the place of its payload, and how long it took.
    fn answer(mut self, code: u16, data: Option<&Value>, took: Option<Duration>) -> Action {
        if let Some(took) = took {
            self.add_header("biz_rt", took.as_millis().to_string());
        }
        let mut payload = json!({"code": code});
        if let Some(data) = data {
            payload["data"] = BASE64.encode(data.to_string()).into();
        }
        self.set_payload(payload.to_string().into());
        Action::Send(Wire::Binary(self.encoded()))
    }
}

fn unread(detail: impl Into<String>) -> Action {
    Action::Unread {
        detail: detail.into(),
    }
}
