//! The Gateway (<https://discord.com/developers/docs/events/gateway>): a WebSocket with a heartbeat, on which all that happens is
//! numbered; after a loss the session is resumed behind the last number that is stored. Must not let a number that is kept,
//! or that a heartbeat tells, pass an event that is not stored.

mod ends;
mod session;

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::channel::{Exchange, HttpRequest};
use anser_core::connection::{Action, Again, Connection, Connector, Frame, Input, Loss, Recovery};
use anser_core::inbound::{InboundContext, InboundEvent};
use http::HeaderMap;
use serde_json::{Value, json};
use url::Url;

use super::inbound::happened::Happened;
use super::inbound::interacted;
use super::settings::Endpoint;
use crate::kit::connecting::{End, object, words};
use crate::kit::discord::is_number;
use crate::kit::discord::request::{asked, called};
use crate::kit::socket::socket;
use session::Session;

/// How long an answer of the API may take.
const ASK_MAX: Duration = Duration::from_secs(15);
/// How long the greeting, and then the answer to it, may take.
const HELLO_MAX: Duration = Duration::from_secs(20);
/// Heartbeats are asked for every 41 seconds or so, and are answered; an interval that is not believed is one of these.
const INTERVAL: std::ops::RangeInclusive<u64> = 1_000..=120_000;
/// Longer than the longest interval, and half of it again.
const SILENCE_MAX: Duration = Duration::from_secs(180);
/// Events come again when a session is resumed, within minutes.
const REMEMBER: Duration = Duration::from_secs(3_600);
/// A code of our own for a WebSocket that is closed while its session goes on.
const CLOSE_FOR_NOW: u16 = 4000;
/// The timer of heartbeats.
const HEARTBEAT: u8 = 0;
/// The timer of the greeting, and of the answer to it.
const HELLO: u8 = 1;
/// The tag of the question for the address; answers to interactions have those above.
const ADDRESS: u32 = 0;

/// What a frame is, in its `op`.
mod op {
    pub(super) const DISPATCH: u64 = 0;
    pub(super) const HEARTBEAT: u64 = 1;
    pub(super) const IDENTIFY: u64 = 2;
    pub(super) const RESUME: u64 = 6;
    pub(super) const RECONNECT: u64 = 7;
    pub(super) const INVALID_SESSION: u64 = 9;
    pub(super) const HELLO: u64 = 10;
    pub(super) const HEARTBEAT_ACK: u64 = 11;
}

/// How a bot is connected.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    /// Where the address is asked for.
    url: Url,
    /// Where interactions are answered.
    interactions: Url,
    headers: HeaderMap,
    token: String,
    intents: u64,
}

impl Gateway {
    /// Of the bot of that endpoint.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            url: endpoint.url("/gateway/bot"),
            interactions: endpoint.url("/interactions"),
            headers: endpoint.headers(),
            token: endpoint.token.clone(),
            intents: endpoint.intents,
        }
    }
}

impl Connector for Gateway {
    fn begin(&self, resume: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Socket {
            gateway: self.clone(),
            resume: resume.and_then(Session::read),
            session: None,
            stored: None,
            waiting: VecDeque::new(),
            is_greeted: false,
            is_answered: true,
            interval: Duration::ZERO,
            batch: 0,
            tag: ADDRESS,
        })
    }

    fn silence_max(&self) -> Duration {
        SILENCE_MAX
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }

    /// 1000 and 1001 end the session (<https://discord.com/developers/docs/events/gateway#initiating-a-disconnect>).
    fn close_code(&self) -> u16 {
        CLOSE_FOR_NOW
    }
}

/// A bot that is connected.
struct Socket {
    gateway: Gateway,
    /// What is to be resumed.
    resume: Option<Session>,
    /// The session, once it is live.
    session: Option<Session>,
    /// The number up to which everything is stored.
    stored: Option<u64>,
    /// What came behind that, in order.
    waiting: VecDeque<Waiting>,
    /// The first greeting came.
    is_greeted: bool,
    /// The last heartbeat was answered.
    is_answered: bool,
    interval: Duration,
    /// The number of the last batch.
    batch: u64,
    /// The last tag.
    tag: u32,
}

