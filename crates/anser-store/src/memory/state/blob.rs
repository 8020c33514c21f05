//! The model's blobs: who refers to what is read from the messages, so that no count can be wrong.

use anser_core::Timestamp;
use anser_core::blob::BlobHash;
use anser_core::store::{BlobDoom, BlobRow, BlobTotals};

use super::State;

/// What is known of a blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    size: u64,
    /// When it was put or referred to last; `None`: it is doomed.
    touched: Option<Timestamp>,
}

impl State {
    pub(in crate::memory) fn blob_announce(&mut self, hash: BlobHash, size: u64) {
        let doomed = Known {
            size,
            touched: None,
        };
        self.blobs.entry(hash).or_insert(doomed);
    }

    pub(in crate::memory) fn blob_put(&mut self, hash: BlobHash, size: u64, at: Timestamp) {
        self.blob_announce(hash, size);
        self.touch(&[hash], at);
    }

    pub(super) fn touch(&mut self, hashes: &[BlobHash], at: Timestamp) {
        for hash in hashes {
            if let Some(known) = self.blobs.get_mut(hash) {
                known.touched = known.touched.max(Some(at));
            }
        }
    }

    pub(super) fn is_usable(&self, hash: &BlobHash) -> bool {
        let known = self.blobs.get(hash);
        known.is_some_and(|known| known.touched.is_some())
    }

    pub(in crate::memory) fn blobs(&self, hashes: &[BlobHash]) -> Vec<BlobRow> {
        let usable = hashes.iter().filter(|hash| self.is_usable(hash));
        let row = |hash: &BlobHash| BlobRow {
            hash: *hash,
            size: self.blobs[hash].size,
        };
        usable.map(row).collect()
    }

    pub(in crate::memory) fn blob_doom(&mut self, doom: &BlobDoom) -> Vec<BlobHash> {
        let mut idle: Vec<(Timestamp, BlobHash)> = Vec::new();
        for (hash, known) in &self.blobs {
            if let Some(touched) = known.touched
                && touched < doom.untouched_since
                && !self.is_referred(hash)
            {
                idle.push((touched, *hash));
            }
        }
        idle.sort_unstable();
        for (_, hash) in idle.into_iter().take(doom.limit) {
            if let Some(known) = self.blobs.get_mut(&hash) {
                known.touched = None;
            }
        }
        let doomed = self.blobs.iter().filter(|(hash, known)| {
            known.touched.is_none() && doom.after.is_none_or(|after| **hash > after)
        });
        doomed.map(|(hash, _)| *hash).take(doom.limit).collect()
    }

    fn is_referred(&self, hash: &BlobHash) -> bool {
        self.messages.values().any(|kept| kept.blobs.contains(hash))
    }

    pub(in crate::memory) fn blob_remove(&mut self, hash: BlobHash) -> bool {
        let doomed = self.blobs.contains_key(&hash) && !self.is_usable(&hash);
        if doomed {
            self.blobs.remove(&hash);
        }
        doomed
    }

    pub(in crate::memory) fn blob_totals(&self) -> BlobTotals {
        let usable = self.blobs.values().filter(|known| known.touched.is_some());
        usable.fold(BlobTotals::default(), |totals, known| BlobTotals {
            count: totals.count + 1,
            bytes: totals.bytes + known.size,
        })
    }
}
