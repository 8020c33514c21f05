//! The tables, and the steps from one version of them to the next. A step that has been released never changes.
//!
//! Few trees, since every one is paid per message. Inserts go to right edges: `message`, `message_id` (UUIDv7 rises) and
//! `delivery` (its number begins with the message's). `delivery_open` holds unfinished deliveries only and is what claims
//! read; `delivery_lane` holds those that have a place in a lane, `delivery_dead` the dead letters, `delivery_rewind` what
//! was taken from a queue and may be taken again. `blob_ref` has a row for each blob that a message refers to, `blob_idle`
//! the blobs that none does. `alias` has a row for each name that a platform gave to a bridged message.

#[cfg(test)]
mod tests;

use rusqlite::Connection;

use super::failure::Failure;

/// Bytes of a database page, fixed when the data is created.
const PAGE_BYTES: u32 = 4096;
/// Pages' worth of cache of the writer, in KiB.
const WRITER_CACHE_KIB: u32 = 32 * 1024;
/// Bytes to which the write-ahead log is cut when it begins anew after a flood.
const LOG_BYTES_KEPT: u32 = 64 * 1024 * 1024;
/// Cache of each reader, in KiB.
const READER_CACHE_KIB: u32 = 4 * 1024;

/// Version 1.
const FOUNDATION: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE config(
    kind TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, revision INTEGER NOT NULL, document BLOB NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE TABLE message(
    num INTEGER PRIMARY KEY, id BLOB NOT NULL, topic INTEGER NOT NULL, time INTEGER NOT NULL, document BLOB NOT NULL,
    matched INTEGER NOT NULL, delete_at INTEGER, sum INTEGER NOT NULL);
CREATE UNIQUE INDEX message_id ON message(id);
CREATE INDEX message_topic ON message(topic);
CREATE INDEX message_delete_at ON message(delete_at) WHERE delete_at IS NOT NULL;
CREATE TABLE delivery(
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, grp INTEGER NOT NULL, channel INTEGER NOT NULL, target TEXT,
    lane INTEGER, pos INTEGER, state INTEGER NOT NULL, due INTEGER NOT NULL, expires_at INTEGER,
    accepted INTEGER NOT NULL, first_attempt INTEGER, attempts INTEGER NOT NULL, attempts_before INTEGER NOT NULL,
    flags INTEGER NOT NULL, checkpoint BLOB, bytes INTEGER NOT NULL, log INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX delivery_open ON delivery(grp, state, due) WHERE state < 3;
CREATE INDEX delivery_lane ON delivery(lane, pos) WHERE pos IS NOT NULL;
CREATE INDEX delivery_dead ON delivery(state) WHERE state = 4;
CREATE TABLE dedupe(
    key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, id BLOB NOT NULL, num INTEGER NOT NULL, matched INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX dedupe_expires_at ON dedupe(expires_at);
CREATE TABLE attempt_log(
    num INTEGER PRIMARY KEY, time INTEGER NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL);
";

/// Version 2: queues.
const QUEUES: &str = "
CREATE INDEX delivery_rewind ON delivery(grp, due, id, flags) WHERE flags & 16;
";

/// Version 3: blobs. One that is doomed has no time of its last touch.
const BLOBS: &str = "
CREATE TABLE blob(
    hash BLOB PRIMARY KEY, size INTEGER NOT NULL, touched INTEGER, refs INTEGER NOT NULL, sum INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX blob_idle ON blob(touched, hash) WHERE refs = 0;
CREATE TABLE blob_ref(
    num INTEGER NOT NULL, hash BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY(num, hash)) WITHOUT ROWID;
";

/// Version 4: messages that are about earlier ones.
const LINKS: &str = "
CREATE TABLE link(
    target INTEGER NOT NULL, num INTEGER NOT NULL, id BLOB NOT NULL, time INTEGER NOT NULL, kind INTEGER NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY(target, num)) WITHOUT ROWID;
";

/// Version 5: what platforms call messages.
const ALIASES: &str = "
CREATE TABLE alias(
    key BLOB NOT NULL, num INTEGER NOT NULL, kind INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY(key, num))
    WITHOUT ROWID;
CREATE INDEX alias_num ON alias(num);
";

/// Version 6: journals of connections.
const JOURNALS: &str = "
CREATE TABLE journal(
    channel INTEGER NOT NULL, number INTEGER NOT NULL, document BLOB NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY(channel, number)) WITHOUT ROWID;
";

/// Every step, in order; the data's version is how many of them it has taken.
const STEPS: &[&str] = &[FOUNDATION, QUEUES, BLOBS, LINKS, ALIASES, JOURNALS];

/// The version this program writes.
pub(super) fn version() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The version of the data; 0 for a new file.
pub(super) fn stored_version(connection: &Connection) -> Result<u32, Failure> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// What must be set before the first table exists.
pub(super) fn prepare_new(connection: &Connection) -> Result<(), Failure> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    Ok(())
}

/// The writer's settings. It checkpoints by itself, so that it always knows where the WAL stands.
pub(super) fn configure_writer(
    connection: &Connection,
    max_page_count: Option<u32>,
) -> Result<(), Failure> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
    if let Some(pages) = max_page_count {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

/// The settings of the connection that folds the log: as durable as the writer's.
pub(super) fn configure_folder(connection: &Connection) -> Result<(), Failure> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}

/// A reader's settings.
pub(super) fn configure_reader(connection: &Connection) -> Result<(), Failure> {
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
    Ok(())
}

/// Takes the steps that the data has not taken yet, each in its own transaction.
pub(super) fn migrate(connection: &Connection, from: u32) -> Result<(), Failure> {
    for (step, sql) in (1_u32..).zip(STEPS).skip(from as usize) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step)?;
        transaction.commit()?;
    }
    Ok(())
}
