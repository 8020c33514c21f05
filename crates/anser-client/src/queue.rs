//! The consumer of a queue: what is received is leased to it, and done when it is acknowledged.
//!
//! A message that is neither acknowledged nor given back is received again when its lease ends, by whoever asks then: a worker that
//! dies loses nothing, and work may be done twice. Calls are not repeated here: what was cut off is seen by
//! [`Error::may_pass`], and asking again is safe. A receive that was cut off may hold messages until their lease ends.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::Receipt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;
use crate::credential::Credential;
use crate::http::{Http, api_key};

/// Messages of one receive, and receipts of one call.
pub const RECEIVE_MAX: usize = 100;

/// How a queue's consumer is made.
#[derive(Debug, Clone)]
pub struct QueueBuilder {
    server: String,
    queue: String,
    credential: Credential,
    authorities: Vec<Vec<u8>>,
}

impl QueueBuilder {
    /// A consumer of a queue at the gateway of this address: `http`, `https`, `ws` or `wss`.
    #[must_use]
    pub fn new(server: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            queue: queue.into(),
            credential: Credential::None,
            authorities: Vec::new(),
        }
    }

    /// Who consumes: an API key with the scope `consume`. The HTTP API takes no tokens.
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

    /// A consumer; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn build(self) -> Result<Queue, Error> {
        let key = api_key(self.credential)?;
        let http = Http::new(&self.server, key, &self.authorities)?;
        Ok(Queue {
            http,
            name: self.queue,
        })
    }
}

/// A queue to receive from; may be cloned and given to other tasks.
#[derive(Debug, Clone)]
pub struct Queue {
    http: Http,
    name: String,
}

/// A message, and the hold on it.
#[derive(Debug, Deserialize)]
pub struct Leased {
    /// Proves the hold.
    pub receipt: Receipt,
    /// The message's place on its topic.
    pub seq: u64,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was received first.
    pub first_received_at: Timestamp,
    /// When the lease ends.
    pub lease_until: Timestamp,
    message: Box<RawValue>,
}

impl Leased {
    /// The message as the server stored it, JSON of the message format.
    #[must_use]
    pub fn json(&self) -> &str {
        self.message.get()
    }

    /// The message.
    ///
    /// # Errors
    /// For a message of a later version of the format, which this client cannot read: [`Leased::json`] has it.
    pub fn read(&self) -> Result<anser_core::Message, serde_json::Error> {
        serde_json::from_str(self.message.get())
    }
}

#[derive(Serialize)]
struct Ask {
    max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<u64>,
}

#[derive(Serialize)]
struct About<'a> {
    receipts: [&'a Receipt; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<u64>,
}

impl Queue {
    /// Receives up to `max` messages (1 to [`RECEIVE_MAX`]), each leased for `lease` (whole seconds, up to 12 hours; the queue's
    /// own unless given). When there is none, it waits for one, up to `wait` (whole seconds, up to 30; the queue's own unless
    /// given), and answers with nothing after that.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`].
    pub async fn receive(
        &self,
        max: usize,
        wait: Option<Duration>,
        lease: Option<Duration>,
    ) -> Result<Vec<Leased>, Error> {
        #[derive(Deserialize)]
        struct Messages {
            messages: Vec<Leased>,
        }
        let seconds = |duration: Duration| duration.as_secs();
        let ask = Ask {
            max,
            wait: wait.map(seconds),
            lease: lease.map(seconds),
        };
        let received: Messages = self.call("receive", &ask).await?;
        Ok(received.messages)
    }

    /// A message is done. False: its lease had ended, so that somebody else may have it.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`].
    pub async fn ack(&self, receipt: &Receipt) -> Result<bool, Error> {
        self.about("ack", receipt, None, None).await
    }

    /// Gives a message back, to be received again after `delay` (whole seconds, up to 12 hours). False: its lease had ended.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`].
    pub async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<bool, Error> {
        let delay = Some(delay.as_secs());
        self.about("nack", receipt, delay, None).await
    }

    /// Keeps a message for `lease` from now (whole seconds, up to 12 hours; the queue's own unless given). False: its lease had
    /// ended.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`].
    pub async fn extend(&self, receipt: &Receipt, lease: Option<Duration>) -> Result<bool, Error> {
        let lease = lease.map(|lease| lease.as_secs());
        self.about("extend", receipt, None, lease).await
    }

    async fn about(
        &self,
        call: &str,
        receipt: &Receipt,
        delay: Option<u64>,
        lease: Option<u64>,
    ) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Results {
            results: Vec<Judged>,
        }
        #[derive(Deserialize)]
        struct Judged {
            ok: bool,
        }
        let about = About {
            receipts: [receipt],
            delay,
            lease,
        };
        let judged: Results = self.call(call, &about).await?;
        Ok(judged.results.iter().all(|judged| judged.ok))
    }

    async fn call<T: for<'a> Deserialize<'a>>(
        &self,
        call: &str,
        ask: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(ask)
            .map_err(|error| Error::setting("receipt", error.to_string()))?;
        let path = ["v1", "queues", self.name.as_str(), call];
        let answer = self.http.post(&path, body.into()).await;
        let answer = answer.map_err(|cause| self.http.unreachable(cause))?;
        if answer.status != 200 {
            return Err(Error::Refused(answer.refusal()));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            self.http
                .unreachable(format!("the answer cannot be read: {error}"))
        })
    }
}
