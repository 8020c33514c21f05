//! The small file beside the database that says how far the write-ahead log had come when the last answer went out.
//! SQLite recovers a log up to its first broken frame and calls that complete; with this file a shorter log is known to
//! be damaged. It is written after every commit and before its answers, and is not fsynced: after a power failure it may
//! be older than the log, never newer.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::wal::{self, Salts};

/// The name of the file in the data directory.
pub(super) const FILE: &str = "anser.ack";
const MAGIC: &[u8; 8] = b"anserack";
const RECORD_BYTES: usize = 24;
/// Bytes of the shared-memory file that hold where the log stands
/// (<https://www.sqlite.org/walformat.html#wal_index_format>).
const INDEX_BYTES: usize = 48;
const INDEX_FRAMES: usize = 16;
const INDEX_SALTS: usize = 32;

/// How far the log had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    salts: Salts,
    pub(super) frames: u32,
}

/// The open file, with the shared-memory file that SQLite keeps the log's state in.
#[derive(Debug)]
pub(super) struct AckFile {
    record: File,
    index: File,
}

impl AckFile {
    /// Opens both; SQLite must have opened its log before.
    pub(super) fn open(dir: &Path, index: &Path) -> io::Result<Self> {
        let record = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(FILE))?;
        let index = File::open(index)?;
        Ok(Self { record, index })
    }

    /// Writes down that everything committed so far is about to be acknowledged; answers the frames in the log.
    pub(super) fn acknowledge(&self) -> io::Result<u32> {
        let mut index = [0; INDEX_BYTES];
        self.index.read_exact_at(&mut index, 0)?;
        let mut salts = [0; 8];
        salts.copy_from_slice(&index[INDEX_SALTS..INDEX_SALTS + 8]);
        let mut frames = [0; 4];
        frames.copy_from_slice(&index[INDEX_FRAMES..INDEX_FRAMES + 4]);
        let frames = u32::from_ne_bytes(frames);
        self.write(Acknowledged { salts, frames })?;
        Ok(frames)
    }

    /// Writes down, durably, that nothing depends on the log: it is about to be folded into the database and removed.
    pub(super) fn release(&self) -> io::Result<()> {
        self.write(Acknowledged {
            salts: [0; 8],
            frames: 0,
        })?;
        self.record.sync_all()
    }

    fn write(&self, state: Acknowledged) -> io::Result<()> {
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(MAGIC);
        record[8..16].copy_from_slice(&state.salts);
        record[16..20].copy_from_slice(&state.frames.to_le_bytes());
        let sum = crc32fast::hash(&record[..20]);
        record[20..].copy_from_slice(&sum.to_le_bytes());
        self.record.write_all_at(&record, 0)
    }
}

/// What the file says; `None` when it is missing or unreadable, which by itself is no damage to the data.
pub(super) fn read(dir: &Path) -> io::Result<Option<Acknowledged>> {
    let bytes = match std::fs::read(dir.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Ok(record) = <[u8; RECORD_BYTES]>::try_from(bytes) else {
        return Ok(None);
    };
    let intact =
        record[..8] == *MAGIC && record[20..] == crc32fast::hash(&record[..20]).to_le_bytes();
    Ok(intact.then(|| {
        let mut salts = [0; 8];
        salts.copy_from_slice(&record[8..16]);
        let mut frames = [0; 4];
        frames.copy_from_slice(&record[16..20]);
        Acknowledged {
            salts,
            frames: u32::from_le_bytes(frames),
        }
    }))
}

/// Looks at the log before SQLite does. `Some` says what is wrong with it.
pub(super) fn damage(dir: &Path, log: &Path) -> io::Result<Option<String>> {
    let acknowledged = read(dir)?;
    if acknowledged.is_none() {
        tracing::debug!("no readable {FILE}: the log is checked by itself only");
    }
    Ok(judge(acknowledged, wal::read(log)?))
}

fn judge(acknowledged: Option<Acknowledged>, log: wal::Log) -> Option<String> {
    if let Some(expected) = acknowledged.filter(|expected| expected.frames > 0) {
        let Some(salts) = log.salts else {
            return Some(if log.header_broken {
                "its header is broken".into()
            } else {
                format!(
                    "it is missing or empty, {} acknowledged frames with it",
                    expected.frames
                )
            });
        };
        // Other salts with an intact header: the log was begun anew, which SQLite does only after everything in it was
        // folded into the database and synced.
        if salts == expected.salts && log.committed < expected.frames {
            return Some(format!(
                "{} of {} acknowledged frames are intact",
                log.committed, expected.frames
            ));
        }
    }
    // One transaction may be torn when the machine loses power. The next one is written only after that one was synced,
    // so a second end of a transaction behind a broken frame means that synced bytes have changed.
    (log.commits_behind_break > 1).then(|| {
        format!(
            "frame {} is broken and {} later transactions follow it",
            log.committed + 1,
            log.commits_behind_break
        )
    })
}
