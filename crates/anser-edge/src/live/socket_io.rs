//! `/socket.io/`: the Socket.IO protocol (revision 5, over Engine.IO revision 4), as its stock clients speak it, over
//! WebSocket and over long poll. The library does the protocol, what is here maps its events to operations: an event's name is
//! the operation, its first argument the frame, its callback gets the answer. Messages go out as the event `message` and are
//! acknowledged by its callback, or by the event `ack`. Must not know what frames mean.
//!
//! The library gives each event to a task of its own, which would lose the client's order: `asked` puts them in a queue before
//! that, and one loop a session serves it. What a connection keeps, it keeps for days: `entrance` sees to it that this is not
//! the buffer which its first request was read into.

mod asked;
mod entrance;
mod given;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::live::{
    Acknowledgements, Answer as Done, CloseReason, Event, Hello, MessageEvent, Request, answer_json,
};
use anser_core::{Problem, ProblemKind};
use anser_gateway::sessions::{Events, Session};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::any;
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::service::Service as _;
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::handler::ConnectHandler as _;
use socketioxide::socket::DisconnectReason;

use super::Live;
use super::origins::preflight;
use super::pace::{Pace, pause};
use super::{LIVE_AUTH_TIMEOUT, LIVE_FRAME_BYTES_MAX};
use crate::answer;
use crate::state::Edge;
use asked::{Asked, Queue, Queued, Said};
use entrance::{Coming, Entrance, enter};
use given::{Arrival, Given, arrival};

/// Packets that wait to be sent to a client: all messages that it may have without acknowledging them, and what comes beside.
const PACKETS_MAX: usize = 1_024;
/// How long a message may be acknowledged by its callback; longer than a session lives.
const ACK_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Between two pings of the server, as the protocol's own servers have it.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The read buffer of a WebSocket, allocated with it; most frames are acknowledgements.
const READ_BUFFER_BYTES: usize = 1024;
/// Events given in a row, before what the client says is looked at.
const EVENTS_AT_ONCE: usize = 32;

/// The wire's name, for operators.
const TRANSPORT: &str = "socket.io";
/// The event that brings a message.
const MESSAGE: &str = "message";

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

/// What is made for a socket before it is told that it is connected, and taken by the loop that serves it.
type Made = Arc<Mutex<Option<Seat>>>;

/// A socket with its session.
struct Seat {
    session: Session,
    events: Events,
    asked: Arc<Queue>,
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
    let entrance = socket.req_parts().extensions.get::<Entrance>();
    let coming = entrance.and_then(Entrance::try_enter);
    let (Some(entrance), Some(mut coming)) = (entrance, coming) else {
        let detail = "this connection had its session; begin another connection";
        return Err(Refused(Problem::new(
            ProblemKind::Conflict,
            "session_closed",
            detail,
        )));
    };
    let opened = open(live, &mut coming, auth).await;
    let address = coming.caller.address;
    if opened.is_ok() {
        entrance.let_in(*coming);
    } else {
        entrance.turn_away(coming);
    }
    let (session, events) = opened.map_err(|problem| {
        tracing::debug!(%address, %problem, "a live client was not let in");
        Refused(problem)
    })?;
    let asked = Arc::new(Queue::default());
    socket.extensions.insert(Arc::clone(&asked));
    socket.on_fallback(async |socket: SocketRef, queued: Queued| queued.refuse(&socket));
    let leaving = Arc::clone(&asked);
    socket.on_disconnect(async move |reason: DisconnectReason| leaving.leave(reason));
    let seat = Seat {
        session,
        events,
        asked,
    };
    let made: Made = Arc::new(Mutex::new(Some(seat)));
    socket.extensions.insert(made);
    Ok(())
}

