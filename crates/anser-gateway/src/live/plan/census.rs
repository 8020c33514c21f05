//! What operators are shown of all sessions together: what was counted since the start, and how things are now. Must not
//! decide anything.

use anser_core::Timestamp;
use anser_core::live::{CloseReason, Event};

use super::{NoAnswer, Plan};
use crate::metrics::Census;

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

    fn census(&self) -> Census {
        let reasons = REASONS.iter().map(|reason| reason.as_str());
        let outcomes = OUTCOMES.iter().map(|(_, name)| *name);
        Census {
            closed: reasons.zip(self.closed).collect(),
            questions: outcomes.zip(self.questions).collect(),
            presence_changes: self.transitions,
            ..Census::default()
        }
    }
}

impl Plan {
    /// Looks at every session: as dear as the patrol.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census {
            mail_waiting: self.users.values().map(|user| user.mailbox.waiting()).sum(),
            questions_open: self.questions.len(),
            ..self.counts.census()
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
        let census = counts.census();
        assert_eq!(
            (census.closed[0], census.closed[8]),
            (("goodbye", 1), ("server_stopping", 9))
        );
        let had = |outcome: &&(&str, u64)| outcome.1 > 0;
        let questions: Vec<_> = census.questions.iter().filter(had).collect();
        assert_eq!(questions, [&("answered", 1), &("timeout", 1)]);
    }
}
