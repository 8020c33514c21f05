//! Entries of journals as SQLite keeps them, and what is read of them. Must not write.

use anser_core::id::ResourceId;
use anser_core::store::{JournalRow, JournalScan};
use rusqlite::{Connection, params};

use super::failure::Failure;
use super::row::{Columns, Sum};

const ENTRIES: &str = "SELECT number, document, sum FROM journal WHERE channel = ?1 AND number < ?2 \
     ORDER BY number DESC LIMIT ?3";

/// The checksum of an entry.
pub(super) fn sum(channel: ResourceId, entry: &JournalRow) -> i64 {
    Sum::new()
        .ints([channel.0.cast_signed(), entry.number.cast_signed()])
        .bytes(&entry.document)
        .finish()
}

/// Entries by falling number.
pub(super) fn read(connection: &Connection, scan: JournalScan) -> Result<Vec<JournalRow>, Failure> {
    let before = scan
        .before
        .and_then(|number| i64::try_from(number).ok())
        .unwrap_or(i64::MAX);
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(ENTRIES)?;
    let mut rows = statement.query(params![scan.channel.0.cast_signed(), before, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "entry of a journal,");
        let entry = JournalRow {
            number: columns.int()?.cast_unsigned(),
            document: columns.blob()?.to_vec().into(),
        };
        if columns.int()? != sum(scan.channel, &entry) {
            return Err(columns.damage());
        }
        entries.push(entry);
    }
    Ok(entries)
}
