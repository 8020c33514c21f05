//! Discord's markup, the same in a message and in an embed, and the same text without any. Must not build bodies.

use anser_core::message::segment::MentionKind;

use super::is_number;
use crate::kit::content::Look;
use crate::kit::dialect::{Dialect, Place, Unit, bracketed, fence, no_heading, no_link, unfenced};

/// A message or the description of an embed.
pub(crate) const MARKDOWN: Dialect = Dialect {
    unit: Unit::Utf16,
    escape,
    looks: &[
        (Look::SPOILER, "||", "||"),
        (Look::BOLD, "**", "**"),
        (Look::ITALIC, "*", "*"),
        (Look::UNDERLINE, "__", "__"),
        (Look::STRIKE, "~~", "~~"),
        (Look::CODE, "`", "`"),
    ],
    link: bracketed,
    // A link whose label is a URL is not taken; the URL alone is one.
    bare: |url| Some(url.to_owned()),
    image: no_link,
    mention,
    fence: Some(fence),
    code: unfenced,
    heading: |level| match level {
        1 => ("# ", ""),
        2 => ("## ", ""),
        3 => ("### ", ""),
        _ => ("**", "**"),
    },
    quote: ("> ", "> ", ""),
    divider: "———",
    line: "\n",
    backticks: true,
};

/// A message without markup of its own: text is escaped all the same, as there is no way to send it unread.
pub(crate) const TEXT: Dialect = Dialect {
    unit: Unit::Utf16,
    escape,
    looks: &[],
    link: no_link,
    bare: |url| Some(url.to_owned()),
    image: no_link,
    mention,
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("", "", ""),
    divider: "———",
    line: "\n",
    backticks: false,
};

/// Whom a message can mention: by numbers. It pings only if the body allows it, too.
pub(super) fn mention(kind: MentionKind, id: Option<&str>, _: &str) -> Option<String> {
    let id = id.filter(|id| is_number(id));
    match kind {
        MentionKind::User => id.map(|id| format!("<@{id}>")),
        MentionKind::Role => id.map(|id| format!("<@&{id}>")),
        MentionKind::Channel => id.map(|id| format!("<#{id}>")),
        MentionKind::All => Some("@everyone".to_owned()),
        MentionKind::Here => Some("@here".to_owned()),
    }
}

/// A backslash makes any mark a character.
fn escape(c: char, place: Place, out: &mut String) {
    let is_mark = match place {
        _ if "\\`*_[]()~|<>&".contains(c) => true,
        Place::Start => "#+-=".contains(c),
        Place::Number => ".".contains(c),
        Place::Word | Place::Inside => false,
    };
    if is_mark {
        out.push('\\');
    }
    out.push(c);
}
