//! Whose turn it is to fetch a file: two that want the same one wait for one another. Must not know what a file is.

use anser_core::id::MessageId;

/// Locks that keep two from fetching the same file at once. Two files that share one merely wait for one another.
const TURNS: usize = 64;

/// Whose turn it is to fetch.
#[derive(Debug)]
pub(crate) struct Turns([tokio::sync::Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self([const { tokio::sync::Mutex::const_new(()) }; TURNS])
    }
}

impl Turns {
    /// The lock of the file at `place` of message `id`.
    pub(crate) fn of(&self, id: MessageId, place: usize) -> &tokio::sync::Mutex<()> {
        let number = id.as_bytes().last().copied().map_or(0, usize::from);
        &self.0[(number + place) % TURNS]
    }
}
