//! The one place that reads request bodies: up to a cap, within a time limit.

use std::time::Duration;

use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;

/// What is read of a refused body and thrown away: a client that is still sending would otherwise meet a reset
/// connection instead of its answer.
const DISCARD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a whole body of at most `most` bytes within `limit`.
///
/// # Errors
/// 413 `body_too_large`, 408 `body_timeout`, 400 `body_interrupted`.
pub(crate) async fn read(mut body: Body, most: usize, limit: Duration) -> Result<Bytes, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        discard(body).await;
        return Err(too_large(most));
    }
    // The time limit arms its timer only when the body is not there yet, which for a small one is rare.
    match timeout(limit, gather(&mut body, most, announced)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            discard(body).await;
            Err(too_large(most))
        }
        Ok(Err(error)) => Err(Problem::new(
            ProblemKind::Malformed,
            "body_interrupted",
            format!("the body ended before its end: {error}"),
        )),
        Err(_) => Err(Problem::new(
            ProblemKind::Timeout,
            "body_timeout",
            format!("the body did not arrive within {} s", limit.as_secs()),
        )),
    }
}

/// `None` when there is more than `most`.
async fn gather(
    body: &mut Body,
    most: usize,
    announced: usize,
) -> Result<Option<Bytes>, axum::Error> {
    // A body that came in one piece, as small ones do, is taken as it is, without a copy.
    let Some(first) = data(body).await? else {
        return Ok(Some(Bytes::new()));
    };
    if first.len() > most {
        return Ok(None);
    }
    if body.is_end_stream() {
        return Ok(Some(first));
    }
    let Some(second) = data(body).await? else {
        return Ok(Some(first));
    };
    let mut whole = BytesMut::with_capacity(announced.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if whole.len() + piece.len() > most {
            return Ok(None);
        }
        whole.extend_from_slice(&piece);
        next = data(body).await?;
    }
    Ok(Some(whole.freeze()))
}

async fn data(body: &mut Body) -> Result<Option<Bytes>, axum::Error> {
    while let Some(frame) = body.frame().await {
        // Trailers carry nothing that is wanted here.
        if let Ok(data) = frame?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads on and throws away, within bounds, so that the client gets to read its answer.
pub(crate) async fn discard(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    let all = async {
        let mut read = 0;
        while let Ok(Some(piece)) = data(&mut body).await {
            read += piece.len();
            if read > DISCARD_BYTES_MAX {
                break;
            }
        }
    };
    if timeout(DISCARD_TIMEOUT, all).await.is_err() {
        tracing::debug!("a refused body was not read to its end");
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        ProblemKind::TooLarge,
        "body_too_large",
        format!("a request body has at most {most} bytes; send less at once"),
    )
}
