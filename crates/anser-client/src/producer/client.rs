//! The producer as applications see it: builder, and the ways to send.

use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::{Clock, SystemClock};
use anser_core::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use anser_core::random::Random;
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::drive::{Callback, Command, Driver, Outbound};
use super::plan::{Lane, Plan, Settings};
use super::watch::{Counts, Hook, Interceptor, Sent, Shared};
use crate::Error;
use crate::credential::Credential;
use crate::entropy::{OsRandom, dedupe_key};
use crate::http::{Http, api_key};
use crate::live::Confirm;
use crate::outgoing::Outgoing;

/// Messages of one producer that may wait for their outcome.
pub const BUFFER_MESSAGES_MAX: usize = 10_000;
/// Bytes of those messages.
pub const BUFFER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Messages wait so long for others to go with them, unless said otherwise.
const LINGER: Duration = Duration::from_millis(5);
/// A message is given up so long after it was given, unless said otherwise.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);
/// A batch in bytes: with brackets and commas below what the server takes.
const BATCH_BYTES: usize = BATCH_BYTES_MAX - 64 * 1024;
/// Interceptors of one producer.
const INTERCEPTORS_MAX: usize = 16;

/// How a producer is made.
#[derive(Clone)]
pub struct ProducerBuilder {
    server: String,
    credential: Credential,
    authorities: Vec<Vec<u8>>,
    settings: Settings,
    buffer_messages: usize,
    interceptors: Vec<Arc<dyn Interceptor>>,
    on_error: Option<Hook>,
}

