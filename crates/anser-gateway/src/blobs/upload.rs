//! Taking a blob: parts are written to a temporary object while they are hashed; once the hash is known and checked, the
//! object moves to its name. Must not keep more than one part in memory.

use anser_core::blob::BlobHash;
use anser_core::store::StoreError;
use anser_core::{Problem, ProblemKind};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};

use super::temporary::Temporary;
use super::{BlobView, Blobs, UPLOADS_MAX, place_problem};
use crate::refusal::store_problem;

/// Bytes after which the disk is asked for its room again.
const ROOM_CHECK_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes hashed before other tasks have their turn: a fraction of a millisecond.
const HASH_BYTES: usize = 256 * 1024;
/// How often a commit that the store did not confirm is repeated.
const UNCONFIRMED_REPEATS_MAX: u32 = 3;

impl Blobs {
    /// Takes the bytes and keeps them under their hash; answers once they are durable. An upload that is dropped, or
    /// fails, leaves nothing that is usable.
    ///
    /// # Errors
    /// What the stream fails with; 413 `too_large`; 422 `integrity` when the bytes are not the `expected` ones; 429
    /// `too_many_uploads`; 503 `blobs_unavailable`; 507 `storage_full`; the store's.
    pub async fn store(
        &self,
        bytes: impl Stream<Item = Result<Bytes, Problem>> + Send,
        expected: Option<BlobHash>,
    ) -> Result<BlobView, Problem> {
        let _place = self.uploads.try_acquire().map_err(|_| too_many())?;
        self.place.check_room().await?;
        let mut upload = Upload::begin(self);
        let taken = upload.take(bytes, expected).await;
        let view = match taken {
            Ok(view) => upload.keep(view).await,
            Err(problem) => Err(problem),
        };
        if view.is_err() {
            upload.give_up().await;
        }
        let view = view?;
        self.handles.metrics.blob_stored(view.size);
        Ok(view)
    }

    /// Repeats what the store did not confirm; everything said of blobs can be repeated.
    async fn confirmed<T, F: Future<Output = Result<T, StoreError>>>(
        call: impl Fn() -> F,
    ) -> Result<T, Problem> {
        let mut repeats = 0;
        loop {
            match call().await {
                Err(StoreError::Unknown) if repeats < UNCONFIRMED_REPEATS_MAX => repeats += 1,
                answer => return answer.map_err(store_problem),
            }
        }
    }
}

/// One upload.
struct Upload<'a> {
    blobs: &'a Blobs,
    temporary: Temporary,
    /// What is not written yet.
    part: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    /// The temporary object is whole.
    complete: bool,
}

impl<'a> Upload<'a> {
    fn begin(blobs: &'a Blobs) -> Self {
        Self {
            temporary: blobs.temporaries.begin(&*blobs.handles.random),
            blobs,
            part: BytesMut::new(),
            parts: None,
            complete: false,
        }
    }

