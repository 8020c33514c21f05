//! `/socket.io/`: the Socket.IO protocol (revision 5, over Engine.IO revision 4), as its stock clients speak it, over
//! WebSocket and over long poll. The library does the protocol, what is here maps its events to operations: an event's name is
//! the operation, its first argument the frame, its callback gets the answer. Messages go out as the event `message` and are
//! acknowledged by its callback, or by the event `ack`. Must not know what frames mean.
//!
//! The library gives each event to a task of its own, which would lose the client's order. So an event is put in its
//! session's queue while it is taken apart, before such a task begins, and one loop a session serves the queue.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::id::MessageId;
use anser_core::live::{
    Acknowledgements, Answer as Done, CloseReason, Event, Hello, MessageEvent, Operation, Position,
    Request, answer_json,
};
use anser_core::{Problem, ProblemKind};
use anser_gateway::sessions::{Events, Session, WINDOW_MESSAGES};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::any;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::request::Parts;
use hyper::service::Service as _;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::handler::{ConnectHandler as _, FromMessageParts, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide::{AckError, SocketIo};
use tokio::sync::mpsc;
use url::form_urlencoded;

use super::Live;
use super::door::Caller;
use super::origins::preflight;
use super::pace::Pace;
use super::places::Place;
use super::{LIVE_AUTH_TIMEOUT, LIVE_FRAME_BYTES_MAX};
use crate::answer;
use crate::bearer::bearer;
use crate::state::Edge;

/// Events of a client that wait to be served; past it they are refused one by one.
const ASKED_MAX: usize = 64;
/// Packets that wait to be sent to a client: all messages that it may have without acknowledging them, and what comes beside.
const PACKETS_MAX: usize = 1_024;
/// Messages whose callbacks are waited for: as many as may be unacknowledged. With more of them the client acknowledges by `ack`,
/// and the next ones carry no callback: what nobody will answer must not be kept.
const CALLBACKS_MAX: usize = WINDOW_MESSAGES;
/// How long a message may be acknowledged by its callback; longer than a session lives.
const ACK_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Between two pings of the server, as the protocol's own servers have it.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The read buffer of a WebSocket, allocated with it.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// The wire's name, for operators.
const TRANSPORT: &str = "socket.io";
/// The event that brings a message.
const MESSAGE: &str = "message";

/// A connection's way in. It keeps its place until the connection's end, with the parts of the request that it began with.
type Entrance = Arc<Mutex<Entered>>;

/// How far in a connection is.
enum Entered {
    /// It has not said who it is.
    Not(Caller),
    /// It is being seen who it is.
    Opening,
    /// It had its session, and keeps its place whatever became of that.
    Yes { _place: Place },
}

/// Adds the path of the stock clients.
pub(super) fn attach(router: Router<Arc<Edge>>, live: &Arc<Live>) -> Router<Arc<Edge>> {
    let (service, io) = SocketIo::builder()
        .connect_timeout(LIVE_AUTH_TIMEOUT)
        .ack_timeout(ACK_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .max_payload(LIVE_FRAME_BYTES_MAX as u64)
        .max_buffer_size(PACKETS_MAX)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ws_max_message_size(LIVE_FRAME_BYTES_MAX)
        .ws_max_frame_size(LIVE_FRAME_BYTES_MAX)
        .build_svc();
    let admitting = Arc::clone(live);
    let admit = move |socket: SocketRef, auth: TryData<Option<serde_json::Value>>| {
        let live = Arc::clone(&admitting);
        async move { admit(&live, &socket, auth.0.ok().flatten()).await }
    };
    let serving = Arc::clone(live);
    let serve = move |socket: SocketRef| {
        let live = Arc::clone(&serving);
        async move { serve(live, socket).await }
    };
    io.ns("/", serve.with(admit));
    let answer = move |State(live): State<Arc<Live>>, request: http::Request<Body>| {
        let service = service.clone();
        async move {
            match enter(&live, request) {
                Ok(request) => match service.call(request).await {
                    Ok(answer) => answer.into_response(),
                    Err(never) => match never {},
                },
                Err(problem) => answer::problem(&problem),
            }
        }
    };
    let both = any(answer).options(preflight);
    router.route("/socket.io/", both.with_state(Arc::clone(live)))
}

/// Takes a place for a connection that begins; it goes with the parts of the request, which the library keeps to its end.
fn enter(live: &Live, request: http::Request<Body>) -> Result<http::Request<Body>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    // The number of the connection; absent when the request begins one.
    let begins = form_urlencoded::parse(query.as_bytes()).all(|(name, _)| name != "sid");
    let (mut parts, body) = request.into_parts();
    if begins {
        let caller = Caller::of_request(live, &parts)?;
        let entrance: Entrance = Arc::new(Mutex::new(Entered::Not(caller)));
        parts.extensions.insert(entrance);
    }
    Ok(http::Request::from_parts(parts, body))
}

/// What is made for a socket before it is told that it is connected, and taken by the loop that serves it.
type Made = Arc<Mutex<Option<Seat>>>;

/// A socket with its session.
struct Seat {
    session: Session,
    events: Events,
    asked: mpsc::Receiver<Asked>,
    gone: mpsc::Receiver<DisconnectReason>,
}

/// The queue of a socket's events.
#[derive(Clone)]
struct Queue(mpsc::Sender<Asked>);

/// An event of the client.
struct Asked {
    name: String,
    /// Its first argument, JSON.
    frame: Result<Bytes, Problem>,
    /// Where the answer goes.
    answer: AckSender,
    /// The client gave a callback.
    called_back: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Authenticates a socket and opens its session, before it is told that it is connected. A refusal is told as
/// `connect_error`.
async fn admit(
    live: &Live,
    socket: &SocketRef,
    auth: Option<serde_json::Value>,
) -> Result<(), Refused> {
    let parts = socket.req_parts();
    let entrance = parts.extensions.get::<Entrance>().cloned();
    let Some((entrance, mut caller)) = entrance.and_then(going_in) else {
        let detail = "this connection had its session; begin another connection";
        return Err(Refused(Problem::new(
            ProblemKind::Conflict,
            "session_closed",
            detail,
        )));
    };
    let opened = open(live, &mut caller, parts, auth).await;
    let address = caller.address;
    *lock(&entrance) = if opened.is_ok() {
        let _place = caller.place;
        Entered::Yes { _place }
    } else {
        Entered::Not(caller)
    };
    let (session, events) = opened.map_err(|problem| {
        tracing::debug!(%address, %problem, "a live client was not let in");
        Refused(problem)
    })?;
    let (queue, asked) = mpsc::channel(ASKED_MAX);
    let (leaving, gone) = mpsc::channel(1);
    socket.extensions.insert(Queue(queue));
    socket.on_fallback(async |socket: SocketRef, queued: Queued| queued.refuse(&socket));
    socket.on_disconnect(async move |reason: DisconnectReason| {
        // Nobody waits for it once the session has ended.
        let _ended = leaving.try_send(reason);
    });
    let seat = Seat {
        session,
        events,
        asked,
        gone,
    };
    let made: Made = Arc::new(Mutex::new(Some(seat)));
    socket.extensions.insert(made);
    Ok(())
}

/// The caller of a connection that had no session yet.
fn going_in(entrance: Entrance) -> Option<(Entrance, Caller)> {
    let mut entered = lock(&entrance);
    let before = std::mem::replace(&mut *entered, Entered::Opening);
    let Entered::Not(caller) = before else {
        *entered = before;
        return None;
    };
    drop(entered);
    Some((entrance, caller))
}

async fn open(
    live: &Live,
    caller: &mut Caller,
    parts: &Parts,
    auth: Option<serde_json::Value>,
) -> Result<(Session, Events), Problem> {
    let mut hello = match auth {
        None => Hello::default(),
        Some(auth) => Hello::from_json(auth.to_string().as_bytes())?,
    };
    if hello.token.is_none() {
        hello.token = bearer(parts)?.map(str::to_owned);
    }
    if hello
        .acks
        .is_some_and(|acks| acks != Acknowledgements::Explicit)
    {
        let detail =
            "on this wire messages are acknowledged by the callback of the event, or by `ack`";
        return Err(Problem::invalid("invalid_field", "acks", detail).accepted("explicit"));
    }
    caller
        .open(live, hello, TRANSPORT, Acknowledgements::Explicit)
        .await
}

/// A refusal, as `connect_error` shows it: its code, then what to do.
struct Refused(Problem);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0)
    }
}