async fn open(
    live: &Live,
    coming: &mut Coming,
    auth: Option<serde_json::Value>,
) -> Result<(Session, Events), Problem> {
    let mut hello = match auth {
        None => Hello::default(),
        Some(auth) => Hello::from_json(auth.to_string().as_bytes())?,
    };
    if hello.token.is_none() {
        hello.token = coming.bearer.clone()?;
    }
    if hello
        .acks
        .is_some_and(|acks| acks != Acknowledgements::Explicit)
    {
        let detail =
            "on this wire messages are acknowledged by the callback of the event, or by `ack`";
        return Err(Problem::invalid("invalid_field", "acks", detail).accepted("explicit"));
    }
    let caller = &mut coming.caller;
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
    let made = socket.extensions.remove::<Made>();
    let Some(seat) = made.and_then(|made| lock(&made).take()) else {
        return;
    };
    let pump = Pump {
        pace: Pace::new(live.gateway.now()),
        live,
        socket,
        session: seat.session,
        asked: seat.asked,
    };
    pump.run(seat.events).await;
}

struct Pump {
    live: Arc<Live>,
    socket: SocketRef,
    session: Session,
    asked: Arc<Queue>,
    pace: Pace,
}

impl Drop for Pump {
    fn drop(&mut self) {
        // What is asked holds the socket, which holds the queue.
        self.asked.end();
    }
}

impl Pump {
    async fn run(mut self, mut events: Events) {
        let mut given = Given::new(arrival);
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
                said = self.asked.next(idle) => match said {
                    Said::Asked(asked) => under_way = Some(self.begin(asked)),
                    Said::Gone(reason) => break reason,
                },
                event = events.next() => {
                    if !self.give_all(event, &mut events, &mut given) {
                        return;
                    }
                }
                (answer, sender, called_back) = answered => {
                    under_way = None;
                    if told(&self.socket, &answer, sender, called_back).is_err() {
                        self.too_slow();
                    }
                }
                arrived = given.arrived() => self.session.acknowledge(&arrived),
            }
        };
        // What the client said before it went counts, though nobody hears the answers.
        if let Some(operation) = under_way {
            drop(operation.await);
        }
        while let Some(asked) = self.asked.take() {
            drop(self.begin(asked).await);
        }
        if let Some(arrived) = given.arrived().now_or_never() {
            self.session.acknowledge(&arrived);
        }
        if reason == DisconnectReason::ClientNSDisconnect {
            self.session.close(CloseReason::Goodbye);
        }
        // Dropping the events ends a session that was not closed as lost.
    }

    /// Gives an event, and those that are there already. Answers whether the session goes on.
    fn give_all<F: Arrival>(
        &self,
        first: Option<Event>,
        events: &mut Events,
        given: &mut Given<F>,
    ) -> bool {
        let mut next = first;
        let mut count = 0;
        loop {
            match next {
                None => return false,
                Some(Event::Message(message)) => {
                    if self.give(&message, given).is_err() {
                        self.too_slow();
                    }
                }
                Some(event) => {
                    let told = self.tell(event.name(), raw(&event.to_json()));
                    if matches!(event, Event::Closed(_)) {
                        drop(self.socket.clone().disconnect());
                        return false;
                    }
                    if told.is_err() {
                        self.too_slow();
                    }
                }
            }
            count += 1;
            // What is taken is to be given: nothing is taken beyond the last.
            if count == EVENTS_AT_ONCE {
                return true;
            }
            match events.next().now_or_never() {
                Some(more) => next = more,
                None => return true,
            }
        }
    }

    /// Gives a message, with a callback that acknowledges it.
    fn give<F: Arrival>(&self, message: &MessageEvent, given: &mut Given<F>) -> Result<(), Full> {
        if message.offset.is_none() || given.is_full() {
            return self.tell(MESSAGE, message.to_raw());
        }
        let sent = self.socket.emit_with_ack(MESSAGE, message.to_raw());
        given.add(message.id, sent.map_err(|_| Full)?);
        Ok(())
    }

    fn tell(&self, name: &str, json: &RawValue) -> Result<(), Full> {
        self.socket.emit(name, json).map_err(|_| Full)
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
            pause(wait).await;
            let answer = operate(&session, &asked.name, asked.frame).await;
            (answer, asked.answer, asked.called_back)
        })
    }
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