    /// Reads the stream to its end.
    async fn take(
        &mut self,
        bytes: impl Stream<Item = Result<Bytes, Problem>> + Send,
        expected: Option<BlobHash>,
    ) -> Result<BlobView, Problem> {
        let mut bytes = std::pin::pin!(bytes);
        let mut hasher = Sha256::new();
        let (mut size, mut room_checked) = (0, 0);
        while let Some(chunk) = bytes.next().await {
            let mut chunk = chunk?;
            size += chunk.len() as u64;
            if size > self.blobs.bytes_max {
                return Err(too_large(self.blobs.bytes_max));
            }
            if size - room_checked >= ROOM_CHECK_BYTES {
                room_checked = size;
                self.blobs.place.check_room().await?;
            }
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(HASH_BYTES));
                hasher.update(&piece);
                self.write(piece).await?;
                if !chunk.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        }
        let hash = BlobHash(hasher.finalize().into());
        match expected {
            Some(expected) if expected != hash => Err(wrong_hash(expected, hash)),
            _ => Ok(BlobView { hash, size }),
        }
    }

    /// Adds to the part, and sends it when it is full.
    async fn write(&mut self, mut piece: Bytes) -> Result<(), Problem> {
        let most = self.blobs.place.part_bytes();
        while !piece.is_empty() {
            let room = most - self.part.len();
            self.part
                .extend_from_slice(&piece.split_to(piece.len().min(room)));
            if self.part.len() == most {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), Problem> {
        let place = &self.blobs.place;
        let payload = PutPayload::from_bytes(self.part.split().freeze());
        let parts = match &mut self.parts {
            Some(parts) => parts,
            parts @ None => {
                let name = place.of_temporary(&self.temporary.name);
                let begun = place.objects().put_multipart(&name).await;
                parts.insert(begun.map_err(|error| place_problem(&error))?)
            }
        };
        parts
            .put_part(payload)
            .await
            .map_err(|error| place_problem(&error))
    }

    /// Puts the bytes at their name and makes the blob usable, in the order that the module tells.
    async fn keep(&mut self, view: BlobView) -> Result<BlobView, Problem> {
        let BlobView { hash, size } = view;
        let blobs = self.blobs;
        let whole = self.parts.is_none() && blobs.place.puts_whole();
        if !whole {
            self.finish_temporary().await?;
        }
        let store = &blobs.handles.store;
        let _turn = blobs.turn(hash).lock().await;
        if blobs.is_in_place(view).await? {
            self.remove_temporary().await;
        } else {
            Blobs::confirmed(|| store.blob_announce(hash, size)).await?;
            if whole {
                let payload = PutPayload::from_bytes(self.part.split().freeze());
                let name = blobs.place.of_blob(hash);
                let put = blobs.place.objects().put(&name, payload).await;
                put.map_err(|error| place_problem(&error))?;
                self.temporary.gone();
            } else {
                self.move_into_place(hash).await?;
            }
        }
        let now = blobs.handles.clock.now();
        Blobs::confirmed(|| store.blob_put(hash, size, now)).await?;
        Ok(view)
    }

    /// Writes what is left of the temporary object.
    async fn finish_temporary(&mut self) -> Result<(), Problem> {
        if !self.part.is_empty() || self.parts.is_none() {
            self.send_part().await?;
        }
        if let Some(parts) = &mut self.parts {
            parts
                .complete()
                .await
                .map_err(|error| place_problem(&error))?;
            self.complete = true;
        }
        Ok(())
    }

    async fn move_into_place(&mut self, hash: BlobHash) -> Result<(), Problem> {
        let place = &self.blobs.place;
        let (from, to) = (
            place.of_temporary(&self.temporary.name),
            place.of_blob(hash),
        );
        let moved = place.objects().rename(&from, &to).await;
        moved.map_err(|error| place_problem(&error))?;
        self.temporary.gone();
        Ok(())
    }

    /// Removes what was written. What cannot be removed now is left to the sweep.
    async fn give_up(&mut self) {
        match &mut self.parts {
            Some(parts) if !self.complete => {
                if parts.abort().await.is_ok() {
                    self.temporary.gone();
                }
            }
            Some(_) => self.remove_temporary().await,
            None => self.temporary.gone(),
        }
    }

    async fn remove_temporary(&mut self) {
        let place = &self.blobs.place;
        let name = place.of_temporary(&self.temporary.name);
        if self.parts.is_none() || place.remove(&name).await.is_ok() {
            self.temporary.gone();
        }
    }
}

impl Blobs {
    /// Whether the blob is usable and its object as large as it should be.
    async fn is_in_place(&self, view: BlobView) -> Result<bool, Problem> {
        if self.size(view.hash).await? != Some(view.size) {
            return Ok(false);
        }
        let name = self.place.of_blob(view.hash);
        match self.place.objects().head(&name).await {
            Ok(found) => Ok(found.size == view.size),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(place_problem(&error)),
        }
    }
}

fn too_many() -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "too_many_uploads",
        format!("{UPLOADS_MAX} uploads are under way already; try again when one has ended"),
    )
}

fn too_large(most: u64) -> Problem {
    Problem::new(
        ProblemKind::TooLarge,
        "too_large",
        format!("a blob may have at most {most} bytes"),
    )
}

fn wrong_hash(expected: BlobHash, hash: BlobHash) -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "integrity",
        format!("the bytes that arrived have the SHA-256 {hash}, not {expected}; nothing was kept"),
    )
}
