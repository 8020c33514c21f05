//! Blobs as the writer changes them: put, referred to, let go and doomed. The rule of the contract stands here: a message
//! is stored only with blobs that are usable in the same transaction, and a blob that a message refers to is not doomed.

use anser_core::Timestamp;
use anser_core::blob::BlobHash;
use anser_core::id::Num;
use anser_core::store::{BlobDoom, BlobRow};
use rusqlite::params;

use super::Session;
use crate::sqlite::blob::{self, StoredBlob};
use crate::sqlite::failure::Failure;
use crate::sqlite::row::{self, Columns};

/// Usable blobs that nothing refers to, from the one untouched for longest on.
pub(in crate::sqlite) const IDLE_BLOBS: &str = "SELECT hash FROM blob INDEXED BY blob_idle WHERE refs = 0 \
     AND touched < ?1 ORDER BY touched LIMIT ?2";

/// Doomed blobs behind a name.
pub(in crate::sqlite) const DOOMED_BLOBS: &str = "SELECT hash FROM blob INDEXED BY blob_idle WHERE refs = 0 \
     AND touched IS NULL AND hash > ?1 ORDER BY hash LIMIT ?2";

impl Session<'_> {
    pub(super) fn blob_announce(&self, hash: BlobHash, size: u64) -> Result<(), Failure> {
        if blob::stored(self.connection, hash)?.is_some() {
            return Ok(());
        }
        self.put_blob(&StoredBlob {
            row: BlobRow { hash, size },
            touched: None,
            refs: 0,
        })
    }

    pub(super) fn blob_put(&self, hash: BlobHash, size: u64, at: Timestamp) -> Result<(), Failure> {
        let known = blob::stored(self.connection, hash)?;
        self.put_blob(&StoredBlob {
            row: BlobRow { hash, size },
            touched: known.and_then(|known| known.touched).max(Some(at)),
            refs: known.map_or(0, |known| known.refs),
        })
    }

    /// The first of these that a message may not refer to.
    pub(super) fn unusable(&self, hashes: &[BlobHash]) -> Result<Option<BlobHash>, Failure> {
        for hash in hashes {
            let known = blob::stored(self.connection, *hash)?;
            if known.is_none_or(|known| known.touched.is_none()) {
                return Ok(Some(*hash));
            }
        }
        Ok(None)
    }

    /// Remembers that a message refers to these blobs, each of which is usable.
    pub(super) fn refer(
        &self,
        num: Num,
        hashes: &[BlobHash],
        at: Timestamp,
    ) -> Result<(), Failure> {
        let num = num.0.cast_signed();
        for hash in hashes {
            let added = self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO blob_ref(num, hash, sum) VALUES(?1, ?2, ?3)",
                )?
                .execute(params![
                    num,
                    hash.as_bytes().as_slice(),
                    blob::reference_sum(num, *hash)
                ])?;
            if added > 0
                && let Some(mut known) = blob::stored(self.connection, *hash)?
            {
                known.refs = known.refs.saturating_add(1);
                known.touched = known.touched.max(Some(at));
                self.put_blob(&known)?;
            }
        }
        Ok(())
    }

    /// Forgets what a message refers to.
    pub(super) fn let_go(&self, num: Num) -> Result<(), Failure> {
        for hash in self.referred(num)? {
            if let Some(mut known) = blob::stored(self.connection, hash)? {
                known.refs = known.refs.saturating_sub(1);
                self.put_blob(&known)?;
            }
            self.connection
                .prepare_cached("DELETE FROM blob_ref WHERE num = ?1 AND hash = ?2")?
                .execute(params![num.0.cast_signed(), hash.as_bytes().as_slice()])?;
        }
        Ok(())
    }

    fn referred(&self, num: Num) -> Result<Vec<BlobHash>, Failure> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT num, hash, sum FROM blob_ref WHERE num = ?1")?;
        let mut rows = statement.query([num.0.cast_signed()])?;
        let mut hashes = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of(row, "reference to a blob, of message");
            let (num, hash) = (columns.int()?, blob::hash(&mut columns)?);
            if columns.int()? != blob::reference_sum(num, hash) {
                return Err(columns.damage());
            }
            hashes.push(hash);
        }
        Ok(hashes)
    }

    pub(super) fn blob_doom(&self, doom: &BlobDoom) -> Result<Vec<BlobHash>, Failure> {
        let limit = i64::try_from(doom.limit).unwrap_or(i64::MAX);
        let idle = self.hashes(IDLE_BLOBS, params![doom.untouched_since.millis(), limit])?;
        for hash in idle {
            // The row itself says again what the index says.
            if let Some(mut known) = blob::stored(self.connection, hash)?
                && known.refs == 0
                && known.touched < Some(doom.untouched_since)
            {
                known.touched = None;
                self.put_blob(&known)?;
            }
        }
        let after = doom.after.as_ref().map_or(&[][..], |hash| hash.as_bytes());
        self.hashes(DOOMED_BLOBS, params![after, limit])
    }

    fn hashes(&self, sql: &str, with: &[&dyn rusqlite::ToSql]) -> Result<Vec<BlobHash>, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(with)?;
        let mut hashes = Vec::new();
        while let Some(row) = rows.next()? {
            hashes.push(blob::hash(&mut Columns::of(row, "blob"))?);
        }
        Ok(hashes)
    }

    pub(super) fn blob_remove(&self, hash: BlobHash) -> Result<bool, Failure> {
        let doomed = blob::stored(self.connection, hash)?
            .is_some_and(|known| known.touched.is_none() && known.refs == 0);
        if doomed {
            self.connection
                .prepare_cached("DELETE FROM blob WHERE hash = ?1")?
                .execute([hash.as_bytes().as_slice()])?;
        }
        Ok(doomed)
    }

    fn put_blob(&self, blob: &StoredBlob) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO blob(hash, size, touched, refs, sum) VALUES(?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                blob.row.hash.as_bytes().as_slice(),
                blob.row.size.cast_signed(),
                row::millis(blob.touched),
                blob.refs,
                blob.sum(),
            ])?;
        Ok(())
    }
}
