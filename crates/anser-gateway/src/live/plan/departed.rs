//! Users who left with messages that they were given and did not acknowledge: those may have arrived, and are marked when
//! they come again. A number a user, whatever the size of the mailbox; it outlives the run, and a run that was killed leaves
//! everything in doubt that it had taken.

use std::collections::HashMap;

use anser_core::id::Num;
use anser_core::name::UserId;
use anser_core::store::DeliveryRow;

use super::Plan;

/// Users of whom it is known by itself; past it all are marked that anybody might have been given.
const DEPARTED_MAX: usize = 65_536;

/// Why it may have been given before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The gateway stopped uncleanly.
    Restart,
    /// A session that had it ended.
    Session,
}

/// What may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Everything up to this message.
    pub(crate) up_to: Num,
    /// And what was scheduled, which comes out of the order of its numbers.
    pub(crate) scheduled: bool,
}

impl Given {
    /// Nothing.
    pub(crate) const NONE: Self = Self {
        up_to: Num(0),
        scheduled: false,
    };

    fn and(self, other: Self) -> Self {
        Self {
            up_to: self.up_to.max(other.up_to),
            scheduled: self.scheduled || other.scheduled,
        }
    }

    /// Whether this delivery may have been given.
    fn covers(self, row: &DeliveryRow) -> bool {
        if row.scheduled {
            self.scheduled
        } else {
            row.id.num() <= self.up_to
        }
    }
}

/// Everybody who left so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Departed {
    /// Everything up to here may have been given by a run that did not end properly.
    pub(crate) killed: Num,
    pub(crate) users: HashMap<UserId, Given>,
    /// Of those there was no room for.
    pub(crate) others: Option<Given>,
}

impl Default for Departed {
    fn default() -> Self {
        Self {
            killed: Num(0),
            users: HashMap::new(),
            others: None,
        }
    }
}

impl Departed {
    /// Why this delivery may have been given before, to a user who is back with what `given` says.
    pub(super) fn doubt(&self, given: Given, row: &DeliveryRow) -> Option<Doubt> {
        if row.id.num() <= self.killed {
            Some(Doubt::Restart)
        } else {
            given.covers(row).then_some(Doubt::Session)
        }
    }

    /// A user leaves.
    pub(super) fn remember(&mut self, user: &UserId, given: Given) {
        if given == Given::NONE {
            return;
        }
        if self.users.len() >= DEPARTED_MAX && !self.users.contains_key(user) {
            self.others = Some(self.others.map_or(given, |others| others.and(given)));
            return;
        }
        let known = self.users.entry(user.clone()).or_insert(given);
        *known = known.and(given);
    }

    /// A user is back; answers what may have arrived.
    pub(super) fn recall(&mut self, user: &UserId) -> Given {
        let known = self.users.remove(user).unwrap_or(Given::NONE);
        self.others.map_or(known, |others| others.and(known))
    }
}

impl Plan {
    /// What users were given by earlier runs is known.
    pub(crate) fn recall_departed(&mut self, departed: Departed) {
        self.departed = departed;
    }

    /// What users were given and did not acknowledge, for the next run.
    pub(crate) fn departing(&self) -> Departed {
        let mut departed = self.departed.clone();
        for (user, known) in &self.users {
            departed.remember(user, known.mailbox.given());
        }
        departed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_everybody_may_have_been_given_what_anybody_was() {
        let mut departed = Departed::default();
        let user = |n: usize| UserId::parse("user", &format!("u{n}")).unwrap();
        let given = |num| Given {
            up_to: Num(num),
            scheduled: false,
        };
        departed.remember(&user(0), Given::NONE);
        for n in 0..DEPARTED_MAX {
            departed.remember(&user(n), given(7));
        }
        assert_eq!(departed.recall(&user(DEPARTED_MAX)), Given::NONE);
        departed.remember(&user(DEPARTED_MAX), given(9));
        assert_eq!(departed.users.len(), DEPARTED_MAX);
        assert_eq!(departed.recall(&user(DEPARTED_MAX)), given(9));
        assert_eq!(departed.recall(&user(0)), given(9));
        assert_eq!(departed.users.len(), DEPARTED_MAX - 1);
    }
}
