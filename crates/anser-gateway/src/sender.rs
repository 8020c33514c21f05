//! The one sender: every outgoing HTTP request of the gateway goes through [`Sender::send`], which keeps one
//! deadline over look-up, connect, TLS, headers and body, asks the address guard about every address it connects to,
//! follows no redirect, keeps no cookie, decompresses nothing and reads no more of an answer than its cap.
//! It must not judge an answer (channels classify), retry an attempt (dispatch does) or know what it carries.
//!
//! An HTTP/1.1 connection has no task of its own: the attempt that uses it drives it, and between attempts it lies in
//! the pool. That saves two hand-overs between tasks an attempt, and a dropped attempt closes its connection at once.
//! An HTTP/2 connection is shared, so a task drives it for as long as it lives.

mod body;
mod connect;
mod error;
mod exchange;
mod exec;
mod fetch;
mod guard;
mod mail;
mod pool;
mod proxy;
mod resolve;
mod room;
#[cfg(test)]
mod tests;
mod tls;
mod trace;
mod transport;
mod upload;
mod websocket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{
    Exchange, ExecRequest, HttpRequest, MailRequest, Program, Report, SendError,
};
use anser_core::clock::Clock;
use anser_core::id::ResourceId;
use http_body_util::Full;
use url::Url;

use body::Outbound;
use connect::Connector;
use exchange::{Connection, Outgoing, Tried};
use exec::Programs;
use mail::Authorities;
use pool::Pool;
use proxy::Proxy;
use room::Room;
use trace::Trace;

pub use body::BodyStream;
pub use exec::{
    PROGRAMS_MAX_DEFAULT, PROGRAMS_SETTING, ProgramOptions, ProgramPlace, VARIABLES_DEFAULT,
};
pub use fetch::Fetched;
pub use guard::{AddressGuard, GUARD_SETTING, GuardOptions};
pub use mail::MailFiles;
pub use resolve::{LOOKUPS_MAX, Resolver, SystemResolver};
pub use upload::Upload;
pub use websocket::{FRAMES_UNSENT_MAX, Heard, NotOpened, Socket};

/// Idle connections kept for one endpoint by default: as many as one endpoint may have attempts in flight.
pub const IDLE_CONNECTIONS_PER_ENDPOINT_MAX_DEFAULT: usize = 32;
/// How long an idle connection is kept by default.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);
/// Open connections, busy and idle, by default: the 4,096 attempts that may be in flight and as many idle ones.
pub const CONNECTIONS_MAX_DEFAULT: usize = 8_192;

pub use connect::ADDRESSES_TRIED_MAX;
pub use exchange::{RESPONSE_HEAD_BYTES_MAX, RESPONSE_HEADERS_MAX};

/// What a [`Sender`] is made of.
pub struct SenderOptions {
    /// For measuring where the time goes and how long a connection lay idle. The deadline itself is tokio's timer.
    pub clock: Arc<dyn Clock>,
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
    /// Decides which addresses may be connected to.
    pub guard: AddressGuard,
    /// PEM files of certificate authorities that are trusted beside the public ones.
    pub extra_ca_files: Vec<PathBuf>,
    /// An `http` proxy through which everything is sent: `CONNECT` for `https` targets, absolute-form for `http`.
    /// User and password in the URL are sent as basic authorization.
    pub proxy: Option<Url>,
    /// Idle connections kept for one endpoint (scheme, host, port).
    pub idle_connections_per_endpoint_max: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Open connections, busy and idle. At the limit the longest idle ones are closed, and then attempts wait.
    pub connections_max: usize,
    /// Which programs may be run; `None`: none.
    pub programs: Option<ProgramOptions>,
}

impl SenderOptions {
    /// The defaults: public authorities only, no proxy, a guard that allows public addresses alone.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, resolver: Arc<dyn Resolver>) -> Self {
        Self {
            clock,
            resolver,
            guard: AddressGuard::default(),
            extra_ca_files: Vec::new(),
            proxy: None,
            idle_connections_per_endpoint_max: IDLE_CONNECTIONS_PER_ENDPOINT_MAX_DEFAULT,
            idle_timeout: IDLE_TIMEOUT_DEFAULT,
            connections_max: CONNECTIONS_MAX_DEFAULT,
            programs: None,
        }
    }
}

