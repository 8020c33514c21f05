//! What a stand-in has received, what became of it, and what it counted. Bounded: the oldest messages are forgotten, and of
//! a message the oldest edits.

use std::collections::{BTreeMap, VecDeque};

use anser_core::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::platform::{Breach, Change, Letter, Refusal};

/// Messages that are kept.
const MESSAGES_MAX: usize = 20_000;
/// Bytes of request bodies that are kept.
const BYTES_MAX: usize = 64 << 20;
/// Edits of a message that are kept.
const EDITS_MAX: usize = 50;
/// Chats and robots whose refusals are counted apart.
const CHATS_MAX: usize = 10_000;

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    /// In the order in which they were taken, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The token or key of the robot that sent it; of what a person wrote, of the one that was told.
    pub robot: String,
    /// The name of the person who wrote it; `None`: the robot did.
    pub from: Option<String>,
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
    /// The ids of those that came with it, where one request makes several: the rest of an album.
    pub more_ids: Vec<String>,
    /// The files that it shows, by their keys.
    pub uploads: Vec<String>,
    /// What it was changed to, oldest first.
    pub edits: Vec<Edit>,
    /// When it, or one of those that came with it, was taken back.
    pub recalled_at: Option<Timestamp>,
}

/// A change of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edit {
    /// When.
    pub at: Timestamp,
    /// The id of what was changed.
    pub id: String,
    /// The platform's name for what it was changed to.
    pub kind: String,
    /// What it says now, for people.
    pub text: String,
    /// The request's body as it came.
    pub body: Value,
    /// The files that it shows now, by their keys.
    pub uploads: Vec<String>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections that were accepted, those to the stand-in's own pages among them.
    pub connections: u64,
    /// Requests to the platform's API.
    pub requests: u64,
    /// Messages that were taken.
    pub accepted: u64,
    /// Files that were taken.
    pub uploaded: u64,
    /// Changes of messages that were made.
    pub edited: u64,
    /// Messages that were taken back.
    pub recalled: u64,
    /// Requests that were refused because of a rate limit: a client that keeps the limits has none.
    pub rate_violations: u64,
    /// The same by the chat that they were for, or by the robot where the limit is the robot's own.
    pub rate_violations_by: BTreeMap<String, u64>,
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
    /// Messages that people wrote.
    pub said: u64,
    /// WebSockets that bots opened.
    pub lines: u64,
    /// Times that an event was sent: to the callback URL, on a WebSocket, or as the answer to a poll.
    pub posts: u64,
    /// Events that were answered with success, acknowledged or confirmed.
    pub events: u64,
    /// Events that the platform would send no more.
    pub events_lost: u64,
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
        self.counters.accepted += 1;
        self.note(letter, None, at, bytes);
    }

    /// Writes down what a person wrote.
    pub(crate) fn hear(&mut self, letter: Letter, from: String, at: Timestamp) {
        self.counters.said += 1;
        let bytes = letter.text.len();
        self.note(letter, Some(from), at, bytes);
    }

    fn note(&mut self, letter: Letter, from: Option<String>, at: Timestamp, bytes: usize) {
        self.number += 1;
        self.bytes += bytes;
        let received = Received {
            number: self.number,
            at,
            robot: letter.robot,
            from,
            conversation: letter.conversation,
            id: letter.id,
            kind: letter.kind,
            text: letter.text,
            body: letter.body,
            more_ids: letter.more_ids,
            uploads: letter.uploads,
            edits: Vec::new(),
            recalled_at: None,
        };
        self.messages.push_back((received, bytes));
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.messages.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let Some((_, bytes)) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }

    /// The newest message of a chat with that id.
    fn find(&mut self, conversation: &str, id: &str) -> Option<&mut (Received, usize)> {
        self.messages.iter_mut().rev().find(|(message, _)| {
            let named =
                message.id.as_deref() == Some(id) || message.more_ids.iter().any(|more| more == id);
            named && message.conversation == conversation
        })
    }

    /// Writes down that a message was changed by a body of `bytes`; one that is forgotten is only counted.
    pub(crate) fn edit(&mut self, change: Change, at: Timestamp, bytes: usize) {
        self.counters.edited += 1;
        let Some((message, kept)) = self.find(&change.conversation, &change.id) else {
            return;
        };
        if message.edits.len() == EDITS_MAX {
            message.edits.remove(0);
        }
        message.edits.push(Edit {
            at,
            id: change.id,
            kind: change.kind,
            text: change.text,
            body: change.body,
            uploads: change.uploads,
        });
        *kept += bytes;
        self.bytes += bytes;
        self.make_room();
    }

    /// Writes down that a message was taken back.
    pub(crate) fn recall(&mut self, conversation: &str, id: &str, at: Timestamp) {
        self.counters.recalled += 1;
        if let Some((message, _)) = self.find(conversation, id) {
            message.recalled_at.get_or_insert(at);
        }
    }

    /// Counts a refusal. `exceeded` is the chat or robot whose limit it was, where it was one.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, exceeded: Option<String>) {
        if let Some(exceeded) = exceeded {
            let by = &mut self.counters.rate_violations_by;
            if by.len() < CHATS_MAX || by.contains_key(&exceeded) {
                *by.entry(exceeded).or_default() += 1;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str) -> Letter {
        Letter {
            conversation: "c".to_owned(),
            id: Some(id.to_owned()),
            more_ids: vec![format!("{id}b")],
            ..Letter::default()
        }
    }

    fn change(id: &str, text: &str) -> Change {
        Change {
            conversation: "c".to_owned(),
            id: id.to_owned(),
            text: text.to_owned(),
            ..Change::default()
        }
    }

    #[test]
    fn what_becomes_of_a_message_is_kept_with_it() {
        let mut book = Book::default();
        let at = Timestamp::from_millis(7);
        book.record(letter("1"), at, 10);
        book.record(letter("2"), at, 10);
        for number in 0..=EDITS_MAX {
            book.edit(change("1b", &number.to_string()), at, 1);
        }
        book.edit(change("9", "of none"), at, 1);
        book.recall("c", "2", at);
        book.recall("another", "1", at);
        let messages = book.messages(0);
        let texts: Vec<&str> = messages[0].edits.iter().map(|edit| &*edit.text).collect();
        assert_eq!(
            (texts.len(), texts[0], messages[0].recalled_at),
            (EDITS_MAX, "1", None)
        );
        assert_eq!(messages[1].recalled_at, Some(at));
        assert_eq!((book.counters.edited, book.counters.recalled), (52, 2));
        book.edit(change("1", "large"), at, BYTES_MAX);
        let left: Vec<u64> = book
            .messages(0)
            .iter()
            .map(|message| message.number)
            .collect();
        assert_eq!(left, [2], "a message goes with its edits");
    }
}
