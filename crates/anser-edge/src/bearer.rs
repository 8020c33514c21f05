//! The key or token that a request carries in its head. Must not know whose it is.

use anser_core::{Problem, ProblemKind};
use http::header::AUTHORIZATION;
use http::request::Parts;

/// The key of `Authorization: Bearer KEY` (RFC 6750 §2.1).
pub(crate) fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let Some(value) = parts.headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .filter(|key| !key.is_empty());
    match key {
        Some(key) => Ok(Some(key)),
        None => Err(Problem::new(
            ProblemKind::Unauthenticated,
            "malformed_authorization",
            "the authorization header is not of the form: Bearer KEY",
        )
        .accepted("Authorization: Bearer ak_…")),
    }
}
