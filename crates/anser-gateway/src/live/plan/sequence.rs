//! The order in which committed messages are told to sessions: that of their numbers. Requests learn of their commits in
//! any order; what a session saw last is where it goes on after a cut, so nothing may come behind it later.

use std::collections::{BTreeMap, BTreeSet};

use anser_core::id::Num;

/// Holds back a message until no commit that may have a lower number is still to be told of.
#[derive(Debug)]
pub(super) struct Sequence<T> {
    /// Everything up to this was released.
    released: Num,
    /// Commits under way, by number.
    open: BTreeSet<u64>,
    next: u64,
    held: BTreeMap<Num, Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    /// Commits that began later have higher numbers.
    barrier: u64,
    message: T,
}

impl<T> Sequence<T> {
    /// The next number is above `highest`.
    pub(super) const fn above(highest: Num) -> Self {
        Self {
            released: highest,
            open: BTreeSet::new(),
            next: 0,
            held: BTreeMap::new(),
        }
    }

    /// Everything up to this was released.
    pub(super) const fn released(&self) -> Num {
        self.released
    }

    /// No message above this is known to be committed.
    pub(super) fn known(&self) -> Num {
        let held = self.held.last_key_value().map(|(num, _)| *num);
        held.map_or(self.released, |num| num.max(self.released))
    }

    /// A commit begins.
    pub(super) fn begin(&mut self) -> u64 {
        self.next += 1;
        self.open.insert(self.next);
        self.next
    }

    /// Messages of commits that are under way, in the order of their numbers.
    pub(super) fn committed(&mut self, messages: impl IntoIterator<Item = (Num, T)>) {
        let barrier = self.next + 1;
        for (num, message) in messages {
            self.held.insert(num, Held { barrier, message });
        }
    }

    /// A commit ended, whatever became of it.
    pub(super) fn end(&mut self, commit: u64) {
        self.open.remove(&commit);
    }

    /// The next message whose turn has come.
    pub(super) fn next_released(&mut self) -> Option<(Num, T)> {
        let first = self.held.first_entry()?;
        let num = *first.key();
        let follows = num.0 <= self.released.0 + 1;
        let lower_may_come = self
            .open
            .first()
            .is_some_and(|oldest| *oldest < first.get().barrier);
        if lower_may_come && !follows {
            return None;
        }
        let message = first.remove().message;
        self.released = self.released.max(num);
        Some((num, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(sequence: &mut Sequence<char>) -> String {
        std::iter::from_fn(|| sequence.next_released().map(|(_, message)| message)).collect()
    }

    #[test]
    fn messages_are_released_in_the_order_of_their_numbers() {
        let mut sequence = Sequence::above(Num(10));
        let (first, second) = (sequence.begin(), sequence.begin());
        sequence.committed([(Num(12), 'b')]);
        sequence.end(second);
        assert_eq!(released(&mut sequence), "", "11 is still to be told of");
        let third = sequence.begin();
        sequence.committed([(Num(11), 'a')]);
        sequence.end(first);
        assert_eq!(released(&mut sequence), "ab");
        sequence.committed([(Num(13), 'c')]);
        assert_eq!(
            released(&mut sequence),
            "c",
            "the next number waits for nobody"
        );
        sequence.end(third);
        assert_eq!(sequence.released(), Num(13));
    }

    #[test]
    fn a_number_that_never_comes_holds_up_nobody_once_its_commit_ended() {
        let mut sequence = Sequence::above(Num(0));
        let failed = sequence.begin();
        let good = sequence.begin();
        sequence.committed([(Num(2), 'b')]);
        sequence.end(good);
        assert_eq!(released(&mut sequence), "");
        let later = sequence.begin();
        sequence.end(failed);
        assert_eq!(
            released(&mut sequence),
            "b",
            "what began later has a higher number"
        );
        sequence.end(later);
    }
}
