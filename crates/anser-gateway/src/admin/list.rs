//! Pages of resources, by folded name.

use anser_core::Problem;
use anser_core::limits::{PAGE_DEFAULT, PAGE_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::look::Page;

/// Which part of a list of resources.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Members of the page; 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// Where to go on: the `cursor` of the page before.
    pub cursor: Option<String>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            limit: PAGE_DEFAULT,
            cursor: None,
        }
    }
}

/// The page of `members`, which come with the key that they are sorted by.
///
/// # Errors
/// `out_of_range` or `invalid_cursor`.
pub(crate) fn page<T, V>(
    mut members: Vec<(String, T)>,
    query: &ListQuery,
    view: impl Fn(T) -> V,
) -> Result<Page<V>, Problem> {
    if !(1..=PAGE_MAX).contains(&query.limit) {
        return Err(Problem::invalid(
            "out_of_range",
            "limit",
            format!("must be between 1 and {PAGE_MAX}"),
        ));
    }
    if let Some(cursor) = &query.cursor {
        let after = read_cursor(cursor)?;
        members.retain(|(key, _)| *key > after);
    }
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let more = members.len() > query.limit;
    members.truncate(query.limit);
    let cursor = members
        .last()
        .filter(|_| more)
        .map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Ok(Page {
        items: members
            .into_iter()
            .map(|(_, member)| view(member))
            .collect(),
        cursor,
    })
}

fn read_cursor(cursor: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            Problem::invalid(
                "invalid_cursor",
                "cursor",
                "give the cursor of the page before, as it is",
            )
        })
}
