//! Reading members of JSON documents whose shape is somebody else's. Must not fail: what is not there is `None`.

use serde_json::Value;

/// Characters that are shown of a value that is only worth a glance: the document itself is kept.
pub(super) const GLANCE_CHARS: usize = 300;
/// Characters of what people are to read.
pub(super) const TEXT_CHARS: usize = 4_000;

/// Bytes between angle brackets: a URL and what it reads.
const BRACKETS_BYTES_MAX: usize = 4_096;

/// The text at a pointer (RFC 6901), if it is one and not blank.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    let text = value.pointer(pointer)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// The first of several members that is a text.
pub(super) fn first<'v>(value: &'v Value, pointers: &[&str]) -> Option<&'v str> {
    pointers.iter().find_map(|pointer| text(value, pointer))
}

/// The members of a list at a pointer; none when there is no list.
pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// A text, number or truth value as people read it; `None` for what is nothing, or more than that.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// At most so many characters; what is left out is told by `…`.
pub(super) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// The first line, shortened.
pub(super) fn line(text: &str, most: usize) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty());
    shorten(first.unwrap_or_default().trim(), most)
}

/// Text as Markdown that shows it to the letter: every character that could start markup is escaped (CommonMark §2.4).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '('
                | ')'
                | '#'
                | '+'
                | '-'
                | '!'
                | '|'
                | '~'
                | '&'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What stands before the next `>`, and what follows it, when that is near: a text full of opening brackets would otherwise be
/// read once for each of them.
pub(super) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let near = &text[..text.floor_char_boundary(BRACKETS_BYTES_MAX)];
    let end = near.find('>')?;
    Some((&text[..end], &text[end + 1..]))
}

/// A URL that may be followed: absolute, `http` or `https`, of a length that every receiver takes.
pub(super) fn web_url(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let good = ["http", "https"].contains(&url.scheme()) && url.has_host();
    (good && url.as_str().len() <= 2_048).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_shortened_at_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(line("\n  one  \ntwo", 10), "one");
        assert_eq!(line("", 10), "");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("[x](y) *a* <!here>"),
            "\\[x\\]\\(y\\) \\*a\\* \\<\\!here\\>"
        );
    }

    #[test]
    fn only_the_web_is_linked() {
        assert!(web_url("https://example.com/a").is_some());
        for bad in [
            "javascript:alert(1)",
            "/a",
            "ftp://example.com/",
            "https://",
            "x",
        ] {
            assert_eq!(web_url(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_blank_is_not_there() {
        let value = json!({"a": {"b": " ", "c": "x"}, "n": 1.5});
        assert_eq!(text(&value, "/a/b"), None);
        assert_eq!(first(&value, &["/a/b", "/a/c"]), Some("x"));
        assert_eq!(scalar(&value["n"]).as_deref(), Some("1.5"));
        assert_eq!(list(&value, "/a").len(), 0);
    }
}
