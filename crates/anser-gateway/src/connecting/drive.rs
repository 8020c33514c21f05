//! One connection, from its beginning to its end: carries out what its state machine says and tells it what happened. What
//! is decided beyond that is the plan's. Must not know a platform.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anser_core::channel::{Exchange, HttpRequest};
use anser_core::connection::{
    ASKS_MAX, Action, BATCHES_UNSTORED_MAX, CLOSE_NORMAL, Connection, FRAME_BYTES_MAX, Frame,
    Input, RESUME_BYTES_MAX, TIMERS_MAX,
};
use anser_core::inbound::{INBOUND_EVENTS_MAX, InboundContext, InboundEvent};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::HeaderMap;
use tokio::sync::watch;
use tokio::time::Sleep;
use url::Url;

use super::keep::{Keeper, Stop, told};
use crate::connections::Ending;
use crate::publish::Source;
use crate::sender::{Heard, NotOpened, Socket};

/// How long opening a WebSocket may take.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// How long events that came before the end may take to be stored, and answered if there is still somebody to answer.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long saying goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// A connection under way.
pub(super) struct Drive<'a> {
    keeper: &'a Keeper,
    connection: Box<dyn Connection>,
    kept: &'a mut Option<Bytes>,
    slot: Slot,
    asks: FuturesUnordered<BoxFuture<'static, (u32, Exchange)>>,
    timers: [Option<Pin<Box<Sleep>>>; TIMERS_MAX as usize],
    /// Batches behind the one that is being stored.
    waiting: VecDeque<(u64, Vec<InboundEvent>)>,
    storing: Option<BoxFuture<'static, Stored>>,
}

/// The one WebSocket.
enum Slot {
    Closed,
    Opening(BoxFuture<'static, Result<Socket, NotOpened>>),
    Open(Box<Socket>),
}

/// A batch with what became of it.
struct Stored {
    batch: u64,
    events: u64,
    durable: bool,
}

/// What happened, as it is told to the connection.
enum Event {
    Answered(u32, Exchange),
    Stored(Stored),
    Timer(u8),
    Opened(Result<Box<Socket>, NotOpened>),
    Heard(Heard),
}

/// Why a connection is not driven any more.
pub(super) enum Ended {
    /// It is at its end.
    Lost(Ending),
    /// It is to stop, and none is to follow.
    Stop(Stop),
    /// An operator wants another one.
    Renewed,
}

/// What the loop wakes up for.
enum Wake {
    Stop(Stop),
    Renew,
    Tick,
    Event(Event),
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        keeper: &'a Keeper,
        connection: Box<dyn Connection>,
        kept: &'a mut Option<Bytes>,
    ) -> Self {
        Self {
            keeper,
            connection,
            kept,
            slot: Slot::Closed,
            asks: FuturesUnordered::new(),
            timers: std::array::from_fn(|_| None),
            waiting: VecDeque::new(),
            storing: None,
        }
    }

