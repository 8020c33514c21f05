//! Slack's blocks as segments, in order. What a block of a type that is not known says is looked for in its parts.

use anser_core::message::segment::{MentionKind, Style};
use serde_json::Value;

use super::{DEPTH_MAX, mrkdwn};
use crate::robot::draft::Draft;
use crate::robot::member::{list, text};

/// Writes blocks, each on lines of its own.
pub(super) fn write(draft: &mut Draft, blocks: &[Value], depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for block in blocks {
        draft.line();
        write_block(draft, block, depth);
    }
}

fn write_block(draft: &mut Draft, block: &Value, depth: usize) {
    match block["type"].as_str().unwrap_or_default() {
        "header" => {
            let said = text(block, "/text/text").unwrap_or_default();
            draft.styled(&mrkdwn::unescaped(said), &[Style::Bold]);
        }
        "divider" => draft.divider(),
        "markdown" => draft.markdown(text(block, "/text").unwrap_or_default()),
        "image" => image(draft, block),
        "actions" => {
            for (i, element) in list(block, "/elements").iter().enumerate() {
                if i > 0 {
                    draft.text(" · ");
                }
                button(draft, element);
            }
        }
        "context" => {
            for element in list(block, "/elements") {
                match element["type"].as_str() {
                    Some("image") => image(draft, element),
                    _ => text_object(draft, element),
                }
                draft.text(" ");
            }
        }
        "rich_text" => rich(draft, list(block, "/elements"), depth + 1),
        // A section, and whatever has its members.
        _ => {
            text_object(draft, &block["text"]);
            for field in list(block, "/fields") {
                draft.line();
                text_object(draft, field);
            }
            let accessory = &block["accessory"];
            if accessory.is_object() {
                draft.line();
                match accessory["type"].as_str() {
                    Some("image") => image(draft, accessory),
                    _ => button(draft, accessory),
                }
            }
        }
    }
}

/// `{"type": "plain_text" | "mrkdwn", "text": "…"}`.
fn text_object(draft: &mut Draft, object: &Value) {
    let said = text(object, "/text").unwrap_or_default();
    match object["type"].as_str() {
        Some("plain_text") => draft.text(&mrkdwn::unescaped(said)),
        _ => mrkdwn::write(draft, said),
    }
}

fn image(draft: &mut Draft, image: &Value) {
    let alt = text(image, "/alt_text");
    match text(image, "/image_url") {
        Some(url) => draft.image_at(url, alt),
        None => draft.text(alt.unwrap_or("[image]")),
    }
}

/// A button that opens a link; what calls back has nobody to call here.
fn button(draft: &mut Draft, element: &Value) {
    let label = text(element, "/text/text").map(mrkdwn::unescaped);
    match text(element, "/url") {
        Some(url) => draft.link(url, label.as_deref(), None),
        None => draft.text(&label.map_or_else(String::new, |label| format!("[{label}]"))),
    }
}

fn rich(draft: &mut Draft, elements: &[Value], depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for element in elements {
        let inner = list(element, "/elements");
        match element["type"].as_str().unwrap_or_default() {
            "rich_text_preformatted" => {
                let said: Vec<&str> = inner
                    .iter()
                    .filter_map(|part| text(part, "/text"))
                    .collect();
                draft.code(None, &said.concat());
            }
            "rich_text_list" => {
                for (i, item) in inner.iter().enumerate() {
                    draft.line();
                    match element["style"].as_str() {
                        Some("ordered") => draft.text(&format!("{}. ", i + 1)),
                        _ => draft.text("• "),
                    }
                    rich(draft, list(item, "/elements"), depth + 1);
                }
                draft.line();
            }
            "rich_text_quote" => {
                draft.text("> ");
                rich(draft, inner, depth + 1);
            }
            "rich_text_section" => rich(draft, inner, depth + 1),
            _ => rich_part(draft, element),
        }
    }
}

fn rich_part(draft: &mut Draft, part: &Value) {
    let said = part["text"].as_str().unwrap_or_default();
    let id = |member: &str| part[member].as_str();
    match part["type"].as_str().unwrap_or_default() {
        "text" => draft.styled(said, &styles(&part["style"])),
        "link" => draft.link(part["url"].as_str().unwrap_or_default(), Some(said), None),
        "user" => draft.mention(MentionKind::User, id("user_id"), None),
        "usergroup" => draft.mention(MentionKind::Role, id("usergroup_id"), None),
        "channel" => draft.mention(MentionKind::Channel, id("channel_id"), None),
        "broadcast" => match id("range") {
            Some("here") => draft.mention(MentionKind::Here, None, None),
            _ => draft.mention(MentionKind::All, None, None),
        },
        "emoji" => draft.emoji(
            id("name").unwrap_or("emoji"),
            id("unicode").and_then(unicode),
        ),
        _ => draft.text(said),
    }
}

fn styles(style: &Value) -> Vec<Style> {
    let known = [
        ("bold", Style::Bold),
        ("italic", Style::Italic),
        ("strike", Style::Strike),
        ("code", Style::Code),
    ];
    let set = known.into_iter().filter(|(name, _)| style[*name] == true);
    set.map(|(_, style)| style).collect()
}

/// The characters that hyphenated code points stand for, as in `1f469-200d-1f4bb`.
fn unicode(points: &str) -> Option<String> {
    points
        .split('-')
        .map(|point| char::from_u32(u32::from_str_radix(point, 16).ok()?))
        .collect()
}
