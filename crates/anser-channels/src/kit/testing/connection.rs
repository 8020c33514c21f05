//! What the tests of connectors share: a connection that is told what happens, and what it did of what it may do only in
//! order. Tests only.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Channel, HttpRequest, HttpResponse};
use anser_core::connection::{
    Action, Again, Connection, Frame, Input, Loss, RESUME_BYTES_MAX, Recovery, TIMERS_MAX,
};
use anser_core::inbound::{INBOUND_EVENTS_MAX, InboundContext, InboundEvent};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::inbound::CHANNEL;

/// A connection under test.
pub(crate) struct Link {
    connection: Box<dyn Connection>,
    /// The requests without an answer, by their tags.
    pub(crate) asked: BTreeMap<u32, HttpRequest>,
    /// The batches that are neither stored nor refused, in order.
    pub(crate) unstored: VecDeque<u64>,
    /// The timers that run.
    pub(crate) timers: BTreeMap<u8, Duration>,
    /// What is kept for the next one.
    pub(crate) kept: Option<Vec<u8>>,
    /// Whether it is at its end.
    pub(crate) is_lost: bool,
    /// The time, in milliseconds.
    pub(crate) now: i64,
    batch: u64,
    is_live: bool,
}

impl Link {
    /// A connection of the channel that is about to begin.
    pub(crate) fn new(channel: &dyn Channel, resume: Option<&[u8]>) -> Self {
        Self {
            connection: channel.connector().expect("it connects").begin(resume),
            asked: BTreeMap::new(),
            unstored: VecDeque::new(),
            timers: BTreeMap::new(),
            kept: resume.map(<[u8]>::to_vec),
            is_lost: false,
            now: 1_700_000_000_000,
            batch: 0,
            is_live: false,
        }
    }

    /// Tells it something, and checks that it keeps the contract.
    pub(crate) fn told(&mut self, input: Input) -> Vec<Action> {
        match &input {
            Input::Answered { tag, .. } => {
                self.asked.remove(tag);
            }
            Input::Stored { batch } | Input::NotStored { batch } => {
                self.unstored.retain(|waiting| waiting != batch);
            }
            Input::Timer(number) => {
                self.timers.remove(number);
            }
            _ => {}
        }
        let context = InboundContext {
            now: Timestamp::from_millis(self.now),
            channel: CHANNEL,
            random: *b"0123456789abcdef",
        };
        let actions = self.connection.handle(input, &context);
        for action in &actions {
            self.check(action);
        }
        actions
    }

    fn check(&mut self, action: &Action) {
        assert!(!self.is_lost, "after its end: {action:?}");
        match action {
            Action::Ask { tag, request, .. } => {
                let before = self.asked.insert(*tag, request.clone());
                assert!(before.is_none(), "two requests with the tag {tag}");
            }
            Action::Take { batch, events } => {
                assert!(*batch > self.batch && events.len() <= INBOUND_EVENTS_MAX);
                self.batch = *batch;
                self.unstored.push_back(*batch);
            }
            Action::Timer { number, after } => {
                assert!(*number < TIMERS_MAX);
                self.timers.insert(*number, *after);
            }
            Action::Live { .. } => {
                assert!(!self.is_live, "live once");
                self.is_live = true;
            }
            Action::Keep(bytes) => {
                assert!(bytes.len() <= RESUME_BYTES_MAX);
                self.kept = Some(bytes.to_vec());
            }
            Action::Lost { .. } => self.is_lost = true,
            Action::Open { .. } | Action::Send(_) | Action::Unread { .. } => {}
        }
    }

    /// The oldest request is answered so.
    pub(crate) fn answered(&mut self, status: u16, body: &Value) -> Vec<Action> {
        let tag = *self.asked.keys().next().expect("it asked something");
        self.told(answer(tag, status, body.to_string()))
    }

    /// A text comes.
    pub(crate) fn text(&mut self, body: &Value) -> Vec<Action> {
        self.told(Input::Frame(Frame::Text(body.to_string())))
    }

    /// The oldest batch is stored.
    pub(crate) fn stored(&mut self) -> Vec<Action> {
        let batch = *self.unstored.front().expect("it took something");
        self.told(Input::Stored { batch })
    }

    /// The oldest batch could not be stored.
    pub(crate) fn not_stored(&mut self) -> Vec<Action> {
        let batch = *self.unstored.front().expect("it took something");
        self.told(Input::NotStored { batch })
    }

    /// Something that can happen now, as `choice` says; what comes from the platform is made by `come`.
    pub(crate) fn next(&self, choice: u64, come: &mut dyn FnMut(u64) -> Input) -> Input {
        let some = choice >> 3;
        let batch = self.unstored.front().copied();
        let mut timers = self.timers.keys();
        match (choice % 8, batch) {
            (0..=2, Some(batch)) => Input::Stored { batch },
            (3, Some(batch)) => Input::NotStored { batch },
            (4, _) => {
                let which = usize::try_from(some).unwrap_or_default() % self.timers.len().max(1);
                let number = timers.nth(which).copied();
                number.map_or_else(|| come(some), Input::Timer)
            }
            _ if self.asked.is_empty() && !self.timers.is_empty() => {
                Input::Timer(*timers.next().expect("one runs"))
            }
            _ => come(some),
        }
    }
}

/// An answer to the request of that tag.
pub(crate) fn answer(tag: u32, status: u16, body: impl Into<Bytes>) -> Input {
    let exchange = Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.into(),
    });
    Input::Answered { tag, exchange }
}

/// What became of events before, if it is live by these actions.
pub(crate) fn live(actions: &[Action]) -> Option<Recovery> {
    actions.iter().find_map(|action| match action {
        Action::Live { recovery, .. } => Some(*recovery),
        _ => None,
    })
}

/// Why it ended, when the next one begins, and more.
pub(crate) fn lost(actions: &[Action]) -> (Loss, Again, &str) {
    let lost = actions.iter().find_map(|action| match action {
        Action::Lost {
            loss,
            detail,
            again,
        } => Some((*loss, *again, detail.as_str())),
        _ => None,
    });
    lost.unwrap_or_else(|| panic!("it goes on: {actions:?}"))
}

/// The JSON of the texts that are sent.
pub(crate) fn sent(actions: &[Action]) -> Vec<Value> {
    let texts = actions.iter().filter_map(|action| match action {
        Action::Send(Frame::Text(text)) => Some(serde_json::from_str(text).unwrap()),
        _ => None,
    });
    texts.collect()
}

/// The events of the first batch.
pub(crate) fn taken(actions: &[Action]) -> &[InboundEvent] {
    let taken = actions.iter().find_map(|action| match action {
        Action::Take { events, .. } => Some(events.as_slice()),
        _ => None,
    });
    taken.unwrap_or_else(|| panic!("nothing is taken: {actions:?}"))
}

/// The timers that are set.
pub(crate) fn timers(actions: &[Action]) -> Vec<(u8, Duration)> {
    let timers = actions.iter().filter_map(|action| match action {
        Action::Timer { number, after } => Some((*number, *after)),
        _ => None,
    });
    timers.collect()
}
