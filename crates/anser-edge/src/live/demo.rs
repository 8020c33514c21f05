//! `/live-demo`, in developer mode only: a page on which two tabs of a browser talk with each other through the gateway.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::answer::Answer;
use crate::state::Edge;

const PAGE: &str = include_str!("demo.html");
/// The page loads nothing but itself, and speaks with the gateway alone.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'";

/// Adds the page.
pub(super) fn attach(router: Router<Arc<Edge>>) -> Router<Arc<Edge>> {
    router.route("/live-demo", get(page))
}

async fn page() -> Answer {
    let mut answer = Response::new(Body::from(PAGE));
    let headers = answer.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, html);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}
