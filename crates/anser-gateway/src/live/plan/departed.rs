//! Users who left with messages that they were given and did not acknowledge: those may have arrived, and are marked when
//! they come again. A number a user, whatever the size of the mailbox.

use std::collections::HashMap;

use anser_core::id::Num;
use anser_core::name::UserId;
use anser_core::store::DeliveryRow;

/// Users of whom it is known by itself; past it all are marked that anybody might have been given.
const DEPARTED_MAX: usize = 65_536;

/// What may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    /// Everything up to this message.
    pub(super) up_to: Num,
    /// And what was scheduled, which comes out of the order of its numbers.
    pub(super) scheduled: bool,
}

impl Given {
    /// Nothing.
    pub(super) const NONE: Self = Self {
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
    pub(super) fn covers(self, row: &DeliveryRow) -> bool {
        if row.scheduled {
            self.scheduled
        } else {
            row.id.num() <= self.up_to
        }
    }
}

/// Everybody who left so.
#[derive(Debug, Default)]
pub(super) struct Departed {
    users: HashMap<UserId, Given>,
    /// Of those there was no room for.
    others: Option<Given>,
}

impl Departed {
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
