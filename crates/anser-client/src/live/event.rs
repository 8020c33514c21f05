//! What an application gets of a session, and what it does with it: acknowledge a message, answer a question.

use std::sync::atomic::{AtomicBool, Ordering};

use anser_core::attempt::PossibleDuplicate;
use anser_core::live::{IbEvent, IqType, Offset, PresenceEvent, Stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::drive::Command;
use super::frame::{Ask, Given, Iq};
use super::told::Wanted;
use crate::Error;
use crate::error::Refusal;

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message of a stream.
    Message(Message),
    /// About somebody's presence.
    Presence(PresenceEvent),
    /// A question to this session. One that is dropped unanswered is refused.
    Question(Question),
    /// News of the server.
    News(IbEvent),
    /// A session was opened, the first or another; the server's welcome: session, resource, limits, how many messages wait.
    Connected(Value),
    /// The connection was cut, in words why; the next is being opened.
    Disconnected(String),
    /// A stream is not read any more: it was deleted, or may not be read any more. The refusal of the server, if it came
    /// when the session was opened again.
    Unsubscribed(Stream, Option<Refusal>),
    /// So many presences, news, questions and transient messages were left out, as too many waited.
    Skipped(u64),
}

/// A message of a stream.
///
/// One that is dropped without [`Message::ack`] stays open: it is given to another run of the program, not to this one again,
/// and what is behind it in its stream is not acknowledged to the server either.
#[derive(Debug)]
pub struct Message {
    /// The stream that it is of.
    pub stream: Stream,
    /// Its place there; `None`: it is transient, and needs no acknowledgement.
    pub offset: Option<Offset>,
    /// It may have been given to this user before, and why.
    pub duplicate: Option<PossibleDuplicate>,
    document: Box<RawValue>,
    ticket: Option<u64>,
    acknowledged: AtomicBool,
    commands: mpsc::UnboundedSender<Command>,
}

impl Message {
    pub(super) fn new(
        given: Given,
        ticket: Option<u64>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            stream: given.stream,
            offset: given.offset,
            duplicate: given.possible_duplicate,
            document: given.message,
            ticket,
            acknowledged: AtomicBool::new(false),
            commands,
        }
    }

    /// The message as the server stored it, JSON of the message format.
    #[must_use]
    pub fn json(&self) -> &str {
        self.document.get()
    }

    /// The message.
    ///
    /// # Errors
    /// For a message of a later version of the format, which this client cannot read: [`Message::json`] has it.
    pub fn read(&self) -> Result<anser_core::Message, serde_json::Error> {
        serde_json::from_str(self.document.get())
    }

    /// Its data, read into a type of the application.
    ///
    /// # Errors
    /// When the message has no data, or other data.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct WithBody<T> {
            body: WithData<T>,
        }
        #[derive(serde::Deserialize)]
        struct WithData<T> {
            data: T,
        }
        let message: WithBody<T> = serde_json::from_str(self.document.get())?;
        Ok(message.body.data)
    }

    /// The application is done with it: it does not come again. Does not wait; doing it again does nothing.
    pub fn ack(&self) {
        let first = !self.acknowledged.swap(true, Ordering::Relaxed);
        if let Some(ticket) = self.ticket.filter(|_| first) {
            let command = Command::Acknowledge(self.stream.clone(), ticket);
            // A session that is over gives it again to the next one.
            let _ = self.commands.send(command);
        }
    }
}

/// A question to this session.
#[derive(Debug)]
pub struct Question {
    /// Whether it asks to change something (`set`) or for something (`get`).
    pub r#type: IqType,
    /// Who asks: `user:ID/RESOURCE`.
    pub from: String,
    /// What is asked.
    pub payload: Option<Box<RawValue>>,
    id: Option<String>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Question {
    pub(super) fn new(iq: Iq, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            r#type: iq.r#type,
            from: iq.from,
            payload: iq.payload,
            id: Some(iq.id),
            commands,
        }
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`Error::Refused`] when nobody waits for the answer any more, [`Error::Cut`] when the asker was told that this session
    /// is gone, [`Error::Setting`] for what cannot be written as JSON.
    pub async fn answer<T: Serialize + ?Sized>(mut self, payload: &T) -> Result<(), Error> {
        let payload = to_raw_value(payload);
        let payload = payload.map_err(|error| Error::setting("payload", error.to_string()))?;
        self.reply(IqType::Result, Some(payload)).await
    }

    /// Answers that it cannot be done: a code for programs, and words.
    ///
    /// # Errors
    /// As [`Question::answer`].
    pub async fn refuse(mut self, code: &str, detail: &str) -> Result<(), Error> {
        let payload = to_raw_value(&json!({"code": code, "detail": detail})).ok();
        self.reply(IqType::Error, payload).await
    }

    async fn reply(&mut self, r#type: IqType, payload: Option<Box<RawValue>>) -> Result<(), Error> {
        let Some(replied) = self.send(r#type, payload) else {
            return Ok(());
        };
        let reply = replied.await.map_err(|_| Error::Closed)?;
        reply.map(|_| ())
    }

    fn send(
        &mut self,
        r#type: IqType,
        payload: Option<Box<RawValue>>,
    ) -> Option<oneshot::Receiver<Result<super::plan::Reply, Error>>> {
        let ask = Ask::Iq {
            id: self.id.take()?,
            to: None,
            r#type,
            payload,
        };
        let (reply, replied) = oneshot::channel();
        let command = Command::Want(Wanted::Once(ask), reply);
        // A session that is over drops the sender, which the receiver sees.
        let _ = self.commands.send(command);
        Some(replied)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let nobody = json!({"code": "service-unavailable", "detail": "nobody answers this here"});
        drop(self.send(IqType::Error, to_raw_value(&nobody).ok()));
    }
}

/// What became of a question.
#[derive(Debug)]
pub enum Outcome {
    /// It was answered.
    Answered {
        /// By whom: `user:ID/RESOURCE`, or `server`.
        from: String,
        /// The answer.
        payload: Option<Box<RawValue>>,
    },
    /// It was not: `timeout` and `service-unavailable` are codes of the server, others are those of who was asked.
    Failed {
        /// For programs.
        code: String,
        /// In words.
        detail: String,
    },
}

impl From<Iq> for Outcome {
    fn from(iq: Iq) -> Self {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Why {
            code: String,
            detail: String,
        }
        if iq.r#type == IqType::Error {
            let read = |payload: &RawValue| serde_json::from_str(payload.get()).ok();
            let why: Why = iq.payload.as_deref().and_then(read).unwrap_or_default();
            Self::Failed {
                code: why.code,
                detail: why.detail,
            }
        } else {
            Self::Answered {
                from: iq.from,
                payload: iq.payload,
            }
        }
    }
}