    /// Drives the connection to its end. What came before it is stored then.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<Option<Stop>>) -> Ended {
        let ended = match self.handle(Input::Begin).await {
            Some(ending) => Ended::Lost(ending),
            None => self.last(stop).await,
        };
        let is_answered = !matches!(ended, Ended::Lost(_));
        if tokio::time::timeout(DRAIN_WITHIN, self.drain(is_answered))
            .await
            .is_err()
        {
            let channel = self.keeper.link.name();
            tracing::warn!(%channel, "events that came over a connection could not be stored before its end");
        }
        if let Slot::Open(socket) = self.slot {
            // Whether it hears it or not, the socket is done with.
            let code = match ended {
                Ended::Stop(_) => CLOSE_NORMAL,
                Ended::Lost(_) | Ended::Renewed => self.keeper.link.close_code(),
            };
            let _ = tokio::time::timeout(CLOSE_WITHIN, socket.close(code)).await;
        }
        ended
    }

    async fn last(&mut self, stop: &mut watch::Receiver<Option<Stop>>) -> Ended {
        loop {
            // While something is being stored it may be this side that asks for nothing.
            let listening = self.is_reading() && self.storing.is_none();
            let now = self.keeper.now();
            let tick = self.keeper.link.plan(|plan| {
                plan.listen(listening, now);
                plan.next_tick(now)
            });
            let wake = tokio::select! {
                biased;
                why = told(stop) => Wake::Stop(why),
                () = self.keeper.link.renewed() => Wake::Renew,
                () = tokio::time::sleep(tick) => Wake::Tick,
                event = poll_fn(|cx| self.poll(cx)) => Wake::Event(event),
            };
            let ending = match wake {
                Wake::Stop(why) => return Ended::Stop(why),
                Wake::Renew => return Ended::Renewed,
                Wake::Tick => self.tick().await,
                Wake::Event(event) => self.tell(event).await,
            };
            if let Some(ending) = ending {
                return Ended::Lost(ending);
            }
        }
    }

    /// While too many batches wait to be stored, no frame is read: whoever sends them is to wait too.
    fn is_reading(&self) -> bool {
        self.waiting.len() + usize::from(self.storing.is_some()) < BATCHES_UNSTORED_MAX
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(stored) = self.poll_stored(cx) {
            return Poll::Ready(Event::Stored(stored));
        }
        if let Poll::Ready(Some((tag, exchange))) = self.asks.poll_next_unpin(cx) {
            return Poll::Ready(Event::Answered(tag, exchange));
        }
        for (number, timer) in (0_u8..).zip(&mut self.timers) {
            if let Some(sleep) = timer
                && sleep.as_mut().poll(cx).is_ready()
            {
                *timer = None;
                return Poll::Ready(Event::Timer(number));
            }
        }
        let reading = self.is_reading();
        match &mut self.slot {
            Slot::Closed => Poll::Pending,
            Slot::Opening(opening) => {
                let opened = opening.as_mut().poll(cx);
                opened.map(|opened| Event::Opened(opened.map(Box::new)))
            }
            Slot::Open(socket) => socket.poll_next(cx, reading).map(Event::Heard),
        }
    }

    fn poll_stored(&mut self, cx: &mut Context<'_>) -> Option<Stored> {
        match self.storing.as_mut()?.as_mut().poll(cx) {
            Poll::Ready(stored) => {
                self.storing = None;
                self.store_next();
                Some(stored)
            }
            Poll::Pending => None,
        }
    }

    /// Tells the connection what happened.
    async fn tell(&mut self, event: Event) -> Option<Ending> {
        let input = match event {
            Event::Answered(tag, exchange) => {
                if exchange.is_ok() {
                    self.heard();
                }
                Input::Answered { tag, exchange }
            }
            Event::Stored(stored) => {
                self.note_stored(&stored);
                let batch = stored.batch;
                if stored.durable {
                    Input::Stored { batch }
                } else {
                    Input::NotStored { batch }
                }
            }
            Event::Timer(number) => Input::Timer(number),
            Event::Opened(Ok(socket)) => {
                self.heard();
                self.slot = Slot::Open(socket);
                Input::Opened
            }
            Event::Opened(Err(NotOpened::Answered(response))) => {
                self.heard();
                self.slot = Slot::Closed;
                Input::NotOpened {
                    response: *response,
                }
            }
            Event::Opened(Err(NotOpened::Failed(error))) => {
                self.slot = Slot::Closed;
                let reason = error.to_string();
                Input::Closed { code: None, reason }
            }
            Event::Heard(Heard::Frame(frame)) => {
                self.heard();
                Input::Frame(frame)
            }
            Event::Heard(Heard::Closed { code, reason }) => {
                self.slot = Slot::Closed;
                Input::Closed { code, reason }
            }
        };
        self.handle(input).await
    }

    fn heard(&self) {
        let now = self.keeper.now();
        self.keeper.link.plan(|plan| plan.heard(now));
    }

    fn note_stored(&self, stored: &Stored) {
        if stored.durable {
            let now = self.keeper.now();
            self.keeper
                .link
                .plan(|plan| plan.stored(stored.events, now));
        }
    }

    async fn tick(&mut self) -> Option<Ending> {
        let now = self.keeper.now();
        let (effects, ending) = self.keeper.link.plan(|plan| plan.tick(now));
        self.keeper.carry_out(effects).await;
        ending
    }

    async fn handle(&mut self, input: Input) -> Option<Ending> {
        let mut random = [0; 16];
        self.keeper.gateway.random.fill(&mut random);
        let context = InboundContext {
            now: self.keeper.gateway.clock.now(),
            channel: self.keeper.link.name(),
            random,
        };
        for action in self.connection.handle(input, &context) {
            if let Some(ending) = self.act(action).await {
                return Some(ending);
            }
        }
        None
    }

    async fn act(&mut self, action: Action) -> Option<Ending> {
        match action {
            Action::Ask {
                tag,
                request,
                limit,
            } => return self.ask(tag, request, limit),
            Action::Open { url, headers } => self.open(url, headers),
            Action::Send(frame) => return self.send(frame),
            Action::Take { batch, events } => return self.take(batch, events),
            Action::Timer { number, after } => match self.timers.get_mut(usize::from(number)) {
                Some(timer) => *timer = Some(Box::pin(tokio::time::sleep(after))),
                None => return Some(Ending::protocol(format!("there is no timer {number}"))),
            },
            Action::Live { session, recovery } => {
                let now = self.keeper.now();
                let effects = self
                    .keeper
                    .link
                    .plan(|plan| plan.live(session, recovery, now));
                self.keeper.carry_out(effects).await;
            }
            Action::Keep(bytes) if bytes.len() <= RESUME_BYTES_MAX => *self.kept = Some(bytes),
            Action::Keep(_) => *self.kept = None,
            Action::Unread { detail } => {
                let now = self.keeper.now();
                let effects = self.keeper.link.plan(|plan| plan.unread(&detail, now));
                self.keeper
                    .gateway
                    .metrics
                    .connection_unread(self.keeper.link.id());
                self.keeper.carry_out(effects).await;
            }
            Action::Lost {
                loss,
                detail,
                again,
            } => {
                return Some(Ending {
                    loss,
                    detail,
                    again,
                });
            }
        }
        None
    }

    fn ask(&mut self, tag: u32, request: HttpRequest, limit: Duration) -> Option<Ending> {
        if self.asks.len() >= ASKS_MAX {
            let detail = format!("more than {ASKS_MAX} requests wait for their answers");
            return Some(Ending::protocol(detail));
        }
        let gateway = Arc::clone(&self.keeper.gateway);
        self.asks.push(Box::pin(async move {
            let asked = gateway.sender.query(request, limit, FRAME_BYTES_MAX).await;
            (tag, asked.exchange)
        }));
        None
    }

    fn open(&mut self, url: Url, headers: HeaderMap) {
        let gateway = Arc::clone(&self.keeper.gateway);
        self.slot = Slot::Opening(Box::pin(async move {
            gateway.sender.open_socket(&url, headers, OPEN_WITHIN).await
        }));
    }

    fn send(&mut self, frame: Frame) -> Option<Ending> {
        // What is sent to a socket that just broke is lost with it; that it broke is told next.
        let Slot::Open(socket) = &mut self.slot else {
            return None;
        };
        let taken = socket.send(frame);
        (!taken).then(|| Ending::network("the far end takes no more frames"))
    }

    fn take(&mut self, batch: u64, events: Vec<InboundEvent>) -> Option<Ending> {
        if events.len() > INBOUND_EVENTS_MAX {
            let detail = format!("more than {INBOUND_EVENTS_MAX} events came at once");
            return Some(Ending::protocol(detail));
        }
        self.waiting.push_back((batch, events));
        self.store_next();
        None
    }

    /// Begins to store the next batch, one at a time: the order in which they came is the order in which they are stored.
    fn store_next(&mut self) {
        if self.storing.is_some() {
            return;
        }
        let Some((batch, events)) = self.waiting.pop_front() else {
            return;
        };
        let gateway = Arc::clone(&self.keeper.gateway);
        let entry = Arc::clone(self.keeper.link.entry());
        let source = Source {
            resource: entry.meta.id,
            remember: self.keeper.link.remember(),
        };
        self.storing = Some(Box::pin(async move {
            let count = events.len() as u64;
            let topic = entry.spec.inbound.as_ref().map(|spec| spec.topic.as_str());
            let taken = match topic {
                Some(topic) if count > 0 => {
                    gateway.take_events(&entry, source, topic, events).await
                }
                _ => Ok(()),
            };
            if let Err(problem) = &taken {
                let channel = &entry.meta.name;
                tracing::warn!(%channel, %problem, "what came over a connection is not taken now; the platform is to send it again");
                gateway.metrics.inbound_deferred(entry.meta.id);
            }
            Stored {
                batch,
                events: count,
                durable: taken.is_ok(),
            }
        }));
    }

    /// Stores what has come; with `is_answered` the far end hears of it.
    async fn drain(&mut self, is_answered: bool) {
        while self.storing.is_some() {
            let stored = poll_fn(|cx| {
                if let Slot::Open(socket) = &mut self.slot
                    && socket.poll_next(cx, false).is_ready()
                {
                    self.slot = Slot::Closed;
                }
                match self.poll_stored(cx) {
                    Some(stored) => Poll::Ready(stored),
                    None => Poll::Pending,
                }
            })
            .await;
            if is_answered {
                // Nothing that it wants now but a last frame is done.
                self.asks.clear();
                drop(self.tell(Event::Stored(stored)).await);
            } else {
                self.note_stored(&stored);
            }
        }
    }
}
