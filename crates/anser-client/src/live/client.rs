//! The live consumer as applications see it: [`LiveBuilder`] opens, [`Live`] gives what happens, [`Handle`] asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, SystemClock};
use anser_core::live::{IqType, Offset, PresenceUpdate, Stream};
use anser_core::name::UserId;
use anser_core::random::Random;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::drive::{Command, Driver, EVENTS_MAX, Given, Parts};
use super::event::{Event, Message, Outcome, Question};
use super::frame::{Ask, Confirm, Contact, Pong, Roster, Seen, parse};
use super::plan::{Plan, Reply, Settings};
use super::told::{Told, Wanted};
use crate::Error;
use crate::credential::Credential;
use crate::entropy::{OsRandom, dedupe_key};
use crate::outgoing::Outgoing;
use crate::server::{Server, tls};

/// Requests of one client that may wait for their answer; more wait for a place.
pub const PENDING_MAX: usize = 256;
/// Questions of one client that may wait for their outcome: as many as the server keeps of one session.
pub const QUESTIONS_MAX: usize = 64;
/// Streams that one session may read, apart from the mailbox.
const STREAMS_MAX: usize = 100;
/// The first session is there within this, unless said otherwise.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// How a live session is opened.
#[derive(Debug, Clone)]
pub struct LiveBuilder {
    server: String,
    credential: Credential,
    authorities: Vec<Vec<u8>>,
    settings: Settings,
}

