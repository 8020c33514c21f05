//! One request over HTTP and what came of it: an answer, or why there is none. Must not know who asks, nor what an answer means.

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use crate::response::HttpResponse;

/// An HTTP request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Headers, apart from `host` and `content-length`.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What came back: an answer, or why there is none.
pub type Exchange = Result<HttpResponse, SendError>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct SendError {
    /// What failed.
    pub kind: SendErrorKind,
    /// Whether any byte of the request may have reached the endpoint.
    pub sent: bool,
    /// More, for people.
    pub detail: String,
}

/// What failed, told apart in every error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendErrorKind {
    /// The name does not resolve.
    Dns,
    /// No route, or no answer to the connection request.
    Unreachable,
    /// The connection was refused.
    Refused,
    /// The connection was closed or reset.
    Reset,
    /// The time limit ran out.
    TimedOut,
    /// The TLS handshake failed.
    Tls,
    /// The address guard forbids the address.
    Blocked,
    /// The answer is no HTTP, or breaks a limit.
    Protocol,
    /// A program could not be started, or did not end by itself.
    Program,
}

impl std::fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dns => "name not resolved",
            Self::Unreachable => "unreachable",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS handshake failed",
            Self::Blocked => "address not allowed",
            Self::Protocol => "protocol error",
            Self::Program => "program",
        })
    }
}
