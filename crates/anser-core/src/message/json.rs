//! Reading JSON documents: strictly, and with the path of the field at fault in words for people. Knows no type of the
//! format; the API reads its documents with it too.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::strict::Strict;
use crate::problem::{Problem, ProblemKind};

/// Reads a JSON document into `T`, naming the field at fault. `prefix` is put before its path.
///
/// # Errors
/// `malformed_json` (400) for bytes that are no JSON, `invalid_field` (422) for JSON of another shape.
pub fn parse_json<T: DeserializeOwned>(prefix: &str, json: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    T::deserialize(Strict(&mut reader))
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| explain::<T>(prefix, json, &error))
}

/// The fast reader failed; a second, slower pass finds the path.
fn explain<T: DeserializeOwned>(prefix: &str, json: &[u8], error: &serde_json::Error) -> Problem {
    // The reader also stops at values that are JSON but have no place in Rust, such as 1e999: these are about a field.
    let is_json = || {
        std::str::from_utf8(json).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    };
    if !error.is_data() && !is_json() {
        return Problem::new(
            ProblemKind::Malformed,
            "malformed_json",
            format!("the body is not valid JSON (RFC 8259): {error}"),
        );
    }
    let mut track = serde_path_to_error::Track::new();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let reader = serde_path_to_error::Deserializer::new(Strict(&mut reader), &mut track);
    let _found_again = T::deserialize(reader);
    let (path, problem) = locate(&track.path(), &error.to_string());
    match (path.as_str(), prefix) {
        ("", "") => problem,
        ("", prefix) => problem.field(prefix),
        (path, "") => problem.field(path),
        (path, prefix) => problem.field(path).within(prefix),
    }
}

/// Turns serde's message into a path and a problem without a field. serde puts the name of an unknown, missing or
/// doubled field into its message only; and it ends with a position, which the path makes superfluous.
pub(super) fn locate(path: &serde_path_to_error::Path, message: &str) -> (String, Problem) {
    let mut path = cut(&dotted(path), PATH_BYTES_MAX);
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    let (rule, rest) = message.split_once('`').unwrap_or((message, ""));
    let (name, rest) = rest.split_once('`').unwrap_or((rest, ""));
    let names_field = match rule {
        "unknown field " => Some("is not a field of this object; check the spelling"),
        "missing field " => Some("is required"),
        "duplicate field " => Some("is given more than once"),
        _ => None,
    };
    let detail = match (names_field, rule) {
        (Some(detail), _) => {
            let name = &cut(name, PATH_BYTES_MAX);
            let last = path.rsplit('.').next().unwrap_or_default();
            if last != name {
                path = [path.as_str(), name.as_str()].join(if path.is_empty() { "" } else { "." });
            }
            detail.to_owned()
        }
        (None, "unknown variant ") => format!(
            "`{}` is not one of the accepted words",
            cut(name, PATH_BYTES_MAX)
        ),
        (None, _) => wrong_type(message),
    };
    let problem = Problem::new(ProblemKind::Invalid, "invalid_field", detail);
    let accepted = rest.strip_prefix(", expected ");
    match accepted {
        Some(accepted) if rule.starts_with("unknown") => (
            path,
            problem.accepted(accepted.trim_start_matches("one of ").replace('`', "")),
        ),
        _ => (path, problem),
    }
}

/// `invalid type: integer `1`, expected a string` with what is wanted in front; other messages are sentences already.
fn wrong_type(message: &str) -> String {
    let found = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    match message {
        "recursion limit exceeded" => return "is nested too deep".to_owned(),
        "number out of range" => return "has a number past the range of doubles".to_owned(),
        // What serde_json says of a second member in an object that stands for a choice.
        "expected value" => return "must be an object with exactly one member".to_owned(),
        _ => {}
    }
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            format!("must be {expected}, is {}", cut(found, PATH_BYTES_MAX))
        }
        None => cut(message, DETAIL_BYTES_MAX),
    }
}

/// A path, or a name inside one, in a problem: names come from the input and may be as long as it.
const PATH_BYTES_MAX: usize = 160;
/// What serde says, in a problem: it quotes the input.
const DETAIL_BYTES_MAX: usize = 320;

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

/// The path as the user writes it: `header.tags[3]`. Variants of an enum are no members of the document.
fn dotted(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            serde_path_to_error::Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            serde_path_to_error::Segment::Map { key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => {}
        }
    }
    text
}
