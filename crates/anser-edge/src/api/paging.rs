//! The two parameters of every list: how many members, and where to go on.

use anser_core::Problem;
use anser_core::limits::{PAGE_DEFAULT, PAGE_MAX};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PageQuery {
    /// Members of the page; default 50.
    #[schemars(range(min = 1, max = 500))]
    pub(super) limit: Option<u32>,
    /// Where to go on: the `cursor` of the page before.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub(super) cursor: Option<String>,
}

/// The members that a page may have.
///
/// # Errors
/// 422 `out_of_range`.
pub(super) fn limit(limit: Option<u32>) -> Result<usize, Problem> {
    let Some(limit) = limit else {
        return Ok(PAGE_DEFAULT);
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid(
        "out_of_range",
        "limit",
        format!("must be between 1 and {PAGE_MAX}, is {limit}"),
    ))
}

/// Where to go on; a cursor that is given is not empty.
///
/// # Errors
/// 422 `invalid_cursor`.
pub(super) fn cursor(cursor: Option<String>) -> Result<Option<String>, Problem> {
    match cursor {
        Some(text) if text.is_empty() => Err(Problem::invalid(
            "invalid_cursor",
            "cursor",
            "is empty; begin without one, or give the cursor of the page before",
        )),
        cursor => Ok(cursor),
    }
}
