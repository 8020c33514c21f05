//! Blobs in a folder and in memory: what is taken, kept, read and removed, and in which order.

mod keeping;
mod links;
mod places;
mod sweeping;

use std::path::Path;
use std::sync::Arc;

use anser_core::clock::ManualClock;
use anser_core::random::SeededRandom;
use anser_core::store::BlobIndex as _;
use anser_store::MemoryStore;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::fixture::START;

/// Blobs with what they are made of.
struct Bench {
    blobs: Blobs,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    metrics: Arc<Metrics>,
}

fn bench(options: BlobOptions) -> Bench {
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::at(START));
    let metrics = Arc::new(Metrics::new());
    let handles = BlobHandles {
        store: store.clone(),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(3)),
        metrics: metrics.clone(),
    };
    Bench {
        blobs: Blobs::new(options, handles).unwrap(),
        store,
        clock,
        metrics,
    }
}

fn in_folder(folder: &Path) -> BlobOptions {
    let mut options = BlobOptions::new(BlobPlace::Folder(folder.to_owned()));
    options.reserve_bytes = Some(0);
    options
}

fn in_memory() -> BlobOptions {
    BlobOptions::new(BlobPlace::Url {
        url: "memory:///some/prefix".parse().unwrap(),
        options: BTreeMap::new(),
    })
}

/// Bytes that tell where they come from.
fn bytes(length: usize) -> Bytes {
    let byte = |place: usize| u8::try_from(place % 251).unwrap();
    (0..length).map(byte).collect()
}

fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(Sha256::digest(bytes).into())
}

/// The bytes as they might arrive.
fn arriving(bytes: &Bytes, piece: usize) -> impl Stream<Item = Result<Bytes, Problem>> + Send {
    let pieces: Vec<_> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
    stream::iter(pieces).map(Ok)
}

impl Bench {
    async fn put(&self, bytes: &Bytes) -> BlobView {
        let stored = self.blobs.store(arriving(bytes, 100_000), None).await;
        stored.unwrap()
    }

    async fn get(&self, hash: BlobHash, range: Option<Range<u64>>) -> Option<Vec<u8>> {
        let body = self.blobs.open(hash, range).await.unwrap()?;
        let pieces: Vec<Bytes> = body.stream.try_collect().await.unwrap();
        Some(pieces.concat())
    }
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).unwrap();
                found.push(inside.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
