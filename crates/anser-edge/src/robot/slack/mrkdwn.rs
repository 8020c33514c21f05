//! Slack's own markup, `mrkdwn` (docs.slack.dev/messaging/formatting-message-text): `*bold*`, `_italic_`, `~strike~`, code,
//! and in angle brackets links and mentions. Must not let text that is no markup become any.

use anser_core::message::segment::{MentionKind, Style};

use crate::robot::draft::Draft;
use crate::robot::member::{bracketed, escaped, web_url};

/// Bytes of a text beyond which it is shown as it is: more than Slack itself takes (docs.slack.dev, truncation at 40,000
/// characters).
const MARKED_BYTES_MAX: usize = 160_000;
/// Bytes that one style may reach over.
const STYLED_BYTES_MAX: usize = 2_000;

/// A stretch of marked text.
#[derive(Debug, PartialEq)]
enum Run<'t> {
    /// Text, still with entities, and how it looks.
    Text(&'t str, Vec<Style>),
    /// Lines of code, still with entities.
    Code(&'t str),
    /// What stands in angle brackets.
    Reference(&'t str),
}

/// Writes marked text.
pub(super) fn write(draft: &mut Draft, text: &str) {
    for run in runs(text) {
        match run {
            Run::Text(text, style) => draft.styled(&unescaped(text), &style),
            Run::Code(text) => draft.code(None, &unescaped(text)),
            Run::Reference(inner) => reference(draft, inner),
        }
    }
}

/// The same as Markdown, where there is no place for mentions.
pub(super) fn to_markdown(text: &str) -> String {
    let mut markdown = String::with_capacity(text.len());
    for run in runs(text) {
        match run {
            Run::Text(text, style) => {
                let marks: String = style.iter().map(|style| mark(*style)).collect();
                let closing: String = style.iter().rev().map(|style| mark(*style)).collect();
                let shown = match style.contains(&Style::Code) {
                    true => unescaped(text),
                    false => escaped(&unescaped(text)),
                };
                markdown.push_str(&format!("{marks}{shown}{closing}"));
            }
            Run::Code(text) => markdown.push_str(&format!(
                "\n```\n{}\n```\n",
                unescaped(text).trim_matches('\n')
            )),
            Run::Reference(inner) => markdown.push_str(&reference_markdown(inner)),
        }
    }
    markdown
}

fn mark(style: Style) -> &'static str {
    match style {
        Style::Bold => "**",
        Style::Italic => "_",
        Style::Strike => "~~",
        Style::Code => "`",
        Style::Underline | Style::Spoiler => "",
    }
}

/// Text with its three entities decoded.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What a reference in angle brackets shows and where it leads.
fn parts(inner: &str) -> (&str, Option<&str>) {
    match inner.split_once('|') {
        Some((target, label)) => (target, Some(label)),
        None => (inner, None),
    }
}

fn reference(draft: &mut Draft, inner: &str) {
    let (target, label) = parts(inner);
    let name = label.map(unescaped);
    let name = name
        .as_deref()
        .map(|name| name.trim_start_matches(['@', '#']));
    match target.split_at_checked(1) {
        Some(("@", id)) => draft.mention(MentionKind::User, Some(id), name),
        Some(("#", id)) => draft.mention(MentionKind::Channel, Some(id), name),
        Some(("!", "channel" | "everyone")) => draft.mention(MentionKind::All, None, None),
        Some(("!", "here")) => draft.mention(MentionKind::Here, None, None),
        Some(("!", command)) => match command.strip_prefix("subteam^") {
            Some(id) => draft.mention(MentionKind::Role, Some(id), name),
            // A date, or something later: its label is what is shown.
            None => draft.text(name.unwrap_or(command)),
        },
        _ => draft.link(&unescaped(target), name, None),
    }
}

fn reference_markdown(inner: &str) -> String {
    let (target, label) = parts(inner);
    let shown = escaped(&unescaped(label.unwrap_or(target)));
    match web_url(&unescaped(target)) {
        Some(url) => format!("[{shown}](<{url}>)"),
        None => shown,
    }
}

/// Marked text as runs, in order.
fn runs(text: &str) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    if text.len() > MARKED_BYTES_MAX {
        runs.push(Run::Text(text, Vec::new()));
        return runs;
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("```") {
        let Some((code, after)) = after.split_once("```") else {
            break;
        };
        inline(before, &[], &mut runs);
        runs.push(Run::Code(code.trim_matches('\n')));
        rest = after;
    }
    inline(rest, &[], &mut runs);
    runs
}

fn inline<'t>(text: &'t str, style: &[Style], runs: &mut Vec<Run<'t>>) {
    let (mut plain, mut place) = (0, 0);
    while let Some(found) = text[place..].find(['<', '*', '_', '~', '`']) {
        let at = place + found;
        let mark = &text[at..=at];
        let Some((inner, after)) = marked(text, at, style) else {
            place = at + 1;
            continue;
        };
        push(&text[plain..at], style, runs);
        if mark == "<" {
            runs.push(Run::Reference(inner));
        } else {
            let style = [style, &[style_of(mark)]].concat();
            if mark == "`" {
                push(inner, &style, runs);
            } else {
                inline(inner, &style, runs);
            }
        }
        (plain, place) = (after, after);
    }
    push(&text[plain..], style, runs);
}

