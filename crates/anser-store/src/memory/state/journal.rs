//! The model's journals.

use anser_core::id::ResourceId;
use anser_core::store::{JournalRow, JournalScan};
use bytes::Bytes;

use super::State;

impl State {
    pub(in crate::memory) fn journal_write(
        &mut self,
        channel: ResourceId,
        entries: &[JournalRow],
        keep: u64,
    ) {
        let greatest = entries.iter().map(|entry| entry.number).max();
        for entry in entries {
            self.journals
                .insert((channel, entry.number), entry.document.clone());
        }
        if let Some(last) = greatest.and_then(|greatest| greatest.checked_sub(keep)) {
            self.journals
                .retain(|(owner, number), _| *owner != channel || *number > last);
        }
    }

    pub(super) fn journal_forget(&mut self, channel: ResourceId) {
        self.journals.retain(|(owner, _), _| *owner != channel);
    }

    pub(in crate::memory) fn journal_read(&self, scan: &JournalScan) -> Vec<JournalRow> {
        let before = scan.before.unwrap_or(u64::MAX);
        let entries = self
            .journals
            .range((scan.channel, 0)..(scan.channel, before));
        let row = |((_, number), document): (&(ResourceId, u64), &Bytes)| JournalRow {
            number: *number,
            document: document.clone(),
        };
        entries.rev().map(row).take(scan.limit).collect()
    }
}
