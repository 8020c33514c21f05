//! Webhook endpoints inside the harness: they answer, hang or refuse, and measure how long messages took.
//!
//! A connection is served by a loop of its own without any HTTP library; see `frame`.

use crate::bench::clock::Clock;
use crate::bench::connection::Connection;
use crate::bench::payload;
use crate::bench::stats::Latencies;
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
/// Messages of this lane are refused, again and again.
pub(crate) const BLOCKED_KEY: &str = "blocked";

/// What some endpoints have received together.
#[derive(Debug)]
pub(crate) struct Sink {
    clock: Clock,
    received: AtomicU64,
    refused: AtomicU64,
    hung: AtomicU64,
    faults: AtomicU64,
    last_nanos: AtomicU64,
    latencies: Mutex<Latencies>,
    hanging: AtomicBool,
    /// One permit a delivery that may be under way; given back when it arrives.
    window: Semaphore,
}

impl Sink {
    /// With nothing received; the window is closed until `open_window`.
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            received: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            hung: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            last_nanos: AtomicU64::new(0),
            latencies: Mutex::new(Latencies::default()),
            hanging: AtomicBool::new(false),
            window: Semaphore::new(0),
        })
    }

    /// From now on its endpoints read requests and never answer.
    pub(crate) fn hang(&self) {
        self.hanging.store(true, Ordering::Relaxed);
    }

    /// Messages taken.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Attempts refused because of their lane.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that got no answer.
    pub(crate) fn hung(&self) -> u64 {
        self.hung.load(Ordering::Relaxed)
    }

    /// Requests that were not what the harness had published.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// When the last message came.
    pub(crate) fn last_nanos(&self) -> u64 {
        self.last_nanos.load(Ordering::Relaxed)
    }

    /// The latencies since the last call.
    pub(crate) fn take_latencies(&self) -> Latencies {
        std::mem::take(&mut self.latencies())
    }

    /// Lets so many deliveries be under way that are counted by `enter`.
    pub(crate) fn open_window(&self, deliveries: usize) {
        self.window.forget_permits(usize::MAX >> 3);
        self.window.add_permits(deliveries);
    }

    /// Waits until `deliveries` more may be under way.
    pub(crate) async fn enter(&self, deliveries: u64) -> anyhow::Result<()> {
        let deliveries = u32::try_from(deliveries).context("too many deliveries at once")?;
        self.window.acquire_many(deliveries).await?.forget();
        Ok(())
    }

    /// Takes back an `enter` whose deliveries will not come.
    pub(crate) fn leave(&self, deliveries: u64) {
        self.window
            .add_permits(usize::try_from(deliveries).unwrap_or(0));
    }

    fn latencies(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges one request; the answer, if there is to be one.
    fn take(&self, data: &[u8]) -> Option<&'static [u8]> {
        if self.hanging.load(Ordering::Relaxed) {
            self.hung.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if payload::is_of(data, BLOCKED_KEY) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Some(REFUSED);
        }
        let Some(sent) = payload::stamp(data) else {
            self.faults.fetch_add(1, Ordering::Relaxed);
            return Some(REFUSED);
        };
        let now = self.clock.nanos();
        self.latencies().record(now.saturating_sub(sent));
        self.last_nanos.store(now, Ordering::Relaxed);
        self.received.fetch_add(1, Ordering::Relaxed);
        self.window.add_permits(1);
        Some(TAKEN)
    }
}

/// A listening endpoint; it ends when it is dropped, and its connections with it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    /// The one task that accepts and owns the connections.
    _listening: JoinSet<()>,
}

impl Endpoint {
    /// Listens on a free port of the loopback address.
    pub(crate) async fn listen(sink: &Arc<Sink>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("cannot listen on loopback")?;
        let address = listener.local_addr().context("a listener has an address")?;
        let mut listening = JoinSet::new();
        listening.spawn(accept(listener, Arc::clone(sink)));
        Ok(Self {
            address,
            _listening: listening,
        })
    }

    /// Several of them.
    pub(crate) async fn listen_all(sink: &Arc<Sink>, count: usize) -> anyhow::Result<Vec<Self>> {
        let mut endpoints = Vec::new();
        for _ in 0..count {
            endpoints.push(Self::listen(sink).await?);
        }
        Ok(endpoints)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, sink: Arc<Sink>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&sink)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: tokio::net::TcpStream, sink: Arc<Sink>) {
    // A connection that breaks shows as a message that never came, or as a retry of the gateway's.
    let Ok(mut connection) = Connection::new(stream) else {
        return;
    };
    loop {
        let answer = match connection.next().await {
            Ok(Some(request)) => sink.take(request.body()),
            Ok(None) => return,
            Err(_) => {
                sink.faults.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if let Some(answer) = answer
            && connection.send(answer).await.is_err()
        {
            return;
        }
    }
}
