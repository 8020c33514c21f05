//! Answers: JSON, problem+json (RFC 9457) and the headers that go with them. Everything a client reads is made here.

use std::borrow::Cow;

use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

/// Media type of every error (RFC 9457 §3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Media type of every other document.
pub(crate) const JSON: &str = "application/json";
/// Begins the `type` of every problem; the code follows. An identifier, as RFC 9457 §3.1.1 allows, not a page.
pub(crate) const PROBLEM_TYPE: &str = "https://anser.dev/problems/";
/// `Retry-After` in seconds, with 429 and 503: both pass as soon as some work is done.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// The code of the problem that there is no place for a connection.
pub(crate) const NO_PLACE: &str = "too_many_connections";

/// An answer.
pub(crate) type Answer = Response<Body>;

/// An error as a client sees it: RFC 9457 problem details.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody<'a> {
    /// `https://anser.dev/problems/` and the code.
    #[schemars(extend("format" = "uri"))]
    pub(crate) r#type: String,
    /// What kind of failure it is.
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// The rule that was broken and how to mend it.
    pub(crate) detail: Cow<'a, str>,
    /// The path of the field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<&'a str>,
    /// What would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accepted: Option<&'a str>,
}

impl<'a> From<&'a Problem> for ProblemBody<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            r#type: format!("{PROBLEM_TYPE}{}", problem.code),
            title: title(problem.kind),
            status: problem.kind.status(),
            code: problem.code,
            detail: Cow::Borrowed(&problem.detail),
            field: problem.field.as_deref().filter(|field| !field.is_empty()),
            accepted: problem.accepted.as_deref(),
        }
    }
}

fn title(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Malformed => "The request cannot be read",
        ProblemKind::Unauthenticated => "No valid key",
        ProblemKind::Forbidden => "Not allowed",
        ProblemKind::NotFound => "Not found",
        ProblemKind::MethodNotAllowed => "Method not allowed",
        ProblemKind::Timeout => "The request took too long",
        ProblemKind::Conflict => "Conflicts with what is there",
        ProblemKind::Precondition => "Not the current revision",
        ProblemKind::TooLarge => "Too large",
        ProblemKind::MediaType => "Content type not taken",
        ProblemKind::Invalid => "Against a rule",
        ProblemKind::TooMany => "Too much at once",
        ProblemKind::Internal => "Failure of the gateway",
        ProblemKind::Unavailable => "Not ready",
        ProblemKind::StorageFull => "Disk full",
    }
}

/// A status as hyper wants it.
pub(crate) fn status(kind: ProblemKind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error.
pub(crate) fn problem(problem: &Problem) -> Answer {
    if problem.kind == ProblemKind::Internal {
        tracing::error!(
            code = problem.code,
            detail = problem.detail,
            "a request failed"
        );
    }
    let mut answer = document(
        status(problem.kind),
        PROBLEM_JSON,
        &ProblemBody::from(problem),
    );
    let headers = answer.headers_mut();
    match problem.kind {
        ProblemKind::Unauthenticated => {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"anser\""),
            );
        }
        ProblemKind::TooMany | ProblemKind::Unavailable => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            if problem.code == NO_PLACE {
                // There is no place for it to wait in either.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        _ => {}
    }
    answer
}

/// An error of whoever was to prove by a signature, and not by a key, who it is: there is no key to ask for.
pub(crate) fn unverified(problem: &Problem) -> Answer {
    let body = ProblemBody {
        title: "Not verified",
        ..ProblemBody::from(problem)
    };
    document(status(problem.kind), PROBLEM_JSON, &body)
}

/// A JSON document.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Answer {
    document(status, JSON, value)
}

/// 204.
pub(crate) fn no_content() -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// Bytes of a given media type.
pub(crate) fn bytes(
    status: StatusCode,
    media_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Body::from(bytes.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

fn document<T: Serialize + ?Sized>(
    status: StatusCode,
    media_type: &'static str,
    value: &T,
) -> Answer {
    match serde_json::to_vec(value) {
        Ok(json) => bytes(status, media_type, json),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            bytes(
                StatusCode::INTERNAL_SERVER_ERROR,
                PROBLEM_JSON,
                Bytes::new(),
            )
        }
    }
}

/// Puts the revision on an answer, for `If-Match`.
pub(crate) fn with_revision(mut answer: Answer, revision: u64) -> Answer {
    if let Ok(etag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
}

/// Says where what was created is.
pub(crate) fn at(mut answer: Answer, path: &str) -> Answer {
    if let Ok(path) = HeaderValue::try_from(path) {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer
}
