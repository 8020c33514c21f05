//! Settings of the HTTP listener, each with its default and its meaning. Must not read files or the environment.

use std::path::PathBuf;
use std::time::Duration;

/// Open connections at most, unless configured: each costs some 20 KiB while it is idle.
pub const CONNECTIONS_MAX: usize = 8_192;
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

/// Settings of the HTTP listener.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// Host names, beside the loopback ones, by which the gateway may be called without a key (developer mode only).
    pub trusted_hosts: Vec<String>,
    /// `/metrics` needs no key. Off: it needs one with scope `read`.
    pub metrics_public: bool,
    /// Certificate and key; absent: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Open connections at most; past it new ones are answered 503 and closed.
    pub connections_max: usize,
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
            connections_max: CONNECTIONS_MAX,
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
