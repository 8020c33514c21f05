//! What is read, and how far the application got: a message that is in its hands is not handed to it again, and the
//! position moves over what was acknowledged without a gap. Pure.

use std::collections::VecDeque;

use anser_core::id::MessageId;
use anser_core::live::{Offset, Stream};

/// A stream that is read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// By the name that the server gives it, once that is known.
    pub(super) stream: Stream,
    /// Everything up to here was acknowledged by the application, or was not wanted.
    position: Option<Offset>,
    /// The subscription on this connection.
    pub(super) state: State,
    /// Behind what it was asked on this connection.
    asked: Option<Offset>,
    /// The mark of the application's request that waits for the subscription.
    pub(super) asker: Option<u64>,
    /// In the application's hands, in the order of their offsets, in which they came.
    hands: VecDeque<InHand>,
    /// Acknowledged by the application and not yet to the server.
    unsaid: Unsaid,
}

/// Whether the server gives a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was not asked on this connection.
    Unasked,
    /// It was asked, under this mark.
    Asked(u64),
    /// It does.
    Given,
}

#[derive(Debug)]
struct InHand {
    ticket: u64,
    id: MessageId,
    offset: Offset,
    bytes: usize,
    acknowledged: bool,
}

/// What the server has not been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unsaid {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Reading {
    /// A stream to read behind `after`.
    pub(super) const fn new(stream: Stream, after: Option<Offset>) -> Self {
        Self {
            stream,
            position: after,
            state: State::Unasked,
            asked: None,
            asker: None,
            hands: VecDeque::new(),
            unsaid: Unsaid {
                messages: 0,
                bytes: 0,
            },
        }
    }

    /// Whether it is this stream, whatever the case of its name.
    pub(super) fn is_of(&self, stream: &Stream) -> bool {
        match (&self.stream, stream) {
            (Stream::Topic(one), Stream::Topic(other))
            | (Stream::Room(one), Stream::Room(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        }
    }

    /// Where it goes on.
    pub(super) const fn position(&self) -> Option<Offset> {
        self.position
    }

    /// Messages in the application's hands.
    pub(super) fn in_hand(&self) -> usize {
        self.hands.len()
    }

    /// It is asked of the server, under this mark; answers behind what.
    pub(super) fn ask(&mut self, mark: u64) -> Option<Offset> {
        self.state = State::Asked(mark);
        self.asked = self.position;
        self.position
    }

    /// The server begins behind `offset`.
    pub(super) fn begins(&mut self, offset: Offset) {
        // It has not got to what it was asked: that was an offset of other data, and what comes now has lower ones.
        let elsewhere = self.asked.is_some_and(|asked| offset < asked);
        self.position = if elsewhere {
            Some(offset)
        } else {
            self.position.max(Some(offset))
        };
        self.state = State::Given;
    }

    /// The connection is gone. What was acknowledged is said by the next one, which begins behind it.
    pub(super) fn cut(&mut self) {
        self.state = State::Unasked;
        self.unsaid = Unsaid::default();
    }

    /// A message came; true: it is to be handed over under `ticket`, false: it is in hand already.
    pub(super) fn take(
        &mut self,
        ticket: u64,
        id: MessageId,
        offset: Offset,
        bytes: usize,
    ) -> bool {
        let known = self.hands.iter().position(|in_hand| in_hand.id == id);
        let known = known.and_then(|place| self.hands.remove(place));
        let is_new = known.is_none();
        let mut in_hand = known.unwrap_or(InHand {
            ticket,
            id,
            offset,
            bytes,
            acknowledged: false,
        });
        // A scheduled message may have another place now: it is acknowledged with those before it there.
        in_hand.offset = offset;
        let place = self.hands.partition_point(|one| one.offset <= offset);
        self.hands.insert(place, in_hand);
        self.settle();
        is_new
    }

    /// The application is done with a message; answers whether it was in hand.
    pub(super) fn acknowledge(&mut self, ticket: u64) -> bool {
        let found = self.hands.iter_mut().find(|one| one.ticket == ticket);
        let Some(in_hand) = found else {
            return false;
        };
        in_hand.acknowledged = true;
        self.settle();
        true
    }

    fn settle(&mut self) {
        while let Some(first) = self.hands.front()
            && first.acknowledged
        {
            self.position = self.position.max(Some(first.offset));
            self.unsaid.messages += 1;
            self.unsaid.bytes += first.bytes;
            self.hands.pop_front();
        }
    }

    /// What the server has not been told yet.
    pub(super) const fn unsaid(&self) -> Unsaid {
        self.unsaid
    }

    /// The server is told.
    pub(super) fn said(&mut self) {
        self.unsaid = Unsaid::default();
    }
}
