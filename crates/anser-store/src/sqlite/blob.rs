//! Rows of blobs as SQLite keeps them, and what is read of them. Must not write.

use anser_core::Timestamp;
use anser_core::blob::BlobHash;
use anser_core::store::{BlobRow, BlobTotals};
use rusqlite::{Connection, Row};

use super::failure::Failure;
use super::row::{self, Columns, Sum};

const BLOB: &str = "SELECT hash, size, touched, refs, sum FROM blob WHERE hash = ?1";

/// A blob with what only the store knows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredBlob {
    pub(super) row: BlobRow,
    /// When it was put or referred to last; `None`: it is doomed.
    pub(super) touched: Option<Timestamp>,
    /// Messages that refer to it; none, when it is doomed.
    pub(super) refs: u32,
}

impl StoredBlob {
    pub(super) fn sum(&self) -> i64 {
        Sum::new()
            .ints([
                self.row.size.cast_signed(),
                row::millis(self.touched).unwrap_or(-1),
                i64::from(self.refs),
            ])
            .bytes(self.row.hash.as_bytes())
            .finish()
    }
}

/// The checksum of a message's reference to a blob.
pub(super) fn reference_sum(num: i64, hash: BlobHash) -> i64 {
    Sum::new().ints([num]).bytes(hash.as_bytes()).finish()
}

/// The row of one blob.
pub(super) fn stored(
    connection: &Connection,
    hash: BlobHash,
) -> Result<Option<StoredBlob>, Failure> {
    let mut statement = connection.prepare_cached(BLOB)?;
    let mut rows = statement.query([hash.as_bytes().as_slice()])?;
    rows.next()?.map(blob).transpose()
}

fn blob(row: &Row<'_>) -> Result<StoredBlob, Failure> {
    let mut columns = Columns::of(row, "blob");
    let stored = StoredBlob {
        row: BlobRow {
            hash: hash(&mut columns)?,
            size: columns.int()?.cast_unsigned(),
        },
        touched: columns.int_or_null()?.map(Timestamp::from_millis),
        refs: columns.small()?,
    };
    if columns.int()? != stored.sum() {
        return Err(columns.damage());
    }
    Ok(stored)
}

/// The next column as a hash.
pub(super) fn hash(columns: &mut Columns<'_, '_>) -> Result<BlobHash, Failure> {
    let bytes = columns.blob()?.try_into().map_err(|_| columns.damage())?;
    Ok(BlobHash(bytes))
}

/// The usable ones, in the order asked.
pub(super) fn usable(
    connection: &Connection,
    hashes: &[BlobHash],
) -> Result<Vec<BlobRow>, Failure> {
    let mut found = Vec::new();
    for hash in hashes {
        let stored = stored(connection, *hash)?;
        found.extend(
            stored
                .filter(|stored| stored.touched.is_some())
                .map(|stored| stored.row),
        );
    }
    Ok(found)
}

pub(super) fn totals(connection: &Connection) -> Result<BlobTotals, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), coalesce(sum(size), 0) FROM blob WHERE touched IS NOT NULL",
    )?;
    let (count, bytes): (i64, i64) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(BlobTotals {
        count: count.cast_unsigned(),
        bytes: bytes.cast_unsigned(),
    })
}
