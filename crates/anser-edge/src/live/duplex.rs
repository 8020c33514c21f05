//! The life of a connection on which both sides may speak at any time: authenticate, open, pump, end with a reason. What
//! the client asks and what it is told go side by side; while an operation is under way nothing more is read, so a client
//! that asks faster than it is served is held back by its own connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anser_core::live::{Acknowledgements, CloseReason, Closed, Event, Hello, answer_json};
use anser_core::{Problem, ProblemKind};
use anser_gateway::sessions::{Events, Session};
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Live;
use super::door::{Caller, refusal};
use super::pace::{Pace, pause};
use super::places::Place;
use super::{LIVE_AUTH_TIMEOUT, LIVE_PING_INTERVAL, LIVE_WRITE_TIMEOUT, SILENT_INTERVALS_MAX};

/// Events written before they are flushed together.
const EVENTS_AT_ONCE: usize = 32;
/// Bytes of the frame that says who it is: a token and what goes with it.
const AUTH_BYTES_MAX: usize = 32 * 1024;

/// What came in.
pub(super) enum Incoming {
    /// A frame.
    Frame(Bytes),
    /// A sign of life.
    Alive,
    /// The client said that it goes.
    Goodbye,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// It was cut, or a write took too long.
    Lost,
    /// What came cannot be read; in words.
    Malformed(String),
}

/// A connection that frames.
pub(super) trait Wire: Send {
    /// Its name, for operators.
    const NAME: &'static str;

    /// The next thing that comes in. May be dropped and called again without losing anything.
    fn read(&mut self) -> impl Future<Output = Result<Incoming, Broken>> + Send;

