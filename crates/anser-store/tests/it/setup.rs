//! Data directories for the tests, and stores opened on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::clock::ManualClock;
use anser_core::random::SeededRandom;
use anser_store::{OpenError, SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// A data directory that goes with the test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_763_859_600_000)));
        let random = Arc::new(SeededRandom::new(1));
        SqliteOptions {
            reserve_bytes: Some(0),
            ..SqliteOptions::new(self.dir(), clock, random)
        }
    }

    pub(crate) fn try_open(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(self.options())
    }

    pub(crate) fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    /// The data as it would be found if the process were killed now.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.dir()).unwrap();
        for entry in std::fs::read_dir(self.dir()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copy.dir().join(path.file_name().unwrap())).unwrap();
        }
        copy
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }
}

/// Changes bytes of a file in place.
pub(crate) fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, at).unwrap();
}
