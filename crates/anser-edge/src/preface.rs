//! Which version of HTTP a connection speaks: HTTP/2 begins with its preface (RFC 9113 §3.4), all else is HTTP/1. What was
//! read to find out is read again together with what follows it: hyper then finds the head in its first read, and needs no
//! second and larger buffer, which an idle connection would keep.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A stream whose first bytes were read, and are read again.
#[derive(Debug)]
pub(crate) struct Begun<S> {
    stream: S,
    first: [u8; PREFACE.len()],
    /// Where the unread ones of the first bytes begin, and where they end.
    unread: (u8, u8),
}

/// Reads as much as is needed to tell the version.
///
/// # Errors
/// When the stream cannot be read.
pub(crate) async fn recognise<S: AsyncRead + Unpin>(
    mut stream: S,
) -> io::Result<(Spoken, Begun<S>)> {
    let mut first = [0; PREFACE.len()];
    let mut end = 0;
    let spoken = loop {
        let read = stream.read(&mut first[end..]).await?;
        end += read;
        if read == 0 || first[..end] != PREFACE[..end] {
            break Spoken::Http1;
        }
        if end == PREFACE.len() {
            break Spoken::Http2;
        }
    };
    let end = u8::try_from(end).expect("there is room for 24 bytes");
    let begun = Begun {
        stream,
        first,
        unread: (0, end),
    };
    Ok((spoken, begun))
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (from, to) = this.unread;
        if from == to {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let unread = &this.first[usize::from(from)..usize::from(to)];
        let taken = unread.len().min(buf.remaining());
        buf.put_slice(&unread[..taken]);
        // No more than 24.
        this.unread.0 += u8::try_from(taken).unwrap_or(to);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            // What is there is something to go on with.
            Poll::Pending => Poll::Ready(Ok(())),
            ready @ Poll::Ready(_) => ready,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// What is recognised of bytes that come in pieces of this size, and what is then read.
    async fn read(bytes: &[u8], piece: usize) -> (Spoken, Vec<u8>) {
        let (mut theirs, ours) = duplex(4_096);
        let write = async {
            for piece in bytes.chunks(piece) {
                theirs.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(theirs);
        };
        let read = async {
            let (spoken, mut begun) = recognise(ours).await.unwrap();
            let mut all = Vec::new();
            begun.read_to_end(&mut all).await.unwrap();
            (spoken, all)
        };
        let (read, ()) = tokio::join!(read, write);
        read
    }

    #[tokio::test]
    async fn the_version_is_told_and_nothing_is_lost() {
        let two = [&PREFACE[..], b"\0\0\0\x04\0\0\0\0\0"].concat();
        let one = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
        for (bytes, spoken) in [
            (two, Spoken::Http2),
            (one, Spoken::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n".to_vec(), Spoken::Http1),
            (PREFACE[..23].to_vec(), Spoken::Http1),
            (b"P".to_vec(), Spoken::Http1),
            (Vec::new(), Spoken::Http1),
        ] {
            for piece in [1, 5, 24, 100] {
                assert_eq!(read(&bytes, piece).await, (spoken, bytes.clone()));
            }
        }
    }

    #[tokio::test]
    async fn what_follows_comes_with_the_first_bytes() {
        let (mut theirs, ours) = duplex(4_096);
        let head = [b'x'; 300];
        theirs.write_all(&head).await.unwrap();
        let (_, mut begun) = recognise(ours).await.unwrap();
        let mut all = [0; 1_024];
        assert_eq!(begun.read(&mut all).await.unwrap(), head.len());
        // Also into less room than there is to read again.
        theirs.write_all(&head).await.unwrap();
        let (_, mut begun) = recognise(begun).await.unwrap();
        let mut few = [0; 10];
        let mut read = 0;
        while read < head.len() {
            read += begun.read(&mut few).await.unwrap();
        }
        assert_eq!(read, head.len());
    }
}
