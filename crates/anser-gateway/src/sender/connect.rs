//! Making a connection: look-up, address guard, TCP, proxy, TLS, HTTP handshake. The guard's word on the resolved
//! address decides, and exactly that address is connected to. Sends no request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::channel::{MailSecurity, MailServer, SendError, SendErrorKind};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::body::Outbound;
use super::error::{kind_of_io, of_http, unsent};
use super::exchange::{Connection, Http1, Http2, RESPONSE_HEAD_BYTES_MAX};
use super::guard::AddressGuard;
use super::mail;
use super::proxy::Proxy;
use super::resolve::Resolver;
use super::room::Place;
use super::tls;
use super::trace::{Phase, Trace};
use super::transport::Transport;
use super::websocket;

/// Addresses of one name that are tried.
pub const ADDRESSES_TRIED_MAX: usize = 8;
/// The least time that one address of several is given, as long as the deadline leaves so much.
const ADDRESS_TIME_MIN: Duration = Duration::from_secs(2);
/// How often an HTTP/2 connection in use is asked whether it still lives, and how long it may take to say so: a peer
/// that vanished without a word would hold it open.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What an HTTP/2 peer may send of one answer before it was read; more than the body's cap is never wanted.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same for all answers of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Makes connections.
pub(super) struct Connector {
    resolver: Arc<dyn Resolver>,
    guard: AddressGuard,
    tls: TlsConnector,
    mail_tls: TlsConnector,
    socket_tls: TlsConnector,
    proxy: Option<Proxy>,
    http1: http1::Builder,
    http2: http2::Builder<Tasks>,
    next_number: AtomicU64,
}

impl Connector {
    pub(super) fn new(
        resolver: Arc<dyn Resolver>,
        guard: AddressGuard,
        tls: TlsConnector,
        mail_tls: TlsConnector,
        socket_tls: TlsConnector,
        proxy: Option<Proxy>,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(RESPONSE_HEAD_BYTES_MAX);
        let mut http2 = http2::Builder::new(Tasks);
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(
                u32::try_from(RESPONSE_HEAD_BYTES_MAX).expect("a constant far below 4 GiB"),
            );
        Self {
            resolver,
            guard,
            tls,
            mail_tls,
            socket_tls,
            proxy,
            http1,
            http2,
            next_number: AtomicU64::new(0),
        }
    }

    pub(super) fn guard(&self) -> &AddressGuard {
        &self.guard
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// A new connection for `url`.
    pub(super) async fn connect(
        &self,
        url: &Url,
        place: Place,
        trace: &mut Trace<'_>,
    ) -> Result<Connection, SendError> {
        let secure = url.scheme() == "https";
        let (Some(host), Some(port), true) = (
            url.host(),
            url.port_or_known_default(),
            secure || url.scheme() == "http",
        ) else {
            let detail = format!("{}: is no http or https URL with a host", url.scheme());
            return Err(unsent(SendErrorKind::Protocol, detail));
        };
        let stream = match &self.proxy {
            None => {
                let addresses = self.judged_addresses(&host, port, trace).await?;
                dial(&addresses, trace).await?
            }
            Some(proxy) => {
                self.guard.judge_url(url).map_err(blocked)?;
                self.reach_through(proxy, &host, port, secure, trace)
                    .await?
            }
        };
        let peer = trace
            .peer
            .expect("dialling notes the address that answered");
        if !secure {
            return self
                .speak_http1(Transport::Plain(stream), peer, place)
                .await;
        }
        let stream = self.secure(&self.tls, stream, &host, trace).await?;
        if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
            self.speak_http2(stream, peer, place).await
        } else {
            self.speak_http1(Transport::Tls(Box::new(stream)), peer, place)
                .await
        }
    }