/// Sends HTTP requests. Share one: it holds the connections. It belongs to the tokio runtime that it is first used on.
pub struct Sender {
    clock: Arc<dyn Clock>,
    connector: Connector,
    authorities: Authorities,
    pool: Pool,
    room: Room,
    programs: Programs,
}

impl Sender {
    /// A sender without any connection yet.
    ///
    /// # Errors
    /// `invalid_setting` when a certificate file cannot be read or holds no certificate, or the proxy is no plain
    /// `http` URL with a host, or the folder of programs cannot be used.
    pub fn new(options: SenderOptions) -> Result<Self, Problem> {
        let tls = tls::connector(&options.extra_ca_files)?;
        let mail_tls = tls::mail_connector(&options.extra_ca_files)?;
        let socket_tls = tls::socket_connector(&options.extra_ca_files)?;
        let proxy = options.proxy.as_ref().map(Proxy::new).transpose()?;
        Ok(Self {
            clock: options.clock,
            connector: Connector::new(
                options.resolver,
                options.guard,
                tls,
                mail_tls,
                socket_tls,
                proxy,
            ),
            authorities: Authorities::read(&options.extra_ca_files)?,
            pool: Pool::new(
                options.idle_connections_per_endpoint_max,
                options.idle_timeout,
            ),
            room: Room::new(options.connections_max),
            programs: Programs::new(options.programs)?,
        })
    }

    /// The guard that judges every address; for judging an endpoint's URL when a channel is created.
    #[must_use]
    pub fn guard(&self) -> &AddressGuard {
        self.connector.guard()
    }

    /// Sends one request and reads the answer, within `deadline`. Dropping the future gives the attempt up and closes
    /// its HTTP/1.1 connection (resets its HTTP/2 stream).
    pub async fn send(&self, request: HttpRequest, deadline: Duration) -> Report {
        let trace = Trace::start(&*self.clock, deadline);
        self.send_traced(request, deadline, trace).await
    }

    /// As [`Sender::send`], and reads up to `answer_max` bytes of the answer: for what platforms are asked that tells more
    /// than what became of a message.
    pub async fn query(
        &self,
        request: HttpRequest,
        deadline: Duration,
        answer_max: usize,
    ) -> Report {
        let mut trace = Trace::start(&*self.clock, deadline);
        trace.answer_max = answer_max;
        self.send_traced(request, deadline, trace).await
    }

    async fn send_traced(
        &self,
        request: HttpRequest,
        deadline: Duration,
        mut trace: Trace<'_>,
    ) -> Report {
        let HttpRequest {
            method,
            url,
            headers,
            body,
        } = request;
        let request = exchange::outgoing(method, headers, Outbound::Full(Full::new(body)));
        let exchange =
            tokio::time::timeout(deadline, self.exchange(&url, request, &mut trace)).await;
        let exchange = exchange.unwrap_or_else(|_| {
            // A shared connection that does not answer may be dead without anyone having noticed: the next attempt
            // makes a new one.
            if let Some(number) = trace.shared {
                self.pool.forget(&pool::origin(&url), number);
            }
            Err(trace.timed_out())
        });
        trace.report(exchange)
    }

    /// Carries one mail, within `deadline`, over a connection of its own. `files` are the bytes of its attachments.
    pub async fn send_mail(
        &self,
        request: &MailRequest,
        files: &MailFiles,
        deadline: Duration,
    ) -> Report {
        let mut trace = Trace::start(&*self.clock, deadline);
        let carried = async {
            let place = self.room.enter(|| self.pool.close_longest_idle()).await;
            let server = &request.server;
            let stream = self
                .connector
                .connect_mail(server, place, &mut trace)
                .await?;
            mail::carry(stream, request, files, &self.authorities, &mut trace).await
        };
        let exchange = tokio::time::timeout(deadline, carried).await;
        let exchange = exchange.unwrap_or_else(|_| Err(trace.timed_out()));
        trace.report(exchange)
    }

