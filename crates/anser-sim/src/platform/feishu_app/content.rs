//! What a message of an app must hold, by its type.

use serde_json::Value;

use super::super::feishu_forms::{check_card, check_post};
use super::super::fields::text;

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
