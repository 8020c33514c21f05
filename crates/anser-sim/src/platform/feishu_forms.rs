//! Feishu's posts and cards, which its robots and its apps take alike: whether one is whole. Must not know what is around
//! them in a request.

use serde_json::Value;

use super::fields::{list, text};

/// Nodes of a post.
const NODES: &[&str] = &[
    "text",
    "a",
    "at",
    "img",
    "media",
    "emotion",
    "hr",
    "code_block",
    "md",
];

/// Whether a post in one language is whole.
pub(super) fn check_post(locale: &Value) -> Option<()> {
    for paragraph in list(locale, "/content")? {
        for node in paragraph.as_array()? {
            let tag = text(node, "/tag")?;
            let whole = match tag {
                "at" => text(node, "/user_id").is_some(),
                "a" => text(node, "/href").is_some() && node["text"].is_string(),
                "img" => text(node, "/image_key").is_some(),
                "text" | "md" | "code_block" => node["text"].is_string(),
                known => NODES.contains(&known),
            };
            if !whole {
                return None;
            }
        }
    }
    Some(())
}

/// A card has elements, at its top in the first schema and in `body` in the second, or is one of a template.
pub(super) fn check_card(card: &Value) -> Option<()> {
    if card["type"] == "template" {
        return text(card, "/data/template_id").map(drop);
    }
    let elements = match card["schema"].as_str() {
        Some("2.0") => card.pointer("/body/elements")?,
        _ => card.get("elements")?,
    };
    let tagged = |element: &Value| text(element, "/tag").is_some();
    elements.as_array()?.iter().all(tagged).then_some(())
}
