//! What a session may do, by patterns of names. Pure.

use anser_core::name::UserId;
use anser_core::{Problem, ProblemKind};

use crate::glob::{pattern_matches, topic_matches};

/// Which names a right is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Every one.
    All,
    /// Those that a pattern covers: `*` stands for any run of characters.
    Only(Vec<String>),
}

impl Allowed {
    /// No one.
    #[must_use]
    pub const fn none() -> Self {
        Self::Only(Vec::new())
    }

    fn covers(&self, name: &str, ignoring_case: bool) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns
                .iter()
                .any(|pattern| pattern_matches(pattern, name, ignoring_case)),
        }
    }
}

/// What a session may do. Rooms that are open, or that name the user as a member, are allowed beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Topics it may publish to.
    pub publish: Allowed,
    /// Topics it may read.
    pub read: Allowed,
    /// Rooms it may read and publish to, by name.
    pub rooms: Allowed,
    /// Direct addresses it may send to (`user:*`, `ops/*`); rooms are in `rooms`.
    pub send: Allowed,
    /// Users whose presence it may see without being approved, by id.
    pub see: Allowed,
}

impl Rights {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            publish: Allowed::none(),
            read: Allowed::none(),
            rooms: Allowed::none(),
            send: Allowed::none(),
            see: Allowed::none(),
        }
    }

    /// Refuses a topic that the session may not read. A system topic takes the right to all, or a pattern that begins
    /// with `$` too.
    ///
    /// # Errors
    /// 403 `topic_not_allowed`.
    pub fn require_read(&self, topic: &str) -> Result<(), Problem> {
        let covered = match &self.read {
            Allowed::All => true,
            Allowed::Only(patterns) => patterns.iter().any(|pattern| topic_matches(pattern, topic)),
        };
        if covered {
            return Ok(());
        }
        Err(forbidden(
            "topic_not_allowed",
            format!(
                "this session may not read the topic {topic}; its key or token does not name it"
            ),
        )
        .field("topic"))
    }

    /// Whether the session may use a room by its own right.
    #[must_use]
    pub fn covers_room(&self, room: &str) -> bool {
        self.rooms.covers(room, true)
    }

    /// Whether the session may see a user without being approved.
    #[must_use]
    pub fn covers_presence(&self, user: &UserId) -> bool {
        self.see.covers(user.as_str(), false)
    }
}

/// A refusal for want of a right.
pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Forbidden, code, detail)
}
