//! The request that chat webhooks share: a POST of JSON. Must not put anything about the gateway into it but its name.

use anser_core::channel::{HttpRequest, Step};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::header;

/// Who asks.
pub(crate) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("anser/", env!("CARGO_PKG_VERSION")));

/// The request of a step, with its body or another.
pub(crate) fn post(url: Url, step: &Step, body: Bytes) -> HttpRequest {
    post_as(url, &step.media_type, body)
}

/// A request of another media type, or for no step.
pub(crate) fn post_as(url: Url, media_type: &str, body: Bytes) -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, header::readable(media_type));
    headers.insert(USER_AGENT, AGENT);
    HttpRequest {
        method: Method::POST,
        url,
        headers,
        body,
    }
}
