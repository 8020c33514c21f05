//! The listener: accepts connections up to a cap, and on the signal to stop lets requests in flight finish within a limit.
//! Knows neither HTTP nor a route.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anser_gateway::metrics::ConnectionGauges;
use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::connection::{Door, Visitor};
use crate::options::{EdgeOptions, SILENT_OF_ADDRESS_MAX};
use crate::places::{Places, Room};
use crate::tls::{Tls, TlsError};

/// How often the certificate files are looked at.
pub(crate) const TLS_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which mostly means that file descriptors have run out: some must be closed first.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often it is told at the most that connections were refused.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Answered to a connection above the cap, before anything is read of it.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\ncontent-length: 189\r\nconnection: close\r\n\r\n\
{\"type\":\"https://anser.dev/problems/too_many_connections\",\"title\":\"Not ready\",\"status\":503,\"code\":\"too_many_connections\",\"detail\":\"the listener has no connection to spare, try again later\"}";

/// Serves `router` on `listener` until `shutdown` completes and the requests in flight have ended.
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    options: &EdgeOptions,
    shown: Arc<ConnectionGauges>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let mut tls = match &options.tls {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let (stop, stopping) = watch::channel(());
    let door = Door::new(router, options);
    let room = Room {
        connections: options.connections_max,
        half_open: options.connections_max,
        half_open_of_address: SILENT_OF_ADDRESS_MAX,
    };
    let places = Places::new(room, shown);
    let mut connections = JoinSet::new();
    let mut checks = interval(TLS_CHECK_INTERVAL);
    let (mut refused, mut tells) = (0_u64, interval(TELL_INTERVAL));
    tells.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match places.take(peer.ip()) {
                    Ok(place) => {
                        let acceptor = tls.as_ref().map(Tls::acceptor);
                        let stopping = stopping.clone();
                        let visitor = Visitor { peer: peer.ip(), place, stopping };
                        connections.spawn(Arc::clone(&door).open(stream, acceptor, visitor));
                    }
                    Err(problem) => {
                        tracing::debug!(address = %peer.ip(), %problem, "a connection is refused");
                        refused += 1;
                        refuse(&stream, tls.is_some());
                    }
                },
                Err(error) => pause(&error).await,
            },
            _ = tells.tick(), if refused > 0 => {
                tracing::warn!(refused, "connections are refused: there is no place for them");
                refused = 0;
            },
            _ = checks.tick(), if tls.is_some() => if let Some(tls) = &mut tls {
                tls.refresh().await;
            },
        }
    }
    drop(listener);
    drop(stop);
    drain(connections, options.shutdown_timeout).await;
    Ok(())
}

/// Tells a client that there is no connection to spare, if the socket takes it at once.
fn refuse(stream: &TcpStream, tls: bool) {
    if !tls && let Err(error) = stream.try_write(TOO_MANY) {
        tracing::debug!(%error, "the refusal was not sent");
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(limit, all).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests in flight did not end in time and are cut off"
        );
        connections.shutdown().await;
    }
}

/// A connection's task never panics by design; should one do, the others go on and the log tells.
pub(crate) fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_its_own_length() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(body).unwrap()["status"],
            503
        );
    }
}