    /// Looks whether a program may be run here; for a channel that is created, as the guard judges its URL.
    ///
    /// # Errors
    /// `programs_off`, `unknown_program`, `program_not_allowed`, `variable_not_allowed`, each with its field.
    pub fn judge_program(&self, program: &Program) -> Result<(), Problem> {
        self.programs.judge(program)
    }

    /// Waits for a place to run a channel's program in.
    pub async fn enter_program(&self, channel: ResourceId, program: &Program) -> ProgramPlace {
        self.programs.enter(channel, program).await
    }

    /// Runs a program, within its own time limit. Dropping the future ends it and all that it started.
    pub async fn run(&self, request: ExecRequest, place: ProgramPlace) -> Report {
        let trace = Trace::start(&*self.clock, request.program.timeout);
        let exchange = self.programs.run(request, place).await;
        trace.report(exchange)
    }

    /// Resolves when every program has ended that was given up.
    pub async fn programs_ended(&self) {
        self.programs.ended().await;
    }

    /// Closes every idle connection. Attempts under way are not disturbed.
    pub fn close_idle(&self) {
        self.pool.clear();
    }

    /// Closes the connections that lay idle for longer than the limit. Happens by itself while attempts are made;
    /// call it now and then so that it also happens when there are none.
    pub fn close_expired(&self) {
        self.pool.close_expired(self.clock.monotonic());
    }

    /// Connections that are open, busy and idle.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.room.taken()
    }

    async fn exchange(&self, url: &Url, mut request: Outgoing, trace: &mut Trace<'_>) -> Exchange {
        let origin = pool::origin(url);
        // A streamed body has its connection for itself: it would keep others waiting, and may have to be broken off.
        let alone = request.body().is_streamed();
        // Each connection that turns out to have been closed while it lay idle is gone from the pool, so this ends. What
        // it gives back was not touched: not even a streamed body.
        while let Some(connection) = self.pool.take(&origin, alone, self.clock.monotonic()) {
            match self.attempt(connection, &origin, url, request, trace).await {
                Tried::Done(exchange) => return exchange,
                Tried::NotSent(again) => request = again.0,
            }
        }
        // Boxed: the attempt on a kept connection, which is nearly every one, need not carry its state.
        let connection = Box::pin(self.connect(url, trace)).await?;
        if let Connection::Two(two) = &connection
            && !alone
        {
            // Before its first answer, so that attempts starting meanwhile need no connection of their own.
            self.pool.share(&origin, two, self.clock.monotonic());
        }
        match self.attempt(connection, &origin, url, request, trace).await {
            Tried::Done(exchange) => exchange,
            Tried::NotSent(again) => Err(again.1),
        }
    }

    async fn connect(&self, url: &Url, trace: &mut Trace<'_>) -> Result<Connection, SendError> {
        let place = self.room.enter(|| self.pool.close_longest_idle()).await;
        self.connector.connect(url, place, trace).await
    }

    async fn attempt(
        &self,
        connection: Connection,
        origin: &str,
        url: &Url,
        request: Outgoing,
        trace: &mut Trace<'_>,
    ) -> Tried {
        let proxy = self.connector.proxy();
        match connection {
            Connection::One(mut one) => {
                let request = match exchange::shape_http1(request, url, proxy) {
                    Ok(request) => request,
                    Err(error) => return Tried::Done(Err(error)),
                };
                let tried = one.exchange(request, trace).await;
                if one.is_reusable() && !self.room.is_wanted() {
                    self.pool.put(origin, one, self.clock.monotonic());
                }
                tried
            }
            Connection::Two(two) => {
                let end = request.body().is_streamed().then(|| two.end_on_drop());
                let request = match exchange::shape_http2(request, url) {
                    Ok(request) => request,
                    Err(error) => return Tried::Done(Err(error)),
                };
                let tried = two.exchange(request, trace).await;
                if let Some(end) = end
                    && trace.body_is_sent()
                {
                    end.disarm();
                }
                if matches!(tried, Tried::NotSent(_)) {
                    self.pool.forget(origin, two.number());
                }
                tried
            }
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("open_connections", &self.open_connections())
            .finish_non_exhaustive()
    }
}