impl LiveBuilder {
    /// A session at the gateway of this address: `http`, `https`, `ws` or `wss`.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            credential: Credential::None,
            authorities: Vec::new(),
            settings: Settings {
                connect_within: CONNECT_WITHIN,
                ..Settings::default()
            },
        }
    }

    /// Who the client is.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// A PEM file of further certificate authorities to trust.
    #[must_use]
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// What tells this session of the user from others: a device, a tab. A session that has it already is ended. Without, it
    /// has a random one, which stays over its reconnects: what is addressed to it still finds it, and the session that was
    /// cut does not stay beside the new one.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.settings.resource = Some(resource.into());
        self
    }

    /// Presence to begin with; online unless said otherwise.
    #[must_use]
    pub fn presence(mut self, presence: PresenceUpdate) -> Self {
        self.settings.presence = Some(presence);
        self
    }

    /// The mailbox goes on behind this offset, which acknowledges everything up to it. Without: everything that is not
    /// acknowledged.
    #[must_use]
    pub const fn after(mut self, offset: Offset) -> Self {
        self.settings.after = Some(offset);
        self
    }

    /// Reads a topic from now on, or behind an offset ([`Offset::START`]: from its beginning).
    #[must_use]
    pub fn topic(self, name: impl Into<String>, after: Option<Offset>) -> Self {
        self.stream(Stream::Topic(name.into()), after)
    }

    /// Joins a room and reads it from now on, or behind an offset.
    #[must_use]
    pub fn room(self, name: impl Into<String>, after: Option<Offset>) -> Self {
        self.stream(Stream::Room(name.into()), after)
    }

    fn stream(mut self, stream: Stream, after: Option<Offset>) -> Self {
        self.settings.streams.push((stream, after));
        self
    }

    /// How long the first session is tried for; 30 seconds unless said otherwise. What can be tried again is tried again
    /// within it.
    #[must_use]
    pub const fn connect_within(mut self, limit: Duration) -> Self {
        self.settings.connect_within = limit;
        self
    }

    /// Opens the session and its subscriptions.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server does not let it in or does not let it read a stream, [`Error::Unreachable`] when
    /// there was no session in time, [`Error::Setting`] for what cannot be right.
    pub async fn connect(self) -> Result<Live, Error> {
        self.open(Arc::new(SystemClock::new())).await
    }

    /// Opens it by this clock.
    ///
    /// # Errors
    /// As [`LiveBuilder::connect`].
    pub(super) async fn open(self, clock: Arc<dyn Clock>) -> Result<Live, Error> {
        let server = Server::parse(&self.server)?;
        let tls = if server.is_secure() {
            Some(tls(&self.authorities)?)
        } else {
            None
        };
        let mut settings = self.settings;
        if settings.streams.len() > STREAMS_MAX {
            let rule = format!("a session reads {STREAMS_MAX} topics and rooms at most");
            return Err(Error::setting("streams", rule));
        }
        settings.server = server.to_string();
        settings.user = self.credential.named();
        let random: Arc<dyn Random> = Arc::new(OsRandom::default());
        let own = || format!("sdk-{:016x}", random.next_u64());
        settings.resource.get_or_insert_with(own);
        let plan = Plan::new(settings, Arc::clone(&random), clock.monotonic());
        let (commands, commanded) = mpsc::unbounded_channel();
        let (given, events) = mpsc::channel(EVENTS_MAX);
        let (ready, is_ready) = oneshot::channel();
        let driver = Driver::new(Parts {
            plan,
            clock,
            server,
            tls,
            credential: self.credential,
            commands: commanded,
            events: given,
            ready,
        });
        let handle = Handle {
            commands,
            random,
            requests: Arc::new(Semaphore::new(PENDING_MAX)),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        };
        let task = spawn(driver.run());
        let live = Live {
            handle,
            events,
            task: Some(task),
        };
        is_ready.await.map_err(|_| Error::Closed)??;
        Ok(live)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one task of a session: `Live::close` waits for it, and it ends when every handle is dropped"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// A live session, over all its connections. Dropping it and every [`Handle`] cuts it; [`Live::close`] ends it properly.
#[derive(Debug)]
pub struct Live {
    handle: Handle,
    events: mpsc::Receiver<Given>,
    task: Option<JoinHandle<()>>,
}

impl Live {
    /// What asks through this session; may be cloned and given to other tasks.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The next event; `None` after the session was closed. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// Once, as the last: the session ended for good. [`Error::Refused`] when the server does not let it in any more,
    /// [`Error::Ended`] when it was replaced or ended by an operator.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        let given = self.events.recv().await?;
        Some(self.event(given))
    }

    /// The next message; other events are passed over, and questions refused.
    ///
    /// # Errors
    /// As [`Live::next`].
    pub async fn next_message(&mut self) -> Option<Result<Message, Error>> {
        loop {
            match self.next().await? {
                Ok(Event::Message(message)) => return Some(Ok(message)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Ends the session: what waits for an answer has ten seconds for it, acknowledgements are sent, and the server is told.
    pub async fn close(mut self) {
        let _ = self.handle.commands.send(Command::Close);
        if let Some(task) = self.task.take() {
            // It ends by itself; a panic in it was reported by the runtime.
            let _ = task.await;
        }
    }

    fn event(&self, given: Given) -> Result<Event, Error> {
        let commands = || self.handle.commands.clone();
        Ok(match given {
            Given::Told(Told::Message(given, ticket)) => {
                Event::Message(Message::new(*given, ticket, commands()))
            }
            Given::Told(Told::Presence(event)) => Event::Presence(event),
            Given::Told(Told::Question(iq)) => Event::Question(Question::new(iq, commands())),
            Given::Told(Told::News(news)) => Event::News(news),
            Given::Told(Told::Connected(welcome)) => Event::Connected(welcome),
            Given::Told(Told::Disconnected(cause)) => Event::Disconnected(cause),
            Given::Told(Told::Unsubscribed(stream, refusal)) => {
                Event::Unsubscribed(stream, refusal)
            }
            Given::Skipped(count) => Event::Skipped(count),
            Given::Failed(error) => return Err(error),
        })
    }
}

impl futures_util::Stream for Live {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let given = self.events.poll_recv(cx);
        given.map(|given| given.map(|given| self.event(given)))
    }
}

/// Asks through a session. While there is no connection, what is asked waits for the next one; at most [`PENDING_MAX`]
/// requests wait, further ones for a place among them. Dropping a call leaves open whether it is done.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    random: Arc<dyn Random>,
    requests: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Publishes a message and waits for its confirm. Over a cut connection it is sent again under the same key, so that it is
    /// accepted once. A transient one is not sent again.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`], and [`Error::Cut`] for a transient message.
    pub async fn publish(&self, message: Outgoing) -> Result<Confirm, Error> {
        let Outgoing {
            topic,
            transient,
            mut item,
        } = message;
        if !transient && item.dedupe_key.is_none() {
            item.dedupe_key = Some(dedupe_key(&*self.random));
        }
        let ask = Ask::Publish {
            topic,
            transient,
            message: Box::new(item),
        };
        self.answered(if transient {
            Wanted::Once(ask)
        } else {
            Wanted::Again(ask)
        })
        .await
    }

    /// Reads a topic or room from now on, or behind an offset; answers behind what.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`], [`Error::Setting`] for what is read already.
    pub async fn subscribe(&self, stream: Stream, after: Option<Offset>) -> Result<Offset, Error> {
        #[derive(Deserialize)]
        struct At {
            offset: Offset,
        }
        if stream == Stream::Mailbox {
            let rule = "every session of a user reads the mailbox; give a topic or a room";
            return Err(Error::setting("stream", rule));
        }
        let at: At = self.answered(Wanted::Subscribe(stream, after)).await?;
        Ok(at.offset)
    }

    /// Reads a topic or room no more. What was given of it and not acknowledged stays in the application's hands.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`], [`Error::Setting`] for what is not read.
    pub async fn unsubscribe(&self, stream: Stream) -> Result<(), Error> {
        self.done(Wanted::Unsubscribe(stream)).await
    }

    /// How available this client is, now and after each reconnect.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn set_presence(&self, presence: PresenceUpdate) -> Result<(), Error> {
        self.done(Wanted::Presence(presence)).await
    }

    /// Asks to see a user's presence.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn ask_presence(&self, principal: UserId) -> Result<(), Error> {
        let ask = Ask::PresenceSubscribe { principal };
        self.done(Wanted::Again(ask)).await
    }

    /// Lets a user see this one's presence.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn approve_presence(&self, principal: UserId) -> Result<(), Error> {
        let ask = Ask::PresenceApprove { principal };
        self.done(Wanted::Again(ask)).await
    }

    /// Does not let a user see this one's presence, or not any more.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn refuse_presence(&self, principal: UserId) -> Result<(), Error> {
        let ask = Ask::PresenceRefuse { principal };
        self.done(Wanted::Again(ask)).await
    }

    /// Asks to see a user's presence no more.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn leave_presence(&self, principal: UserId) -> Result<(), Error> {
        let ask = Ask::PresenceUnsubscribe { principal };
        self.done(Wanted::Again(ask)).await
    }

    /// How available a user is now.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn probe(&self, principal: UserId) -> Result<Seen, Error> {
        let principal = Some(principal);
        self.answered(Wanted::Again(Ask::PresenceProbe { principal }))
            .await
    }

    /// Everybody whom this user sees, is seen by, or asked.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Closed`].
    pub async fn roster(&self) -> Result<Vec<Contact>, Error> {
        let ask = Ask::PresenceProbe { principal: None };
        let roster: Roster = self.answered(Wanted::Again(ask)).await?;
        Ok(roster.roster)
    }

    /// Asks a user (`user:ID`), a session (`user:ID/RESOURCE`) or the server (`None`) for something, and waits for the one
    /// outcome, `within` at most.
    ///
    /// # Errors
    /// [`Error::TimedOut`]; [`Error::Refused`] when it was not asked; [`Error::Closed`]; [`Error::Setting`] for what cannot
    /// be written as JSON.
    pub async fn ask<T: Serialize + ?Sized>(
        &self,
        to: Option<&str>,
        payload: &T,
        within: Duration,
    ) -> Result<Outcome, Error> {
        self.question(IqType::Get, to, payload, within).await
    }

    /// Asks to change something; as [`Handle::ask`] otherwise.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn order<T: Serialize + ?Sized>(
        &self,
        to: Option<&str>,
        payload: &T,
        within: Duration,
    ) -> Result<Outcome, Error> {
        self.question(IqType::Set, to, payload, within).await
    }

    async fn question<T: Serialize + ?Sized>(
        &self,
        r#type: IqType,
        to: Option<&str>,
        payload: &T,
        within: Duration,
    ) -> Result<Outcome, Error> {
        let payload = to_raw_value(payload);
        let payload = payload.map_err(|error| Error::setting("payload", error.to_string()))?;
        let wanted = Wanted::Question {
            to: to.map(str::to_owned),
            r#type,
            payload: Some(payload),
            within,
        };
        match self.reply(wanted, &self.questions).await? {
            Reply::Outcome(iq) => Ok(iq.into()),
            Reply::Answer(_) | Reply::Done => Err(Error::Closed),
        }
    }

    /// The server's time, which also shows that it is there.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn ping(&self) -> Result<Timestamp, Error> {
        let pong: Pong = self.answered(Wanted::Again(Ask::Ping)).await?;
        Ok(pong.time)
    }

    async fn done(&self, wanted: Wanted) -> Result<(), Error> {
        self.reply(wanted, &self.requests).await.map(|_| ())
    }

    async fn answered<T: for<'a> Deserialize<'a>>(&self, wanted: Wanted) -> Result<T, Error> {
        match self.reply(wanted, &self.requests).await? {
            Reply::Answer(frame) => read(&frame),
            Reply::Outcome(_) | Reply::Done => Err(Error::Closed),
        }
    }

    async fn reply(&self, wanted: Wanted, places: &Semaphore) -> Result<Reply, Error> {
        let _place = places.acquire().await.map_err(|_| Error::Closed)?;
        let (reply, replied) = oneshot::channel();
        let command = Command::Want(wanted, reply);
        self.commands.send(command).map_err(|_| Error::Closed)?;
        replied.await.map_err(|_| Error::Closed)?
    }
}

fn read<T: for<'a> Deserialize<'a>>(frame: &Bytes) -> Result<T, Error> {
    parse(frame).map_err(|cause| Error::Unreachable {
        server: "the server".to_owned(),
        cause,
    })
}
