//! What a session is to be sent, and how much it may hold: the window of what is given and not acknowledged, and the bound
//! of what waits to be sent. Beyond them messages stay in the store.

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{MessageId, Num, ResourceId};
use anser_core::live::{Acknowledgements, Event, Offset, Position, Scheduled, Stream};

use super::Plan;

/// Messages that a session may have been given without acknowledging them.
pub const WINDOW_MESSAGES: usize = 256;
/// Bytes of those messages.
pub const WINDOW_BYTES: usize = 1024 * 1024;
/// Bytes that wait to be sent, above which messages stay in the store.
const UNSENT_BYTES: usize = 256 * 1024;
/// Bytes that wait to be sent, above which a session is closed as slow: what is not stored cannot wait elsewhere.
pub const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Which stream a given message was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Mailbox,
    Topic(ResourceId),
}

/// A message that was given and is to be acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) source: Source,
    pub(super) offset: Offset,
    pub(super) id: MessageId,
    pub(super) bytes: usize,
}

/// What a session is to be sent.
#[derive(Debug)]
pub(super) struct Outbox {
    acks: Acknowledgements,
    events: VecDeque<(Event, Option<Given>)>,
    bytes: usize,
    /// Given and not acknowledged, in the order in which they were given; only with explicit acknowledgements.
    window: VecDeque<Given>,
    window_bytes: usize,
    /// Taken last, and acknowledged when the next is taken.
    taken: Option<Given>,
    /// When the client last took something, or last had nothing to take.
    moved: Timestamp,
}

/// What a session takes.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The next event.
    Event(Event),
    /// Nothing yet: this is to be read from the store first.
    Want(Want),
    /// Nothing now.
    Nothing,
    /// It is over.
    Over,
}

/// What a session needs of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// These messages, for [`Plan::loaded_mail`].
    Mail(Vec<Offset>),
    /// Messages of a topic behind this one, for [`Plan::loaded_topic`].
    Topic {
        topic: ResourceId,
        after: Num,
        limit: usize,
    },
    /// Messages of a topic whose time has come, for [`Plan::loaded_scheduled`].
    Scheduled {
        topic: ResourceId,
        places: Vec<Scheduled>,
    },
}

impl Outbox {
    pub(super) const fn new(acks: Acknowledgements, now: Timestamp) -> Self {
        Self {
            acks,
            events: VecDeque::new(),
            bytes: 0,
            window: VecDeque::new(),
            window_bytes: 0,
            taken: None,
            moved: now,
        }
    }

    /// Adds an event that needs no acknowledgement.
    pub(super) fn push(&mut self, event: Event, now: Timestamp) {
        self.add(event, None, now);
    }

    fn add(&mut self, event: Event, given: Option<Given>, now: Timestamp) {
        if self.events.is_empty() {
            self.moved = now;
        }
        self.bytes += event.weight();
        self.events.push_back((event, given));
    }

    /// Adds a message of a stream.
    pub(super) fn give(&mut self, event: Event, given: Given, now: Timestamp) {
        if self.acks == Acknowledgements::Explicit {
            self.window_bytes += given.bytes;
            self.window.push_back(given);
        }
        self.add(event, Some(given), now);
    }

    /// Nothing but the last event is to be sent.
    pub(super) fn finish(&mut self, last: Event, now: Timestamp) {
        self.events.clear();
        self.window.clear();
        self.window.shrink_to_fit();
        self.taken = None;
        self.bytes = 0;
        self.push(last, now);
    }

    /// How many messages it may be given now.
    pub(super) fn room(&self) -> usize {
        let window = match self.acks {
            Acknowledgements::Explicit if self.window_bytes >= WINDOW_BYTES => 0,
            Acknowledgements::Explicit => WINDOW_MESSAGES.saturating_sub(self.window.len()),
            Acknowledgements::Resume | Acknowledgements::Written => WINDOW_MESSAGES,
        };
        if self.bytes >= UNSENT_BYTES {
            0
        } else {
            window
        }
    }

    /// Whether more waits to be sent than may.
    pub(super) const fn overflows(&self) -> bool {
        self.bytes > UNSENT_BYTES_MAX
    }

    /// How long something waits to be taken.
    pub(super) fn waits_since(&self, now: Timestamp) -> Duration {
        if self.events.is_empty() {
            Duration::ZERO
        } else {
            now.since(self.moved)
        }
    }