/// Something that came and is not behind us.
struct Waiting {
    number: u64,
    /// The batch that it is stored with; `None`: there is nothing to store.
    batch: Option<u64>,
    /// It could not be stored: nothing from here on may be passed.
    is_refused: bool,
    /// What answers it once it is stored.
    answer: Option<HttpRequest>,
}

impl Connection for Socket {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![self.begin()],
            Input::Answered {
                tag: ADDRESS,
                exchange,
            } => match address(&self.gateway.url, &exchange, context) {
                Ok(url) => vec![open(url)],
                Err(end) => vec![end.into()],
            },
            // What became of the answer to an interaction changes nothing.
            Input::Answered { .. } => Vec::new(),
            Input::Opened => vec![timer(HELLO, HELLO_MAX)],
            Input::Frame(Frame::Text(text)) => match serde_json::from_str(&text) {
                Ok(frame) => self.read(&frame, context),
                Err(_) => vec![unread("a message that is no JSON")],
            },
            Input::Frame(Frame::Binary(_)) => vec![unread("a message that is no text")],
            Input::Frame(Frame::Ping(_) | Frame::Pong(_)) => Vec::new(),
            Input::Stored { batch } => self.settled(batch, true),
            Input::NotStored { batch } => self.settled(batch, false),
            Input::Timer(HEARTBEAT) => self.beat(),
            Input::Timer(HELLO) if self.session.is_none() => {
                vec![End::protocol("the WebSocket is open, but Discord began no session").into()]
            }
            Input::Timer(_) => Vec::new(),
            Input::NotOpened { response } => {
                let told = format!(
                    "HTTP {} where the WebSocket was to open",
                    response.status.as_u16()
                );
                self.unresumed(vec![End::network(told).into()])
            }
            Input::Closed { code: None, reason } => self.unresumed(ends::of_close(None, &reason)),
            Input::Closed { code, reason } => ends::of_close(code, &reason),
        }
    }
}

impl Socket {
    /// A session is resumed where it told; a new one asks where.
    fn begin(&mut self) -> Action {
        let resumed = self.resume.as_ref();
        match resumed.and_then(|session| socket(&session.url, &self.gateway.url).ok()) {
            Some(url) => open(url),
            None => {
                self.resume = None;
                let (url, headers) = (self.gateway.url.clone(), self.gateway.headers.clone());
                Action::Ask {
                    tag: ADDRESS,
                    request: asked(url, headers),
                    limit: ASK_MAX,
                }
            }
        }
    }

    /// Where a session is to be resumed there may be nobody any more: after some tries a new one begins.
    fn unresumed(&mut self, end: Vec<Action>) -> Vec<Action> {
        let resume = self.resume.take().filter(|_| !self.is_greeted);
        let kept = resume.map(|session| Action::Keep(session.tried()));
        kept.into_iter().chain(end).collect()
    }

    fn read(&mut self, frame: &Value, context: &InboundContext<'_>) -> Vec<Action> {
        match frame["op"].as_u64() {
            Some(op::DISPATCH) => self.dispatched(frame, context),
            Some(op::HELLO) => self.greeted(&frame["d"], context),
            Some(op::HEARTBEAT) => vec![self.heartbeat()],
            Some(op::HEARTBEAT_ACK) => {
                self.is_answered = true;
                Vec::new()
            }
            Some(op::RECONNECT) => {
                let end = End::new(Loss::Asked, Again::AtOnce, "Discord asks for a reconnect");
                vec![end.into()]
            }
            Some(op::INVALID_SESSION) => ends::of_session(frame["d"] == true, context),
            Some(other) => vec![unread(format!("a message of the op {other}"))],
            None => vec![unread("a message without an op")],
        }
    }

    /// The greeting tells how often the heart is to beat, the first time after some part of that.
    fn greeted(&mut self, hello: &Value, context: &InboundContext<'_>) -> Vec<Action> {
        let interval = hello["heartbeat_interval"].as_u64();
        let Some(interval) = interval.filter(|interval| INTERVAL.contains(interval)) else {
            return vec![End::protocol("the greeting has no interval of heartbeats").into()];
        };
        if std::mem::replace(&mut self.is_greeted, true) {
            return Vec::new();
        }
        self.interval = Duration::from_millis(interval);
        let part = u32::from(context.random[0]) + 1;
        let first = self.interval * part / 256;
        vec![
            timer(HEARTBEAT, first),
            timer(HELLO, HELLO_MAX),
            Action::Send(Frame::Text(self.hello().to_string())),
        ]
    }

