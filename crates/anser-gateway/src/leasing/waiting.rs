//! Who waits for which queue, who is woken, and when a queue that is waited for is looked at again. Pure: signals are
//! whatever the caller says they are, and it is told the time.
//!
//! A receive that waits has a ticket and is either trying (asking the store) or asleep. What arrives wakes those asleep,
//! the longest waiting first, one for each message. It may also come while somebody is trying, after the store has
//! looked: such a wake is kept as a credit, and whoever comes back empty takes one and tries again. So nobody is asleep
//! while there is a credit, and there are never more credits than receives trying.

use std::collections::{BTreeMap, HashMap};

use anser_core::Timestamp;
use anser_core::store::Group;

use super::alarms::Alarms;

/// One receive that waits; lower ones have waited longer.
pub(super) type Ticket = u64;

/// Why a receive cannot wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait already.
    Full,
    /// Nobody waits any more.
    Closed,
}

/// What becomes of a receive that found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is asleep until its signal.
    Asleep,
    /// Something came meanwhile.
    TryAgain,
    /// Nobody waits any more.
    Closed,
}

/// Everybody who waits.
#[derive(Debug)]
pub(super) struct Waiting<S> {
    lines: HashMap<Group, Line<S>>,
    alarms: Alarms,
    count: usize,
    most: usize,
    next: Ticket,
    closed: bool,
}

/// Those who wait for one queue.
#[derive(Debug)]
struct Line<S> {
    asleep: BTreeMap<Ticket, S>,
    trying: usize,
    credits: usize,
}

impl<S> Default for Line<S> {
    fn default() -> Self {
        Self {
            asleep: BTreeMap::new(),
            trying: 0,
            credits: 0,
        }
    }
}

impl<S> Waiting<S> {
    /// Nobody yet, and at most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: HashMap::new(),
            alarms: Alarms::default(),
            count: 0,
            most,
            next: 0,
            closed: false,
        }
    }

    /// A receive begins to wait, by trying. To be called before it tries.
    pub(super) fn enter(&mut self, queue: Group) -> Result<Ticket, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        if self.count >= self.most {
            return Err(Refused::Full);
        }
        self.count += 1;
        self.next += 1;
        self.lines.entry(queue).or_default().trying += 1;
        Ok(self.next)
    }

    /// A receive tried and found nothing. What the store said to be due later was [armed](Self::arm) before.
    pub(super) fn sleep(&mut self, queue: Group, ticket: Ticket, signal: S) -> Sleep {
        if self.closed {
            return Sleep::Closed;
        }
        let line = self.lines.entry(queue).or_default();
        if line.credits > 0 {
            line.credits -= 1;
            return Sleep::TryAgain;
        }
        line.trying = line.trying.saturating_sub(1);
        line.asleep.insert(ticket, signal);
        Sleep::Asleep
    }

    /// So many messages can be received now: answers whom to signal. They are trying from here on.
    pub(super) fn wake(&mut self, queue: Group, messages: usize) -> Vec<S> {
        let Some(line) = self.lines.get_mut(&queue) else {
            return Vec::new();
        };
        let tried_before = line.trying;
        let mut woken = Vec::new();
        while woken.len() < messages
            && let Some((_, signal)) = line.asleep.pop_first()
        {
            line.trying += 1;
            woken.push(signal);
        }
        let left = messages - woken.len();
        line.credits = line.credits.saturating_add(left).min(tried_before);
        woken
    }

    /// A receive ends. With `owes` it was woken and has not tried since: the next one is woken for it.
    pub(super) fn leave(&mut self, queue: Group, ticket: Ticket, owes: bool) -> Vec<S> {
        let Some(line) = self.lines.get_mut(&queue) else {
            return Vec::new();
        };
        self.count = self.count.saturating_sub(1);
        let mut woken = Vec::new();
        if line.asleep.remove(&ticket).is_none() {
            line.trying = line.trying.saturating_sub(1);
            line.credits = line.credits.min(line.trying);
            if owes {
                woken = self.wake(queue, 1);
            }
        }
        self.forget_if_empty(queue);
        woken
    }

    /// A receive's time is up. False when it was woken just now: it must try once more.
    pub(super) fn give_up(&mut self, queue: Group, ticket: Ticket) -> bool {
        let line = self.lines.get_mut(&queue);
        let asleep = line.is_some_and(|line| line.asleep.remove(&ticket).is_some());
        if asleep {
            self.count = self.count.saturating_sub(1);
            self.forget_if_empty(queue);
        }
        asleep
    }

    /// Nobody waits from here on: answers whom to signal.
    pub(super) fn close(&mut self) -> Vec<S> {
        self.closed = true;
        self.wake_all(|_| true)
    }

    /// Whether nobody waits any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Wakes everybody who waits for such a queue.
    pub(super) fn wake_all(&mut self, wanted: impl Fn(Group) -> bool) -> Vec<S> {
        let mut woken = Vec::new();
        for (queue, line) in &mut self.lines {
            if wanted(*queue) {
                line.trying += line.asleep.len();
                woken.extend(std::mem::take(&mut line.asleep).into_values());
            }
        }
        woken
    }

    /// How many wait.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Something in the queue is due then; of interest only while somebody waits. Every try tells what the store said,
    /// whatever it found: the alarm that woke it was for all.
    pub(super) fn arm(&mut self, queue: Group, due: Timestamp) {
        if self.lines.contains_key(&queue) {
            self.alarms.arm(queue, due);
        }
    }

    /// The earliest alarm.
    pub(super) fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.next()
    }

    /// Time has passed: wakes one for each queue whose alarm is due. It finds out what there is, and wakes the next.
    pub(super) fn ring(&mut self, now: Timestamp) -> Vec<S> {
        let due = self.alarms.take_due(now);
        due.into_iter()
            .flat_map(|queue| self.wake(queue, 1))
            .collect()
    }

    fn forget_if_empty(&mut self, queue: Group) {
        let empty = |line: &Line<S>| line.trying == 0 && line.asleep.is_empty();
        if self.lines.get(&queue).is_some_and(empty) {
            self.lines.remove(&queue);
            self.alarms.disarm(queue);
        }
    }
}

#[cfg(test)]
mod tests;
