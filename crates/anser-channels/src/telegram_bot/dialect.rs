//! Telegram's HTML, and text without markup, in which names still mention. Must not build bodies.

use anser_core::message::segment::MentionKind;

use crate::kit::content::Look;
use crate::kit::dialect::{Dialect, Place, Unit, ZERO_WIDTH_SPACE, no_heading, no_link};

/// A message with `parse_mode` HTML.
pub(super) const HTML: Dialect = Dialect {
    unit: Unit::Utf16,
    escape: escape_html,
    looks: &[
        (Look::SPOILER, "<tg-spoiler>", "</tg-spoiler>"),
        (Look::BOLD, "<b>", "</b>"),
        (Look::ITALIC, "<i>", "</i>"),
        (Look::UNDERLINE, "<u>", "</u>"),
        (Look::STRIKE, "<s>", "</s>"),
        (Look::CODE, "<code>", "</code>"),
    ],
    link: |label, url| {
        let url = code(url);
        Some(format!("<a href=\"{url}\">{label}</a>"))
    },
    bare: |url| Some(code(url)),
    image: no_link,
    mention: |kind, id, name| match user(kind, id)? {
        User::Number(id) => Some(format!("<a href=\"tg://user?id={id}\">{name}</a>")),
        User::Name(name) => Some(name.to_owned()),
    },
    fence: Some(|lang| {
        if lang.is_empty() {
            ("<pre><code>".to_owned(), "</code></pre>")
        } else {
            let open = format!("<pre><code class=\"language-{lang}\">");
            (open, "</code></pre>")
        }
    }),
    code,
    heading: |_| ("<b>", "</b>"),
    quote: ("<blockquote>", "", "</blockquote>"),
    divider: "———",
    line: "\n",
    backticks: false,
};

/// A message without markup.
pub(super) const TEXT: Dialect = Dialect {
    unit: Unit::Utf16,
    escape: escape_text,
    looks: &[],
    link: no_link,
    bare: |url| Some(url.to_owned()),
    image: no_link,
    mention: |kind, id, _| match user(kind, id)? {
        User::Number(_) => None,
        User::Name(name) => Some(name.to_owned()),
    },
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "———",
    line: "\n",
    backticks: false,
};

/// Whom a message can mention.
enum User<'i> {
    /// By the number.
    Number(&'i str),
    /// By the name, with its `@`.
    Name(&'i str),
}

fn user(kind: MentionKind, id: Option<&str>) -> Option<User<'_>> {
    let id = id.filter(|_| kind == MentionKind::User)?;
    if let Some(name) = id.strip_prefix('@') {
        let good = (4..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return good.then_some(User::Name(id));
    }
    let good = (1..=19).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some(User::Number(id))
}

fn escape_html(c: char, place: Place, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c => escape_text(c, place, out),
    }
}

/// A name after `@` mentions whoever has it, in every text, unless the `@` follows a letter as in an address of e-mail.
fn escape_text(c: char, place: Place, out: &mut String) {
    out.push(c);
    if c == '@' && !matches!(place, Place::Word | Place::Number) {
        out.push(ZERO_WIDTH_SPACE);
    }
}

fn code(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
