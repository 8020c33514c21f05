//! The blobs that items refer to: looked up before an item is checked, so that its size and hash can be. Whether they are
//! still kept is decided again in the commit. Must not read a blob.

use anser_core::blob::{BlobHash, BlobSizes};
use anser_core::message::{Item, unknown_blob};
use anser_core::{Message, Problem};

use crate::gateway::Gateway;
use crate::refusal::store_problem;

impl Gateway {
    /// The usable blobs among those that the items refer to.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn known_blobs(
        &self,
        items: &[Result<Item, Problem>],
    ) -> Result<BlobSizes, Problem> {
        let mut hashes: Vec<BlobHash> = items
            .iter()
            .flatten()
            .filter(|item| !item.attachments.is_empty())
            .flat_map(Item::blobs)
            .collect();
        if hashes.is_empty() {
            return Ok(BlobSizes::new());
        }
        hashes.sort_unstable();
        hashes.dedup();
        let rows = self.store.blobs(hashes).await.map_err(store_problem)?;
        Ok(rows.into_iter().map(|row| (row.hash, row.size)).collect())
    }
}

/// Those of the known blobs that one item refers to.
pub(super) fn of_item(item: &Item, known: &BlobSizes) -> BlobSizes {
    if known.is_empty() {
        return BlobSizes::new();
    }
    let size = |hash: BlobHash| Some((hash, *known.get(&hash)?));
    item.blobs().into_iter().filter_map(size).collect()
}

/// The refusal of a message whose blob was given up between its look-up and its commit.
pub(super) fn gone(message: &Message, hash: BlobHash) -> Problem {
    let place = message
        .attachments
        .iter()
        .position(|attachment| attachment.blob() == Some(hash))
        .unwrap_or_default();
    unknown_blob(&format!("attachments[{place}].source.blob"), hash)
}
