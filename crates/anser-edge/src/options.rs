//! Settings of the HTTP listener, each with its default and its meaning. Must not read files or the environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::origin::LiveOrigins;

/// Open connections at most, unless configured: each costs some 20 KiB while it is idle.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Live connections at a time, those that wait between two polls too, unless configured; past it new ones are refused.
pub const LIVE_CONNECTIONS_MAX: usize = 65_536;
/// Connections of one address (IPv6: of one network of 64 bits) at a time that have not asked for anything yet: whoever
/// opens them and stays silent leaves places for the others.
pub const SILENT_OF_ADDRESS_MAX: usize = 1_024;
/// One request head: request line and headers together, in bytes. Beyond it: 431.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Streams of one HTTP/2 connection at a time.
pub const STREAMS_MAX: u32 = 256;
/// Time for a request head from its first byte, for the first head of a connection and for a TLS handshake.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a whole request body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may stand idle between requests: above the 60 s after which most proxies and clients give
/// up their side, so that it is they who close and no request is lost to the race.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(100);
/// How long requests in flight may go on after the signal to stop.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// Members of [`CmqOptions::hosts`]: a wrong signature is tried with each.
pub const CMQ_HOSTS_MAX: usize = 16;

/// Settings of the CMQ door.
#[derive(Debug, Clone)]
pub struct CmqOptions {
    /// Whether it is there.
    pub enabled: bool,
    /// What a publish that no subscription takes is answered.
    pub publish_unrouted: PublishUnrouted,
    /// How far a request's timestamp may be from the gateway's time.
    pub clock_skew: Duration,
    /// Hosts by which clients know the gateway beside the one that their requests arrive with, each with its port if
    /// clients name one: a proxy in front may replace it. At most [`CMQ_HOSTS_MAX`].
    pub hosts: Vec<String>,
    /// Topics beyond which CreateTopic is refused.
    pub topics_max: usize,
    /// Queues beyond which CreateQueue is refused.
    pub queues_max: usize,
    /// Subscriptions of one topic beyond which Subscribe is refused.
    pub subscriptions_max: usize,
}

impl Default for CmqOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            publish_unrouted: PublishUnrouted::default(),
            clock_skew: Duration::from_secs(900),
            hosts: Vec::new(),
            topics_max: 1_000,
            queues_max: 10_000,
            subscriptions_max: 500,
        }
    }
}

/// What a CMQ client is told when no subscription takes what it publishes. Nothing is stored in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublishUnrouted {
    /// 6030, as Tencent's error table has it.
    #[default]
    Error,
    /// That it was published.
    Accept,
}

/// Settings of the HTTP listener.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// Host names, beside the loopback ones, by which the gateway may be called without a key (developer mode only).
    pub trusted_hosts: Vec<String>,
    /// `/metrics` needs no key. Off: it needs one with scope `read`.
    pub metrics_public: bool,
    /// Certificate and key; absent: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The port of framed TCP speaks TLS too, with the same files.
    pub live_tcp_tls: bool,
    /// The origins, beside the own, whose pages may use the wires of live clients.
    pub live_origins: LiveOrigins,
    /// The door for clients of Tencent CMQ.
    pub cmq: CmqOptions,
    /// Open connections at most; past it new ones are answered 503 and closed.
    pub connections_max: usize,
    /// Live connections at most, those that wait between two polls too.
    pub live_connections_max: usize,
    /// Time for a request head; a client that is slower is disconnected within twice this.
    pub head_timeout: Duration,
    /// Time for a whole request body; a client that is slower is answered 408.
    pub body_timeout: Duration,
    /// How long a connection may stand idle.
    pub idle_timeout: Duration,
    /// How long requests in flight may go on after the signal to stop.
    pub shutdown_timeout: Duration,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            trusted_hosts: Vec::new(),
            metrics_public: false,
            tls: None,
            live_tcp_tls: false,
            live_origins: LiveOrigins::default(),
            cmq: CmqOptions::default(),
            connections_max: CONNECTIONS_MAX,
            live_connections_max: LIVE_CONNECTIONS_MAX,
            head_timeout: HEAD_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        }
    }
}

/// Where the listener's certificate and key are, both PEM. Read again when one of them changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then its issuers.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
