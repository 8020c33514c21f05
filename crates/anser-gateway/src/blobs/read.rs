//! A blob's bytes as a stream. A file is read in pieces larger than the object store crate would, since each takes a
//! turn of the blocking threads. Must not read ahead.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use anser_core::blob::BlobHash;
use anser_core::{Problem, ProblemKind};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, GetResultPayload};

use super::place::Place;
use super::place_problem;

/// Bytes read from a file at once.
const PIECE_BYTES: u64 = 256 * 1024;

/// The bytes of `range`, which lies inside of the blob.
///
/// # Errors
/// 500 `blob_lost`, 503 `blobs_unavailable`.
pub(super) async fn stream(
    place: &Place,
    hash: BlobHash,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, Problem>>, Problem> {
    if range.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let options = GetOptions {
        range: Some(GetRange::Bounded(range.clone())),
        ..GetOptions::default()
    };
    let found = match place
        .objects()
        .get_opts(&place.of_blob(hash), options)
        .await
    {
        Ok(found) if found.range == range => found,
        Ok(_) | Err(object_store::Error::NotFound { .. }) => return Err(lost(hash)),
        Err(error) => return Err(place_problem(&error)),
    };
    Ok(match found.payload {
        GetResultPayload::File(file, _) => {
            let lost = move |error| {
                tracing::error!(%error, blob = %hash, "a blob cannot be read");
                lost(hash)
            };
            file_pieces(file, range).map_err(lost).boxed()
        }
        GetResultPayload::Stream(stream) => stream.map_err(|error| place_problem(&error)).boxed(),
    })
}

/// The bytes of `range` of a file, in pieces; an error ends them.
pub fn file_pieces(file: File, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, range), move |(file, left)| async move {
        if left.is_empty() {
            return Ok(None);
        }
        let piece = left.start..left.end.min(left.start + PIECE_BYTES);
        let rest = piece.end..left.end;
        let read = tokio::task::spawn_blocking(move || read(file, piece)).await;
        let (file, bytes) = read.map_err(io::Error::other)??;
        Ok(Some((bytes, (file, rest))))
    })
}

fn read(mut file: File, piece: Range<u64>) -> io::Result<(File, Bytes)> {
    let length = usize::try_from(piece.end - piece.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(piece.start))?;
    file.read_exact(&mut bytes)?;
    Ok((file, bytes.into()))
}

fn lost(hash: BlobHash) -> Problem {
    tracing::error!(blob = %hash, "a blob that should be kept is not there whole");
    Problem::new(
        ProblemKind::Internal,
        "blob_lost",
        format!(
            "the bytes of blob {hash} should be kept here and cannot be read; upload them again"
        ),
    )
}