    /// Who we are, or which session we go on with.
    fn hello(&self) -> Value {
        let token = &self.gateway.token;
        match &self.resume {
            Some(session) => json!({"op": op::RESUME, "d": {
                "token": token, "session_id": session.id, "seq": session.stored}}),
            None => json!({"op": op::IDENTIFY, "d": {
                "token": token, "intents": self.gateway.intents,
                "properties": {"os": "anser", "browser": "anser", "device": "anser"}}}),
        }
    }

    fn beat(&mut self) -> Vec<Action> {
        if !self.is_answered {
            let told = "Discord did not answer the last heartbeat";
            return vec![End::new(Loss::Deaf, Again::AtOnce, told).into()];
        }
        self.is_answered = false;
        vec![self.heartbeat(), timer(HEARTBEAT, self.interval)]
    }

    fn heartbeat(&self) -> Action {
        let number = self
            .stored
            .or(self.resume.as_ref().map(|session| session.stored));
        let beat = json!({"op": op::HEARTBEAT, "d": number});
        Action::Send(Frame::Text(beat.to_string()))
    }

    /// Something happened, or the session is there.
    fn dispatched(&mut self, frame: &Value, context: &InboundContext<'_>) -> Vec<Action> {
        let (Some(name), Some(number)) = (frame["t"].as_str(), frame["s"].as_u64()) else {
            return vec![unread("an event without a name or a number")];
        };
        let mut actions = Vec::new();
        if self.session.is_none() {
            match self.opened(name, number, &frame["d"]) {
                Ok(began) => actions = began,
                Err(end) => return vec![end.into()],
            }
        }
        if matches!(name, "READY" | "RESUMED") {
            self.wait(number, None, None);
        } else {
            actions.extend(self.happened(name, number, &frame["d"], context));
        }
        self.pass(&mut actions);
        actions
    }

    /// The first thing that happens in a session: it is there, or goes on.
    fn opened(&mut self, name: &str, number: u64, data: &Value) -> Result<Vec<Action>, End> {
        if let Some(session) = self.resume.take() {
            self.stored = Some(session.stored);
            let live = live(&session, Recovery::Resumed);
            self.session = Some(session);
            return Ok(vec![live]);
        }
        let session = Session::began(data, number);
        let Some(session) = session.filter(|_| name == "READY") else {
            return Err(End::protocol(
                "the session began without saying which it is",
            ));
        };
        let actions = vec![
            live(&session, Recovery::Missed),
            Action::Keep(session.kept()),
        ];
        self.session = Some(session);
        Ok(actions)
    }

