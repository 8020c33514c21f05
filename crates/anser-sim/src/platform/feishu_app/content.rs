//! What a message of an app must hold, by its type, and the images and files that it names.

use serde_json::Value;

use super::super::feishu_forms::{check_card, check_post};
use super::super::fields::text;

/// How deep a message is looked into for keys.
const DEPTH_MAX: usize = 32;

/// Whether the content of a message of that type is whole.
pub(super) fn check(kind: &str, content: &Value) -> Option<()> {
    let named = |pointer, prefix: &str| text(content, pointer)?.starts_with(prefix).then_some(());
    match kind {
        "text" => text(content, "/text").map(drop),
        "post" => {
            // Without the wrapper that a robot's posts have.
            let post = content.as_object().filter(|post| !post.is_empty())?;
            post.values().try_for_each(check_post)
        }
        "image" => named("/image_key", "img_"),
        "file" | "audio" | "sticker" | "media" => named("/file_key", "file_"),
        "share_chat" => named("/chat_id", "oc_"),
        "share_user" => named("/user_id", "ou_"),
        "interactive" if content["type"] == "card" => text(content, "/data/card_id").map(drop),
        "interactive" => check_card(content),
        "system" => (content["type"] == "divider").then_some(()),
        _ => None,
    }
}

/// What a message names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// An image, by its `image_key` or, in a card, its `img_key`.
    Image(&'a str),
    /// A file, by its `file_key`, with the type of message or node that it stands in.
    File(&'a str, &'a str),
}

/// All images and files that the content of a message of that type names. A sticker is none of the bot's own files.
pub(super) fn named<'a>(kind: &'a str, content: &'a Value) -> Vec<Named<'a>> {
    let mut found = Vec::new();
    if kind != "sticker" {
        gather(kind, content, DEPTH_MAX, &mut found);
    }
    found
}

fn gather<'a>(kind: &'a str, value: &'a Value, depth: usize, into: &mut Vec<Named<'a>>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(values) => {
            for value in values {
                gather(kind, value, depth - 1, into);
            }
        }
        Value::Object(members) => {
            let kind = members.get("tag").and_then(Value::as_str).unwrap_or(kind);
            for (name, value) in members {
                match (name.as_str(), value.as_str().filter(|key| !key.is_empty())) {
                    ("image_key" | "img_key", Some(key)) => into.push(Named::Image(key)),
                    ("file_key", Some(key)) => into.push(Named::File(key, kind)),
                    _ => gather(kind, value, depth - 1, into),
                }
            }
        }
        _ => {}
    }
}
