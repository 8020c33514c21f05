//! How much room the file system of a folder has: uploads stop before the disk is full, so that what was accepted can be
//! finished.

use std::path::PathBuf;

use anser_core::Problem;
use anser_core::limits::{DISK_RESERVE_BYTES_MIN, DISK_RESERVE_PERCENT};
use anser_core::store::StoreError;

use crate::refusal::store_problem;

/// Asks the file system of a folder.
#[derive(Debug)]
pub(super) struct Gauge {
    folder: PathBuf,
    reserve: Option<u64>,
}

impl Gauge {
    /// `reserve` as in [`super::BlobOptions`].
    pub(super) const fn new(folder: PathBuf, reserve: Option<u64>) -> Self {
        Self { folder, reserve }
    }

    /// Whether the reserve is free. A file system that does not answer counts as roomy: the write will tell.
    ///
    /// # Errors
    /// 507 `storage_full`.
    pub(super) async fn check(&self) -> Result<(), Problem> {
        if self.reserve == Some(0) {
            return Ok(());
        }
        let folder = self.folder.clone();
        let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder)).await;
        let Ok(Ok(found)) = asked else {
            return Ok(());
        };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let all = found.f_blocks.saturating_mul(found.f_frsize);
        let share = all / 100 * DISK_RESERVE_PERCENT;
        let reserve = self
            .reserve
            .unwrap_or_else(|| DISK_RESERVE_BYTES_MIN.max(share));
        if free < reserve {
            return Err(store_problem(StoreError::Full));
        }
        Ok(())
    }
}