    fn happened(
        &mut self,
        name: &str,
        number: u64,
        data: &Value,
        context: &InboundContext<'_>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let (events, answer) = if name == "INTERACTION_CREATE" {
            match self.interacted(data, context) {
                Ok(read) => read,
                Err(detail) => {
                    actions.push(unread(detail));
                    (Vec::new(), None)
                }
            }
        } else {
            (self.events(name, number, data, context), None)
        };
        let batch = (!events.is_empty()).then(|| {
            self.batch += 1;
            actions.push(Action::Take {
                batch: self.batch,
                events,
            });
            self.batch
        });
        self.wait(number, batch, answer);
        actions
    }

    fn events(
        &self,
        name: &str,
        number: u64,
        data: &Value,
        context: &InboundContext<'_>,
    ) -> Vec<InboundEvent> {
        let Some(session) = &self.session else {
            return Vec::new();
        };
        // What a new session begins with has not happened.
        let id = data["id"].as_str().unwrap_or_default();
        if name == "GUILD_CREATE" && session.has_server(id) {
            return Vec::new();
        }
        let happened = Happened {
            name,
            data,
            place: [&session.id, &number.to_string()],
            bot: &session.bot,
            app: &session.app,
        };
        happened.read(context)
    }

    /// An interaction, with the request that answers it: over the Gateway nothing else would.
    fn interacted(
        &self,
        interaction: &Value,
        context: &InboundContext<'_>,
    ) -> Result<(Vec<InboundEvent>, Option<HttpRequest>), String> {
        let read = interacted(interaction, context);
        let (event, said) = read.map_err(|refusal| refusal.detail)?;
        let url = self.answered_at(interaction);
        let answer = url.map(|url| called(url, &said));
        Ok((event.into_iter().collect(), answer))
    }

    /// Where an interaction is answered
    /// (<https://discord.com/developers/docs/interactions/receiving-and-responding#create-interaction-response>).
    fn answered_at(&self, interaction: &Value) -> Option<Url> {
        let id = interaction["id"].as_str().filter(|id| is_number(id))?;
        let token = interaction["token"].as_str()?;
        let mut url = self.gateway.interactions.clone();
        url.path_segments_mut()
            .ok()?
            .extend([id, token, "callback"]);
        Some(url)
    }

    fn wait(&mut self, number: u64, batch: Option<u64>, answer: Option<HttpRequest>) {
        self.waiting.push_back(Waiting {
            number,
            batch,
            is_refused: false,
            answer,
        });
    }

    /// A batch was stored, or could not be.
    fn settled(&mut self, batch: u64, is_stored: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut waiting = self.waiting.iter_mut();
        let Some(waiting) = waiting.find(|waiting| waiting.batch == Some(batch)) else {
            return actions;
        };
        if !is_stored {
            // It comes again when the session is resumed before it.
            waiting.is_refused = true;
            let told = "an event could not be stored: Discord is asked for it again";
            return vec![End::new(Loss::Asked, Again::Backoff, told).into()];
        }
        waiting.batch = None;
        self.pass(&mut actions);
        actions
    }

    /// Passes what is stored, as far as nothing before it waits; answers interactions, and keeps how far it came.
    fn pass(&mut self, actions: &mut Vec<Action>) {
        let before = self.stored;
        while let Some(passed) = self
            .waiting
            .pop_front_if(|waiting| waiting.batch.is_none() && !waiting.is_refused)
        {
            self.stored = Some(passed.number);
            if let Some(request) = passed.answer {
                self.tag = self.tag.checked_add(1).unwrap_or(ADDRESS + 1);
                actions.push(Action::Ask {
                    tag: self.tag,
                    request,
                    limit: ASK_MAX,
                });
            }
        }
        if self.stored != before
            && let (Some(session), Some(stored)) = (&mut self.session, self.stored)
        {
            session.stored = stored;
            actions.push(Action::Keep(session.kept()));
        }
    }
}

/// Where the Gateway is, unless no session may begin.
fn address(asked: &Url, exchange: &Exchange, context: &InboundContext<'_>) -> Result<Url, End> {
    let (response, body) = object(exchange, context.now)?;
    if !response.status.is_success() {
        let code = body.get("code").and_then(Value::as_u64);
        let text = body.get("message").and_then(Value::as_str);
        let text = words(text.unwrap_or_default());
        let told = format!(
            "HTTP {}, {} {text}",
            response.status.as_u16(),
            code.unwrap_or_default()
        );
        return Err(End::refused(match response.status.as_u16() {
            401 => format!(
                "{told} (the token is wrong or was reset: copy it from the app's page Bot again)"
            ),
            _ => told,
        }));
    }
    let member = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let limit = member("session_start_limit");
    if limit["remaining"] == 0 {
        let wait = Duration::from_millis(limit["reset_after"].as_u64().unwrap_or_default());
        let told = "the bot may begin no more sessions today";
        return Err(End::limited(wait.max(HELLO_MAX), told));
    }
    socket(member("url").as_str().unwrap_or_default(), asked)
}

/// Opens the Gateway, with the version and form that are spoken here.
fn open(mut url: Url) -> Action {
    url.query_pairs_mut()
        .clear()
        .append_pair("v", "10")
        .append_pair("encoding", "json");
    Action::Open {
        url,
        headers: HeaderMap::new(),
    }
}

fn live(session: &Session, recovery: Recovery) -> Action {
    Action::Live {
        session: Some(session.id.clone()),
        recovery,
    }
}

fn timer(number: u8, after: Duration) -> Action {
    Action::Timer { number, after }
}

fn unread(detail: impl Into<String>) -> Action {
    Action::Unread {
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests;
