//! What goes wrong below the contract, and what it means to the caller: split by what happens next, not by SQLite's code.

use std::time::Duration;

use anser_core::store::StoreError;
use rusqlite::ErrorCode;

/// `SQLITE_IOERR_SHMSIZE`: the shared-memory file could not be grown, which on a full disk is the first to fail.
const IOERR_SHMSIZE: i32 = 4874;

/// When to try again while somebody else, such as an operator's `sqlite3`, holds the database.
const BUSY_RETRY_AFTER: Duration = Duration::from_millis(100);

/// Why an operation could not be done.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite said no.
    Sql(rusqlite::Error),
    /// A stored row does not match its checksum or its own form.
    Corrupt(String),
    /// An expected revision is not current.
    Fenced,
    /// The caller asked for what cannot be.
    Refused(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    /// The disk, or `max_page_count`, has no room. Nothing of the transaction was stored.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Sql(rusqlite::Error::SqliteFailure(error, _))
            if error.code == ErrorCode::DiskFull || error.extended_code == IOERR_SHMSIZE)
    }

    /// What is on the disk is no longer known: this process must not go on writing.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::Sql(rusqlite::Error::SqliteFailure(error, _))
            if error.code == ErrorCode::SystemIoFailure && !self.is_full())
    }

    /// SQLite or a checksum found damage.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_) => true,
            Self::Sql(rusqlite::Error::SqliteFailure(error, _)) => matches!(
                error.code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
            ),
            _ => false,
        }
    }

    /// What the caller is told.
    pub(super) fn answer(&self) -> StoreError {
        match self {
            _ if self.is_full() => StoreError::Full,
            Self::Sql(error) if self.is_damage() => StoreError::Corrupt(error.to_string()),
            Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                StoreError::Retryable {
                    after: BUSY_RETRY_AFTER,
                }
            }
            Self::Sql(error) => StoreError::Permanent(format!("the database failed: {error}")),
            Self::Corrupt(what) => StoreError::Corrupt(what.clone()),
            Self::Fenced => StoreError::Fenced,
            Self::Refused(why) => StoreError::Permanent(why.clone()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Corrupt(what) => write!(f, "damaged: {what}"),
            Self::Fenced => f.write_str("a stale revision"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}