/// An event, put in its session's queue while it was taken apart; what is left is to refuse it where it had no room.
struct Queued(Option<Asked>);

impl FromMessageParts<LocalAdapter> for Queued {
    type Error = Infallible;

    fn from_message_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        let answer = AckSender::from_message_parts(socket, value, ack)?;
        let (name, frame) = match taken_apart(value) {
            Ok((name, frame)) => (name, Ok(frame)),
            Err(problem) => (String::new(), Err(problem)),
        };
        let asked = Asked {
            name,
            frame,
            answer,
            called_back: ack.is_some(),
        };
        let mut full = None;
        // Nobody serves a session that has ended.
        if let Some(Queue(queue)) = socket.extensions.get()
            && let Err(mpsc::error::TrySendError::Full(asked)) = queue.try_send(asked)
        {
            full = Some(asked);
        }
        Ok(Self(full))
    }
}

impl Queued {
    fn refuse(self, socket: &SocketRef) {
        let Some(asked) = self.0 else { return };
        let detail =
            format!("at most {ASKED_MAX} operations wait for their answers; wait for some of them");
        let problem = Problem::new(ProblemKind::TooMany, "too_many_operations", detail);
        // A client that does not even take this is found too slow by its own events.
        drop(told(socket, &Err(problem), asked.answer, asked.called_back));
    }
}

