//! What a dialect answers: a status and a body, which the door sends. Pure.

use serde_json::Value;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type; `None` with an empty body.
    pub media_type: Option<&'static str>,
    /// The body.
    pub body: String,
}

/// A JSON document.
pub(super) fn json(status: u16, body: &Value) -> Reply {
    Reply {
        status,
        media_type: Some("application/json; charset=utf-8"),
        body: body.to_string(),
    }
}

/// A text.
pub(super) fn text(status: u16, body: &str) -> Reply {
    Reply {
        status,
        media_type: Some("text/plain; charset=utf-8"),
        body: body.to_owned(),
    }
}

/// Nothing but a status.
pub(super) fn empty(status: u16) -> Reply {
    Reply {
        status,
        media_type: None,
        body: String::new(),
    }
}
