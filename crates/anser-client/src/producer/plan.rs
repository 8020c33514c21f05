//! What is sent when, as a pure state machine: it is given messages and answers and the time, and says which batch goes now.
//! It knows no socket, clock or task.
//!
//! What holds: each message has one outcome; a lane has one request at a time; within a lane no message is sent before one
//! that was given earlier has its outcome or goes in the same request before it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::random::Random;
use bytes::Bytes;

use crate::Error;
use crate::backoff::Backoff;
use crate::error::Refusal;
use crate::live::Confirm;

/// The first wait before a batch is sent again, at most.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest wait before a batch is sent again, unless the server asks for a longer one.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// The longest wait that the server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Requests under way at the same time, each of another lane.
const REQUESTS_MAX: usize = 16;

/// How messages are gathered.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) batch_messages: usize,
    pub(super) batch_bytes: usize,
    pub(super) linger: Duration,
    pub(super) give_up_after: Duration,
}

/// Where a message goes; what must keep its order goes one request after another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lane {
    /// A topic.
    Topic(String),
    /// A room alone. The server takes those one by one, so that each goes by itself.
    Room(String),
    /// Any other address.
    Direct,
}

/// A message that has no outcome.
#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    json: Bytes,
    given: Duration,
    /// It was sent once at least, so that it may have been accepted.
    sent: bool,
}

/// What the server said of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of each message, in order.
    Each(Vec<Result<Confirm, Refusal>>),
    /// It refused all of them.
    All(Refusal, Option<Duration>),
    /// Nothing that can be read: it is not known what became of them.
    Nothing(String),
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Do {
    /// Send these messages; answered by [`Plan::answered`].
    Send(Lane, Vec<Bytes>),
    /// What became of a message.
    Outcome(u64, Result<Confirm, Error>),
    /// Everything that was given before is settled.
    Flushed(u64),
}

#[derive(Debug)]
struct Line {
    waiting: VecDeque<Entry>,
    /// Bytes of those that wait.
    bytes: usize,
    under_way: Vec<Entry>,
    /// Not before this, after a failure.
    not_before: Option<Duration>,
    backoff: Backoff,
    /// Messages of the next request: less than usual after one that was too large.
    most: usize,
    cause: String,
}

/// All messages that have no outcome.
pub(super) struct Plan {
    settings: Settings,
    random: Arc<dyn Random>,
    lines: HashMap<Lane, Line>,
    /// Lanes that may have something to send, in the order in which they came to.
    turns: VecDeque<Lane>,
    /// Lanes with a request under way.
    under_way: usize,
    unsettled: BTreeSet<u64>,
    /// Flushes by the message that they wait for.
    flushes: Vec<(u64, u64)>,
    last: u64,
    retried: u64,
    out: VecDeque<Do>,
}

