//! Blocks as the HTML of a mail: elements and inline styles that every mail program shows, no scripts, no classes. Must
//! not let any text of a user become markup.

use crate::kit::content::{Block, Look, Role};
use crate::kit::dialect::{Dialect, Place, Unit};

/// Text inside of one block.
const INLINE: Dialect = Dialect {
    unit: Unit::Bytes,
    escape,
    looks: &[
        (
            Look::SPOILER,
            "<span style=\"background:#222;color:#222\">",
            "</span>",
        ),
        (Look::BOLD, "<b>", "</b>"),
        (Look::ITALIC, "<i>", "</i>"),
        (Look::UNDERLINE, "<u>", "</u>"),
        (Look::STRIKE, "<s>", "</s>"),
        (Look::CODE, "<code>", "</code>"),
    ],
    link: |label, url| Some(format!("<a href=\"{}\">{label}</a>", escaped(url))),
    bare: |url| {
        let url = escaped(url);
        Some(format!("<a href=\"{url}\">{url}</a>"))
    },
    image: |alt, url| Some(image(alt, &escaped(url))),
    mention: |_, _, _| None,
    fence: Some(|_| {
        let open = "<pre style=\"background:#f4f4f4;padding:8px;white-space:pre-wrap\">";
        (open.to_owned(), "</pre>")
    }),
    code: escaped,
    heading: |level| match level {
        1 => ("<h1>", "</h1>"),
        2 => ("<h2>", "</h2>"),
        3 => ("<h3>", "</h3>"),
        4 => ("<h4>", "</h4>"),
        5 => ("<h5>", "</h5>"),
        _ => ("<h6>", "</h6>"),
    },
    quote: (
        "<blockquote style=\"border-left:3px solid #ccc;margin-left:0;padding-left:12px\">",
        "",
        "</blockquote>",
    ),
    divider: "<hr>",
    line: "<br>",
    backticks: false,
};

/// The blocks, one element each.
pub(super) fn html(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        let inside = INLINE.write(std::slice::from_ref(block));
        let role = match block {
            Block::Line { role, .. } => Some(role),
            Block::Code { .. } | Block::Divider => None,
        };
        match role {
            Some(Role::Paragraph) => out.push_str(&format!("<p>{inside}</p>\n")),
            Some(Role::Item(_)) => {
                let indent = inside.len() - inside.trim_start().len();
                let item = inside.trim_start();
                let style = format!("margin-left:{}em", 1 + indent / 2);
                out.push_str(&format!("<div style=\"{style}\">{item}</div>\n"));
            }
            Some(Role::Heading(_) | Role::Quote) | None => {
                out.push_str(&inside);
                out.push('\n');
            }
        }
    }
    out
}

/// A picture; description and address are escaped already.
pub(super) fn image(alt: &str, url: &str) -> String {
    format!("<img src=\"{url}\" alt=\"{alt}\" style=\"max-width:100%\">")
}

/// A text of a user on one line.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        escape(c, Place::Inside, &mut out);
    }
    out
}

fn escape(c: char, _: Place, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}
