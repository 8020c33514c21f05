//! One connection to the HTTP listener, from its acceptance to its end: TLS, the version, the requests, and the verdict on
//! slow and idle clients. Knows no route.

use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Connected, Judge, Watched};
use crate::options::{EdgeOptions, HEAD_BYTES_MAX, STREAMS_MAX};
use crate::places::Place;
use crate::preface::{Spoken, recognise};

/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Who comes.
pub(crate) struct Visitor {
    /// Where from.
    pub(crate) peer: IpAddr,
    /// Its place, until it goes.
    pub(crate) place: Place,
    /// Says so when the listener stops.
    pub(crate) stopping: watch::Receiver<()>,
}

/// A connection at work. Boxed, so that those of one version are not as large as those of the other.
type Driven = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What every connection is served with.
pub(crate) struct Door {
    one: http1::Builder,
    two: http2::Builder<TokioExecutor>,
    service: TowerToHyperService<Router>,
    head_timeout: Duration,
    idle_timeout: Duration,
}

impl Door {
    pub(crate) fn new(router: Router, options: &EdgeOptions) -> Arc<Self> {
        let mut one = http1::Builder::new();
        // The header timer is off because `Activity` does its work; the number of headers is hyper's own 100, which it
        // keeps on the stack.
        one.timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES_MAX);
        let mut two = http2::Builder::new(TokioExecutor::new());
        two.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL);
        Arc::new(Self {
            one,
            two,
            service: TowerToHyperService::new(router),
            head_timeout: options.head_timeout,
            idle_timeout: options.idle_timeout,
        })
    }

    /// Serves a connection to its end.
    pub(crate) async fn open(
        self: Arc<Self>,
        stream: TcpStream,
        acceptor: Option<TlsAcceptor>,
        visitor: Visitor,
    ) {
        // An answer is one small write: waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        // What only the beginning needs is given back before the connection is driven, for as long as it may live.
        let driven = match acceptor {
            None => self.begin(stream, visitor).await,
            Some(acceptor) => Box::pin(self.begin_tls(stream, acceptor, visitor)).await,
        };
        if let Some(driven) = driven {
            driven.await;
        }
    }

    async fn begin_tls(
        self: Arc<Self>,
        stream: TcpStream,
        acceptor: TlsAcceptor,
        visitor: Visitor,
    ) -> Option<Driven> {
        match timeout(self.head_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return self.begin(stream, visitor).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake not completed in time"),
        }
        None
    }

    /// Finds out what is spoken. Nothing when the connection is of no use.
    async fn begin<S>(self: Arc<Self>, stream: S, mut visitor: Visitor) -> Option<Driven>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = tokio::select! {
            begun = timeout(self.head_timeout, recognise(stream)) => begun,
            _ = visitor.stopping.changed() => return None,
        };
        match begun {
            Ok(Ok((spoken, stream))) => return Some(self.driven(spoken, stream, visitor)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection ended before it asked for anything");
            }
            Err(_) => tracing::debug!("a connection that asks for nothing is dropped"),
        }
        None
    }

    fn driven<S>(&self, spoken: Spoken, stream: S, visitor: Visitor) -> Driven
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let judge = Judge::new(Arc::clone(&activity), self.head_timeout, self.idle_timeout);
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let Visitor {
            peer,
            place,
            stopping,
        } = visitor;
        let service = self.service(peer, place, activity);
        let tick = self.head_timeout;
        match spoken {
            Spoken::Http1 => {
                let connection = self.one.serve_connection(stream, service).with_upgrades();
                let end = http1::UpgradeableConnection::graceful_shutdown;
                Box::pin(drive(connection, end, judge, tick, stopping))
            }
            Spoken::Http2 => {
                let connection = self.two.serve_connection(stream, service);
                let end = http2::Connection::graceful_shutdown;
                Box::pin(drive(connection, end, judge, tick, stopping))
            }
        }
    }

    /// Answers the requests of one connection.
    fn service(
        &self,
        peer: IpAddr,
        place: Place,
        activity: Arc<Activity>,
    ) -> impl HttpService<
        Incoming,
        ResBody = Body,
        Error = std::convert::Infallible,
        Future = impl Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send + use<>,
    > + Send
    + use<> {
        let router = self.service.clone();
        let (place, asked) = (Mutex::new(place), Once::new());
        service_fn(move |mut request: Request<Incoming>| {
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
            let answer = router.call(request);
            // On its own: hyper keeps room for what it works on as long as the connection lives.
            Box::pin(async move {
                let answer = answer.await;
                drop(under_way);
                answer
            })
        })
    }
}

/// Lets a connection work until it ends, is to end, or is judged to be of no use.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end: fn(Pin<&mut C>),
    mut judge: Judge,
    tick: Duration,
    mut stopping: watch::Receiver<()>,
) {
    let mut connection = pin!(connection);
    let mut ticks = interval(tick);
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
                end(connection.as_mut());
            }
            _ = ticks.tick() => if let Some(verdict) = judge.tick() {
                tracing::debug!(?verdict, "connection dropped");
                return;
            },
        }
    }
}
