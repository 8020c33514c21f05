//! An answer over HTTP, as a value: what a channel gets for its request, and what it gives for a platform's. Must not know what
//! it means.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// An HTTP answer, or the reply of a mail server, whose code stands for the status (RFC 5321 §4.2).
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, cut at the cap.
    pub body: Bytes,
}
