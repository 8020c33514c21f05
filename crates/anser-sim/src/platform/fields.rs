//! Looking into a native message: members that must be there, and the texts in it. Knows no platform.

use serde_json::Value;

/// Members that hold what people read, over all platforms.
const TEXTS: &[&str] = &[
    "title",
    "text",
    "content",
    "caption",
    "description",
    "desc",
    "name",
    "value",
    "markdown",
];
/// How deep a message is looked into for texts.
const DEPTH_MAX: usize = 32;

/// A member that must be a text that is not empty.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// A member that must be a list that is not empty.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> Option<&'a [Value]> {
    let list = value.pointer(pointer)?.as_array()?;
    (!list.is_empty()).then_some(list)
}

/// Characters as the platforms with a limit in characters count them: Unicode scalar values.
pub(super) fn chars(text: &str) -> usize {
    text.chars().count()
}

/// All texts of a message for people, each on its own line.
pub(super) fn gist(value: &Value) -> String {
    let mut texts = Vec::new();
    gather(value, false, DEPTH_MAX, &mut texts);
    texts.join("\n")
}

fn gather<'a>(value: &'a Value, is_text: bool, depth: usize, into: &mut Vec<&'a str>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::String(text) if is_text && !text.is_empty() => into.push(text),
        Value::Array(values) => {
            for value in values {
                gather(value, false, depth - 1, into);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                gather(value, TEXTS.contains(&name.as_str()), depth - 1, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_gist_is_every_text_in_order() {
        let card = json!({"msg_type": "interactive", "card": {"header": {"title": {"tag": "plain_text", "content": "T"}},
            "elements": [{"tag": "div", "text": {"content": "a"}}, {"tag": "markdown", "content": "b"}]}});
        assert_eq!(gist(&card), "T\na\nb");
    }

    #[test]
    fn an_empty_member_is_none() {
        let value = json!({"a": {"b": " ", "c": "x", "d": [], "e": [1]}});
        assert_eq!(text(&value, "/a/b"), None);
        assert_eq!(text(&value, "/a/c"), Some("x"));
        assert_eq!(list(&value, "/a/d"), None);
        assert!(list(&value, "/a/e").is_some());
    }
}
