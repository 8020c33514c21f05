//! The body of a request: bytes at hand, or a stream whose length is announced and then kept to the byte. Must not know
//! what the stream is made of.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

/// Bytes that are read while they are sent, in pieces.
pub type BodyStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What a connection takes at a time, in bytes: progress is seen in these steps, and no more than a few of them are in
/// memory.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The body of a request.
pub(super) enum Outbound {
    /// Bytes at hand.
    Full(Full<Bytes>),
    /// A stream. Boxed: nearly every request is bytes, and need not carry its state.
    Streamed(Box<Streamed>),
}

impl Outbound {
    pub(super) fn is_streamed(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        match self.get_mut() {
            Self::Full(full) => Pin::new(full)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Streamed(streamed) => streamed
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(full) => full.is_end_stream(),
            Self::Streamed(streamed) => streamed.remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(full) => full.size_hint(),
            Self::Streamed(streamed) => SizeHint::with_exact(streamed.remaining),
        }
    }
}

/// A stream could not be read as it was announced. What was wrong is in [`Progress::fault`].
#[derive(Debug, thiserror::Error)]
#[error("the body of the request could not be read to its end")]
pub(super) struct SourceError;

/// How far a streamed body has come, seen from outside the connection that takes it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    length: u64,
    taken: AtomicU64,
    answered: AtomicBool,
    fault: Mutex<Option<String>>,
}

impl Progress {
    /// Bytes in all.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that the connection has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The connection has taken all of it.
    pub(super) fn is_complete(&self) -> bool {
        self.taken() == self.length
    }

    /// An answer has begun.
    pub(super) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Differs after every step forward.
    pub(super) fn mark(&self) -> (u64, bool) {
        (self.taken(), self.answered.load(Ordering::Relaxed))
    }

    /// Why the stream could not be read to its end.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = self.fault.lock();
        fault.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, why: String) -> SourceError {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        SourceError
    }
}

/// A body that is read while it is sent.
pub(super) struct Streamed {
    stream: BodyStream,
    /// Bytes that the stream has still to give.
    unread: u64,
    /// Bytes that are still to be handed over.
    remaining: u64,
    /// What is handed over piece by piece.
    chunk: Bytes,
    /// What completes the body: held back until the stream has really ended, so that a longer one is never taken for
    /// whole.
    last: Option<Bytes>,
    progress: Arc<Progress>,
}

impl Streamed {
    pub(super) fn new(stream: BodyStream, length: u64) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress {
            length,
            ..Progress::default()
        });
        let body = Self {
            stream,
            unread: length,
            remaining: length,
            chunk: Bytes::new(),
            last: None,
            progress: progress.clone(),
        };
        (body, progress)
    }

    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SourceError>>> {
        while self.chunk.is_empty() {
            if self.remaining == 0 {
                return Poll::Ready(None);
            }
            if let Err(why) = ready!(self.poll_chunk(cx)) {
                return Poll::Ready(Some(Err(self.progress.fail(why))));
            }
        }
        let piece = self.chunk.split_to(self.chunk.len().min(PIECE_BYTES_MAX));
        let bytes = piece.len() as u64;
        self.remaining -= bytes;
        self.progress.taken.fetch_add(bytes, Ordering::Relaxed);
        Poll::Ready(Some(Ok(piece)))
    }

    /// Reads the next chunk, which may be empty.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let length = self.progress.length;
        let chunk = match ready!(self.stream.as_mut().poll_next(cx)) {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => return Poll::Ready(Err(error.to_string())),
            None => {
                let Some(last) = self.last.take() else {
                    let got = length - self.unread;
                    let why = format!("it ended after {got} of {length} bytes");
                    return Poll::Ready(Err(why));
                };
                self.chunk = last;
                return Poll::Ready(Ok(()));
            }
        };
        let bytes = chunk.len() as u64;
        if bytes > self.unread {
            let why = format!("it is longer than the {length} bytes that were announced");
            return Poll::Ready(Err(why));
        }
        self.unread -= bytes;
        if self.unread == 0 && bytes > 0 {
            self.last = Some(chunk);
        } else {
            self.chunk = chunk;
        }
        Poll::Ready(Ok(()))
    }
}
