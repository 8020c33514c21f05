//! A message as a CloudEvent, by CloudEvents 1.0.2, its JSON format and its HTTP binding.

use anser_core::Message;
use anser_core::message::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderName};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::kit::header;

/// The media type of the structured mode.
pub(super) const MEDIA_TYPE: &str = "application/cloudevents+json";
/// What begins so is read as structured, never as binary (HTTP binding section 3).
const MEDIA_TYPE_PREFIX: &str = "application/cloudevents";

/// Whether the binary mode would be misread: the payload's own media type says that it is the event.
pub(super) fn needs_envelope(body: &Body) -> bool {
    let payload = body.payload();
    payload
        .media_type
        .get(..MEDIA_TYPE_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE_PREFIX))
}

/// Adds every attribute but `datacontenttype`, which is the request's `content-type`.
pub(super) fn headers(headers: &mut HeaderMap, message: &Message) {
    for (name, value) in attributes(message) {
        let name = HeaderName::try_from(format!("ce-{name}"))
            .expect("attribute names are lower-case letters and digits");
        headers.insert(name, header::reversible(&value));
    }
}

/// The event as one JSON document.
pub(super) fn structured(message: &Message) -> Vec<u8> {
    serde_json::to_vec(&Structured(message)).expect("strings and raw JSON always serialise")
}

/// The attributes, absent ones left out. Extensions have letters and digits only and at most 20 of them.
fn attributes(message: &Message) -> Vec<(&'static str, String)> {
    let header = &message.header;
    let time = header.occurred_at.unwrap_or(header.time);
    let mut attributes = vec![
        ("specversion", "1.0".to_owned()),
        ("id", header.id.to_string()),
        ("source", format!("/topics/{}", header.topic)),
        ("type", clean(&header.r#type)),
        ("time", time.to_string()),
    ];
    let tags = header.tags.join(",");
    let target = header.target_id.map(|id| id.to_string());
    let optional = [
        ("subject", header.key.as_deref()),
        ("ansertopic", Some(header.topic.as_str())),
        ("anserkey", header.key.as_deref()),
        ("ansertags", Some(tags.as_str())),
        ("anserroutingkey", header.routing_key.as_deref()),
        ("ansercorrelationid", header.correlation_id.as_deref()),
        ("anserreplyto", header.reply_to.as_deref()),
        ("ansertargetid", target.as_deref()),
        ("traceparent", header.traceparent.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attributes.push((name, clean(value)));
        }
    }
    attributes
}

/// A String of CloudEvents has no control characters and no noncharacters; each becomes U+FFFD.
fn clean(text: &str) -> String {
    let noncharacter =
        |c: char| (0xFDD0..=0xFDEF).contains(&u32::from(c)) || u32::from(c) & 0xFFFE == 0xFFFE;
    text.replace(|c: char| c.is_control() || noncharacter(c), "\u{FFFD}")
}

struct Structured<'a>(&'a Message);

impl Serialize for Structured<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(message) = self;
        let mut event = serializer.serialize_map(None)?;
        for (name, value) in attributes(message) {
            event.serialize_entry(name, &value)?;
        }
        event.serialize_entry("datacontenttype", &message.body.payload().media_type)?;
        match &message.body {
            // The bytes received, so that big numbers and the order of members survive.
            Body::Data(raw) => event.serialize_entry("data", raw)?,
            Body::Content(content) => event.serialize_entry("data", &content.fallback)?,
            Body::Bytes { bytes, .. } => {
                event.serialize_entry("data_base64", &BASE64.encode(bytes))?;
            }
        }
        event.end()
    }
}
