//! Files of this machine in the place of blobs, for whoever sends without a gateway. Must not change or keep them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use anser_core::blob::{BlobHash, BlobSizes};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::read::file_pieces;

/// Files by the SHA-256 of their bytes. Attachments refer to them as they do to blobs.
#[derive(Debug, Clone, Default)]
pub struct LocalFiles(HashMap<BlobHash, (PathBuf, u64)>);

impl LocalFiles {
    /// Adds the file at `path`, of `size` bytes.
    pub fn add(&mut self, hash: BlobHash, path: PathBuf, size: u64) {
        self.0.insert(hash, (path, size));
    }

    /// The size of each.
    #[must_use]
    pub fn sizes(&self) -> BlobSizes {
        let sizes = self.0.iter();
        sizes.map(|(hash, (_, size))| (*hash, *size)).collect()
    }

    /// A file's length and its bytes as they are now; `None`: there is no such file here.
    ///
    /// # Errors
    /// It cannot be opened any more.
    pub(crate) async fn open(
        &self,
        hash: BlobHash,
    ) -> io::Result<Option<(u64, BoxStream<'static, io::Result<Bytes>>)>> {
        let Some((path, _)) = self.0.get(&hash) else {
            return Ok(None);
        };
        let path = path.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok::<_, io::Error>((file, length))
        });
        let (file, length) = opened.await.map_err(io::Error::other)??;
        Ok(Some((length, file_pieces(file, 0..length).boxed())))
    }
}
