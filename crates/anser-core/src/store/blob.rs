//! What a store knows of blobs: which there are, how large they are, and which messages refer to them. The bytes are kept
//! elsewhere, by the gateway. Must not know where.
//!
//! A blob is usable or doomed. It is doomed from its announcement until its bytes are in place, and again when nothing
//! refers to it and it has not been touched for a while: then its bytes are removed first and its row after them. A
//! message that refers to a doomed or unknown blob is not stored, and that is decided in the commit that would store it.
//! So no stored message ever refers to bytes that are gone, wherever a crash comes between.

use async_trait::async_trait;

use super::Result;
use crate::blob::BlobHash;
use crate::time::Timestamp;

/// A usable blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRow {
    /// Its name.
    pub hash: BlobHash,
    /// Bytes.
    pub size: u64,
}

/// A request to doom what nobody needs, and to tell what is doomed.
#[derive(Debug, Clone, Copy)]
pub struct BlobDoom {
    /// Dooms blobs that nothing refers to and that were put, or referred to, before this last.
    pub untouched_since: Timestamp,
    /// Tells only those whose name is greater.
    pub after: Option<BlobHash>,
    /// Dooms at most so many, and tells at most so many.
    pub limit: usize,
}

/// How many usable blobs there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobTotals {
    /// Blobs.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The part of [`super::Store`] that knows blobs. What changes something answers after the change is durable.
#[async_trait]
pub trait BlobIndex: Send + Sync {
    /// Says that a blob's bytes will be put in place: a blob that is not known becomes one that is doomed, so that the
    /// next sweep finds it if nothing follows. Changes nothing of one that is known.
    ///
    /// # Errors
    /// As [`super::Store::append`]; repeating is safe.
    async fn blob_announce(&self, hash: BlobHash, size: u64) -> Result<()>;

    /// Says that a blob's bytes are in place, durably: it is usable, and touched at `at`.
    ///
    /// # Errors
    /// As [`super::Store::append`]; repeating is safe.
    async fn blob_put(&self, hash: BlobHash, size: u64, at: Timestamp) -> Result<()>;

    /// The usable ones of these blobs, in the order asked.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn blobs(&self, hashes: Vec<BlobHash>) -> Result<Vec<BlobRow>>;

    /// Dooms what nobody needs, and answers what is doomed now, in the order of their names.
    ///
    /// # Errors
    /// As [`super::Store::append`].
    async fn blob_doom(&self, doom: BlobDoom) -> Result<Vec<BlobHash>>;

    /// Forgets a blob whose bytes are gone; answers whether it was doomed. One that is not stays.
    ///
    /// # Errors
    /// As [`super::Store::append`]; repeating is safe.
    async fn blob_remove(&self, hash: BlobHash) -> Result<bool>;

    /// How many usable blobs there are.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn blob_totals(&self) -> Result<BlobTotals>;
}
