//! Text into runs: line breaks, bare links and control characters found and set apart. Must not read any markup.

use anser_core::message::segment::MentionKind;
use url::Url;

use super::{Look, Run};

/// Bytes of a link that is taken for one; a longer one is shown as text.
const LINK_BYTES_MAX: usize = 1_500;
/// Schemes of links that do no more than their reader expects.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

/// Text as one line or more, its bare `http` and `https` links found.
pub(crate) fn text_runs(text: &str, look: Look) -> Vec<Run> {
    let text = plain(text);
    let mut runs = Vec::new();
    for (place, line) in text.split('\n').enumerate() {
        if place > 0 {
            runs.push(Run::Break);
        }
        if look.has(Look::CODE) {
            push(&mut runs, line, look);
        } else {
            links(&mut runs, line, look);
        }
    }
    runs
}

fn links(runs: &mut Vec<Run>, line: &str, look: Look) {
    let mut rest = line;
    while let Some((start, end)) = find_link(rest) {
        push(runs, &rest[..start], look);
        let url = &rest[start..end];
        let label = url.to_owned();
        match link(label, url) {
            Some(run) => runs.push(run),
            None => push(runs, url, look),
        }
        rest = &rest[end..];
    }
    push(runs, rest, look);
}

fn push(runs: &mut Vec<Run>, text: &str, look: Look) {
    if !text.is_empty() {
        let text = text.to_owned();
        runs.push(Run::Text { text, look });
    }
}

/// The first bare link: from `http://` or `https://` to the first character that RFC 3986 does not allow, without the
/// punctuation that ends a sentence.
fn find_link(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("http")?;
        let rest = &text[start..];
        let scheme = ["https://", "http://"]
            .into_iter()
            .find(|scheme| rest.starts_with(scheme));
        let glued = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        if let (Some(scheme), false) = (scheme, glued) {
            let length = rest.bytes().take_while(|byte| is_url_byte(*byte)).count();
            let link = rest[..length].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ')']);
            if link.len() > scheme.len() {
                return Some((start, start + link.len()));
            }
        }
        from = start + "http".len();
    }
}

/// Of RFC 3986, but for brackets, which mark links up.
fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte)
}

/// A link, if its URL is one that may be followed.
pub(super) fn link(label: String, url: &str) -> Option<Run> {
    let clean = web_link(url)?;
    let label = one_line(&label);
    let label = if label.trim().is_empty() {
        url.to_owned()
    } else {
        label
    };
    Some(Run::Link { label, url: clean })
}

/// Whether a link reads as where it leads.
pub(crate) fn is_bare(label: &str, url: &str) -> bool {
    label == url || web_link(label).is_some_and(|clean| clean == url)
}

/// The URL as parsing leaves it, with what could end a link in some markup percent-encoded.
pub(super) fn web_link(url: &str) -> Option<String> {
    if url.len() > LINK_BYTES_MAX || !is_web_link(url) {
        return None;
    }
    let mut clean = String::with_capacity(url.len());
    for c in Url::parse(url).ok()?.as_str().chars() {
        match c {
            '(' => clean.push_str("%28"),
            ')' => clean.push_str("%29"),
            '<' => clean.push_str("%3C"),
            '>' => clean.push_str("%3E"),
            '"' => clean.push_str("%22"),
            '\'' => clean.push_str("%27"),
            '`' => clean.push_str("%60"),
            '|' => clean.push_str("%7C"),
            '\\' => clean.push_str("%5C"),
            '*' => clean.push_str("%2A"),
            // Brackets have a meaning in the host of an IPv6 address only, which no chat makes a link anyway.
            '[' => clean.push_str("%5B"),
            ']' => clean.push_str("%5D"),
            c => clean.push(c),
        }
    }
    (clean.len() <= LINK_BYTES_MAX && clean.is_ascii()).then_some(clean)
}

/// Whether the URL has a scheme that is no more than a link: what others do (mention, run a script) is not asked for.
fn is_web_link(url: &str) -> bool {
    !url.chars().any(|c| c.is_control() || c.is_whitespace())
        && Url::parse(url).is_ok_and(|url| {
            // A name before the host makes a link look as if it led elsewhere.
            let plain = url.username().is_empty() && url.password().is_none();
            plain
                && SCHEMES.contains(&url.scheme())
                && !matches!(url.host_str(), Some(host) if host.starts_with('['))
        })
}

/// Text without control characters but line feed; a carriage return is one.
pub(crate) fn plain(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() && c != '\n') {
        return text.to_owned();
    }
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\t', "    ")
        .replace(|c: char| c.is_control() && c != '\n', "")
}

/// Text on one line.
pub(super) fn one_line(text: &str) -> String {
    plain(text).replace('\n', " ")
}

/// The name that a mention shows where it is none.
pub(crate) fn mention_name(kind: MentionKind, id: Option<&str>, name: Option<&str>) -> String {
    let default = match kind {
        MentionKind::All => "all",
        MentionKind::Here => "here",
        MentionKind::User | MentionKind::Role | MentionKind::Channel => id.unwrap_or("?"),
    };
    one_line(name.unwrap_or(default))
}
