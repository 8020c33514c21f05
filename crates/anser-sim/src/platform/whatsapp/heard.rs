//! What people write to a number: the change `messages` that tells its app. From Meta's reference of webhooks' payloads.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::{Desk, Letter, hex};
use super::{digits, media};
use crate::emit::{Said, Unsaid};

/// Somebody who writes.
pub(in crate::platform) const TALKS: [&str; 2] = ["15550001001", "15550001002"];
/// The account of the business.
const ACCOUNT: &str = "102290129340398";

/// Takes what a person writes to the first number. The chat is the person's own number.
pub(in crate::platform) fn hear(
    said: &Said,
    desk: &mut Desk<'_>,
    now: Timestamp,
) -> Result<(Letter, Value), Unsaid> {
    let number = desk.robots.first();
    let number = number.ok_or_else(|| Unsaid::new("there is no number"))?;
    let from = digits(&said.chat);
    let from = from.ok_or_else(|| Unsaid::new("a chat of WhatsApp is a telephone number"))?;
    // Ids of earlier starts are other ones: events are known again by them.
    let unique = format!("{:016X}{:08X}", now.millis(), desk.number);
    let id = format!("wamid.HBgLSim{unique}");
    let mut message = json!({"from": from, "id": id, "timestamp": now.seconds().to_string()});
    if let Some(answered) = &said.reply_to {
        if !answered.starts_with("wamid.") {
            return Err(Unsaid::new("`reply_to` is no message of WhatsApp"));
        }
        message["context"] = json!({"from": number.token, "id": answered});
    }
    let mut uploads = Vec::new();
    match &said.file {
        None => {
            message["type"] = "text".into();
            message["text"] = json!({"body": said.text});
        }
        Some(file) => {
            let kind = if file.is_picture() {
                "image"
            } else {
                "document"
            };
            let key = media::said(desk, &number.token, kind, file, now);
            let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file.bytes);
            let mut shown =
                json!({"id": key, "mime_type": file.media_type, "sha256": hex(sha256.as_ref())});
            if kind == "document" {
                shown["filename"] = file.name.as_str().into();
            }
            if !said.text.is_empty() {
                shown["caption"] = said.text.as_str().into();
            }
            message["type"] = kind.into();
            message[kind] = shown;
            uploads.push(key);
        }
    }
    let kind = message["type"].as_str().unwrap_or_default().to_owned();
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100001", "phone_number_id": number.token},
        "contacts": [{"profile": {"name": said.name}, "wa_id": from}], "messages": [message]});
    let event = json!({"object": "whatsapp_business_account",
        "entry": [{"id": ACCOUNT, "changes": [{"value": value, "field": "messages"}]}]});
    let letter = Letter {
        robot: number.token.clone(),
        conversation: from,
        id: Some(id),
        kind,
        text: said.text.clone(),
        body: event.clone(),
        uploads,
        ..Letter::default()
    };
    Ok((letter, event))
}
