//! A topic's JSON Schema, enforced on `body.data`. Must not compile schemas: the configuration has them compiled.

use std::fmt::Write as _;

use anser_core::{Message, Problem};
use jsonschema::Validator;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

/// Longest path that an error names; a hostile document may have keys of a megabyte.
const PATH_BYTES_MAX: usize = 256;
/// Longest text of a validator's message that is passed on.
const DETAIL_CHARS_MAX: usize = 512;

/// The code of what a schema refuses.
pub(super) const VIOLATION: &str = "schema_violation";

/// Checks `body.data` against the topic's schema.
///
/// # Errors
/// 422 `schema_violation`, its field the path of the value at fault.
pub(super) fn check(schema: &Validator, message: &Message) -> Result<(), Problem> {
    let Some(data) = message.body.data() else {
        return Err(violation(
            "body".to_owned(),
            "this topic has a schema and takes body.data only",
        ));
    };
    let value: Value = serde_json::from_str(data.get())
        .map_err(|error| violation("body.data".to_owned(), &error.to_string()))?;
    schema.validate(&value).map_err(|error| {
        violation(
            path(error.instance_path()),
            // Masked: the value may be a secret, and may be a megabyte.
            &error.masked().to_string(),
        )
    })
}

fn violation(field: String, detail: &str) -> Problem {
    let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
    Problem::invalid(
        VIOLATION,
        field,
        format!("does not satisfy the topic's schema: {detail}"),
    )
}

/// A JSON Pointer (RFC 6901) as a field path: `/items/3/price` is `body.data.items[3].price`.
fn path(location: &Location) -> String {
    let mut path = "body.data".to_owned();
    for segment in location.segments() {
        match segment {
            LocationSegment::Index(index) => {
                let _ = write!(path, "[{index}]");
            }
            LocationSegment::Property(name) if is_word(&name) => {
                path.push('.');
                path.push_str(&name);
            }
            LocationSegment::Property(name) => {
                let _ = write!(path, "[{name:?}]");
            }
        }
        if path.len() > PATH_BYTES_MAX {
            path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
            path.push('…');
            break;
        }
    }
    path
}

fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
