//! The one shape of an error that a user sees: a stable code, the field at fault, the rule and the remedy.
//! The HTTP edge turns it into RFC 9457 problem+json; the command line prints it.

use std::fmt;

use serde::Serialize;

/// What kind of failure it is; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// 400: the bytes could not be read at all.
    Malformed,
    /// 401: no key, or one that is not known.
    Unauthenticated,
    /// 403: the key may not do this.
    Forbidden,
    /// 404: no such thing.
    NotFound,
    /// 405: the thing is there, this method is not for it.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    Timeout,
    /// 409: it contradicts what is there.
    Conflict,
    /// 412: the revision given is not the current one.
    Precondition,
    /// 413: a size limit is exceeded.
    TooLarge,
    /// 415: the content type is not taken here.
    MediaType,
    /// 422: read, but against a rule.
    Invalid,
    /// 429: later, perhaps.
    TooMany,
    /// 500: our fault.
    Internal,
    /// 503: not ready, try again.
    Unavailable,
    /// 507: the disk is (nearly) full.
    StorageFull,
}

impl ProblemKind {
    /// The HTTP status code (RFC 9110 §15, RFC 6585 §4, RFC 4918 §11.5).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::Precondition => 412,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::Invalid => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }
}

/// An error for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of failure it is.
    pub kind: ProblemKind,
    /// Stable, machine-readable, `snake_case`; never reused for another meaning.
    pub code: &'static str,
    /// The field at fault as a path, such as `header.tags[3]`; absent when no single field is.
    pub field: Option<String>,
    /// The rule that was broken and how to mend it, one or two sentences.
    pub detail: String,
    /// What would have been accepted, where it helps: a pattern, a range or the allowed words.
    pub accepted: Option<String>,
}

impl Problem {
    /// A problem without a field.
    #[must_use]
    pub fn new(kind: ProblemKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            field: None,
            detail: detail.into(),
            accepted: None,
        }
    }

    /// A 422 about one field.
    #[must_use]
    pub fn invalid(
        code: &'static str,
        field: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(ProblemKind::Invalid, code, detail).field(field)
    }

    /// A 422 `not_available`: the format has this field, this version of the gateway does not serve it yet.
    #[must_use]
    pub fn not_available(field: impl Into<String>, what: &str) -> Self {
        Self::invalid(
            "not_available",
            field,
            format!("{what} is not available in this version; leave it out"),
        )
    }

    /// Names the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what would have been accepted.
    #[must_use]
    pub fn accepted(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }

    /// Puts `prefix` before the field's path, for an item inside a list.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.field = Some(match self.field {
            Some(field) if field.starts_with('[') => format!("{prefix}{field}"),
            Some(field) if !field.is_empty() => format!("{prefix}.{field}"),
            _ => prefix.to_owned(),
        });
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {} ({})", self.detail, self.code),
            None => write!(f, "{} ({})", self.detail, self.code),
        }
    }
}

impl std::error::Error for Problem {}
