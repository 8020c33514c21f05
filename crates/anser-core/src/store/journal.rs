//! The journals of connections as a store keeps them: for each channel the newest entries, as documents that it does not
//! read. A journal goes with its channel. Must not know what an entry says.

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::id::ResourceId;

/// An entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Its number in its journal.
    pub number: u64,
    /// What it says.
    pub document: Bytes,
}

/// Which entries of a journal, the newest first.
#[derive(Debug, Clone, Copy)]
pub struct JournalScan {
    /// Whose.
    pub channel: ResourceId,
    /// Only those with a lower number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// The part of [`super::Store`] that keeps journals.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Writes entries, each in the place of the one with its number, and removes those whose number is lower than the
    /// greatest one written by `keep` or more, in one commit.
    ///
    /// # Errors
    /// As [`super::Store::append`]; repeating is safe.
    async fn journal_write(
        &self,
        channel: ResourceId,
        entries: Vec<JournalRow>,
        keep: u64,
    ) -> Result<()>;

    /// A bounded list of entries, by falling number.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn journal_read(&self, scan: JournalScan) -> Result<Vec<JournalRow>>;
}
