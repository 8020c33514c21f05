//! Feishu's two text forms: the text message, and the Markdown of a card. Must not build bodies.

use anser_core::message::segment::MentionKind;

use crate::kit::content::Look;
use crate::kit::dialect::{
    Dialect, Place, Unit, ZERO_WIDTH_SPACE, bracketed, fence, no_bare, no_heading, no_link,
    number_signs, unfenced,
};

/// A text message: mentions are tags in it, and nothing else is markup.
pub(crate) const TEXT: Dialect = Dialect {
    unit: Unit::JsonBytes,
    escape: escape_text,
    looks: &[],
    link: no_link,
    bare: no_bare,
    image: no_link,
    mention: |kind, id, name| {
        let id = mention_id(kind, id)?;
        Some(format!("<at user_id=\"{id}\">{name}</at>"))
    },
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: false,
};

/// The `markdown` element of a card, which takes character references for its own marks (Feishu card Markdown).
pub(crate) const MARKDOWN: Dialect = Dialect {
    unit: Unit::JsonBytes,
    escape: escape_markdown,
    looks: &[
        (Look::BOLD, "**", "**"),
        (Look::ITALIC, "*", "*"),
        (Look::STRIKE, "~~", "~~"),
        (Look::CODE, "`", "`"),
    ],
    link: bracketed,
    bare: no_bare,
    image: no_link,
    mention: |kind, id, _| {
        let id = mention_id(kind, id)?;
        Some(format!("<at id={id}></at>"))
    },
    fence: Some(fence),
    code,
    heading: number_signs,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: true,
};

/// The id that a tag names: that of a user, or `all`, which as a user's id would ping everybody.
pub(crate) fn mention_id(kind: MentionKind, id: Option<&str>) -> Option<&str> {
    /// Bytes of an id.
    const ID_BYTES_MAX: usize = 64;
    match kind {
        MentionKind::All => Some("all"),
        MentionKind::User => id.filter(|id| {
            (1..=ID_BYTES_MAX).contains(&id.len())
                && !id.eq_ignore_ascii_case("all")
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        }),
        MentionKind::Role | MentionKind::Channel | MentionKind::Here => None,
    }
}

/// There is no escape in a text message: a tag and a link are broken up by a character that nobody sees.
fn escape_text(c: char, _: Place, out: &mut String) {
    out.push(c);
    if matches!(c, '<' | ']') {
        out.push(ZERO_WIDTH_SPACE);
    }
}

fn escape_markdown(c: char, place: Place, out: &mut String) {
    let starts = place == Place::Start;
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '*' => out.push_str("&#42;"),
        '~' => out.push_str("&#126;"),
        '_' => out.push_str("&#95;"),
        '`' => out.push_str("&#96;"),
        '[' => out.push_str("&#91;"),
        ']' => out.push_str("&#93;"),
        '\\' => out.push_str("&#92;"),
        '$' => out.push_str("&#36;"),
        ':' => out.push_str("&#58;"),
        '#' if starts => out.push_str("&#35;"),
        '-' if starts => out.push_str("&#45;"),
        '+' if starts => out.push_str("&#43;"),
        '.' if place == Place::Number => out.push_str("&#46;"),
        ')' if place == Place::Number => out.push_str("&#41;"),
        c => out.push(c),
    }
}

/// Code is shown as it is; a fence in it and a tag are broken up.
fn code(text: &str) -> String {
    without_tags(&unfenced(text))
}

/// A text in which the tag of a mention is broken up, for where it should not be read anyway.
pub(crate) fn without_tags(text: &str) -> String {
    text.replace("<at", "<\u{200b}at")
        .replace("</at", "<\u{200b}/at")
}
