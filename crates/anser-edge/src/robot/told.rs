//! What the door hands to a dialect, and what it gets back: a message, or what is wrong with the request. Must not know a
//! dialect.

use anser_core::message::Item;
use anser_core::{Problem, ProblemKind, Timestamp};
use http::{HeaderMap, Method};
use serde_json::Value;

/// Arrays and objects within each other in a posted document: it is kept inside a message, which nests a little deeper, and
/// readers of JSON commonly stop at 128.
const DEPTH_MAX: usize = 100;

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// Its method.
    pub method: &'a Method,
    /// What follows the dialect in the path, without the `/`: the platform's own path, where a client kept that.
    pub rest: &'a str,
    /// The query as written, without `?`.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
    /// The time now.
    pub now: Timestamp,
}

impl Posted<'_> {
    /// A header that is text and not empty; the first where it is repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// A parameter of the query, decoded; the first where it is repeated.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query.as_bytes(), name)
    }

    /// The body's media type without parameters, in lower case; empty when there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let text = self.header("content-type").unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The body as JSON, or the JSON in the field `payload` of a form.
    ///
    /// # Errors
    /// [`Fault::Malformed`].
    pub fn json(&self) -> Result<Value, Fault> {
        if self.media_type() == "application/x-www-form-urlencoded" {
            let payload = parameter(self.body, "payload");
            let payload = payload.ok_or_else(|| malformed("the form has no field `payload`"))?;
            return parse(payload.as_bytes());
        }
        parse(self.body)
    }
}

/// A field of a form or query, decoded.
fn parameter(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form)
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.into_owned())
}

fn malformed(detail: &str) -> Fault {
    Fault::Malformed(detail.to_owned())
}

/// Reads a JSON document that does not nest too deep.
///
/// # Errors
/// [`Fault::Malformed`].
pub(super) fn parse(json: &[u8]) -> Result<Value, Fault> {
    let value = serde_json::from_slice(json)
        .map_err(|error| Fault::Malformed(format!("the body is no JSON: {error}")))?;
    if is_deeper(&value, DEPTH_MAX) {
        let detail = format!("arrays and objects nest deeper than {DEPTH_MAX}");
        return Err(Fault::Malformed(detail));
    }
    Ok(value)
}

fn is_deeper(value: &Value, most: usize) -> bool {
    let inner = |value: &Value| most == 0 || is_deeper(value, most - 1);
    match value {
        Value::Array(items) => most == 0 || items.iter().any(inner),
        Value::Object(members) => most == 0 || members.values().any(inner),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What a request says.
#[derive(Debug, Clone)]
pub struct Told {
    /// As a message, without destination. Attachments whose bytes are in `files` have no source of use yet.
    pub item: Item,
    /// The sender's own name for what it sent, such as the type of its message.
    pub kind: String,
    /// The sender's own id of it.
    pub event_id: Option<String>,
    /// Bytes that are too large to ride in a message, each with the place of its attachment.
    pub files: Vec<(usize, Vec<u8>)>,
}

/// What is wrong with a request. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No robot has that token, or it does not take that dialect.
    Unknown,
    /// The path behind the dialect names nothing here.
    NoSuchCall,
    /// The method is another than the dialect's.
    Method,
    /// The robot has a secret, and the request no proof that its sender has it.
    Unsigned,
    /// The proof is wrong.
    Forged,
    /// The proof is right, but too old, or for a time to come.
    Stale,
    /// It cannot be read.
    Malformed(String),
    /// A member that it must have is missing or of another type: its path.
    Missing(&'static str),
    /// It is of a type that the dialect does not have.
    UnknownType(String),
    /// There is nothing in it.
    Empty,
    /// It is larger than it may be.
    TooLarge(String),
    /// What it says may not be published: a rule of the topic, or a destination that is gone.
    Refused(String),
    /// It did not arrive in time.
    Slow,
    /// Not now; the same again later may do.
    Busy(String),
    /// Our fault.
    Internal,
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let detail = problem.to_string();
        match problem.kind {
            ProblemKind::Malformed | ProblemKind::MediaType => Self::Malformed(detail),
            ProblemKind::TooLarge => Self::TooLarge(detail),
            ProblemKind::Timeout => Self::Slow,
            ProblemKind::TooMany | ProblemKind::Unavailable | ProblemKind::StorageFull => {
                Self::Busy(detail)
            }
            ProblemKind::Internal => Self::Internal,
            ProblemKind::Unauthenticated
            | ProblemKind::Forbidden
            | ProblemKind::NotFound
            | ProblemKind::MethodNotAllowed
            | ProblemKind::Conflict
            | ProblemKind::Precondition
            | ProblemKind::Invalid => Self::Refused(detail),
        }
    }
}

impl Fault {
    /// What is wrong, in a sentence for people. Never a token, a secret, or what the right proof would have been.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unknown => "no robot has this address: copy it again, or make a robot".into(),
            Self::NoSuchCall => "there is nothing at this path".into(),
            Self::Method => "this method cannot be used here; use POST".into(),
            Self::Unsigned => "the robot has a secret, and the request proves nothing".into(),
            Self::Forged => "the signature does not fit the robot's secret".into(),
            Self::Stale => "the signature is for another time: check the sender's clock".into(),
            Self::Missing(member) => format!("{member} is missing, or is of another type"),
            Self::UnknownType(kind) => format!("there is no type of message {kind:?}"),
            Self::Empty => "there is nothing in the message".into(),
            Self::Slow => "the body did not arrive in time".into(),
            Self::Internal => "the gateway failed; its log says why".into(),
            Self::Malformed(detail)
            | Self::TooLarge(detail)
            | Self::Refused(detail)
            | Self::Busy(detail) => detail.clone(),
        }
    }

    /// The HTTP status where a dialect has none of its own for it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unknown | Self::NoSuchCall => 404,
            Self::Method => 405,
            Self::Unsigned | Self::Forged | Self::Stale => 401,
            Self::Malformed(_) => 400,
            Self::Missing(_) | Self::UnknownType(_) | Self::Empty | Self::Refused(_) => 422,
            Self::TooLarge(_) => 413,
            Self::Slow => 408,
            Self::Busy(_) => 503,
            Self::Internal => 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_nest_too_deep_are_refused() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        for depth in [DEPTH_MAX + 1, 127, 10_000] {
            assert!(matches!(parse(&nested(depth)), Err(Fault::Malformed(_))));
        }
    }

    #[test]
    fn what_the_gateway_cannot_do_now_can_be_repeated_and_what_it_refuses_cannot() {
        let fault = |kind| Fault::from(Problem::new(kind, "x", "y"));
        for kind in [
            ProblemKind::TooMany,
            ProblemKind::Unavailable,
            ProblemKind::StorageFull,
        ] {
            assert_eq!(fault(kind).status(), 503);
        }
        for kind in [
            ProblemKind::NotFound,
            ProblemKind::Invalid,
            ProblemKind::Conflict,
        ] {
            assert_eq!(fault(kind).status(), 422);
        }
        assert_eq!(fault(ProblemKind::TooLarge).status(), 413);
        assert_eq!(fault(ProblemKind::Internal), Fault::Internal);
    }
}
