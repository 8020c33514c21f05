//! Journals as the writer changes them. Must not read what an entry says.

use anser_core::id::ResourceId;
use anser_core::store::JournalRow;
use rusqlite::params;

use super::Session;
use crate::sqlite::failure::Failure;
use crate::sqlite::journal;

impl Session<'_> {
    pub(super) fn journal_write(
        &self,
        channel: ResourceId,
        entries: &[JournalRow],
        keep: u64,
    ) -> Result<(), Failure> {
        let owner = channel.0.cast_signed();
        for entry in entries {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO journal(channel, number, document, sum) VALUES(?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    owner,
                    entry.number.cast_signed(),
                    entry.document.as_ref(),
                    journal::sum(channel, entry),
                ])?;
        }
        let greatest = entries.iter().map(|entry| entry.number).max();
        if let Some(last) = greatest.and_then(|greatest| greatest.checked_sub(keep)) {
            self.connection
                .prepare_cached("DELETE FROM journal WHERE channel = ?1 AND number <= ?2")?
                .execute([owner, last.cast_signed()])?;
        }
        Ok(())
    }

    /// Forgets the journal of a channel that is removed.
    pub(super) fn journal_forget(&self, channel: ResourceId) -> Result<(), Failure> {
        self.connection
            .prepare_cached("DELETE FROM journal WHERE channel = ?1")?
            .execute([channel.0.cast_signed()])?;
        Ok(())
    }
}
