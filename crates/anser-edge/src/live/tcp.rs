//! Framed TCP, for systems without HTTP: the length of the payload as four bytes, the highest first, then so many bytes of
//! JSON. The first frame is `auth`. A frame of length 0 is a sign of life: the server sends one when it has not heard of the
//! client, which answers with one, or with any frame. Must not know what frames mean.

mod framing;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use anser_core::live::{CloseReason, Event};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;

use super::LIVE_AUTH_TIMEOUT;
use super::Live;
use super::door::{Caller, refusal};
use super::duplex::{Broken, Incoming, Wire, serve};
use crate::server::{ACCEPT_PAUSE, TLS_CHECK_INTERVAL, report};
use crate::tls::{Tls, TlsError};
use framing::{Frames, head};

/// Frames wait for each other up to so many bytes together; then, or when there are no more, they are sent.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// How long a client that is told that it is over has to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// Takes connections until `shutdown` completes. Their sessions are closed by the gateway, which ends them.
pub(crate) async fn run(
    listener: TcpListener,
    live: Arc<Live>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let files = live.options.tls.as_ref();
    let mut tls = match files.filter(|_| live.options.live_tcp_tls) {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let mut connections = JoinSet::new();
    let mut checks = interval(TLS_CHECK_INTERVAL);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match Caller::raw(&live, peer.ip()) {
                    Ok(caller) => {
                        let acceptor = tls.as_ref().map(Tls::acceptor);
                        connections.spawn(open(Arc::clone(&live), stream, acceptor, caller));
                    }
                    Err(problem) => {
                        tracing::debug!(address = %peer.ip(), %problem, "a live connection is refused");
                        refuse(&stream, &problem, tls.is_some());
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "a live connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = checks.tick(), if tls.is_some() => if let Some(tls) = &mut tls {
                tls.refresh().await;
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
    Ok(())
}

/// Tells a client that there is no place, if the socket takes it at once.
fn refuse(stream: &TcpStream, problem: &anser_core::Problem, tls: bool) {
    let frame = Event::Closed(refusal(problem)).to_json();
    let mut bytes = head(frame.len()).to_vec();
    bytes.extend_from_slice(&frame);
    if !tls && let Err(error) = stream.try_write(&bytes) {
        tracing::debug!(%error, "the refusal was not sent");
    }
}

async fn open(live: Arc<Live>, stream: TcpStream, acceptor: Option<TlsAcceptor>, caller: Caller) {
    // Frames are small, and one that waits for the next is late.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match acceptor {
        None => serve(live, Framed::new(stream), caller, None).await,
        Some(acceptor) => match timeout(LIVE_AUTH_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(serve(live, Framed::new(stream), caller, None)).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake of a live client failed"),
            Err(_) => tracing::debug!("TLS handshake of a live client not completed in time"),
        },
    }
}

struct Framed<S> {
    frames: Frames<ReadHalf<S>>,
    stream: WriteHalf<S>,
    /// Written and not sent; takes no memory while there is nothing.
    unsent: BytesMut,
}

impl<S: AsyncRead + AsyncWrite> Framed<S> {
    fn new(stream: S) -> Self {
        let (read, write) = split(stream);
        Self {
            frames: Frames::new(read),
            stream: write,
            unsent: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for Framed<S> {
    const NAME: &'static str = "tcp";

    async fn read(&mut self) -> Result<Incoming, Broken> {
        match self.frames.next().await? {
            frame if frame.is_empty() => Ok(Incoming::Alive),
            frame => Ok(Incoming::Frame(frame)),
        }
    }

    async fn write(&mut self, frame: Bytes) -> Result<(), Broken> {
        self.unsent.extend_from_slice(&head(frame.len()));
        if self.unsent.len() + frame.len() < WRITE_BUFFER_BYTES {
            self.unsent.extend_from_slice(&frame);
            return Ok(());
        }
        // One write for both: without delay, each write may become a packet of its own.
        let mut both = mem::take(&mut self.unsent).chain(frame);
        lost(self.stream.write_all_buf(&mut both).await)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        let mut unsent = mem::take(&mut self.unsent);
        lost(self.stream.write_all_buf(&mut unsent).await)?;
        lost(self.stream.flush().await)
    }

    async fn ping(&mut self) -> Result<(), Broken> {
        self.unsent.extend_from_slice(&head(0));
        self.flush().await
    }

    async fn finish(&mut self, _: CloseReason) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        // What the client still sends must be read, or the kernel answers it with a reset that overtakes the last frame.
        drop(timeout(LINGER, self.frames.drain()).await);
    }
}

fn lost(written: io::Result<()>) -> Result<(), Broken> {
    written.map_err(|_| Broken::Lost)
}
