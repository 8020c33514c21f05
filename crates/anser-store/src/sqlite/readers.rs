//! The readers: threads with a read-only connection each, beside the writer. One serves what deliveries wait for, the
//! other what people and scans ask for, so that a long list never holds up a claim.

use std::path::Path;
use std::thread::JoinHandle;

use anser_core::store::{Result, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::schema;

/// Requests that wait for one reader; more callers wait in line.
const QUEUE_MAX: usize = 1024;
/// Statements a reader keeps prepared.
const STATEMENTS_MAX: usize = 64;

type Read = Box<dyn FnOnce(&Connection) + Send>;

enum Request {
    Read(Read),
    Stop(oneshot::Sender<()>),
}

/// One reading thread.
pub(super) struct Reader {
    requests: mpsc::Sender<Request>,
    pub(super) thread: JoinHandle<()>,
}

impl Reader {
    /// Opens a connection and starts the thread.
    pub(super) fn start(database: &Path, name: &str) -> std::result::Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        schema::configure_reader(&connection)?;
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(connection, queue))
            .map_err(|error| Failure::Refused(format!("a thread could not be started: {error}")))?;
        Ok(Self { requests, thread })
    }

    /// Runs a query on the thread and answers with its result.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Read(Box::new(move |connection| {
            // The caller may have given up; then nobody needs the answer.
            drop(reply.send(query(connection).map_err(|failure| failure.answer())));
        }));
        let closed = || StoreError::Permanent("the store is closed".into());
        self.requests.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Closes the connection once what was asked before is answered.
    pub(super) async fn stop(&self) {
        let (stopped, wait) = oneshot::channel();
        if self.requests.send(Request::Stop(stopped)).await.is_ok() {
            // An error means that the thread is gone already.
            drop(wait.await);
        }
    }

    /// Lets the thread end, and waits for it.
    pub(super) fn join(self) {
        drop(self.requests);
        // A panic there was told to the caller it served.
        drop(self.thread.join());
    }
}

fn serve(connection: Connection, mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.blocking_recv() {
        match request {
            Request::Read(read) => read(&connection),
            Request::Stop(stopped) => {
                queue.close();
                drop(connection);
                // Whoever asked may have given up waiting.
                stopped.send(()).unwrap_or(());
                return;
            }
        }
    }
}