impl Plan {
    /// Nothing to send yet.
    pub(super) fn new(settings: Settings, random: Arc<dyn Random>) -> Self {
        Self {
            settings,
            random,
            lines: HashMap::new(),
            turns: VecDeque::new(),
            under_way: 0,
            unsettled: BTreeSet::new(),
            flushes: Vec::new(),
            last: 0,
            retried: 0,
            out: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub(super) fn next(&mut self) -> Option<Do> {
        self.out.pop_front()
    }

    /// Requests that were sent again.
    pub(super) const fn retried(&self) -> u64 {
        self.retried
    }

    /// Whether every message has its outcome.
    pub(super) fn is_empty(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Takes a message; ids rise.
    pub(super) fn give(&mut self, id: u64, lane: Lane, json: Bytes, now: Duration) {
        self.last = id;
        self.unsettled.insert(id);
        let most = self.most_of(&lane);
        let line = self.lines.entry(lane.clone()).or_insert_with(|| {
            self.turns.push_back(lane.clone());
            Line::new(most)
        });
        line.bytes += json.len();
        line.waiting.push_back(Entry {
            id,
            json,
            given: now,
            sent: false,
        });
        self.send_if_due(&lane, now);
    }

    /// What the server said of the request of a lane.
    pub(super) fn answered(&mut self, lane: &Lane, answer: Answer, now: Duration) {
        let usual = self.most_of(lane);
        let Some(line) = self.lines.get_mut(lane) else {
            return;
        };
        let entries = std::mem::take(&mut line.under_way);
        self.under_way -= usize::from(!entries.is_empty());
        match answer {
            Answer::Each(results) if results.len() == entries.len() => {
                line.most = usual;
                self.take_results(lane, entries, results, now);
            }
            Answer::Each(results) => {
                let (got, sent) = (results.len(), entries.len());
                let cause = format!("the server answered {got} of {sent} messages");
                self.again(lane, entries, cause, Duration::ZERO, now);
            }
            Answer::All(refusal, wait) if refusal.may_pass() => {
                let wait = wait.unwrap_or_default().min(RETRY_AFTER_MAX);
                self.again(lane, entries, refusal.to_string(), wait, now);
            }
            Answer::All(refusal, _) if refusal.status == 413 && entries.len() > 1 => {
                // Together they are too much: by halves none is refused for the others.
                line.most = entries.len().div_ceil(2);
                line.put_back(entries);
            }
            Answer::All(refusal, _) => {
                for entry in entries {
                    self.settle(&entry, Err(Error::Refused(refusal.clone())));
                }
                self.works(lane);
            }
            Answer::Nothing(cause) => self.again(lane, entries, cause, Duration::ZERO, now),
        }
        self.go_on(now);
    }

    /// What became of each message of a request.
    fn take_results(
        &mut self,
        lane: &Lane,
        entries: Vec<Entry>,
        results: Vec<Result<Confirm, Refusal>>,
        now: Duration,
    ) {
        let mut again = Vec::new();
        let mut cause = String::new();
        for (entry, result) in entries.into_iter().zip(results) {
            match result {
                Err(refusal) if refusal.may_pass() => {
                    cause = refusal.to_string();
                    again.push(entry);
                }
                result => self.settle(&entry, result.map_err(Error::Refused)),
            }
        }
        if again.is_empty() {
            self.works(lane);
        } else {
            self.again(lane, again, cause, Duration::ZERO, now);
        }
    }

    /// The lane's server answers.
    fn works(&mut self, lane: &Lane) {
        if let Some(line) = self.lines.get_mut(lane) {
            line.backoff.reset();
            line.not_before = None;
        }
    }

    /// These are sent again, before what waits behind them.
    fn again(
        &mut self,
        lane: &Lane,
        entries: Vec<Entry>,
        cause: String,
        wait: Duration,
        now: Duration,
    ) {
        let unit = self.random.unit();
        if let Some(line) = self.lines.get_mut(lane) {
            self.retried += 1;
            line.cause = cause;
            line.not_before = Some(now + line.backoff.failed(unit).max(wait));
            line.put_back(entries);
        }
    }

    /// Everything that was given so far goes now; [`Do::Flushed`] tells when it is settled.
    pub(super) fn flush(&mut self, id: u64, now: Duration) {
        self.flushes.push((self.last, id));
        self.go_on(now);
    }

    /// When [`Plan::tick`] is to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let free = self.under_way < REQUESTS_MAX;
        let idle = self.lines.values().filter(|line| line.under_way.is_empty());
        let dues = idle.filter_map(|line| {
            let given_up = line.waiting.front()?.given + self.settings.give_up_after;
            let due = free.then(|| self.due(line));
            due.into_iter().chain([given_up]).min()
        });
        dues.min()
    }

    /// Time went on.
    pub(super) fn tick(&mut self, now: Duration) {
        let give_up_after = self.settings.give_up_after;
        let mut given_up = Vec::new();
        for line in self.lines.values_mut() {
            let over = |entry: &Entry| entry.given + give_up_after <= now;
            while line.under_way.is_empty() && line.waiting.front().is_some_and(over) {
                given_up.extend(line.pop().map(|entry| (entry, line.cause.clone())));
            }
        }
        for (entry, cause) in given_up {
            let cause = if entry.sent {
                format!("{cause}; it is not known whether it was accepted")
            } else {
                format!("it was not sent: {cause}")
            };
            self.settle(&entry, Err(Error::GivenUp { cause }));
        }
        self.go_on(now);
    }

    /// Sends what is due, and tells of flushes that are done.
    fn go_on(&mut self, now: Duration) {
        for _ in 0..self.turns.len() {
            let Some(lane) = self.turns.pop_front() else {
                break;
            };
            self.send_if_due(&lane, now);
            if self.lines.get(&lane).is_some_and(|line| !line.is_empty()) {
                self.turns.push_back(lane);
            } else {
                self.lines.remove(&lane);
            }
        }
        let settled_below = self.unsettled.first().copied().unwrap_or(u64::MAX);
        let out = &mut self.out;
        self.flushes.retain(|(last, id)| {
            let waits = *last >= settled_below;
            if !waits {
                out.push_back(Do::Flushed(*id));
            }
            waits
        });
    }

    fn send_if_due(&mut self, lane: &Lane, now: Duration) {
        let idle = |line: &&Line| line.under_way.is_empty() && !line.waiting.is_empty();
        let line = self.lines.get(lane).filter(idle);
        let due = line.is_some_and(|line| self.due(line) <= now);
        if !due || self.under_way >= REQUESTS_MAX {
            return;
        }
        let bytes_max = self.settings.batch_bytes;
        let Some(line) = self.lines.get_mut(lane) else {
            return;
        };
        let mut bytes = 0;
        while let Some(first) = line.waiting.front()
            && line.under_way.len() < line.most
            && (line.under_way.is_empty() || bytes + first.json.len() <= bytes_max)
        {
            // The comma between two counts.
            bytes += first.json.len() + 1;
            let Some(mut entry) = line.pop() else {
                break;
            };
            entry.sent = true;
            line.under_way.push(entry);
        }
        self.under_way += 1;
        let batch = line.under_way.iter().map(|entry| entry.json.clone());
        self.out.push_back(Do::Send(lane.clone(), batch.collect()));
    }

    /// When the next request of a lane goes.
    fn due(&self, line: &Line) -> Duration {
        let Some(first) = line.waiting.front() else {
            return Duration::MAX;
        };
        let full = line.waiting.len() >= line.most || line.bytes >= self.settings.batch_bytes;
        let flushed = self.flushes.iter().any(|(last, _)| *last >= first.id);
        let gathered = if full || flushed || first.sent {
            Duration::ZERO
        } else {
            first.given + self.settings.linger
        };
        gathered.max(line.not_before.unwrap_or_default())
    }

    fn settle(&mut self, entry: &Entry, outcome: Result<Confirm, Error>) {
        self.unsettled.remove(&entry.id);
        self.out.push_back(Do::Outcome(entry.id, outcome));
    }

    fn most_of(&self, lane: &Lane) -> usize {
        match lane {
            Lane::Topic(_) | Lane::Direct => self.settings.batch_messages,
            Lane::Room(_) => 1,
        }
    }
}

impl Line {
    const fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            under_way: Vec::new(),
            not_before: None,
            backoff: Backoff::new(BACKOFF_MIN, BACKOFF_MAX),
            most,
            cause: String::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.bytes -= entry.json.len();
        Some(entry)
    }

    /// In their order, before what waits.
    fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.bytes += entry.json.len();
            self.waiting.push_front(entry);
        }
    }
}