    /// Writes a frame; it may wait for [`Wire::flush`].
    fn write(&mut self, frame: Bytes) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Sends what was written.
    fn flush(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Asks for a sign of life.
    fn ping(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Ends the connection, in the wire's own way; the event that says why was written.
    fn finish(&mut self, reason: CloseReason) -> impl Future<Output = ()> + Send;
}

/// Serves a connection to its end. `hello` is there when the wire's handshake said who it is.
pub(super) async fn serve<W: Wire>(
    live: Arc<Live>,
    mut wire: W,
    mut caller: Caller,
    hello: Option<Hello>,
) {
    // What comes before the session is boxed, so that a connection that lives for days does not keep room for it.
    let entered = Box::pin(enter(&live, &mut wire, &mut caller, hello)).await;
    match entered {
        Ok((session, events)) => {
            let pump = Pump::new(live, wire, session, events, caller.place);
            pump.run().await;
        }
        Err(problem) => Box::pin(turn_away(wire, &caller, problem)).await,
    }
}

async fn enter<W: Wire>(
    live: &Live,
    wire: &mut W,
    caller: &mut Caller,
    hello: Option<Hello>,
) -> Result<(Session, Events), Problem> {
    let hello = match hello {
        Some(hello) => hello,
        None => first(wire).await?,
    };
    let acks = Acknowledgements::Explicit;
    caller.open(live, hello, W::NAME, acks).await
}

/// Tells who was not let in why.
async fn turn_away<W: Wire>(mut wire: W, caller: &Caller, problem: Problem) {
    let address = caller.address;
    tracing::debug!(%address, wire = W::NAME, %problem, "a live client was not let in");
    let closed = refusal(&problem);
    let frames = [answer_json(None, &Err(problem)), last_frame(&closed)];
    let told = async {
        for frame in frames {
            if wire.write(frame).await.is_err() {
                return;
            }
        }
        if wire.flush().await.is_ok() {
            wire.finish(closed.reason).await;
        }
    };
    // Whoever does not take it is not waited for.
    drop(timeout(LIVE_AUTH_TIMEOUT, told).await);
}

fn last_frame(closed: &Closed) -> Bytes {
    Event::Closed(closed.clone()).to_json()
}

/// The first frame, which says who it is.
async fn first<W: Wire>(wire: &mut W) -> Result<Hello, Problem> {
    let frame = async {
        loop {
            match wire.read().await {
                Ok(Incoming::Frame(frame)) => return Ok(frame),
                Ok(Incoming::Alive) => {}
                Ok(Incoming::Goodbye) | Err(Broken::Lost) => return Err("it went".to_owned()),
                Err(Broken::Malformed(detail)) => return Err(detail),
            }
        }
    };
    let malformed = |detail: &str| Problem::new(ProblemKind::Malformed, "malformed_frame", detail);
    match timeout(LIVE_AUTH_TIMEOUT, frame).await {
        Ok(Ok(frame)) if frame.len() <= AUTH_BYTES_MAX => Hello::from_json(&frame),
        Ok(Ok(_)) => {
            let detail = format!("an auth frame has at most {AUTH_BYTES_MAX} bytes");
            Err(malformed(&detail))
        }
        Ok(Err(detail)) => Err(malformed(&detail)),
        Err(_) => Err(Problem::new(
            ProblemKind::Timeout,
            "auth_timeout",
            format!(
                "no auth frame came within {} seconds of the connection",
                LIVE_AUTH_TIMEOUT.as_secs()
            ),
        )),
    }
}

/// An operation under way; its outcome is the frame that answers it.
type UnderWay = Pin<Box<dyn Future<Output = Bytes> + Send>>;

struct Pump<W> {
    live: Arc<Live>,
    wire: W,
    session: Session,
    events: Events,
    /// Given back with the connection.
    _place: Place,
    pace: Pace,
    under_way: Option<UnderWay>,
    /// Nothing more is read: the session is being closed.
    deaf: bool,
    silent: u32,
}

impl<W: Wire> Pump<W> {
    fn new(live: Arc<Live>, wire: W, session: Session, events: Events, place: Place) -> Self {
        Self {
            pace: Pace::new(live.gateway.now()),
            live,
            wire,
            session,
            events,
            _place: place,
            under_way: None,
            deaf: false,
            silent: 0,
        }
    }

    /// Until one side ends it.
    async fn run(mut self) {
        let mut pings = interval(LIVE_PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        // The welcome comes before every answer, however early the client asks.
        let welcome = self.events.next().await;
        if let Err(end) = self.tell(welcome).await {
            self.end(end).await;
            return;
        }
        loop {
            let reading = !self.deaf && self.under_way.is_none();
            let answered = async {
                match &mut self.under_way {
                    Some(operation) => operation.await,
                    None => std::future::pending().await,
                }
            };
            let going_on = tokio::select! {
                event = self.events.next() => self.tell(event).await,
                answer = answered => {
                    self.under_way = None;
                    self.send(answer).await
                }
                incoming = self.wire.read(), if reading => self.take(incoming),
                _ = pings.tick() => self.ask_for_life().await,
            };
            if let Err(end) = going_on {
                self.end(end).await;
                return;
            }
        }
    }

    /// Writes an event, and those that are there already.
    async fn tell(&mut self, event: Option<Event>) -> Result<(), End> {
        let mut next = event;
        let mut written = 0;
        loop {
            let Some(event) = next else {
                return Err(End::Lost);
            };
            let last = match &event {
                Event::Closed(closed) => Some(closed.reason),
                _ => None,
            };
            within(self.wire.write(event.to_json())).await?;
            if let Some(reason) = last {
                return Err(End::Told(reason));
            }
            written += 1;
            // What is taken is to be written: nothing is taken beyond the last.
            if written == EVENTS_AT_ONCE {
                break;
            }
            match self.events.next().now_or_never() {
                Some(more) => next = more,
                None => break,
            }
        }
        within(self.wire.flush()).await
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        within(self.wire.write(frame)).await?;
        within(self.wire.flush()).await
    }

    fn take(&mut self, incoming: Result<Incoming, Broken>) -> Result<(), End> {
        self.silent = 0;
        match incoming {
            Ok(Incoming::Frame(frame)) => self.begin(frame),
            Ok(Incoming::Alive) => {}
            Ok(Incoming::Goodbye) => {
                self.session.close(CloseReason::Goodbye);
                self.deaf = true;
            }
            Err(Broken::Malformed(detail)) => {
                self.session
                    .close_with(CloseReason::Malformed, Some(detail));
                self.deaf = true;
            }
            Err(Broken::Lost) => return Err(End::Lost),
        }
        Ok(())
    }

    /// Begins what a frame asks, as fast as the session may.
    fn begin(&mut self, frame: Bytes) {
        let wait = self.pace.take(self.live.gateway.now());
        let session = self.session.clone();
        self.under_way = Some(Box::pin(async move {
            pause(wait).await;
            session.handle(&frame).await
        }));
    }

    async fn ask_for_life(&mut self) -> Result<(), End> {
        self.silent += 1;
        if self.silent >= SILENT_INTERVALS_MAX {
            return Err(End::Lost);
        }
        within(self.wire.ping()).await
    }

    async fn end(mut self, end: End) {
        match end {
            // Dropping the events ends the session as lost.
            End::Lost => {}
            End::Slow => {
                let detail = format!(
                    "a write took longer than {} seconds; connect again and go on from the last offset",
                    LIVE_WRITE_TIMEOUT.as_secs()
                );
                self.session.close_with(CloseReason::Slow, Some(detail));
            }
            End::Told(reason) => {
                let told = async {
                    if self.wire.flush().await.is_ok() {
                        self.wire.finish(reason).await;
                    }
                };
                drop(timeout(LIVE_WRITE_TIMEOUT, told).await);
            }
        }
    }
}

/// How it ends.
enum End {
    /// The connection is gone.
    Lost,
    /// The client takes nothing.
    Slow,
    /// The last event was written.
    Told(CloseReason),
}

/// A write within its time.
async fn within(write: impl Future<Output = Result<(), Broken>>) -> Result<(), End> {
    match timeout(LIVE_WRITE_TIMEOUT, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Lost),
        Err(_) => Err(End::Slow),
    }
}