/// The name and the first argument of an event: `["name", {…}]`.
fn taken_apart(value: &Value) -> Result<(String, Bytes), Problem> {
    let malformed = |detail: &str| Problem::new(ProblemKind::Malformed, "malformed_json", detail);
    let Value::Str(text, binaries) = value else {
        return Err(malformed("an event is sent as JSON"));
    };
    if binaries
        .as_ref()
        .is_some_and(|binaries| !binaries.is_empty())
    {
        let detail = "binary arguments are not taken: the message format carries bytes as base64, or as an attachment";
        return Err(malformed(detail));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(text.as_str()).map_err(|error| {
        malformed(&format!(
            "an event is an array of its name and one object: {error}"
        ))
    })?;
    let mut parts = parts.into_iter();
    let name = parts.next().map(|name| serde_json::from_str(name.get()));
    let Some(Ok(name)) = name else {
        return Err(malformed("an event begins with its name"));
    };
    let frame = parts.next().map_or("{}", RawValue::get);
    if parts.next().is_some() {
        return Err(malformed(
            "an event has one argument, the object of the operation",
        ));
    }
    Ok((name, Bytes::copy_from_slice(frame.as_bytes())))
}

/// A frame as a value that is written as it is.
fn raw(frame: &Bytes) -> &RawValue {
    serde_json::from_slice(frame)
        .expect("frames are JSON: serialised here, around a message that was parsed when it came")
}

/// Tells an answer: by the client's callback; without one errors come as the event `error`, and there is nothing else to say.
fn told(
    socket: &SocketRef,
    answer: &Result<Done, Problem>,
    sender: AckSender,
    called_back: bool,
) -> Result<(), Full> {
    let sent = if called_back {
        sender.send(raw(&answer_json(None, answer)))
    } else if answer.is_err() {
        socket.emit("error", raw(&answer_json(None, answer)))
    } else {
        Ok(())
    };
    sent.map_err(|_| Full)
}

/// An operation under way; what it leaves is the answer, who waits for it, and whether by a callback.
type UnderWay = Pin<Box<dyn Future<Output = (Result<Done, Problem>, AckSender, bool)> + Send>>;

/// Serves a socket until one side ends it.
async fn serve(live: Arc<Live>, socket: SocketRef) {
    let made = socket.extensions.get::<Made>();
    let seat = made.and_then(|made| lock(&made).take());
    let Some(seat) = seat else {
        return;
    };
    let mut pump = Pump {
        pace: Pace::new(live.gateway.now()),
        live,
        socket,
        session: seat.session,
    };
    pump.run(seat.events, seat.asked, seat.gone).await;
}

struct Pump {
    live: Arc<Live>,
    socket: SocketRef,
    session: Session,
    pace: Pace,
}

impl Pump {
    async fn run(
        &mut self,
        mut events: Events,
        mut asked: mpsc::Receiver<Asked>,
        mut gone: mpsc::Receiver<DisconnectReason>,
    ) {
        let mut unacknowledged = FuturesUnordered::new();
        let mut settling = FuturesUnordered::new();
        let mut under_way: Option<UnderWay> = None;
        let reason = loop {
            let idle = under_way.is_none();
            let answered = async {
                match &mut under_way {
                    Some(operation) => operation.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reason = gone.recv() => break reason,
                event = events.next() => match event {
                    Some(Event::Message(message)) => match self.give(&message, unacknowledged.len()) {
                        Ok(ack) => unacknowledged.push(ack),
                        Err(Full) => self.too_slow(),
                    },
                    Some(event) => {
                        let last = matches!(event, Event::Closed(_));
                        if self.tell(event.name(), &event.to_json()).is_err() && !last {
                            self.too_slow();
                        }
                        if last {
                            drop(self.socket.clone().disconnect());
                            return;
                        }
                    }
                    None => return,
                },
                (answer, sender, called_back) = answered => {
                    under_way = None;
                    if told(&self.socket, &answer, sender, called_back).is_err() {
                        self.too_slow();
                    }
                }
                Some(next) = asked.recv(), if idle => under_way = Some(self.begin(next)),
                Some(acknowledged) = unacknowledged.next() => {
                    if let Some(id) = acknowledged {
                        settling.push(acknowledge(self.session.clone(), id));
                    }
                }
                Some(()) = settling.next() => {}
            }
        };
        // What the client said before it went counts, though nobody hears the answers.
        if let Some(operation) = under_way {
            drop(operation.await);
        }
        while let Ok(next) = asked.try_recv() {
            drop(self.begin(next).await);
        }
        while let Some(Some(acknowledged)) = unacknowledged.next().now_or_never() {
            if let Some(id) = acknowledged {
                settling.push(acknowledge(self.session.clone(), id));
            }
        }
        while settling.next().await.is_some() {}
        if reason == Some(DisconnectReason::ClientNSDisconnect) {
            self.session.close(CloseReason::Goodbye);
        }
        // Dropping the events ends a session that was not closed as lost.
    }

    /// Gives a message; what is left is to wait for its acknowledgement, whatever that carries. `waiting` are waited for.
    fn give(
        &self,
        message: &MessageEvent,
        waiting: usize,
    ) -> Result<impl Future<Output = Option<MessageId>> + Send + use<>, Full> {
        let json = message.to_json();
        let id = message.id;
        let ack = if message.offset.is_some() && waiting < CALLBACKS_MAX {
            let sent = self
                .socket
                .emit_with_ack::<_, IgnoredAny>(MESSAGE, raw(&json));
            Some(sent.map_err(|_| Full)?)
        } else {
            self.tell(MESSAGE, &json)?;
            None
        };
        Ok(async move {
            let answered = ack?.await;
            matches!(answered, Ok(_) | Err(AckError::Decode(_))).then_some(id)
        })
    }

    fn tell(&self, name: &str, json: &Bytes) -> Result<(), Full> {
        self.socket.emit(name, raw(json)).map_err(|_| Full)
    }

    fn too_slow(&self) {
        let detail = format!(
            "more than {PACKETS_MAX} packets wait to be sent; connect again and go on from the last offset"
        );
        self.session.close_with(CloseReason::Slow, Some(detail));
    }

    /// Begins what an event asks, as fast as the session may.
    fn begin(&mut self, asked: Asked) -> UnderWay {
        let wait = self.pace.take(self.live.gateway.now());
        let session = self.session.clone();
        Box::pin(async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let answer = operate(&session, &asked.name, asked.frame).await;
            (answer, asked.answer, asked.called_back)
        })
    }
}

async fn acknowledge(session: Session, id: MessageId) {
    // It was acknowledged by an `ack` before, or the session is over: nothing is lost either way.
    drop(session.operate(Operation::Ack(Position::Message(id))).await);
}

async fn operate(
    session: &Session,
    name: &str,
    frame: Result<Bytes, Problem>,
) -> Result<Done, Problem> {
    let request = Request::from_parts(name, &frame?)?;
    session.operate(request.operation).await
}

/// The packets that wait to be sent to a client are too many.
struct Full;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &'static str) -> Value {
        Value::Str(json.into(), None)
    }

    #[test]
    fn an_event_is_its_name_and_one_frame_byte_for_byte() {
        let (name, frame) = taken_apart(&text("[\"publish\",{\"a\": 1.0}]")).unwrap();
        assert_eq!(
            (name.as_str(), &frame[..]),
            ("publish", &b"{\"a\": 1.0}"[..])
        );
        let (name, frame) = taken_apart(&text("[\"ping\"]")).unwrap();
        assert_eq!((name.as_str(), &frame[..]), ("ping", &b"{}"[..]));
        for bad in ["", "{}", "[]", "[1]", "[\"a\",{},{}]", "[\"a\",{}"] {
            assert_eq!(
                taken_apart(&text(bad)).unwrap_err().code,
                "malformed_json",
                "{bad}"
            );
        }
        let binary = Value::Str("[\"a\",{}]".into(), Some([Bytes::from("x")].into()));
        assert_eq!(taken_apart(&binary).unwrap_err().code, "malformed_json");
        assert!(taken_apart(&Value::Bytes(Bytes::from("x"))).is_err());
    }
}
