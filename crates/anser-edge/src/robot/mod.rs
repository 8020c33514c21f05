//! The door for whatever posts to a group robot: `POST /robot/{token}/{dialect}`, and below it the platform's own path, which
//! clients keep that take only another base address. A request is read, its proof checked, made a message, published, and
//! answered as the platform would. Must not decide where a message goes.
//!
//! Dialects are pure and public, for fuzzing.

mod alertmanager;
mod alerts;
mod dialect;
mod dingtalk;
mod discord;
mod document;
mod draft;
mod feishu;
mod github;
mod gitlab;
mod grafana;
mod member;
mod multipart;
mod plain;
mod proof;
mod reply;
mod sentry;
mod slack;
#[cfg(test)]
mod tests;
mod told;
mod wecom;

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_core::message::Source;
use anser_core::{Problem, ProblemKind};
use anser_gateway::config::Robot;
use anser_gateway::publish::Published;
use anser_gateway::robots::RobotMessage;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};

pub use dialect::Dialect;
pub use reply::Reply;
pub use told::{Fault, Posted, Told};

use crate::answer::{self, Answer};
use crate::body;
use crate::state::Edge;

/// Where the door is.
const PREFIX: &str = "/robot/";
/// Seconds after which a request that is not taken now may be sent again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Adds the door to the router.
pub(crate) fn attach(router: Router<Arc<Edge>>) -> Router<Arc<Edge>> {
    [
        "/robot/{token}/{dialect}",
        "/robot/{token}/{dialect}/",
        "/robot/{token}/{dialect}/{*rest}",
    ]
    .into_iter()
    .fold(router, |router, path| router.route(path, any(call)))
}

/// The URLs of a robot by dialect, of those that it takes; `base` is how the gateway is reached.
pub(crate) fn urls(
    base: &str,
    token: &str,
    takes: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let base = base.trim_end_matches('/');
    Dialect::ALL
        .into_iter()
        .map(Dialect::name)
        .filter(|name| takes(name))
        .map(|name| (name.to_owned(), format!("{base}{PREFIX}{token}/{name}")))
        .collect()
}

/// Refuses the name of a dialect that there is not.
///
/// # Errors
/// `invalid_dialect`.
pub(crate) fn check_dialect(field: &str, name: &str) -> Result<(), Problem> {
    if Dialect::find(name).is_some() {
        return Ok(());
    }
    let detail = format!("there is no dialect {name:?}");
    let names: Vec<&str> = Dialect::ALL.into_iter().map(Dialect::name).collect();
    Err(Problem::invalid("invalid_dialect", field, detail).accepted(names.join(", ")))
}

async fn call(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Answer {
    let _counted = edge.gateway.metrics().http_request();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let mut words = path.splitn(3, '/');
    let (token, name) = (words.next().unwrap_or_default(), words.next());
    let rest = words.next().unwrap_or_default();
    let Some(dialect) = name.and_then(Dialect::find) else {
        body::discard(body).await;
        let detail = "a robot is not spoken to like this; its URLs end with a dialect";
        let names: Vec<&str> = Dialect::ALL.into_iter().map(Dialect::name).collect();
        let problem = Problem::new(ProblemKind::NotFound, "no_such_route", detail);
        return answer::problem(&problem.accepted(names.join(", ")));
    };
    let robot = edge.gateway.robot_of(token);
    let Some(robot) = robot.filter(|robot| robot.spec.takes(dialect.name())) else {
        body::discard(body).await;
        return refused(dialect, &Fault::Unknown);
    };
    match take(&edge, &robot, dialect, (&parts, rest), body).await {
        Ok(reply) => send(reply),
        Err(fault) => {
            let robot = &robot.meta.name;
            tracing::debug!(%robot, dialect = dialect.name(), ?fault, "what was posted to a robot is refused");
            refused(dialect, &fault)
        }
    }
}

/// Signature, reading, commit, in this order.
async fn take(
    edge: &Edge,
    robot: &Robot,
    dialect: Dialect,
    (parts, rest): (&Parts, &str),
    body: Body,
) -> Result<Reply, Fault> {
    let identity = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    let compressed = !parts.headers.get_all(CONTENT_ENCODING).iter().all(identity);
    let taken = dialect.takes(&parts.method);
    if !taken || compressed {
        body::discard(body).await;
        return Err(match taken {
            false => Fault::Method,
            true => Fault::Malformed("bodies are taken uncompressed only".to_owned()),
        });
    }
    let most = dialect.body_bytes_max();
    let body = body::read(body, most, edge.options.body_timeout).await?;
    let posted = Posted {
        method: &parts.method,
        rest,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
        now: edge.gateway.now(),
    };
    if let Some(secret) = &robot.spec.secret {
        dialect.prove(&posted, secret)?;
    }
    let told = dialect.read(&posted)?;
    let published = publish(edge, robot, dialect, told).await?;
    Ok(dialect.done(&posted, &published))
}

async fn publish(
    edge: &Edge,
    robot: &Robot,
    dialect: Dialect,
    told: Told,
) -> Result<Published, Problem> {
    let mut item = told.item;
    for (place, bytes) in told.files {
        let bytes = stream::iter([Ok(Bytes::from(bytes))]);
        let blob = edge.gateway.blobs().store(bytes, None).await?;
        if let Some(attachment) = item.attachments.get_mut(place) {
            attachment.source = Source::Blob(blob.hash.to_string());
        }
    }
    let name = dialect.name();
    item.dedupe_key = item.dedupe_key.map(|key| format!("{name}:{key}"));
    let message = RobotMessage {
        item,
        platform: name,
        kind: told.kind,
        event_id: told.event_id,
    };
    edge.gateway.publish_posted(robot, message).await
}

fn refused(dialect: Dialect, fault: &Fault) -> Answer {
    let Some(reply) = dialect.refused(fault) else {
        return answer::problem(&problem(fault));
    };
    let mut answer = send(reply);
    if matches!(fault, Fault::Busy(_)) {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    answer
}

/// A fault where the dialect has no shape of its own for it.
fn problem(fault: &Fault) -> Problem {
    let (kind, code) = match fault {
        Fault::Unknown => (ProblemKind::NotFound, "robot_not_found"),
        Fault::NoSuchCall => (ProblemKind::NotFound, "no_such_route"),
        Fault::Method => (ProblemKind::MethodNotAllowed, "method_not_allowed"),
        Fault::Unsigned => (ProblemKind::Unauthenticated, "unsigned"),
        Fault::Forged => (ProblemKind::Unauthenticated, "wrong_signature"),
        Fault::Stale => (ProblemKind::Unauthenticated, "stale_signature"),
        Fault::Malformed(_) => (ProblemKind::Malformed, "malformed_post"),
        Fault::Missing(_) | Fault::UnknownType(_) => (ProblemKind::Invalid, "invalid_post"),
        Fault::Empty => (ProblemKind::Invalid, "empty_post"),
        Fault::Refused(_) => (ProblemKind::Invalid, "refused_post"),
        Fault::TooLarge(_) => (ProblemKind::TooLarge, "too_large"),
        Fault::Slow => (ProblemKind::Timeout, "body_timeout"),
        Fault::Busy(_) => (ProblemKind::Unavailable, "not_now"),
        Fault::Internal => (ProblemKind::Internal, "internal"),
    };
    Problem::new(kind, code, fault.detail())
}

fn send(reply: Reply) -> Answer {
    let mut answer = Response::new(Body::from(reply.body));
    *answer.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(media_type) = reply.media_type {
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    answer
}
