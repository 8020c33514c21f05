//! What operators are shown of all sessions together: what was counted since the start, and how things are now. Must not
//! decide anything.

use anser_core::Timestamp;
use anser_core::live::{CloseReason, Event};

use super::{NoAnswer, Plan};

/// Why sessions end, in the order of their counters.
const REASONS: [CloseReason; 9] = [
    CloseReason::Goodbye,
    CloseReason::Lost,
    CloseReason::Kicked,
    CloseReason::Slow,
    CloseReason::Replaced,
    CloseReason::Expired,
    CloseReason::Revoked,
    CloseReason::Malformed,
    CloseReason::ServerStopping,
];

/// How questions end, in the order of their counters, with their names.
const OUTCOMES: [(Option<NoAnswer>, &str); 5] = [
    (None, "answered"),
    (Some(NoAnswer::Gone), "gone"),
    (Some(NoAnswer::Timeout), "timeout"),
    (Some(NoAnswer::Lost), "lost"),
    (Some(NoAnswer::Unknown), "unknown"),
];

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    closed: [u64; REASONS.len()],
    questions: [u64; OUTCOMES.len()],
    pub(super) transitions: u64,
}

impl Counts {
    /// A session ended.
    pub(super) fn closed(&mut self, reason: CloseReason) {
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            self.closed[place] += 1;
        }
    }

    /// A question came to its end; `None`: it was answered.
    pub(super) fn question(&mut self, end: Option<NoAnswer>) {
        if let Some(place) = OUTCOMES.iter().position(|(known, _)| *known == end) {
            self.questions[place] += 1;
        }
    }
}

/// What operators are shown of all sessions together.
#[derive(Debug, Clone, Default)]
pub struct Census {
    counts: Counts,
    /// Sessions that are given nothing until they acknowledge, or take what they were given.
    pub(crate) paused: usize,
    /// Bytes that wait to be taken.
    pub(crate) unsent_bytes: usize,
    /// Messages that wait for users who are connected.
    pub(crate) mail_waiting: usize,
    /// Questions that wait for their answer.
    pub(crate) questions_open: usize,
}

impl Census {
    /// Sessions that ended, by reason.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = REASONS.iter().map(|reason| reason.as_str());
        reasons.zip(self.counts.closed)
    }

    /// Questions that came to their end, by outcome.
    pub(crate) fn questions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let outcomes = OUTCOMES.iter().map(|(_, name)| *name);
        outcomes.zip(self.counts.questions)
    }

    /// Changes of users' presence.
    pub(crate) const fn transitions(&self) -> u64 {
        self.counts.transitions
    }
}

impl Plan {
    /// Looks at every session: as dear as the patrol.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census {
            counts: self.counts,
            mail_waiting: self.users.values().map(|user| user.mailbox.waiting()).sum(),
            questions_open: self.questions.len(),
            ..Census::default()
        };
        for live in self.sessions.values().filter(|live| !live.closed) {
            census.paused += usize::from(live.outbox.room() == 0);
            census.unsent_bytes += live.outbox.held().1;
        }
        census
    }

    /// A session's question is not put to anybody: this is its outcome.
    pub(crate) fn no_answer(&mut self, asker: u64, id: String, why: NoAnswer, now: Timestamp) {
        self.counts.question(Some(why));
        self.push(asker, why.event(id), now);
    }

    /// The server answers a session's question itself.
    pub(crate) fn answered(&mut self, asker: u64, answer: Event, now: Timestamp) {
        self.counts.question(None);
        self.push(asker, answer, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_name() {
        let mut counts = Counts::default();
        for (i, reason) in REASONS.into_iter().enumerate() {
            for _ in 0..=i {
                counts.closed(reason);
            }
        }
        counts.question(None);
        counts.question(Some(NoAnswer::Timeout));
        let census = Census {
            counts,
            ..Census::default()
        };
        let closed: Vec<_> = census.closed().collect();
        assert_eq!(
            (closed[0], closed[8]),
            (("goodbye", 1), ("server_stopping", 9))
        );
        let questions: Vec<_> = census.questions().filter(|(_, n)| *n > 0).collect();
        assert_eq!(questions, [("answered", 1), ("timeout", 1)]);
    }
}
