//! Messages of people to the app, of each type (<https://developer.work.weixin.qq.com/document/path/90239>). Must not know
//! of events.

use anser_core::inbound::{InboundContext, InboundEvent};
use serde_json::{Value, json};

use super::PLATFORM;
use super::said::Said;
use crate::kit::arrival::{Content, shallow, word};
use crate::kit::inbound::raw;

/// The message in the standard format.
pub(super) fn normalised(said: &Said, context: &InboundContext<'_>) -> InboundEvent {
    let mut content = Content::default();
    let of = &said.value;
    let key = json!({"key": of["MediaId"]});
    match &*said.msg_type {
        "text" => content.text(of["Content"].as_str().unwrap_or_default(), &[]),
        "image" => image(&mut content, of),
        "voice" => {
            let key = json!({"key": of["MediaId"], "format": of["Format"]});
            content.media("voice", None, key);
            if let Some(said) = of["Recognition"].as_str() {
                content.text(&format!(" {said}"), &[]);
            }
        }
        "video" | "shortvideo" => {
            let key = json!({"key": of["MediaId"], "cover": of["ThumbMediaId"]});
            content.media("video", None, key);
        }
        "file" => {
            let name = word(of, "FileName").or_else(|| word(of, "Title"));
            content.media("file", name, key);
        }
        "location" => location(&mut content, of),
        "link" => link(&mut content, of),
        _ => other(&mut content, of, &said.msg_type),
    }
    let item = content.into_item(PLATFORM, of);
    said.arrived(&said.msg_type, item, context)
}

/// The link to a picture needs no token.
fn image(content: &mut Content, of: &Value) {
    let key = json!({"kind": "image", "key": of["MediaId"]});
    if word(of, "PicUrl").is_some_and(|link| content.picture(link)) {
        content.key(key);
    } else {
        content.media("image", None, key);
    }
}

fn location(content: &mut Content, of: &Value) {
    let degrees = |name: &str, most: f64| {
        let number: f64 = of[name].as_str()?.trim().parse().ok()?;
        (-most..=most).contains(&number).then_some(number)
    };
    match (degrees("Location_X", 90.0), degrees("Location_Y", 180.0)) {
        (Some(lat), Some(lon)) => {
            let mut segment = json!({"type": "location", "lat": lat, "lon": lon});
            if let Some(name) = word(of, "Label") {
                segment["name"] = name.into();
            }
            content.push(segment);
        }
        _ => other(content, of, "location"),
    }
}

fn link(content: &mut Content, of: &Value) {
    let Some(url) = word(of, "Url") else {
        return other(content, of, "link");
    };
    let mut segment = json!({"type": "link", "url": url});
    for (member, name) in [
        ("title", "Title"),
        ("text", "Description"),
        ("image", "PicUrl"),
    ] {
        if let Some(text) = of[name].as_str().filter(|text| !text.is_empty()) {
            segment[member] = text.into();
        }
    }
    content.push(segment);
}

fn other(content: &mut Content, of: &Value, msg_type: &str) {
    content.text(&format!("[{msg_type}]"), &[]);
    content.push(raw(PLATFORM, &shallow(of)));
}