fn push<'t>(text: &'t str, style: &[Style], runs: &mut Vec<Run<'t>>) {
    if !text.is_empty() {
        runs.push(Run::Text(text, style.to_vec()));
    }
}

fn style_of(mark: &str) -> Style {
    match mark {
        "*" => Style::Bold,
        "_" => Style::Italic,
        "~" => Style::Strike,
        _ => Style::Code,
    }
}

/// What stands between the mark at `at` and its end on the same line, and the place behind that. A mark begins where no
/// word goes on and no blank follows, and ends likewise; each style is within itself only once.
fn marked<'t>(text: &'t str, at: usize, style: &[Style]) -> Option<(&'t str, usize)> {
    let mark = &text[at..=at];
    let rest = &text[at + 1..];
    if mark == "<" {
        let (inner, _) = bracketed(rest)?;
        let good = !inner.is_empty() && !inner.contains(['<', '\n']);
        return good.then_some((inner, at + inner.len() + 2));
    }
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    if style.contains(&style_of(mark)) || word(text[..at].chars().next_back()) {
        return None;
    }
    let near = &rest[..rest.floor_char_boundary(STYLED_BYTES_MAX)];
    let line = near.split('\n').next().unwrap_or_default();
    let ends = line.match_indices(mark).find(|(end, _)| {
        let inner = &line[..*end];
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let outside = line[end + 1..].chars().next();
        !blank(inner.chars().next()) && !blank(inner.chars().next_back()) && !word(outside)
    });
    let (end, _) = ends?;
    Some((&line[..end], at + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut draft = Draft::default();
        write(&mut draft, text);
        let told = draft.finish("text").unwrap();
        serde_json::to_string(&told.item.body.segments).unwrap()
    }

    #[test]
    fn markup_becomes_segments() {
        for (text, expected) in [
            (
                "a &lt;b&gt; &amp;amp;",
                r#"[{"type":"text","text":"a <b> &amp;"}]"#,
            ),
            (
                "*bold _both_* x",
                r#"[{"type":"text","text":"bold ","style":["bold"]},{"type":"text","text":"both","style":["bold","italic"]},{"type":"text","text":" x"}]"#,
            ),
            (
                "2 * 3 * 4, snake_case_name",
                r#"[{"type":"text","text":"2 * 3 * 4, snake_case_name"}]"#,
            ),
            (
                "<@U1> <!here> <#C1|ops> <https://e.com|x &amp; y>",
                r##"[{"type":"mention","kind":"user","id":"U1"},{"type":"text","text":" "},{"type":"mention","kind":"here"},{"type":"text","text":" "},{"type":"mention","kind":"channel","id":"C1","name":"ops"},{"type":"text","text":" "},{"type":"link","url":"https://e.com/","title":"x & y"}]"##,
            ),
            ("```\na < b\n```", r#"[{"type":"code","text":"a < b"}]"#),
            (
                "`a*b*c`",
                r#"[{"type":"text","text":"a*b*c","style":["code"]}]"#,
            ),
            ("a <b", r#"[{"type":"text","text":"a <b"}]"#),
            (
                "<javascript:x|go>",
                r#"[{"type":"text","text":"go"},{"type":"text","text":" (javascript:x)"}]"#,
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn markup_becomes_markdown_and_text_does_not() {
        assert_eq!(
            to_markdown("*b* <https://e.com|x> [n](y) &lt;!here&gt;"),
            "**b** [x](<https://e.com/>) \\[n\\]\\(y\\) \\<\\!here\\>"
        );
    }
}
