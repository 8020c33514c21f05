//! Questions between sessions: whoever asks gets exactly one outcome, an answer or an error, also when the other side goes
//! away or stays silent. What comes later, twice or from somebody else is nobody's.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::live::{Event, IqEvent, IqType};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{Plan, Timer};

/// How long an answer may take.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Questions of one session that may be open.
pub const QUESTIONS_MAX: usize = 64;
/// What the id of a question begins with, as it is put to the one who is asked.
const PREFIX: &str = "q";

/// An open question.
#[derive(Debug)]
pub(super) struct Open {
    asker: u64,
    /// The asker's own id.
    id: String,
    /// Who is to answer.
    asked: u64,
}

/// Why a question cannot be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// The asker has one of that id open.
    Doubled,
    /// The asker has too many open.
    TooMany,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nobody is there to answer, or not any more.
    Gone,
    /// It took too long.
    Timeout,
    /// The server, or the session that asked, came to its end meanwhile.
    Lost,
    /// The server does not know what is asked.
    Unknown,
}

impl NoAnswer {
    /// What the asker is told.
    pub(crate) fn event(self, id: String) -> Event {
        let (code, detail) = match self {
            Self::Gone => ("service-unavailable", "nobody is there to answer"),
            Self::Timeout => ("timeout", "there was no answer in time"),
            Self::Lost => (
                "service-unavailable",
                "the session or the server ended before there was an answer; ask again",
            ),
            Self::Unknown => (
                "service-unavailable",
                "the server does not know this question; ask {\"query\":\"features\"}",
            ),
        };
        let payload = to_raw_value(&json!({"code": code, "detail": detail})).ok();
        outcome(id, IqType::Error, "server".to_owned(), payload)
    }
}

/// The event that ends a question.
pub(crate) fn outcome(
    id: String,
    r#type: IqType,
    from: String,
    payload: Option<Box<RawValue>>,
) -> Event {
    Event::Iq(IqEvent {
        id,
        r#type,
        from,
        payload,
    })
}

impl Plan {
    /// Checks that a session may ask another question under this id.
    pub(crate) fn check_question(&self, asker: u64, id: &str) -> Result<(), NotAsked> {
        let mut own = 0;
        for open in self.questions.values().filter(|open| open.asker == asker) {
            if open.id == id {
                return Err(NotAsked::Doubled);
            }
            own += 1;
        }
        if own >= QUESTIONS_MAX {
            Err(NotAsked::TooMany)
        } else {
            Ok(())
        }
    }

    /// The session of a user that answers questions: the one of that resource, else the one with the highest priority; of
    /// equals the newest. One with a priority below 0 wants none (RFC 6121 §8.5.2.1.1).
    pub(crate) fn answerer(&self, user: &str, resource: Option<&str>) -> Option<u64> {
        let sessions = self.users.get(user)?.sessions.iter();
        let begun = sessions.filter_map(|number| {
            let live = self.sessions.get(number)?;
            live.begun.then_some((*number, live))
        });
        let fitting = begun.filter(|(_, live)| match resource {
            Some(resource) => *live.resource == *resource,
            None => live.presence.priority >= 0,
        });
        let best = fitting.max_by_key(|(number, live)| (live.presence.priority, *number));
        best.map(|(number, _)| number)
    }

    /// Puts a question to a session; `event` makes it from the id that the answer is to name.
    pub(crate) fn put_question(
        &mut self,
        (asker, id): (u64, String),
        asked: u64,
        event: impl FnOnce(String) -> Event,
        now: Timestamp,
    ) {
        self.last_question += 1;
        let key = self.last_question;
        self.questions.insert(key, Open { asker, id, asked });
        self.timers
            .insert((now.plus(ANSWER_WITHIN), Timer::Question(key)));
        self.push(asked, event(format!("{PREFIX}{key}")), now);
    }

    /// A session answers; whether the question was open, and its to answer.
    pub(crate) fn answer(
        &mut self,
        asked: u64,
        id: &str,
        event: impl FnOnce(String) -> Event,
        now: Timestamp,
    ) -> bool {
        let key = id.strip_prefix(PREFIX).and_then(|key| key.parse().ok());
        let Some(key) = key else {
            return false;
        };
        if self
            .questions
            .get(&key)
            .is_none_or(|open| open.asked != asked)
        {
            return false;
        }
        if let Some(open) = self.questions.remove(&key) {
            self.answered(open.asker, event(open.id), now);
        }
        true
    }

    /// The time for an answer is over.
    pub(super) fn question_over(&mut self, key: u64, now: Timestamp) {
        if let Some(open) = self.questions.remove(&key) {
            self.no_answer(open.asker, open.id, NoAnswer::Timeout, now);
        }
    }

    /// A session ended: what it was asked has no answer, and what it asked nobody waits for.
    pub(super) fn forget_questions(&mut self, number: u64, now: Timestamp) {
        let concerns = |open: &Open| open.asker == number || open.asked == number;
        let concerned = self.questions.iter().filter(|(_, open)| concerns(open));
        let keys: Vec<u64> = concerned.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(open) = self.questions.remove(&key) else {
                continue;
            };
            // Nobody is there to be told of what the session itself asked.
            let why = if open.asker == number {
                NoAnswer::Lost
            } else {
                NoAnswer::Gone
            };
            self.no_answer(open.asker, open.id, why, now);
        }
    }
}
