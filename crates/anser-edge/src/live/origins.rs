//! What the wires that begin as HTTP tell browsers about pages of other origins (WHATWG Fetch §3.3, CORS): whose pages may,
//! what a preflight asks, and a refusal that names the setting. Cookies are never taken, so no answer allows credentials. Must
//! not know who anybody is.

use std::sync::Arc;

use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue, Request};

use super::Live;
use crate::answer::{self, Answer};
use crate::body;
use crate::origin::Judged;

/// What pages ask with, on every wire.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// What the resources take, a preflight too.
const TAKEN: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
/// Headers that the wires read and that a browser asks about.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, last-event-id");
/// Headers of answers that a page may read beside those that it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after");
/// For how many seconds a browser may remember the answer to a preflight: a change of the setting takes a restart.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// Lets every page read an answer.
const EVERY_PAGE: HeaderValue = HeaderValue::from_static("*");

/// Refuses pages of origins that may not, and marks the answers to those that may.
pub(super) async fn check(
    State(live): State<Arc<Live>>,
    request: Request<Body>,
    next: Next,
) -> Answer {
    let (parts, body) = request.into_parts();
    match live.options.live_origins.judge(&parts) {
        Judged::Own => next.run(Request::from_parts(parts, body)).await,
        Judged::Allowed(origin) => {
            let mut answer = next.run(Request::from_parts(parts, body)).await;
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            headers.append(VARY, HeaderValue::from_name(ORIGIN));
            answer
        }
        Judged::Refused => {
            let _counted = live.gateway.metrics().http_request();
            body::discard(body).await;
            let problem = refusal(parts.headers.get(ORIGIN));
            tracing::debug!(%problem, path = parts.uri.path(), "a page was not let in");
            let mut answer = answer::problem(&problem);
            // Nothing in it is anybody's: whoever writes the page finds the reason where they look for it.
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, EVERY_PAGE);
            answer
        }
    }
}

fn refusal(origin: Option<&HeaderValue>) -> Problem {
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let detail = format!(
        "pages of the origin {:?} may not use live connections here; an operator allows them by the setting live.origins",
        origin.unwrap_or_default()
    );
    Problem::new(ProblemKind::Forbidden, "origin_not_allowed", detail)
        .accepted("the gateway's own origin, and those that live.origins names")
}

/// `OPTIONS`: what a page of an origin that may is allowed to send.
pub(super) async fn preflight(State(live): State<Arc<Live>>) -> Answer {
    let _counted = live.gateway.metrics().http_request();
    let mut answer = answer::no_content();
    let told: [(HeaderName, HeaderValue); 4] = [
        (ALLOW, TAKEN),
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
    ];
    answer.headers_mut().extend(told);
    answer
}
