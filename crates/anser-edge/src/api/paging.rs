//! The two parameters of every list.

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
