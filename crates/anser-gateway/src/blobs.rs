//! The bytes of blobs: taken in as a stream, kept under their SHA-256 in a folder or a cloud's object store, read as a
//! stream, removed when nothing needs them. What is known of a blob is the store's; the order of the two is what makes
//! both crash-safe:
//!
//! 1. An upload is announced (the blob is doomed), its bytes are put in place durably, then it becomes usable.
//! 2. A removal dooms the blob, removes its bytes, then forgets it.
//!
//! A crash anywhere leaves at most a doomed blob, which the next sweep removes, and a temporary object, which goes too.
//! Must not hold a blob in memory.

mod gauge;
mod link;
mod local;
mod place;
mod read;
mod sweep;
mod temporary;
mod upload;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anser_core::blob::BlobHash;
use anser_core::clock::Clock;
use anser_core::limits::BLOB_BYTES_MAX;
use anser_core::random::Random;
use anser_core::store::SharedStore;
use anser_core::{Problem, ProblemKind};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Semaphore;
use url::Url;

use crate::metrics::Metrics;
use crate::refusal::store_problem;

pub use link::{BlobLink, LinkedBlob, PublicUrl, SignedLinks};
pub use local::LocalFiles;
pub use read::file_pieces;

use place::Place;
use temporary::Temporaries;

/// Uploads at the same time: each holds a part of a few MiB in memory.
pub const UPLOADS_MAX: usize = 8;
/// Locks that keep an upload and the removal of the same content apart. Two blobs that share one merely wait.
const TURNS: usize = 64;

/// Where the bytes are kept.
#[derive(Debug, Clone)]
pub enum BlobPlace {
    /// A folder of this machine, made when it is missing.
    Folder(PathBuf),
    /// An object store.
    Url {
        /// `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `file:///…`; `memory:///` forgets everything with the process. The
        /// prefix belongs to one gateway.
        url: Url,
        /// What the object store asks for, such as `aws_region` or `aws_endpoint`.
        options: BTreeMap<String, String>,
    },
}

/// How blobs are kept.
#[derive(Debug, Clone)]
pub struct BlobOptions {
    /// Where.
    pub place: BlobPlace,
    /// Bytes of one blob; at most [`BLOB_BYTES_MAX`].
    pub bytes_max: u64,
    /// Free bytes on a folder's file system below which uploads are refused; `None`: the larger of 256 MiB and 2 %; 0:
    /// none.
    pub reserve_bytes: Option<u64>,
}

impl BlobOptions {
    /// The usual settings for a place.
    #[must_use]
    pub const fn new(place: BlobPlace) -> Self {
        Self {
            place,
            bytes_max: BLOB_BYTES_MAX,
            reserve_bytes: None,
        }
    }
}

/// What blobs need of the gateway.
#[derive(Clone)]
pub struct BlobHandles {
    /// Knows which blobs there are.
    pub store: SharedStore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// For names of temporary objects.
    pub random: Arc<dyn Random>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// A blob as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BlobView {
    /// Its name, the SHA-256 of its bytes: an attachment refers to it as `source.blob`.
    pub hash: BlobHash,
    /// Bytes.
    pub size: u64,
}

/// The bytes of a blob, or a part of them.
pub struct BlobBody {
    /// Bytes of the whole blob.
    pub size: u64,
    /// Which of them the stream gives.
    pub range: Range<u64>,
    /// They, in pieces of at most 1 MiB.
    pub stream: BoxStream<'static, Result<Bytes, Problem>>,
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobBody")
            .field("size", &self.size)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// The blobs of a gateway.
pub struct Blobs {
    place: Place,
    handles: BlobHandles,
    bytes_max: u64,
    uploads: Semaphore,
    temporaries: Temporaries,
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Blobs {
    /// Opens the place. A folder is made, and what uploads of an earlier process left there is removed; an object store
    /// is not asked anything yet.
    ///
    /// # Errors
    /// A [`Problem`] whose field is a setting of `[blobs]`.
    pub fn new(options: BlobOptions, handles: BlobHandles) -> Result<Self, Problem> {
        Ok(Self {
            place: Place::open(options.place, options.reserve_bytes)?,
            handles,
            bytes_max: options.bytes_max.min(BLOB_BYTES_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
            temporaries: Temporaries::default(),
            turns: [const { tokio::sync::Mutex::const_new(()) }; TURNS],
        })
    }

    /// Bytes of one blob at most.
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The size of a usable blob; `None`: it is not kept here.
    ///
    /// # Errors
    /// The store's.
    pub async fn size(&self, hash: BlobHash) -> Result<Option<u64>, Problem> {
        let found = self.handles.store.blobs(vec![hash]).await;
        Ok(found.map_err(store_problem)?.first().map(|row| row.size))
    }

    /// The bytes of a blob, all or those of `range`, which is cut at the blob's end; `None`: it is not kept here. What a
    /// stored message refers to is kept.
    ///
    /// # Errors
    /// The store's; 500 `blob_lost` when it should be there and is not; 503 `blobs_unavailable` when the object store
    /// does not answer.
    pub async fn open(
        &self,
        hash: BlobHash,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobBody>, Problem> {
        let Some(size) = self.size(hash).await? else {
            return Ok(None);
        };
        let range = range.unwrap_or(0..size);
        let end = range.end.min(size);
        let range = range.start.min(end)..end;
        let stream = read::stream(&self.place, hash, range.clone()).await?;
        Ok(Some(BlobBody {
            size,
            range,
            stream,
        }))
    }

    /// Whose turn it is to change the object of this hash.
    fn turn(&self, hash: BlobHash) -> &tokio::sync::Mutex<()> {
        &self.turns[usize::from(hash.as_bytes()[0]) % TURNS]
    }
}

/// What a user is told when the place of the bytes fails; the details are the operator's.
fn place_problem(error: &object_store::Error) -> Problem {
    tracing::error!(%error, "the place of the blobs failed");
    Problem::new(
        ProblemKind::Unavailable,
        "blobs_unavailable",
        "the place where blobs are kept does not answer as it should; the gateway's log says why. Try again later",
    )
}
