//! Discord, files of messages: they ride along in a form, `payload_json` beside `files[n]`, are shown as attachments and can be
//! got back. Must not know what else a message says.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::fields::chars;
use super::super::{Answer, Breach, Call, Desk, Refusal, Verdict};
use super::codes::{invalid, refuse, too_long};
use super::snowflake;
use crate::intake::Part;
use crate::shelf::Parcel;

/// Where attachments are got back from.
pub(super) const ATTACHMENTS: &str = "/attachments/";
/// Bytes of a file, where the server has no higher tier.
const FILE_MAX: u64 = 10 << 20;
/// Files of a message.
const FILES_MAX: usize = 10;
/// Characters of a file's description.
const DESCRIPTION_MAX: usize = 1024;
/// The field of a form that holds the message.
const PAYLOAD: &str = "payload_json";

/// The message of a request: JSON, or in a form beside its files.
pub(super) fn payload(call: &Call) -> Result<Value, Box<Refusal>> {
    let unreadable = || refuse("50109", Breach::Content);
    let read = |text: &[u8]| -> Option<Value> {
        let body: Value = serde_json::from_slice(text).ok()?;
        body.is_object().then_some(body)
    };
    if call.parts.is_empty() {
        return read(&call.body).ok_or_else(unreadable);
    }
    if let Some(part) = call.part(PAYLOAD) {
        return read(part.text().unwrap_or_default().as_bytes()).ok_or_else(unreadable);
    }
    let fields = call.parts.iter().filter(|part| part.file_name.is_none());
    let members: Map<String, Value> = fields
        .filter_map(|part| Some((part.name.clone(), part.text()?.into())))
        .collect();
    Ok(Value::Object(members))
}

/// A file of a request, and the place that `attachments` names it by.
struct Brought<'a> {
    place: usize,
    part: &'a Part,
}

/// The files of a request, by their places: `files[0]`, or the order in which they come.
fn brought(call: &Call) -> Vec<Brought<'_>> {
    let files = call.parts.iter().filter(|part| part.file_name.is_some());
    files
        .enumerate()
        .map(|(order, part)| {
            let inner = part.name.strip_prefix("files[");
            let inner = inner.and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            Brought {
                place: inner.unwrap_or(order),
                part,
            }
        })
        .collect()
}

/// Whether a request brings files.
pub(super) fn brings_files(call: &Call) -> bool {
    call.parts.iter().any(|part| part.file_name.is_some())
}

/// Checks the files of a request, and those that it names: each must be in it, or one of `known`. Answers which of `known` stay:
/// all of them where the request says nothing.
pub(super) fn check(
    call: &Call,
    body: &Value,
    known: &[Value],
) -> Result<Vec<Value>, Box<Refusal>> {
    let files = brought(call);
    if files.iter().any(|file| file.part.content.size > FILE_MAX) {
        return Err(refuse("40005", Breach::Size));
    }
    let Some(named) = body.get("attachments").and_then(Value::as_array) else {
        return at_most(known.to_vec(), files.len());
    };
    let mut stay = Vec::new();
    for (place, named) in named.iter().enumerate() {
        let at = format!("/attachments/{place}");
        let description = named["description"].as_str().unwrap_or_default();
        if chars(description) > DESCRIPTION_MAX {
            return Err(too_long(&format!("{at}/description"), DESCRIPTION_MAX));
        }
        let id = id_of(named);
        if let Some(kept) = known.iter().find(|known| known["id"] == *id) {
            stay.push(kept.clone());
        } else if !files.iter().any(|file| file.place.to_string() == id) {
            let (code, message) = ("ATTACHMENT_NOT_FOUND", "Attachment data not found");
            return Err(invalid(&at, code, message, Breach::Content));
        }
    }
    at_most(stay, files.len())
}

fn at_most(known: Vec<Value>, new: usize) -> Result<Vec<Value>, Box<Refusal>> {
    match known.len() + new > FILES_MAX {
        true => Err(refuse("30015", Breach::Size)),
        false => Ok(known),
    }
}

/// What names an attachment: a number, or the same as a text.
fn id_of(named: &Value) -> String {
    match &named["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    }
}

/// Puts the files of a request on the shelf; answers how a message of that channel shows them.
pub(super) fn place(
    call: &Call,
    desk: &mut Desk<'_>,
    author: &str,
    body: &Value,
    channel: &str,
) -> Vec<Value> {
    let mut shown = Vec::new();
    for Brought { place, part } in brought(call) {
        let id = snowflake(call.now, desk.shelf.next_number());
        let named = body["attachments"].as_array().into_iter().flatten();
        let named = named
            .into_iter()
            .find(|named| id_of(named) == place.to_string());
        let named = named.unwrap_or(&Value::Null);
        let name = named["filename"].as_str().or(part.file_name.as_deref());
        let name = name.unwrap_or("unknown");
        let parcel = Parcel {
            robot: author,
            kind: "attachment",
            key: id.clone(),
            name: Some(name),
            media_type: part.media_type.as_deref(),
            content: &part.content,
        };
        desk.shelf.put(call.now, parcel);
        let path: String =
            percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
                .to_string();
        let url = format!("{}{ATTACHMENTS}{channel}/{id}/{path}", desk.base);
        let mut attachment = json!({"id": id, "filename": name, "size": part.content.size, "url": url,
            "proxy_url": url});
        if let Some(media_type) = &part.media_type {
            attachment["content_type"] = media_type.as_str().into();
        }
        if let Some(description) = named.get("description") {
            attachment["description"] = description.clone();
        }
        shown.push(attachment);
    }
    shown
}

/// The keys of attachments as messages show them.
pub(super) fn keys(attachments: &[Value]) -> Vec<String> {
    let ids = attachments.iter().filter_map(|shown| shown["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// `GET /attachments/{channel}/{id}/{name}`.
pub(super) fn download(desk: &Desk<'_>, path: &str) -> Verdict {
    let id = path.split('/').nth(1).unwrap_or_default();
    let content = desk.shelf.get(id).and_then(|upload| upload.content());
    Verdict::Answered(match content {
        Some(content) => Answer::bytes(Bytes::clone(content)),
        None => Answer::text(404, "This content is no longer available."),
    })
}
