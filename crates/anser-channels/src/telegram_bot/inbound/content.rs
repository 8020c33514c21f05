//! What a message of Telegram says: text with entities, files, places, contacts. Must not give a file's address: it holds
//! the bot's token.

use serde_json::{Value, json};

use super::place::name;
use super::{PLATFORM, entities};
use crate::kit::arrival::{Content, shallow};
use crate::kit::inbound::raw;

/// Members of a message that are a file, and what it is.
const FILES: [(&str, &str); 8] = [
    // An animation is also there as a document.
    ("animation", "video"),
    ("document", "file"),
    ("audio", "audio"),
    ("voice", "voice"),
    ("video", "video"),
    ("video_note", "video"),
    ("sticker", "sticker"),
    ("live_photo", "image"),
];

/// The content of a message; `None` when it is something that happened in the chat, and nothing that was said.
pub(super) fn read(message: &Value) -> Option<Content> {
    let mut content = Content::default();
    add_media(&mut content, message);
    for (text, marks) in [("text", "entities"), ("caption", "caption_entities")] {
        if let Some(text) = message[text].as_str().filter(|text| !text.is_empty()) {
            content.line_break();
            entities::add(&mut content, text, &message[marks]);
        }
    }
    add_others(&mut content, message);
    (!content.is_empty()).then_some(content)
}

fn add_media(content: &mut Content, message: &Value) {
    // The sizes of one picture, the largest last.
    if let Some(photo) = message["photo"].as_array().and_then(|sizes| sizes.last()) {
        content.media("image", None, key(photo));
    }
    for (member, kind) in FILES {
        let file = &message[member];
        if !file["file_id"].is_string() {
            continue;
        }
        if kind == "sticker" {
            content.push(json!({"type": "sticker"}));
            let mut key = key(file);
            key["kind"] = kind.into();
            key["emoji"] = file["emoji"].clone();
            content.key(key);
        } else {
            content.media(kind, file["file_name"].as_str(), key(file));
        }
        if member == "animation" {
            break;
        }
    }
}

/// By what `getFile` finds a file, and what is known of it.
fn key(file: &Value) -> Value {
    json!({
        "key": file["file_id"],
        "unique_id": file["file_unique_id"],
        "media_type": file["mime_type"],
        "size": file["file_size"],
        "width": file["width"],
        "height": file["height"],
        "duration_s": file["duration"],
    })
}

/// Members that are content beside text and files.
fn add_others(content: &mut Content, message: &Value) {
    let place = match &message["venue"]["location"] {
        Value::Null => &message["location"],
        place => place,
    };
    if let (Some(lat), Some(lon)) = (place["latitude"].as_f64(), place["longitude"].as_f64())
        && (-90.0..=90.0).contains(&lat)
        && (-180.0..=180.0).contains(&lon)
    {
        let mut segment = json!({"type": "location", "lat": lat, "lon": lon});
        for (member, own) in [("name", "title"), ("address", "address")] {
            if let Some(text) = message["venue"][own].as_str() {
                segment[member] = text.into();
            }
        }
        content.push(segment);
    }
    let contact = &message["contact"];
    if let Some(phone) = contact["phone_number"].as_str() {
        content.push(json!({"type": "contact", "name": name(contact), "phones": [phone]}));
    }
    if let Some(emoji) = message["dice"]["emoji"].as_str() {
        let value = message["dice"]["value"].as_i64().unwrap_or_default();
        content.text(&format!("{emoji} {value}"), &[]);
    }
    for member in [
        "poll",
        "game",
        "invoice",
        "story",
        "paid_media",
        "checklist",
        "giveaway",
    ] {
        if !message[member].is_null() {
            let own = shallow(&json!({member: message[member]}));
            content.push(raw(PLATFORM, &own));
        }
    }
}