    /// A new connection for a WebSocket, before its handshake. Through a proxy it is a tunnel, with TLS or without (RFC 6455
    /// §4.1).
    pub(super) async fn connect_socket(
        &self,
        url: &Url,
        trace: &mut Trace<'_>,
    ) -> Result<Transport, SendError> {
        let (host, port, secure) = websocket::target(url)?;
        let stream = match &self.proxy {
            None => {
                let addresses = self.judged_addresses(&host, port, trace).await?;
                dial(&addresses, trace).await?
            }
            Some(proxy) => {
                self.guard.judge_url(url).map_err(blocked)?;
                self.reach_through(proxy, &host, port, true, trace).await?
            }
        };
        if !secure {
            return Ok(Transport::Plain(stream));
        }
        let secured = self.secure(&self.socket_tls, stream, &host, trace).await?;
        Ok(Transport::Tls(Box::new(secured)))
    }

    /// A new connection to a mail server, before its greeting; with TLS if it is to begin with that.
    pub(super) async fn connect_mail(
        &self,
        server: &MailServer,
        place: Place,
        trace: &mut Trace<'_>,
    ) -> Result<mail::Stream, SendError> {
        let host = Host::parse(&server.host)
            .map_err(|error| unsent(SendErrorKind::Dns, format!("{}: {error}", server.host)))?;
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        let addresses = self.judged_addresses(&host, server.port, trace).await?;
        let stream = dial(&addresses, trace).await?;
        let peer = trace
            .peer
            .expect("dialling notes the address that answered");
        let transport = match server.security {
            MailSecurity::Tls => Transport::Tls(Box::new(
                self.secure(&self.mail_tls, stream, &host, trace).await?,
            )),
            MailSecurity::StartTls | MailSecurity::None => Transport::Plain(stream),
        };
        Ok(mail::Stream::new(transport, peer, place))
    }

    /// The addresses of `host` that the guard allows.
    async fn judged_addresses(
        &self,
        host: &Host<&str>,
        port: u16,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<SocketAddr>, SendError> {
        let resolved = self.resolve(host, port, trace).await?;
        let Host::Domain(name) = host else {
            return match self.guard.judge(resolved[0].ip()) {
                Ok(()) => Ok(resolved),
                Err(problem) => Err(blocked(problem)),
            };
        };
        if self.guard.allows_host(name) {
            return Ok(resolved);
        }
        let mut refused = None;
        let mut allowed = Vec::with_capacity(resolved.len());
        for address in resolved {
            match self.guard.judge(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(problem) => refused = Some(problem),
            }
        }
        match refused {
            Some(problem) if allowed.is_empty() => Err(unsent(
                SendErrorKind::Blocked,
                format!(
                    "{name} resolves to an address that is not allowed: {}",
                    problem.detail
                ),
            )),
            _ => Ok(allowed),
        }
    }

    /// The addresses of `host`, at least one.
    async fn resolve(
        &self,
        host: &Host<&str>,
        port: u16,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<SocketAddr>, SendError> {
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![SocketAddr::from((*address, port))]),
            Host::Ipv6(address) => return Ok(vec![SocketAddr::from((*address, port))]),
            Host::Domain(name) => name,
        };
        trace.phase = Phase::Resolve;
        let mark = trace.elapsed();
        let resolved = self.resolver.resolve(name, port).await;
        trace.timing.dns_us = trace.since(mark);
        match resolved {
            Ok(addresses) if addresses.is_empty() => {
                Err(unsent(SendErrorKind::Dns, format!("{name} has no address")))
            }
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(unsent(SendErrorKind::Dns, format!("{name}: {error}"))),
        }
    }

    async fn reach_through(
        &self,
        proxy: &Proxy,
        host: &Host<&str>,
        port: u16,
        secure: bool,
        trace: &mut Trace<'_>,
    ) -> Result<TcpStream, SendError> {
        let at = match &proxy.host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        let addresses = self.resolve(&at, proxy.port, trace).await?;
        let mut stream = dial(&addresses, trace).await?;
        if secure {
            trace.phase = Phase::Proxy;
            let mark = trace.elapsed();
            // `Host` writes an IPv6 address with its brackets.
            proxy.tunnel(&mut stream, &format!("{host}:{port}")).await?;
            trace.timing.connect_us += trace.since(mark);
        }
        Ok(stream)
    }

