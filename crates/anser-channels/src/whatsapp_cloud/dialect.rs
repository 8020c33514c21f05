//! WhatsApp's marks in text, which every text message has: `*bold*`, `_italic_`, `~struck~`, code, quotations and lists
//! (<https://faq.whatsapp.com/539178204879377>). Must not build bodies.

use crate::kit::content::Look;
use crate::kit::dialect::{Dialect, Place, Unit, ZERO_WIDTH_SPACE, no_heading, no_link};

/// Text without marks.
pub(super) const TEXT: Dialect = Dialect {
    unit: Unit::Chars,
    escape,
    looks: &[],
    link: |label, url| Some(format!("{label}: {url}")),
    bare: |url| Some(url.to_owned()),
    image: no_link,
    mention: |_, _, _| None,
    fence: None,
    code: broken,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "———",
    line: "\n",
    backticks: false,
};

/// Text with marks.
pub(super) const MARKUP: Dialect = Dialect {
    looks: &[
        (Look::BOLD, "*", "*"),
        (Look::ITALIC, "_", "_"),
        (Look::STRIKE, "~", "~"),
        (Look::CODE, "`", "`"),
    ],
    fence: Some(|_| ("```".to_owned(), "```")),
    heading: |_| ("*", "*"),
    backticks: true,
    ..TEXT
};

/// WhatsApp has no escapes: a mark that would open something is kept from it by a character that nobody sees. One inside of
/// a word opens nothing, and stays as it is, so that names in code can be copied.
fn escape(c: char, place: Place, out: &mut String) {
    let opens_line = place == Place::Start && (c == '>' || c == '-');
    if opens_line {
        out.push(ZERO_WIDTH_SPACE);
    }
    out.push(c);
    let in_word = matches!(place, Place::Word | Place::Number);
    if c == '`' || ("*_~".contains(c) && !in_word) {
        out.push(ZERO_WIDTH_SPACE);
    }
}

/// Code, in which no backticks end it.
fn broken(text: &str) -> String {
    text.replace('`', "`\u{200b}")
}
