//! Folds the write-ahead log into the database beside the writer, on a thread and connection of its own: the bulk of the
//! copying and the slow sync of the database then stall no commit. The writer itself folds the small rest, so that the
//! log begins anew. Must not be running when the data is closed.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::Failure;
use super::schema;

/// Folds what can be folded without waiting for anybody. Whether that was all shows in the log: it begins anew, or not.
pub(super) fn fold(connection: &Connection) -> Result<(), Failure> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}

/// The thread that folds when it is asked to.
pub(super) struct Folder {
    requests: SyncSender<()>,
    results: Receiver<Result<(), Failure>>,
    is_asked: bool,
    thread: JoinHandle<()>,
}

impl Folder {
    /// Opens a connection and starts the thread.
    pub(super) fn start(database: &Path) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        schema::configure_folder(&connection)?;
        let (requests, asked) = sync_channel(1);
        let (answer, results) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("anser-store-fold".to_owned())
            .spawn(move || {
                while asked.recv().is_ok() {
                    if answer.send(fold(&connection)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Failure::Refused(format!("a thread could not be started: {error}")))?;
        Ok(Self {
            requests,
            results,
            is_asked: false,
            thread,
        })
    }

    /// Asks for a fold unless one is under way.
    pub(super) fn ask(&mut self) {
        if !self.is_asked {
            self.is_asked = self.requests.try_send(()).is_ok();
        }
    }

    /// What the last fold did, once it is done.
    pub(super) fn result(&mut self) -> Option<Result<(), Failure>> {
        match self.results.try_recv() {
            Ok(result) => {
                self.is_asked = false;
                Some(result)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        drop(self.requests);
        drop(self.results);
        // A panic there leaves the log as it was, which harms nothing.
        drop(self.thread.join());
    }
}
