//! Events on their way to the bots that are connected: each is sent on one line, waits there for its answer, and comes again
//! after the platform's delays when it has none. Must not know how an event looks, nor what is an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::line::Told;

/// Events that may wait; those beyond are lost.
const WAITING_MAX: usize = 100_000;

/// When a platform sends again what was not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    /// For how long an answer is waited for.
    pub(super) patience: Duration,
    /// After which time it comes again, first, second and so on; then it is lost.
    pub(super) again: &'static [Duration],
}

/// An event that was sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// The name that its answer has.
    pub(super) name: u64,
    /// What it says.
    pub(super) event: Value,
}

/// The events of a platform.
#[derive(Debug)]
pub(super) struct Mailbag {
    delays: Delays,
    /// Those that wait, by when they are due.
    waiting: BTreeMap<(Duration, u64), Parcel>,
    /// Those that were sent, by the name that their answers have.
    out: BTreeMap<u64, Out>,
    number: u64,
    /// Those that come no more and were not counted yet.
    missed: usize,
}

#[derive(Debug)]
struct Parcel {
    event: Value,
    tries: usize,
}

#[derive(Debug)]
struct Out {
    line: u64,
    until: Duration,
    parcel: Parcel,
}

impl Mailbag {
    /// An empty one.
    pub(super) const fn new(delays: Delays) -> Self {
        Self {
            delays,
            waiting: BTreeMap::new(),
            out: BTreeMap::new(),
            number: 0,
            missed: 0,
        }
    }

    /// Puts in an event, so many times.
    pub(super) fn put(&mut self, event: &Value, copies: usize, now: Duration) {
        for _ in 0..copies {
            let event = event.clone();
            self.wait(now, Parcel { event, tries: 0 });
        }
    }

    fn wait(&mut self, due: Duration, parcel: Parcel) {
        if self.waiting.len() >= WAITING_MAX {
            self.missed += 1;
            return;
        }
        self.number += 1;
        self.waiting.insert((due, self.number), parcel);
    }

    /// The next event that is due, sent on that line.
    pub(super) fn send(&mut self, line: u64, now: Duration) -> Option<Sent> {
        let first = self.waiting.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let parcel = first.remove();
        self.number += 1;
        let name = self.number;
        let event = parcel.event.clone();
        let until = now + self.delays.patience;
        let out = Out {
            line,
            until,
            parcel,
        };
        self.out.insert(name, out);
        Some(Sent { name, event })
    }

    /// The answer to an event that was sent on that line; what is counted for it.
    pub(super) fn answered(
        &mut self,
        line: u64,
        name: u64,
        taken: bool,
        now: Duration,
    ) -> Option<Told> {
        self.out.get(&name).filter(|out| out.line == line)?;
        let out = self.out.remove(&name)?;
        if taken {
            return Some(Told::Taken);
        }
        self.again(out.parcel, now);
        None
    }

    fn again(&mut self, parcel: Parcel, now: Duration) {
        match self.delays.again.get(parcel.tries) {
            None => self.missed += 1,
            Some(delay) => self.wait(
                now + *delay,
                Parcel {
                    tries: parcel.tries + 1,
                    ..parcel
                },
            ),
        }
    }

    /// The line is gone: what it has not answered comes again.
    pub(super) fn gone(&mut self, line: u64, now: Duration) {
        self.fail(|out| out.line == line, now);
    }

    /// Time has passed: what was not answered for too long comes again. What is to be counted for those that do not.
    pub(super) fn look(&mut self, now: Duration) -> Vec<Told> {
        self.fail(|out| out.until <= now, now);
        vec![Told::Missed; std::mem::take(&mut self.missed)]
    }

    fn fail(&mut self, fails: impl Fn(&Out) -> bool, now: Duration) {
        let failed: Vec<u64> = self
            .out
            .iter()
            .filter(|(_, out)| fails(out))
            .map(|(name, _)| *name)
            .collect();
        for name in failed {
            if let Some(out) = self.out.remove(&name) {
                self.again(out.parcel, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AGAIN: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(300)];

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn bag() -> Mailbag {
        Mailbag::new(Delays {
            patience: second(3),
            again: &AGAIN,
        })
    }

    #[test]
    fn what_is_not_answered_comes_again_after_its_delays_and_is_lost_at_last() {
        let mut bag = bag();
        bag.put(&json!(1), 1, second(0));
        let first = bag.send(1, second(0)).unwrap();
        assert!(bag.send(1, second(0)).is_none(), "each is sent once");
        assert!(bag.look(second(2)).is_empty());
        assert!(bag.look(second(3)).is_empty());
        assert!(bag.send(1, second(17)).is_none());
        let late = bag.answered(1, first.name, true, second(17));
        assert_eq!(late, None, "the answer comes too late");
        let second_try = bag.send(2, second(18)).unwrap();
        assert_ne!(first.name, second_try.name);
        assert_eq!(bag.answered(2, second_try.name, false, second(18)), None);
        let third = bag.send(2, second(318)).unwrap();
        bag.gone(2, second(319));
        assert_eq!(bag.answered(2, third.name, true, second(319)), None);
        assert_eq!(bag.look(second(319)), [Told::Missed]);
        assert!(bag.look(second(9_999)).is_empty());
    }

    #[test]
    fn an_answer_counts_once_and_on_its_own_line() {
        let mut bag = bag();
        bag.put(&json!(1), 2, second(0));
        let one = bag.send(1, second(0)).unwrap();
        let other = bag.send(1, second(0)).unwrap();
        assert_eq!(one.event, other.event);
        assert_eq!(
            bag.answered(1, one.name, true, second(1)),
            Some(Told::Taken)
        );
        assert_eq!(bag.answered(1, one.name, true, second(1)), None);
        assert_eq!(
            bag.answered(1, other.name, true, second(1)),
            Some(Told::Taken)
        );
    }
}
