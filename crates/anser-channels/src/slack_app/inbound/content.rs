//! What a message of Slack says: its rich text, else its text with `<…>` for what is no text, and its files. Must not know
//! where it was said.

use serde_json::{Value, json};

use crate::kit::arrival::Content;

/// How deep lists nest.
const DEPTH_MAX: usize = 8;

/// The content of a message.
pub(super) fn read(message: &Value) -> Content {
    let mut content = Content::default();
    let blocks = list(&message["blocks"]);
    let is_rich = |block: &Value| block["type"] == "rich_text";
    if !blocks.is_empty() && blocks.iter().all(is_rich) {
        for block in blocks {
            rich(&mut content, list(&block["elements"]), 0);
        }
    } else {
        marked(&mut content, message["text"].as_str().unwrap_or_default());
    }
    for file in list(&message["files"]) {
        content.line_break();
        add_file(&mut content, file);
    }
    if content.is_empty() {
        // Apps often say everything in attachments of the old kind.
        for attachment in list(&message["attachments"]) {
            let mut texts = ["text", "fallback", "title"].into_iter();
            let text = texts.find_map(|name| attachment[name].as_str().filter(|t| !t.is_empty()));
            if let Some(text) = text {
                content.line_break();
                marked(&mut content, text);
            }
        }
    }
    if content.is_empty() {
        content.push(crate::kit::inbound::raw(
            super::PLATFORM,
            &crate::kit::arrival::shallow(message),
        ));
    }
    content
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Sections, lists, quotations and code of a block of rich text.
fn rich(content: &mut Content, parts: &[Value], depth: usize) {
    for part in parts {
        let elements = list(&part["elements"]);
        match part["type"].as_str().unwrap_or_default() {
            "rich_text_list" if depth < DEPTH_MAX => {
                let is_ordered = part["style"] == "ordered";
                let from = part["offset"].as_u64().unwrap_or_default();
                let level = part["indent"].as_u64().unwrap_or_default().min(16);
                let indent = "  ".repeat(usize::try_from(level).unwrap_or_default());
                for (item, number) in elements.iter().zip(1_u64..) {
                    content.line_break();
                    let marker = if is_ordered {
                        format!("{indent}{}. ", from.saturating_add(number))
                    } else {
                        format!("{indent}• ")
                    };
                    content.text(&marker, &[]);
                    rich(content, std::slice::from_ref(item), depth + 1);
                }
                content.line_break();
            }
            "rich_text_preformatted" => {
                let text: String = elements.iter().map(plain).collect();
                content.block("code", &text, None);
            }
            "rich_text_quote" => {
                content.text("> ", &[]);
                for one in elements {
                    element(content, one);
                }
                content.line_break();
            }
            _ => {
                for one in elements {
                    element(content, one);
                }
            }
        }
    }
}

/// An element without its look.
fn plain(element: &Value) -> &str {
    let mut names = ["text", "url", "name", "user_id"].into_iter();
    names
        .find_map(|name| element[name].as_str())
        .unwrap_or_default()
}

fn element(content: &mut Content, element: &Value) {
    let text = |name: &str| element[name].as_str();
    match text("type").unwrap_or_default() {
        "user" => content.mention("user", text("user_id"), None),
        "usergroup" => content.mention("role", text("usergroup_id"), None),
        "channel" => content.mention("channel", text("channel_id"), None),
        "broadcast" => content.mention(broadcast(text("range").unwrap_or_default()), None, None),
        "link" => link(content, text("url").unwrap_or_default(), text("text")),
        "emoji" => {
            let name = text("name").unwrap_or_default();
            let mut segment = json!({"type": "emoji", "name": name});
            if let Some(unicode) = text("unicode").and_then(unicode) {
                segment["unicode"] = unicode.into();
            }
            content.push(segment);
        }
        _ => content.text(plain(element), &styles(&element["style"])),
    }
}

/// Code points in hexadecimal, with hyphens between.
fn unicode(points: &str) -> Option<String> {
    points
        .split('-')
        .map(|point| u32::from_str_radix(point, 16).ok().and_then(char::from_u32))
        .collect()
}

fn styles(style: &Value) -> Vec<&'static str> {
    ["bold", "italic", "underline", "strike", "code"]
        .into_iter()
        .filter(|name| style[*name] == true)
        .collect()
}

fn broadcast(range: &str) -> &'static str {
    if range == "here" { "here" } else { "all" }
}

fn link(content: &mut Content, url: &str, label: Option<&str>) {
    let mut segment = json!({"type": "link", "url": url});
    if let Some(label) = label.filter(|label| !label.is_empty() && *label != url) {
        segment["title"] = label.into();
    }
    content.push(segment);
}

/// Text with `<…>`: mentions, links and dates
/// (<https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages>). Marks such as `*` stay.
fn marked(content: &mut Content, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        content.text(&unescaped(before), &[]);
        let Some((inside, after)) = after.split_once('>') else {
            content.text(&unescaped(&rest[before.len()..]), &[]);
            return;
        };
        reference(content, inside);
        rest = after;
    }
    content.text(&unescaped(rest), &[]);
}

fn reference(content: &mut Content, inside: &str) {
    let (what, label) = match inside.split_once('|') {
        Some((what, label)) => (what, Some(unescaped(label))),
        None => (inside, None),
    };
    let label = label.as_deref();
    if let Some(id) = what.strip_prefix('@') {
        return content.mention("user", Some(id), label);
    }
    if let Some(id) = what.strip_prefix('#') {
        return content.mention("channel", Some(id), label);
    }
    let Some(special) = what.strip_prefix('!') else {
        return link(content, &unescaped(what), label);
    };
    match special {
        "here" | "channel" | "everyone" => content.mention(broadcast(special), None, None),
        _ => match special.strip_prefix("subteam^") {
            Some(id) => content.mention("role", Some(id), label),
            None => content.text(label.unwrap_or(special), &[]),
        },
    }
}

/// Text in which `&`, `<` and `>` are themselves again.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// A file, which the bot's token fetches.
fn add_file(content: &mut Content, file: &Value) {
    let media_type = file["mimetype"].as_str().unwrap_or_default();
    let kind = match media_type.split('/').next().unwrap_or_default() {
        "image" => "image",
        "audio" => "audio",
        "video" => "video",
        _ => "file",
    };
    let key = json!({
        "key": file["id"],
        "media_type": file["mimetype"],
        "size": file["size"],
        "url": file["url_private"],
    });
    content.media(kind, file["name"].as_str(), key);
}
