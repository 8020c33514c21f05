//! How much room the disk has, asked at most once a second: publishing stops before the disk is full, so that
//! settlements and retention can go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::Clock;
use anser_core::limits::{DISK_RESERVE_BYTES_MIN, DISK_RESERVE_PERCENT};

/// How long an answer of the file system is believed.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Watches the free space of the data directory's file system.
pub(super) struct Space {
    dir: PathBuf,
    reserve: Option<u64>,
    clock: Arc<dyn Clock>,
    asked: Option<(Duration, bool)>,
}

impl Space {
    pub(super) fn new(dir: PathBuf, reserve: Option<u64>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir,
            reserve,
            clock,
            asked: None,
        }
    }

    /// Whether less than the reserve is free. A file system that does not answer counts as roomy: the commit will tell.
    pub(super) fn is_short(&mut self) -> bool {
        if self.reserve == Some(0) {
            return false;
        }
        let now = self.clock.monotonic();
        match self.asked {
            Some((at, short)) if now.saturating_sub(at) < ASK_AGAIN_AFTER => short,
            _ => {
                let short = self.ask();
                self.asked = Some((now, short));
                short
            }
        }
    }

    fn ask(&self) -> bool {
        let Ok(stat) = rustix::fs::statvfs(&self.dir) else {
            return false;
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let all = stat.f_blocks.saturating_mul(stat.f_frsize);
        let reserve = self
            .reserve
            .unwrap_or_else(|| DISK_RESERVE_BYTES_MIN.max(all / 100 * DISK_RESERVE_PERCENT));
        free < reserve
    }
}
