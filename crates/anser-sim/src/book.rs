//! What a stand-in has received, and what it counted. Bounded: the oldest messages are forgotten.

use std::collections::{BTreeMap, VecDeque};

use anser_core::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::platform::{Breach, Letter, Refusal};

/// Messages that are kept.
const MESSAGES_MAX: usize = 20_000;
/// Bytes of request bodies that are kept.
const BYTES_MAX: usize = 64 << 20;

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    /// In the order in which they were taken, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The token or key of the robot that sent it.
    pub robot: String,
    /// The chat that it went to; robots of one group have one.
    pub conversation: String,
    /// The message's id, where the platform tells one.
    pub id: Option<String>,
    /// The platform's name for what it is, such as `text`, `interactive` or `sendPhoto`.
    pub kind: String,
    /// What it says, for people: all texts in it.
    pub text: String,
    /// The request's body as it came, or its form fields as an object.
    pub body: Value,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests to the platform's API.
    pub requests: u64,
    /// Messages that were taken.
    pub accepted: u64,
    /// Requests that were refused because of a rate limit: a client that keeps the limits has none.
    pub rate_violations: u64,
    /// Requests that were refused because something in them was too large or too many.
    pub size_violations: u64,
    /// Requests that were refused because of their token, signature or keyword.
    pub credential_violations: u64,
    /// Requests that were refused because of what they say or whom they are for.
    pub content_violations: u64,
    /// All refusals by the platform's code, with those that a fault switch made.
    pub refused: BTreeMap<String, u64>,
    /// Requests that a fault switch touched.
    pub faults: u64,
}

/// Messages and counters.
#[derive(Debug, Default)]
pub(crate) struct Book {
    messages: VecDeque<(Received, usize)>,
    bytes: usize,
    number: u64,
    pub(crate) counters: Counters,
}

impl Book {
    /// The number that the next message will have.
    pub(crate) fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// Writes down a message that was taken, of a body of `bytes`.
    pub(crate) fn record(&mut self, letter: Letter, at: Timestamp, bytes: usize) {
        self.number += 1;
        self.counters.accepted += 1;
        self.bytes += bytes;
        let received = Received {
            number: self.number,
            at,
            robot: letter.robot,
            conversation: letter.conversation,
            id: letter.id,
            kind: letter.kind,
            text: letter.text,
            body: letter.body,
        };
        self.messages.push_back((received, bytes));
        while self.messages.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let Some((_, bytes)) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }

    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        let counter = match refusal.breach {
            Breach::Rate => &mut self.counters.rate_violations,
            Breach::Size => &mut self.counters.size_violations,
            Breach::Credentials => &mut self.counters.credential_violations,
            Breach::Content => &mut self.counters.content_violations,
        };
        *counter += 1;
        self.refused(&refusal.code);
    }

    /// Counts a refusal by its code alone.
    pub(crate) fn refused(&mut self, code: &str) {
        *self.counters.refused.entry(code.to_owned()).or_default() += 1;
    }

    /// Messages with a number above `after`, oldest first.
    pub(crate) fn messages(&self, after: u64) -> Vec<Received> {
        self.messages
            .iter()
            .filter(|(message, _)| message.number > after)
            .map(|(message, _)| message.clone())
            .collect()
    }

    /// The newest messages, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Received> {
        self.messages
            .iter()
            .rev()
            .take(count)
            .map(|(message, _)| message.clone())
            .collect()
    }

    /// Forgets the messages; numbers and counters go on.
    pub(crate) fn forget(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}
