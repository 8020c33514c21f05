//! What a message of WhatsApp says. Must not give a file's address: it needs the channel's token.

use serde_json::{Value, json};

use super::PLATFORM;
use crate::kit::arrival::{Content, shallow};
use crate::kit::inbound::raw;

/// The content of a message.
pub(super) fn read(message: &Value) -> Content {
    let mut content = Content::default();
    let kind = message["type"].as_str().unwrap_or_default();
    let own = &message[kind];
    match kind {
        "text" => content.text(own["body"].as_str().unwrap_or_default(), &[]),
        "image" | "video" => add_file(&mut content, kind, own),
        "document" => add_file(&mut content, "file", own),
        "audio" if own["voice"] == true => add_file(&mut content, "voice", own),
        "audio" => add_file(&mut content, "audio", own),
        "sticker" => {
            content.push(json!({"type": "sticker"}));
            let mut key = key(own);
            key["kind"] = "sticker".into();
            content.key(key);
        }
        "location" => add_place(&mut content, own),
        "contacts" => add_contacts(&mut content, own),
        _ => {}
    }
    if content.is_empty() {
        content.push(raw(PLATFORM, &shallow(message)));
    }
    content
}

fn add_file(content: &mut Content, kind: &str, file: &Value) {
    content.media(kind, file["filename"].as_str(), key(file));
    if let Some(caption) = file["caption"].as_str().filter(|text| !text.is_empty()) {
        content.line_break();
        content.text(caption, &[]);
    }
}

/// The id by which the platform gives the address of a file, and what is known of it.
fn key(file: &Value) -> Value {
    json!({"key": file["id"], "media_type": file["mime_type"], "sha256": file["sha256"]})
}

fn add_place(content: &mut Content, place: &Value) {
    let (Some(lat), Some(lon)) = (place["latitude"].as_f64(), place["longitude"].as_f64()) else {
        return;
    };
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
        return;
    }
    let mut segment = json!({"type": "location", "lat": lat, "lon": lon});
    for member in ["name", "address"] {
        if let Some(text) = place[member].as_str() {
            segment[member] = text.into();
        }
    }
    content.push(segment);
}

fn add_contacts(content: &mut Content, contacts: &Value) {
    for contact in contacts.as_array().into_iter().flatten() {
        let name = contact["name"]["formatted_name"].as_str();
        let phones = contact["phones"].as_array().into_iter().flatten();
        let phones: Vec<&str> = phones.filter_map(|phone| phone["phone"].as_str()).collect();
        let name = name.unwrap_or_default();
        content.push(json!({"type": "contact", "name": name, "phones": phones}));
    }
}