    async fn secure(
        &self,
        tls: &TlsConnector,
        stream: TcpStream,
        host: &Host<&str>,
        trace: &mut Trace<'_>,
    ) -> Result<TlsStream<TcpStream>, SendError> {
        trace.phase = Phase::Tls;
        let name = tls::server_name(host).map_err(|why| unsent(SendErrorKind::Tls, why))?;
        let mark = trace.elapsed();
        let secured = tls.connect(name, stream).await;
        trace.timing.tls_us = trace.since(mark);
        secured.map_err(|error| unsent(SendErrorKind::Tls, error.to_string()))
    }

    async fn speak_http1(
        &self,
        stream: Transport,
        peer: SocketAddr,
        place: Place,
    ) -> Result<Connection, SendError> {
        let (requests, driver) = self
            .http1
            .handshake::<_, Outbound>(TokioIo::new(stream))
            .await
            .map_err(|error| of_http(&error, false))?;
        Ok(Connection::One(Box::new(Http1::new(
            requests, driver, peer, place,
        ))))
    }

    async fn speak_http2(
        &self,
        stream: TlsStream<TcpStream>,
        peer: SocketAddr,
        place: Place,
    ) -> Result<Connection, SendError> {
        let (requests, driver) = self
            .http2
            .handshake::<_, Outbound>(TokioIo::new(stream))
            .await
            .map_err(|error| of_http(&error, false))?;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let end = Arc::new(Notify::new());
        let ended = Arc::clone(&end);
        hyper::rt::Executor::execute(&Tasks, async move {
            let _place = place;
            tokio::select! {
                driven = driver => if let Err(error) = driven {
                    tracing::debug!(%error, %peer, "connection ended");
                },
                () = ended.notified() => {}
            }
        });
        Ok(Connection::Two(Http2::new(requests, peer, number, end)))
    }
}

fn blocked(problem: anser_core::Problem) -> SendError {
    unsent(SendErrorKind::Blocked, problem.detail)
}

/// Connects to the first address that answers. Each gets its share of the time that is left.
async fn dial(addresses: &[SocketAddr], trace: &mut Trace<'_>) -> Result<TcpStream, SendError> {
    trace.phase = Phase::Connect;
    let mark = trace.elapsed();
    let addresses = &addresses[..addresses.len().min(ADDRESSES_TRIED_MAX)];
    let mut failed = unsent(SendErrorKind::Dns, "no address to connect to");
    for (index, address) in addresses.iter().enumerate() {
        trace.peer = Some(*address);
        let remaining = trace.remaining();
        let others = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = (remaining / others).max(ADDRESS_TIME_MIN).min(remaining);
        let connected = if others == 1 {
            // The deadline itself is the limit.
            Ok(TcpStream::connect(address).await)
        } else {
            tokio::time::timeout(share, TcpStream::connect(address)).await
        };
        trace.timing.connect_us = trace.since(mark);
        failed = match connected {
            Ok(Ok(stream)) => {
                // A request is written at once; waiting for more to send would only delay it.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, %address, "TCP_NODELAY not set");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => unsent(kind_of_io(&error), format!("{address}: {error}")),
            Err(_) => unsent(
                SendErrorKind::TimedOut,
                format!("{address} did not take the connection within {share:?}"),
            ),
        };
    }
    if addresses.len() > 1 {
        failed.detail = format!(
            "none of {} addresses; the last, {}",
            addresses.len(),
            failed.detail
        );
    }
    Err(failed)
}

/// Runs what an HTTP/2 connection needs to be driven by.
#[derive(Debug, Clone, Copy)]
struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "an HTTP/2 connection and its streams are driven by tasks of hyper's; they end with the connection, \
                  which ends when its last handle is dropped"
    )]
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
