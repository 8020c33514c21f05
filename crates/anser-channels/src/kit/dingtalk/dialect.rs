//! DingTalk's two text forms: text, and its Markdown. Must not build bodies.

use crate::kit::content::Look;
use crate::kit::dialect::{
    Dialect, Unit, backslash, bracketed, bracketed_image, fence, no_bare, no_heading, no_link,
    number_signs, unfenced, verbatim,
};

/// A text message: nothing in it is markup.
pub(crate) const TEXT: Dialect = Dialect {
    unit: Unit::JsonBytes,
    escape: verbatim,
    looks: &[],
    link: no_link,
    bare: no_bare,
    image: no_link,
    mention: |_, _, _| None,
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: false,
};

/// A Markdown message.
pub(crate) const MARKDOWN: Dialect = Dialect {
    unit: Unit::JsonBytes,
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
    code: unfenced,
    heading: number_signs,
    quote: ("> ", "> ", ""),
    divider: "---",
    // A line break without blanks before it is a blank here.
    line: "  \n",
    backticks: true,
};
