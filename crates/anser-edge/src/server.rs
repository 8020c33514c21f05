//! The listener: accepts connections up to a cap, speaks HTTP/1.1 and HTTP/2 on each, drops slow and idle clients, and on
//! the signal to stop lets requests in flight finish within a limit. Knows no route.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use anser_gateway::metrics::ConnectionGauges;
use axum::Router;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Connected, Judge, Watched};
use crate::options::{EdgeOptions, HEAD_BYTES_MAX, SILENT_OF_ADDRESS_MAX, STREAMS_MAX};
use crate::places::{Place, Places, Room};
use crate::tls::{Tls, TlsError};

/// How often the certificate files are looked at.
pub(crate) const TLS_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which mostly means that file descriptors have run out: some must be closed first.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often it is told at the most that connections were refused.
const TELL_INTERVAL: Duration = Duration::from_secs(60);
/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

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
    let door = Door {
        builder: builder(),
        service: TowerToHyperService::new(router),
        head_timeout: options.head_timeout,
        idle_timeout: options.idle_timeout,
    };
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
                        let visitor = Visitor { peer: peer.ip(), place };
                        connections.spawn(door.clone().open(stream, visitor, acceptor, stopping.clone()));
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

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The header timer is off because `Activity` does its work; the number of headers is hyper's own 100, which it
    // keeps on the stack.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL);
    builder
}

/// Who comes.
struct Visitor {
    peer: IpAddr,
    place: Place,
}

/// What every connection is served with.
#[derive(Clone)]
struct Door {
    builder: auto::Builder<TokioExecutor>,
    service: TowerToHyperService<Router>,
    head_timeout: Duration,
    idle_timeout: Duration,
}

impl Door {
    async fn open(
        self,
        stream: TcpStream,
        visitor: Visitor,
        acceptor: Option<TlsAcceptor>,
        stopping: watch::Receiver<()>,
    ) {
        // An answer is one small write: waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let Some(acceptor) = acceptor else {
            return self.serve(stream, visitor, stopping).await;
        };
        match timeout(self.head_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(self.serve(stream, visitor, stopping)).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake not completed in time"),
        }
    }

    async fn serve<S>(self, stream: S, visitor: Visitor, mut stopping: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let mut judge = Judge::new(Arc::clone(&activity), self.head_timeout, self.idle_timeout);
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let Visitor { peer, place } = visitor;
        let (place, asked) = (Mutex::new(place), Once::new());
        let service = service_fn(move |mut request: Request<Incoming>| {
            asked.call_once(|| {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                place.known();
            });
            let activity = Arc::clone(&activity);
            request.extensions_mut().insert(Connected {
                peer,
                activity: Arc::clone(&activity),
            });
            let under_way = activity.begin(request.version() == Version::HTTP_2);
            let answer = self.service.call(request);
            async move {
                let answer = answer.await;
                drop(under_way);
                answer
            }
        });
        let mut connection = pin!(self.builder.serve_connection_with_upgrades(stream, service));
        let mut ticks = interval(self.head_timeout);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                _ = stopping.changed(), if open => {
                    open = false;
                    connection.as_mut().graceful_shutdown();
                }
                _ = ticks.tick() => if let Some(verdict) = judge.tick() {
                    tracing::debug!(?verdict, "connection dropped");
                    return;
                },
            }
        }
    }
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