    /// Messages given and not acknowledged, and bytes that wait to be sent.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.window.len(), self.bytes)
    }

    /// The next event, and the message before it when being written acknowledges it.
    fn take(&mut self, now: Timestamp) -> (Option<Event>, Option<Given>) {
        let written = match self.acks {
            Acknowledgements::Written => self.taken.take(),
            Acknowledgements::Explicit | Acknowledgements::Resume => None,
        };
        self.moved = now;
        let Some((event, given)) = self.events.pop_front() else {
            return (None, written);
        };
        self.bytes = self.bytes.saturating_sub(event.weight());
        self.taken = given;
        (Some(event), written)
    }

    /// A stream is read no more: what was given of it needs no acknowledgement, and what waits is not sent.
    pub(super) fn give_up(&mut self, source: Source) {
        let of_it = |given: &Given| given.source == source;
        self.acknowledge(of_it);
        let mut dropped = 0;
        self.events.retain(|(event, given)| {
            let keep = !given.as_ref().is_some_and(of_it);
            if !keep {
                dropped += event.weight();
            }
            keep
        });
        self.bytes = self.bytes.saturating_sub(dropped);
    }

    /// Takes acknowledged messages out of the window; answers those that were in it.
    fn acknowledge(&mut self, covered: impl Fn(&Given) -> bool) -> Vec<Given> {
        let mut acknowledged = Vec::new();
        self.window.retain(|given| {
            let done = covered(given);
            if done {
                acknowledged.push(*given);
            }
            !done
        });
        self.window_bytes -= acknowledged.iter().map(|given| given.bytes).sum::<usize>();
        acknowledged
    }
}

impl Plan {
    /// What a session takes next.
    pub(crate) fn take(&mut self, number: u64, now: Timestamp) -> Taken {
        let Some(live) = self.sessions.get_mut(&number) else {
            return Taken::Over;
        };
        let (event, written) = live.outbox.take(now);
        let closed = live.closed;
        if let Some(given) = written
            && given.source == Source::Mailbox
        {
            self.end_mail(number, given.offset);
        }
        match event {
            Some(event) => Taken::Event(event),
            None if closed => Taken::Over,
            None => self.want(number, now).map_or(Taken::Nothing, Taken::Want),
        }
    }

    /// Messages arrived at the client; answers whether there was anything to acknowledge.
    pub(crate) fn acknowledge(&mut self, number: u64, position: &Position) -> bool {
        let topic = match position {
            Position::UpTo { stream, .. } => match self.source_of(number, stream) {
                Some(source) => Some(source),
                None => return false,
            },
            Position::Message(_) => None,
        };
        let Some(live) = self.sessions.get_mut(&number) else {
            return false;
        };
        let covered = |given: &Given| match position {
            Position::Message(id) => given.id == *id,
            Position::UpTo { offset, .. } => Some(given.source) == topic && given.offset <= *offset,
        };
        let acknowledged = live.outbox.acknowledge(covered);
        let mut any = !acknowledged.is_empty();
        if any {
            // It may have been paused.
            self.effects.push(super::Effect::Wake(number));
        }
        match position {
            Position::Message(id) => {
                let in_window = acknowledged
                    .iter()
                    .find(|given| given.source == Source::Mailbox);
                match in_window.map(|given| given.offset) {
                    Some(offset) => self.end_mail(number, offset),
                    None => any |= self.end_mail_by_id(number, *id),
                }
            }
            Position::UpTo { offset, .. } if topic == Some(Source::Mailbox) => {
                any |= self.end_mail_up_to(number, *offset);
            }
            Position::UpTo { .. } => {}
        }
        any
    }

    fn source_of(&self, number: u64, stream: &Stream) -> Option<Source> {
        if *stream == Stream::Mailbox {
            return Some(Source::Mailbox);
        }
        let live = self.sessions.get(&number)?;
        let sub = live.subs.iter().find(|sub| sub.is_of(stream))?;
        Some(Source::Topic(sub.topic))
    }

    /// An event that is not stored. A session that has too much waiting is closed.
    pub(crate) fn push(&mut self, number: u64, event: Event, now: Timestamp) {
        let Some(live) = self.sessions.get_mut(&number).filter(|live| !live.closed) else {
            return;
        };
        live.outbox.push(event, now);
        if live.outbox.overflows() {
            let detail = format!(
                "more than {UNSENT_BYTES_MAX} bytes wait to be sent; connect again and go on from the last offset"
            );
            self.close(
                number,
                anser_core::live::CloseReason::Slow,
                Some(detail),
                now,
            );
        } else {
            self.effects.push(super::Effect::Wake(number));
        }
    }
}
