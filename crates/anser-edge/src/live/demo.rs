//! `/live-demo`, in developer mode only: a page on which two tabs of a browser talk with each other through the gateway, over
//! any of the wires that browsers have.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response};

use crate::answer::Answer;
use crate::state::Edge;

/// What is served: its path, its media type, and its text.
const FILES: [(&str, &str, &str); 4] = [
    (
        "/live-demo",
        "text/html; charset=utf-8",
        include_str!("demo/page.html"),
    ),
    (
        "/live-demo/style.css",
        "text/css; charset=utf-8",
        include_str!("demo/style.css"),
    ),
    (
        "/live-demo/page.js",
        "text/javascript; charset=utf-8",
        include_str!("demo/page.js"),
    ),
    (
        "/live-demo/wires.js",
        "text/javascript; charset=utf-8",
        include_str!("demo/wires.js"),
    ),
];
/// The page loads its own files alone, speaks with the gateway alone, and stands in no frame. The image is its empty icon.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Adds the page and its files.
pub(super) fn attach(router: Router<Arc<Edge>>) -> Router<Arc<Edge>> {
    FILES
        .into_iter()
        .fold(router, |router, (path, media_type, text)| {
            router.route(path, get(async move || file(media_type, text)))
        })
}

fn file(media_type: &'static str, text: &'static str) -> Answer {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // Another build's files would not fit this page.
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    answer
}
