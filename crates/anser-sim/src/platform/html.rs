//! Telegram's HTML subset: whether a text parses, and what it says without its tags. The messages are the Bot API
//! server's.

/// Tags that are known. `span` is only known with the class `tg-spoiler`.
const TAGS: &[&str] = &[
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "span",
    "tg-spoiler",
    "tg-emoji",
    "a",
    "code",
    "pre",
    "blockquote",
];
/// Named entities that are known.
const ENTITIES: &[(&str, char)] = &[("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')];

/// The text without tags and entities.
pub(super) fn plain(text: &str) -> Result<String, String> {
    let mut said = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let at = text.len() - rest.len();
        match next {
            '&' => {
                let (shown, taken) = entity(rest);
                said.push(shown);
                rest = &rest[taken..];
            }
            '<' => {
                let end = rest
                    .find('>')
                    .ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
                tag(&rest[1..end], at, &mut open)?;
                rest = &rest[end + 1..];
            }
            other => {
                said.push(other);
                rest = &rest[other.len_utf8()..];
            }
        }
    }
    match open.pop() {
        None => Ok(said),
        Some(tag) => Err(format!(
            "Can't find end tag corresponding to start tag \"{tag}\""
        )),
    }
}

/// The character that an entity stands for and the bytes that it takes; what is no entity is taken as it is.
fn entity(rest: &str) -> (char, usize) {
    let as_is = ('&', 1);
    let Some(end) = rest.find(';') else {
        return as_is;
    };
    let name = &rest[1..end];
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        },
        None => {
            let known = ENTITIES.iter().find(|(known, _)| *known == name);
            return known.map_or(as_is, |(_, shown)| (*shown, end + 1));
        }
    };
    match number.and_then(char::from_u32) {
        Some(shown) => (shown, end + 1),
        None => as_is,
    }
}

fn tag<'a>(inside: &'a str, at: usize, open: &mut Vec<&'a str>) -> Result<(), String> {
    if let Some(name) = inside.strip_prefix('/') {
        let name = name.trim();
        return match open.pop() {
            Some(opened) if opened.eq_ignore_ascii_case(name) => Ok(()),
            Some(opened) => Err(format!(
                "Unmatched end tag at byte offset {at}, expected \"</{opened}>\", found \"</{name}>\""
            )),
            None => Err(format!("Unexpected end tag at byte offset {at}")),
        };
    }
    let name = inside.split_whitespace().next().unwrap_or_default();
    let known = TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name));
    let spoiler = !name.eq_ignore_ascii_case("span") || inside.contains("tg-spoiler");
    if known && spoiler {
        open.push(name);
        Ok(())
    } else {
        Err(format!(
            "Unsupported start tag \"{name}\" at byte offset {at}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn tags_and_entities_are_not_said() {
        let text = "<b>a</b> &lt;c&gt; &amp;&quot; &#33; &#x4f60; & &nbsp; <a href=\"https://e.com\">l</a>";
        assert_eq!(plain(text).unwrap(), "a <c> &\" ! 你 & &nbsp; l");
        let nested =
            "<blockquote expandable><pre><code class=\"language-rust\">x</code></pre></blockquote>";
        assert_eq!(plain(nested).unwrap(), "x");
    }

    #[test]
    fn what_does_not_parse_is_told() {
        for (text, told) in [
            (
                "a <script>",
                "Unsupported start tag \"script\" at byte offset 2",
            ),
            (
                "<b>x",
                "Can't find end tag corresponding to start tag \"b\"",
            ),
            (
                "<b>x</i>",
                "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
            ),
            ("x</i>", "Unexpected end tag at byte offset 1"),
            ("1 < 2", "Unclosed start tag at byte offset 2"),
            (
                "<span>x</span>",
                "Unsupported start tag \"span\" at byte offset 0",
            ),
        ] {
            assert_eq!(plain(text), Err(told.to_owned()), "{text}");
        }
    }
}
