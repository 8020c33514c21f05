//! Rooms as written: who may come in, and how long what was said there is kept. Must not know who is there.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_description, in_range};
use crate::name::UserId;
use crate::problem::Problem;

/// Members of one room.
pub const ROOM_MEMBERS_MAX: usize = 10_000;
/// Bytes of a room's name: its topic's is longer.
pub const ROOM_NAME_BYTES_MAX: usize = 100;
/// How long a room's history can be, in seconds.
const HISTORY_MAX: u64 = 10 * 365 * 24 * 3600;
/// How long a room's history is unless set otherwise, in seconds.
const HISTORY_DEFAULT: u64 = 7 * 24 * 3600;

/// A room: what is sent to `room:NAME` goes to every live session that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomSpec {
    /// Whether every user may come in; default no, only members and those whose key or token names the room.
    pub open: bool,
    /// Users who may come in, by id.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 10_000))]
    pub members: BTreeSet<UserId>,
    /// Seconds for which messages are kept; default 7 days. 0: they are not stored, and only who is there gets them.
    #[schemars(range(min = 0, max = 315_360_000))]
    pub history: u64,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

impl Default for RoomSpec {
    fn default() -> Self {
        Self {
            open: false,
            members: BTreeSet::new(),
            history: HISTORY_DEFAULT,
            description: None,
        }
    }
}

impl RoomSpec {
    /// Checks the room.
    ///
    /// # Errors
    /// `too_many`, `out_of_range`, `invalid_text`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())?;
        if self.members.len() > ROOM_MEMBERS_MAX {
            let detail = format!(
                "may have at most {ROOM_MEMBERS_MAX} members, has {}; open the room, or name it in tokens",
                self.members.len()
            );
            return Err(Problem::invalid("too_many", "members", detail));
        }
        in_range("history", self.history, 0, HISTORY_MAX)
    }

    /// Whether a user may come in without a right of the key or token.
    #[must_use]
    pub fn lets_in(&self, user: Option<&UserId>) -> bool {
        user.is_some_and(|user| self.open || self.members.contains(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_lets_in_its_members_or_every_user() {
        let user = |id| UserId::parse("user", id).unwrap();
        let mut room: RoomSpec =
            serde_json::from_value(serde_json::json!({"members": ["ann"]})).unwrap();
        room.check().unwrap();
        assert!(room.lets_in(Some(&user("ann"))) && !room.lets_in(Some(&user("eve"))));
        room.open = true;
        assert!(room.lets_in(Some(&user("eve"))) && !room.lets_in(None));
        room.history = HISTORY_MAX + 1;
        assert_eq!(room.check().unwrap_err().code, "out_of_range");
    }
}