impl ProducerBuilder {
    /// A producer for the gateway at this address: `http`, `https`, `ws` or `wss`.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            credential: Credential::None,
            authorities: Vec::new(),
            settings: Settings {
                batch_messages: BATCH_MESSAGES_MAX,
                batch_bytes: BATCH_BYTES,
                linger: LINGER,
                give_up_after: GIVE_UP_AFTER,
            },
            buffer_messages: BUFFER_MESSAGES_MAX,
            interceptors: Vec::new(),
            on_error: None,
        }
    }

    /// Who publishes: an API key with the scope `publish`. The HTTP API takes no tokens.
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

    /// How long a message waits for others to go with it; 5 ms unless said otherwise, 0: it does not.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Messages of one request, 1 to 1,000; 1,000 unless said otherwise.
    #[must_use]
    pub const fn batch_messages(mut self, messages: usize) -> Self {
        self.settings.batch_messages = messages;
        self
    }

    /// Bytes of one request, above which no further message goes with it; a little below 4 MiB unless said otherwise.
    #[must_use]
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batch_bytes = bytes;
        self
    }

    /// Messages that may wait for their outcome, 1 to [`BUFFER_MESSAGES_MAX`].
    #[must_use]
    pub const fn buffer_messages(mut self, messages: usize) -> Self {
        self.buffer_messages = messages;
        self
    }

    /// How long after it was given a message is given up; two minutes unless said otherwise. Less than the topic's
    /// `dedupe_window`, or a repeat is accepted as another.
    #[must_use]
    pub const fn give_up_after(mut self, limit: Duration) -> Self {
        self.settings.give_up_after = limit;
        self
    }

    /// Adds what sees every message.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// What is told of every message that was refused or given up, however it was sent. Called by the producer's task: must
    /// not block.
    #[must_use]
    pub fn on_error(mut self, hook: impl Fn(&Sent, &Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// A producer; nothing is sent yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn build(self) -> Result<Producer, Error> {
        let key = api_key(self.credential)?;
        within(
            "batch_messages",
            self.settings.batch_messages,
            BATCH_MESSAGES_MAX,
        )?;
        within("batch_bytes", self.settings.batch_bytes, BATCH_BYTES)?;
        within("buffer_messages", self.buffer_messages, BUFFER_MESSAGES_MAX)?;
        if self.interceptors.len() > INTERCEPTORS_MAX {
            let rule = format!("at most {INTERCEPTORS_MAX}");
            return Err(Error::setting("interceptors", rule));
        }
        let http = Http::new(&self.server, key, &self.authorities)?;
        let random: Arc<dyn Random> = Arc::new(OsRandom::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let shared = Arc::new(Shared::new(self.interceptors, self.on_error));
        let (commands, commanded) = mpsc::unbounded_channel();
        let driver = Driver {
            plan: Plan::new(self.settings, Arc::clone(&random)),
            clock,
            http: Arc::new(http),
            shared: Arc::clone(&shared),
            commands: commanded,
        };
        Ok(Producer {
            commands,
            shared,
            random,
            limit: self.buffer_messages,
            messages: Arc::new(Semaphore::new(self.buffer_messages)),
            bytes: Arc::new(Semaphore::new(BUFFER_BYTES_MAX)),
            task: Arc::new(Mutex::new(Some(spawn(driver.run())))),
        })
    }
}

impl std::fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("server", &self.server)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn within(setting: &'static str, value: usize, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::setting(
        setting,
        format!("must be 1 to {most}, is {value}"),
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one task of a producer: `Producer::close` waits for it, and it ends when every producer is dropped and everything is settled"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Publishes messages; may be cloned and given to other tasks. What is on its way when the last one is dropped is still sent,
/// as long as the runtime lives; [`Producer::close`] waits for it.
#[derive(Clone)]
pub struct Producer {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    random: Arc<dyn Random>,
    limit: usize,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// Sends a message and waits for its confirm. Waits for a place in the buffer too. Dropping the call once it has a place
    /// does not take the message back.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::GivenUp`], [`Error::Intercepted`], [`Error::Setting`] for a message that cannot be
    /// published this way.
    pub async fn send(&self, message: Outgoing) -> Result<Confirm, Error> {
        let ready = self.prepare(message)?;
        let (messages, bytes) = (Arc::clone(&self.messages), Arc::clone(&self.bytes));
        let closed = |_| Error::Closed;
        let message = messages.acquire_owned().await.map_err(closed)?;
        let bytes = bytes.acquire_many_owned(ready.weight()).await;
        let places = (message, bytes.map_err(closed)?);
        let (outcome, told) = oneshot::channel();
        let callback: Callback = Box::new(move |result| {
            // Who does not wait any more does not want to know.
            let _ = outcome.send(result);
        });
        self.enqueue(ready, places, callback)?;
        told.await.map_err(|_| Error::Closed)?
    }

    /// Sends a message without waiting for anything. What became of it is counted ([`Producer::counts`]), and a failure is
    /// told to the hook of [`ProducerBuilder::on_error`].
    ///
    /// # Errors
    /// What is known at once: [`Error::Full`], [`Error::Intercepted`], [`Error::Setting`], [`Error::Closed`].
    pub fn send_and_forget(&self, message: Outgoing) -> Result<(), Error> {
        self.send_with(message, drop)
    }

    /// Sends a message without waiting; `callback` is told its outcome, by the producer's task: it must not block.
    ///
    /// # Errors
    /// As [`Producer::send_and_forget`]; then the callback is not called.
    pub fn send_with(
        &self,
        message: Outgoing,
        callback: impl FnOnce(Result<Confirm, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let ready = self.prepare(message)?;
        let full = |error| match error {
            TryAcquireError::NoPermits => Error::Full { limit: self.limit },
            TryAcquireError::Closed => Error::Closed,
        };
        let message = Arc::clone(&self.messages).try_acquire_owned();
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(ready.weight());
        let places = (message.map_err(full)?, bytes.map_err(full)?);
        self.enqueue(ready, places, Box::new(callback))
    }

    /// Sends everything that was given so far at once, and waits until each has its outcome.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn flush(&self) -> Result<(), Error> {
        let (done, flushed) = oneshot::channel();
        let flush = Command::Flush(done);
        self.commands.send(flush).map_err(|_| Error::Closed)?;
        flushed.await.map_err(|_| Error::Closed)
    }

    /// Takes no more messages, on any clone, and waits until those that were given have their outcome.
    pub async fn close(self) {
        self.messages.close();
        // Only a task that is gone answers so, and then nothing is on its way.
        let _ = self.commands.send(Command::Close);
        if let Some(task) = self.task.lock().await.take() {
            // It ends by itself; a panic in it was reported by the runtime.
            let _ = task.await;
        }
    }

    /// What became of the messages so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    fn prepare(&self, message: Outgoing) -> Result<Ready, Error> {
        let mut message = message;
        for interceptor in self.shared.interceptors() {
            message = interceptor.before(message).map_err(Error::Intercepted)?;
        }
        let Outgoing {
            topic,
            transient,
            mut item,
        } = message;
        if transient {
            let rule = "a transient message is for live sessions: publish it there";
            return Err(Error::setting("transient", rule));
        }
        let dedupe_key = item
            .dedupe_key
            .get_or_insert_with(|| dedupe_key(&*self.random))
            .clone();
        let lane = match (&topic, item.header.to.as_slice()) {
            // Names are one whatever their case.
            (Some(topic), _) => Lane::Topic(topic.to_ascii_lowercase()),
            (None, [room]) if room.starts_with("room:") => Lane::Room(room.to_ascii_lowercase()),
            (None, _) => Lane::Direct,
        };
        let json = serde_json::to_vec(&item)
            .map_err(|error| Error::setting("message", error.to_string()))?;
        Ok(Ready {
            lane,
            json: json.into(),
            sent: Sent { topic, dedupe_key },
        })
    }

    fn enqueue(
        &self,
        ready: Ready,
        places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
        callback: Callback,
    ) -> Result<(), Error> {
        let outbound = Outbound {
            lane: ready.lane,
            json: ready.json,
            sent: ready.sent,
            callback,
            places,
        };
        let command = Command::Message(Box::new(outbound));
        self.commands.send(command).map_err(|_| Error::Closed)
    }
}

/// A message as it is sent.
struct Ready {
    lane: Lane,
    json: Bytes,
    sent: Sent,
}

impl Ready {
    /// Its part of the buffer. One that is larger than the whole buffer takes all of it; the server refuses it.
    fn weight(&self) -> u32 {
        u32::try_from(self.json.len().min(BUFFER_BYTES_MAX)).unwrap_or(u32::MAX)
    }
}
