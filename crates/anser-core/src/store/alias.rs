//! What platforms call messages: under which names of theirs a message is known, for those who look from there. The store
//! only compares names; whoever makes them knows the platforms.

use crate::id::Num;

/// A platform's name for a message, with the chat that it is valid in, as 128 bits of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasKey(pub [u8; 16]);

/// What a message is to the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AliasKind {
    /// It came in under that name.
    Original,
    /// It says that what has that name was edited.
    Edited,
    /// It says that what has that name was taken back.
    Recalled,
    /// A copy of it went out and was given that name.
    Copy,
}

impl AliasKind {
    /// The number it is stored as; never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Original => 0,
            Self::Edited => 1,
            Self::Recalled => 2,
            Self::Copy => 3,
        }
    }

    /// The kind stored as `code`.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Original, Self::Edited, Self::Recalled, Self::Copy]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// A name that a new message is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub key: AliasKey,
    /// What the message is to it.
    pub kind: AliasKind,
}

/// A message that is known by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub num: Num,
    /// What it is to the name.
    pub kind: AliasKind,
}
