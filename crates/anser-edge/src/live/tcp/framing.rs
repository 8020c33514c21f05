//! Frames out of a stream of bytes: a length, then so many bytes. Memory is taken as bytes come, not as they are announced,
//! and a frame that was begun must be finished in time. Must not know what frames mean.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Sleep, sleep};

use super::super::LIVE_FRAME_BYTES_MAX;
use super::super::duplex::Broken;

/// Time from the first byte of a frame to its last.
const HALF_FRAME_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of the length.
const HEAD_BYTES: usize = 4;
/// Memory taken for a frame ahead of its bytes.
const AHEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes read and thrown away at a time.
const DRAIN_BYTES: usize = 4 * 1024;

/// The length of a frame as it is written. Frames of the server are far below 4 GiB: a message has a megabyte at most.
pub(super) fn head(length: usize) -> [u8; HEAD_BYTES] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// The frames that come in.
pub(super) struct Frames<R> {
    stream: R,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    body: BytesMut,
    /// Armed from the first byte of a frame to its last.
    late: Option<Pin<Box<Sleep>>>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            body: BytesMut::new(),
            late: None,
        }
    }

    /// The next frame. May be dropped and called again: what was read is kept.
    pub(super) async fn next(&mut self) -> Result<Bytes, Broken> {
        loop {
            let read = async {
                if self.head_bytes < HEAD_BYTES {
                    let read = self.stream.read(&mut self.head[self.head_bytes..]).await?;
                    self.head_bytes += read;
                    return Ok(read);
                }
                let missing = length(self.head) - self.body.len();
                self.body.reserve(missing.min(AHEAD_BYTES_MAX));
                let mut limited = (&mut self.stream).take(missing as u64);
                limited.read_buf(&mut self.body).await
            };
            let read: io::Result<usize> = match &mut self.late {
                None => read.await,
                Some(late) => tokio::select! {
                    biased;
                    read = read => read,
                    () = late => return Err(Broken::Malformed(format!(
                        "a frame was not finished within {} seconds",
                        HALF_FRAME_TIMEOUT.as_secs()
                    ))),
                },
            };
            match read {
                Ok(0) if self.head_bytes == 0 => return Err(Broken::Lost),
                Ok(0) => {
                    let detail = "the connection ended in the middle of a frame".to_owned();
                    return Err(Broken::Malformed(detail));
                }
                Ok(_) => {}
                Err(_) => return Err(Broken::Lost),
            }
            if let Some(frame) = self.complete()? {
                return Ok(frame);
            }
            if self.late.is_none() {
                self.late = Some(Box::pin(sleep(HALF_FRAME_TIMEOUT)));
            }
        }
    }

    /// The frame, when all of it is there.
    fn complete(&mut self) -> Result<Option<Bytes>, Broken> {
        if self.head_bytes < HEAD_BYTES {
            return Ok(None);
        }
        let length = length(self.head);
        if length > LIVE_FRAME_BYTES_MAX {
            let hint = if self.head.is_ascii() {
                "; this port takes frames, not HTTP or lines of text"
            } else {
                ""
            };
            return Err(Broken::Malformed(format!(
                "a frame has at most {LIVE_FRAME_BYTES_MAX} bytes, this one says {length}{hint}"
            )));
        }
        if self.body.len() < length {
            return Ok(None);
        }
        self.head_bytes = 0;
        self.late = None;
        Ok(Some(std::mem::take(&mut self.body).freeze()))
    }

    /// Reads and throws away what still comes.
    pub(super) async fn drain(&mut self) {
        let mut nowhere = vec![0; DRAIN_BYTES];
        while let Ok(1..) = self.stream.read(&mut nowhere).await {}
    }
}

fn length(head: [u8; HEAD_BYTES]) -> usize {
    usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        [&head(payload.len())[..], payload].concat()
    }

    /// The frames of a stream that came in pieces of these sizes, and how it ended.
    fn read(bytes: &[u8], pieces: &[usize]) -> (Vec<Bytes>, Broken) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut theirs, ours) = duplex(64);
            let mut frames = Frames::new(ours);
            let write = async {
                let mut rest = bytes;
                let mut pieces = pieces.iter().cycle();
                while !rest.is_empty() {
                    let size = (*pieces.next().unwrap()).clamp(1, rest.len());
                    theirs.write_all(&rest[..size]).await.unwrap();
                    tokio::task::yield_now().await;
                    rest = &rest[size..];
                }
                drop(theirs);
            };
            let read = async {
                let mut got = Vec::new();
                loop {
                    // Dropped and called again, as a pump does.
                    let next = tokio::select! {
                        biased;
                        next = frames.next() => next,
                        () = tokio::task::yield_now() => continue,
                    };
                    match next {
                        Ok(frame) => got.push(frame),
                        Err(end) => return (got, end),
                    }
                }
            };
            let (result, ()) = tokio::join!(read, write);
            result
        })
    }

    #[test]
    fn a_frame_cut_or_too_long_is_named() {
        let (got, end) = read(&[framed(b"{}"), framed(b"")].concat(), &[1]);
        assert_eq!(got, [&b"{}"[..], b""]);
        assert!(matches!(end, Broken::Lost));
        for (bytes, told) in [
            (&framed(b"{\"op\":1}")[..6], "in the middle"),
            (&[0, 0, 0][..], "in the middle"),
            (&head(LIVE_FRAME_BYTES_MAX + 1)[..], "at most"),
            (b"GET / HTTP/1.1\r\n\r\n", "not HTTP"),
            (&[0xff; 16][..], "at most"),
        ] {
            let (got, end) = read(bytes, &[3]);
            let Broken::Malformed(detail) = end else {
                panic!("{end:?}");
            };
            assert!(got.is_empty() && detail.contains(told), "{detail}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_was_begun_must_be_finished_in_time() {
        let (mut theirs, ours) = duplex(64);
        let mut frames = Frames::new(ours);
        // Before its first byte there is no hurry.
        let waited = tokio::time::timeout(Duration::from_secs(3_600), frames.next()).await;
        assert!(waited.is_err());
        theirs.write_all(&[0, 0]).await.unwrap();
        let (late, ()) = tokio::join!(frames.next(), async {
            // A byte now and then does not buy time.
            for byte in [0, 9, b'{'] {
                sleep(Duration::from_secs(4)).await;
                theirs.write_all(&[byte]).await.unwrap();
            }
        });
        let Err(Broken::Malformed(detail)) = late else {
            panic!("it was taken");
        };
        assert!(detail.contains("15 seconds"), "{detail}");
    }

    #[tokio::test]
    async fn memory_is_taken_as_bytes_come() {
        let (mut theirs, ours) = duplex(64);
        let mut frames = Frames::new(ours);
        theirs.write_all(&head(LIVE_FRAME_BYTES_MAX)).await.unwrap();
        theirs.write_all(b"{").await.unwrap();
        let begun = tokio::time::timeout(Duration::from_millis(1), frames.next()).await;
        assert!(begun.is_err());
        assert!(frames.body.capacity() <= 2 * AHEAD_BYTES_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However the bytes are cut on their way, the frames are those that were written.
        #[test]
        fn pieces_make_no_difference(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6),
            pieces in proptest::collection::vec(1_usize..150, 1..8),
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            let (got, end) = read(&bytes, &pieces);
            prop_assert_eq!(got, payloads);
            prop_assert!(matches!(end, Broken::Lost));
        }
    }
}
