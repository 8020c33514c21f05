//! A card as Feishu's own, schema 2.0. Must not make buttons that call back: nobody would answer them.

use anser_core::message::segment::{CardField, Level};
use serde_json::{Value, json};

use super::dialect::{MARKDOWN, without_tags};
use crate::kit::content::{
    Block, Button, CardPart, Look, MediaPart, buttons, markdown_blocks, plain, text_runs,
};
use crate::kit::media::mark;

/// The card.
pub(crate) fn card(part: &CardPart) -> Value {
    let card = &part.card;
    let mut elements = Vec::new();
    if let Some(media) = &part.media {
        elements.push(picture(media));
    } else if let Some(image) = &part.image {
        elements.push(markdown(&[Block::paragraph(vec![image.clone()])]));
    }
    for section in &card.sections {
        elements.push(markdown(&markdown_blocks(section)));
    }
    if !card.fields.is_empty() {
        let fields: Vec<Value> = card.fields.iter().map(field).collect();
        elements.push(json!({"tag": "div", "fields": fields}));
    }
    let (links, notes) = buttons(card);
    if !notes.is_empty() {
        elements.push(markdown(&[Block::paragraph(notes)]));
    }
    if !links.is_empty() {
        let columns: Vec<Value> = links.iter().map(column).collect();
        elements.push(json!({"tag": "column_set", "flex_mode": "flow", "columns": columns}));
    }
    if let Some(footer) = &card.footer {
        let mut element = markdown(&[Block::paragraph(text_runs(footer, Look::PLAIN))]);
        element["text_size"] = "notation".into();
        elements.push(element);
    }
    let mut native = of_elements(&elements);
    let template = card.level.map_or("default", template);
    let mut header = json!({"title": plain_text(card.title.as_deref()), "template": template});
    if let Some(subtitle) = &card.subtitle {
        header["subtitle"] = plain_text(Some(subtitle));
    }
    if card.title.is_some() || card.subtitle.is_some() {
        native["header"] = header;
    }
    native
}

/// A card of nothing but elements.
pub(crate) fn of_elements(elements: &[Value]) -> Value {
    json!({"schema": "2.0", "body": {"elements": elements}})
}

/// An element of Markdown.
pub(crate) fn markdown(blocks: &[Block]) -> Value {
    json!({"tag": "markdown", "content": MARKDOWN.write(blocks)})
}

/// A picture by the key that the upload directly before the card gives.
fn picture(media: &MediaPart) -> Value {
    let alt = media
        .caption
        .as_deref()
        .or(media.attachment.name.as_deref());
    json!({"tag": "img", "img_key": mark(1), "alt": plain_text(alt)})
}

fn field(field: &CardField) -> Value {
    let name = MARKDOWN.write(&[Block::paragraph(text_runs(&field.name, Look::BOLD))]);
    let content = format!("{name}\n{}", MARKDOWN.escaped(&plain(&field.value)));
    json!({"is_short": field.short, "text": {"tag": "lark_md", "content": content}})
}

fn column(button: &Button) -> Value {
    let style = match button.style.as_deref() {
        Some("primary") => "primary",
        Some("danger") => "danger",
        _ => "default",
    };
    let button = json!({
        "tag": "button",
        "text": plain_text(Some(&button.label)),
        "type": style,
        "behaviors": [{"type": "open_url", "default_url": button.url}]
    });
    json!({"tag": "column", "width": "auto", "elements": [button]})
}

fn plain_text(text: Option<&str>) -> Value {
    json!({"tag": "plain_text", "content": without_tags(&plain(text.unwrap_or_default()))})
}

const fn template(level: Level) -> &'static str {
    match level {
        Level::Info => "blue",
        Level::Success => "green",
        Level::Warning => "orange",
        Level::Error => "red",
    }
}
