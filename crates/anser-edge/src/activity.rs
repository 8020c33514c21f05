//! What a connection is doing, so that slow and idle clients can be told apart and dropped: bytes read, heads completed,
//! requests under way. Counting costs two atomics a request and one a read, and one look every few seconds judges it;
//! hyper's own header timer would arm a timer per request and cannot tell a slow head from an idle connection.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happened on a connection since it was last judged.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Bytes arrived.
    read: AtomicBool,
    /// A request head was completed.
    head: AtomicBool,
    /// Requests under way.
    in_flight: AtomicU32,
    /// HTTP/2: pings and window updates look like the bytes of a head.
    frames: AtomicBool,
    /// Whoever writes an answer has found that the client does not take it.
    cut: AtomicBool,
}

/// What a request carries of its connection, among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    /// What it is doing.
    pub(crate) activity: Arc<Activity>,
}

impl Activity {
    /// A request head is complete; the request is under way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, frames: bool) -> UnderWay {
        self.head.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if frames {
            self.frames.store(true, Ordering::Relaxed);
        }
        UnderWay(Arc::clone(self))
    }

    /// The connection is to be dropped, whatever is under way.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}

/// A request under way.
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Judges a connection once every `head_timeout`.
pub(crate) struct Judge {
    activity: Arc<Activity>,
    idle_ticks_max: u32,
    idle_ticks: u32,
    head_begun: bool,
    first: bool,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A request head is not completed in time.
    SlowHead,
    /// Nothing was asked for a long time.
    Idle,
    /// An answer is not taken.
    Cut,
}

impl Judge {
    /// For a new connection.
    pub(crate) fn new(
        activity: Arc<Activity>,
        head_timeout: Duration,
        idle_timeout: Duration,
    ) -> Self {
        let ticks = idle_timeout
            .as_nanos()
            .div_ceil(head_timeout.as_nanos().max(1));
        Self {
            activity,
            idle_ticks_max: u32::try_from(ticks).unwrap_or(u32::MAX).max(1),
            idle_ticks: 0,
            head_begun: false,
            first: true,
        }
    }

    /// To be called after each `head_timeout`.
    pub(crate) fn tick(&mut self) -> Option<Verdict> {
        if self.activity.cut.load(Ordering::Relaxed) {
            return Some(Verdict::Cut);
        }
        let read = self.activity.read.swap(false, Ordering::Relaxed);
        let head = self.activity.head.swap(false, Ordering::Relaxed);
        let busy = self.activity.in_flight.load(Ordering::Relaxed) > 0;
        let frames = self.activity.frames.load(Ordering::Relaxed);
        if head || busy {
            // Bytes of a body may have come after the head: whatever came is not held against the next head.
            (self.idle_ticks, self.head_begun, self.first) = (0, false, false);
            return None;
        }
        // The first head is due one tick after the connection, whether a byte of it came or not.
        let due = self.head_begun || self.first;
        if due && !frames {
            return Some(Verdict::SlowHead);
        }
        self.head_begun = read;
        self.idle_ticks += 1;
        (self.idle_ticks >= self.idle_ticks_max).then_some(Verdict::Idle)
    }
}

/// A stream that notes when bytes arrive.
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        if result.is_ready() {
            this.activity.read.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(15);
    const IDLE: Duration = Duration::from_secs(60);

    fn connection() -> (Arc<Activity>, Judge) {
        let activity = Arc::new(Activity::default());
        let judge = Judge::new(Arc::clone(&activity), HEAD, IDLE);
        (activity, judge)
    }

    #[test]
    fn a_first_head_must_come_within_one_tick() {
        let (activity, mut judge) = connection();
        activity.read.store(true, Ordering::Relaxed);
        assert_eq!(judge.tick(), Some(Verdict::SlowHead));
        assert_eq!(connection().1.tick(), Some(Verdict::SlowHead));
    }

    #[test]
    fn an_idle_connection_lives_as_long_as_promised() {
        let (activity, mut judge) = connection();
        drop(activity.begin(false));
        assert_eq!([(); 4].map(|()| judge.tick()), [None; 4]);
        assert_eq!(judge.tick(), Some(Verdict::Idle));
    }

    #[test]
    fn a_trickled_head_is_dropped_after_two_ticks_and_frames_are_no_head() {
        for (frames, verdict) in [(false, Some(Verdict::SlowHead)), (true, None)] {
            let (activity, mut judge) = connection();
            drop(activity.begin(frames));
            assert_eq!(judge.tick(), None);
            activity.read.store(true, Ordering::Relaxed);
            assert_eq!(judge.tick(), None);
            activity.read.store(true, Ordering::Relaxed);
            assert_eq!(judge.tick(), verdict);
        }
    }

    #[test]
    fn a_request_under_way_keeps_the_connection() {
        let (activity, mut judge) = connection();
        let request = activity.begin(false);
        assert!((0..100).all(|_| judge.tick().is_none()));
        drop(request);
        assert!((0..3).all(|_| judge.tick().is_none()));
        let _request = activity.begin(false);
        activity.cut();
        assert_eq!(judge.tick(), Some(Verdict::Cut));
    }
}
