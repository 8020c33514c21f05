//! One or many: a JSON body that is one document, or an array of them read up to a cap. A member that cannot be read is
//! a result of its own and does not spoil the others.

use std::fmt;

use anser_core::message::Item;
use anser_core::{Problem, ProblemKind};
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What a publish body holds.
pub(crate) enum Batch<T> {
    /// One document.
    Single(T),
    /// An array of them.
    Many(Vec<Result<T, Problem>>),
}

/// Reads items.
///
/// # Errors
/// 400 `malformed_json`; for a single item also what [`Item::from_json`] refuses; 413 `too_many_messages`.
pub(crate) fn items(json: &[u8], most: usize) -> Result<Batch<Item>, Problem> {
    read(json, most, Item::from_json)
}

/// Reads with `parse`, which gets the bytes of one document.
pub(crate) fn read<T>(
    json: &[u8],
    most: usize,
    parse: impl Fn(&[u8]) -> Result<T, Problem>,
) -> Result<Batch<T>, Problem> {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        return parse(json).map(Batch::Single);
    }
    // Members are cut out first and read one by one: the array then fails only where it is no JSON at all.
    // `parse_json` reads owned values only, and copying every member would cost more than this one message.
    let members: Members<'_> = serde_json::from_slice(json).map_err(|error| {
        Problem::new(
            ProblemKind::Malformed,
            "malformed_json",
            format!("the body is not valid JSON (RFC 8259): {error}"),
        )
    })?;
    if members.count > most || members.raw.len() < members.count {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            "too_many_messages",
            format!(
                "one request may have at most {most} messages, this one has {}",
                members.count
            ),
        ));
    }
    Ok(Batch::Many(
        members
            .raw
            .iter()
            .map(|raw| parse(raw.get().as_bytes()))
            .collect(),
    ))
}

/// The members of an array as they stand, kept up to the format's own limit and counted beyond it.
struct Members<'a> {
    raw: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cutter;
        impl<'de> Visitor<'de> for Cutter {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Members<'de>, A::Error> {
                let mut raw = Vec::new();
                while raw.len() < anser_core::limits::BATCH_MESSAGES_MAX {
                    match seq.next_element()? {
                        Some(member) => raw.push(member),
                        None => {
                            return Ok(Members {
                                count: raw.len(),
                                raw,
                            });
                        }
                    }
                }
                let mut count = raw.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Members { raw, count })
            }
        }
        deserializer.deserialize_seq(Cutter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(json: &str, most: usize) -> Result<(usize, Vec<&'static str>), &'static str> {
        match items(json.as_bytes(), most) {
            Ok(Batch::Single(_)) => Ok((1, Vec::new())),
            Ok(Batch::Many(many)) => {
                let codes = many
                    .iter()
                    .filter_map(|item| item.as_ref().err())
                    .map(|problem| problem.code);
                Ok((many.len(), codes.collect()))
            }
            Err(problem) => Err(problem.code),
        }
    }

    #[test]
    fn one_or_many() {
        const ITEM: &str = r#"{"body":{"data":1}}"#;
        assert_eq!(count(&format!(" \n{ITEM}"), 9), Ok((1, vec![])));
        assert_eq!(
            count(&format!(" [{ITEM}, 1, {ITEM}, {{}}]"), 9),
            Ok((4, vec!["invalid_field"; 2]))
        );
        assert_eq!(count("[]", 9), Ok((0, vec![])));
        for (json, code) in [
            ("", "malformed_json"),
            ("[", "malformed_json"),
            ("[1,]", "malformed_json"),
            ("[1] 2", "malformed_json"),
            ("{", "malformed_json"),
            ("nul", "malformed_json"),
            ("1", "invalid_field"),
            ("{}", "invalid_field"),
            ("\u{feff}{}", "malformed_json"),
            ("[1,2,3]", "too_many_messages"),
        ] {
            assert_eq!(count(json, 2), Err(code), "{json}");
        }
        let flood = format!("[{}1]", "1,".repeat(100_000));
        assert_eq!(count(&flood, usize::MAX), Err("too_many_messages"));
    }
}
