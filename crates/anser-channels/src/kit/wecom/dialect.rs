//! WeCom's three text forms: text, the Markdown that mentions, and the newer one that has code, lists and pictures. Must
//! not build bodies.

use anser_core::message::segment::MentionKind;

use crate::kit::content::Look;
use crate::kit::dialect::{
    Dialect, Unit, backslash, bracketed, bracketed_image, fence, no_bare, no_heading, no_link,
    number_signs, unfenced, verbatim,
};

/// A text message: nothing in it is markup, and whom it mentions is listed beside it.
pub(crate) const TEXT: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: verbatim,
    looks: &[],
    link: no_link,
    bare: no_bare,
    image: no_link,
    mention: |kind, id, name| listed(kind, id).map(|_| format!("@{name}")),
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: false,
};

/// The type `markdown`.
pub(crate) const MARKDOWN: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: backslash,
    looks: &[(Look::BOLD, "**", "**"), (Look::CODE, "`", "`")],
    link: bracketed,
    bare: no_bare,
    image: no_link,
    mention: |kind, id, _| {
        let id = user(kind, id).filter(|id| !is_mobile(id))?;
        Some(format!("<@{id}>"))
    },
    fence: None,
    code,
    heading: number_signs,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: true,
};

/// The type `markdown_v2`.
pub(crate) const MARKDOWN_V2: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: backslash,
    looks: &[
        (Look::BOLD, "**", "**"),
        (Look::ITALIC, "*", "*"),
        (Look::CODE, "`", "`"),
    ],
    link: bracketed,
    bare: no_bare,
    image: bracketed_image,
    mention: |_, _, _| None,
    fence: Some(fence),
    code,
    heading: number_signs,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: true,
};

/// Code is shown as it is; a fence in it and a mention are broken up.
fn code(text: &str) -> String {
    unfenced(text).replace("<@", "<\u{200b}@")
}

/// The id of a person: a `userid` or a mobile number.
fn user(kind: MentionKind, id: Option<&str>) -> Option<&str> {
    /// Bytes of an id.
    const ID_BYTES_MAX: usize = 64;
    let good = |id: &&str| {
        let mut bytes = id.bytes();
        (1..=ID_BYTES_MAX).contains(&id.len())
            && id.as_bytes()[0].is_ascii_alphanumeric()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte))
    };
    id.filter(good).filter(|_| kind == MentionKind::User)
}

/// What the list of mentions holds for one; `None` for what cannot be mentioned.
pub(crate) fn listed(kind: MentionKind, id: Option<&str>) -> Option<&str> {
    if kind == MentionKind::All {
        Some("@all")
    } else {
        user(kind, id)
    }
}

/// A mobile number of China; others cannot be told from an id.
pub(crate) fn is_mobile(id: &str) -> bool {
    id.len() == 11 && id.starts_with('1') && id.bytes().all(|byte| byte.is_ascii_digit())
}
