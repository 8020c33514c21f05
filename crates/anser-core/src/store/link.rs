//! Messages that are about an earlier one: its edits, its recall, and the files of it that were fetched. The store only remembers which there are.

use crate::id::{MessageId, Num};
use crate::time::Timestamp;

/// What a new message is to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The earlier one.
    pub target: Num,
    /// What this one does to it.
    pub kind: LinkKind,
}

/// What a message does to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// It brings new content in place of the old.
    Edited,
    /// It takes the message back.
    Recalled,
    /// It keeps a file of it.
    Fetched,
}

impl LinkKind {
    /// The number it is stored as; never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Edited => 0,
            Self::Recalled => 1,
            Self::Fetched => 2,
        }
    }

    /// The kind stored as `code`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Edited, Self::Recalled, Self::Fetched]
            .into_iter()
            .find(|kind| kind.code() == code)
    }

    /// The `header.type` of such a message.
    #[must_use]
    pub const fn message_type(self) -> &'static str {
        match self {
            Self::Edited => "message.edited",
            Self::Recalled => "message.recalled",
            Self::Fetched => "message.fetched",
        }
    }
}

/// A message that is about an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// Its number.
    pub num: Num,
    /// Its id.
    pub id: MessageId,
    /// When it was accepted.
    pub time: Timestamp,
    /// What it does.
    pub kind: LinkKind,
}
