//! Removing what nobody needs: doomed blobs, their bytes first, and what uploads left behind. Every step can be cut off
//! and is done again by the next pass.

use anser_core::blob::BlobHash;
use anser_core::limits::BLOB_GRACE;
use anser_core::store::{BlobDoom, StoreError};

use super::Blobs;

/// Blobs doomed in one commit.
const STEP_BLOBS: usize = 100;

impl Blobs {
    /// One pass. An object that cannot be removed now is left to the next one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        match self.temporaries.clean(&self.place).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "leftovers of uploads removed"),
            Err(error) => tracing::warn!(%error, "leftovers of uploads could not be removed"),
        }
        let mut after = None;
        loop {
            let doom = BlobDoom {
                untouched_since: self.handles.clock.now().minus(BLOB_GRACE),
                after,
                limit: STEP_BLOBS,
            };
            let doomed = self.handles.store.blob_doom(doom).await?;
            for hash in &doomed {
                self.remove_doomed(*hash).await?;
            }
            if doomed.len() < STEP_BLOBS {
                break;
            }
            after = doomed.last().copied();
        }
        let totals = self.handles.store.blob_totals().await?;
        self.handles.metrics.blobs_kept(totals);
        Ok(())
    }

    async fn remove_doomed(&self, hash: BlobHash) -> Result<(), StoreError> {
        // Being uploaded: the next pass looks again.
        let Ok(_turn) = self.turn(hash).try_lock() else {
            return Ok(());
        };
        // It may have been uploaded again since it was told; with the turn taken it stays as it is.
        let usable = self.handles.store.blobs(vec![hash]).await?;
        if !usable.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.place.remove(&self.place.of_blob(hash)).await {
            tracing::warn!(%error, blob = %hash, "a blob could not be removed");
            return Ok(());
        }
        if self.handles.store.blob_remove(hash).await? {
            self.handles.metrics.blob_swept();
        }
        Ok(())
    }
}
