//! Attachments and other natives of a bot: which method shows them, and whether their bytes are sent along or Telegram
//! fetches them from their URL. Must not take what Telegram refuses anyway: it goes as a link.

use anser_core::Message;
use anser_core::Problem;
use anser_core::channel::{Context, Step, UploadRequest};
use anser_core::message::segment::Known;
use anser_core::message::{Attachment, Source};
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{file_name, media_type, send, within};
use crate::kit::multipart::Multipart;

/// UTF-16 code units of a caption. Telegram counts them without tags; here they count.
pub(super) const CAPTION_UNITS_MAX: usize = 1_024;
/// Bytes of a picture that is sent along ("Sending files", Bot API).
const PHOTO_BYTES_MAX: u64 = 10_000_000;
/// Bytes of another file that is sent along.
const FILE_BYTES_MAX: u64 = 50_000_000;
/// Bytes of a sticker (Bot API server: 512 KB).
const STICKER_BYTES_MAX: u64 = 512_000;
/// Bytes of a picture that Telegram fetches.
const REMOTE_PHOTO_BYTES_MAX: u64 = 5_000_000;
/// Bytes of another file that Telegram fetches.
const REMOTE_FILE_BYTES_MAX: u64 = 20_000_000;
/// Width and height of a photo together, in pixels.
const PHOTO_PIXELS_MAX: u64 = 10_000;
/// How many times longer than wide a photo may be.
const PHOTO_RATIO_MAX: u64 = 20;
/// Where a body names the method that it is for.
pub(super) const METHOD: &str = "method";
/// The member of a body that names the file that is sent along.
const FILE: &str = "file";

/// How a kind of media is sent.
struct Way {
    method: &'static str,
    /// The parameter that takes the file.
    field: &'static str,
    /// Bytes of one that is sent along.
    bytes_max: u64,
    /// Media types of those that Telegram fetches by itself.
    fetched: &'static [&'static str],
}

const PHOTO: Way = Way {
    method: "sendPhoto",
    field: "photo",
    bytes_max: PHOTO_BYTES_MAX,
    fetched: &["image/jpeg", "image/png", "image/webp"],
};
const ANIMATION: Way = Way {
    method: "sendAnimation",
    field: "animation",
    bytes_max: FILE_BYTES_MAX,
    fetched: &["image/gif"],
};
const AUDIO: Way = Way {
    method: "sendAudio",
    field: "audio",
    bytes_max: FILE_BYTES_MAX,
    fetched: &["audio/mpeg", "audio/mp4"],
};
const VOICE: Way = Way {
    method: "sendVoice",
    field: "voice",
    bytes_max: FILE_BYTES_MAX,
    fetched: &[],
};
const VIDEO: Way = Way {
    method: "sendVideo",
    field: "video",
    bytes_max: FILE_BYTES_MAX,
    fetched: &["video/mp4"],
};
const STICKER: Way = Way {
    method: "sendSticker",
    field: "sticker",
    bytes_max: STICKER_BYTES_MAX,
    fetched: &[],
};
const DOCUMENT: Way = Way {
    method: "sendDocument",
    field: "document",
    bytes_max: FILE_BYTES_MAX,
    fetched: &["application/pdf", "application/zip"],
};

/// The way of an attachment; `None`: it can only go as a file.
fn way(media: &MediaPart) -> Option<&'static Way> {
    let media_type = media_type(&media.attachment);
    match (media.kind, media_type.as_str()) {
        (MediaKind::Image, "image/gif") => Some(&ANIMATION),
        (
            MediaKind::Image,
            "image/jpeg" | "image/png" | "image/webp" | "application/octet-stream",
        ) => is_photo(&media.attachment).then_some(&PHOTO),
        (MediaKind::Audio, "audio/mpeg" | "audio/mp4") => Some(&AUDIO),
        (MediaKind::Voice, "audio/ogg" | "audio/opus" | "audio/mpeg" | "audio/mp4") => Some(&VOICE),
        (MediaKind::Video, "video/mp4") => Some(&VIDEO),
        (MediaKind::Sticker, "image/webp") => Some(&STICKER),
        (MediaKind::File, _) => Some(&DOCUMENT),
        _ => None,
    }
}

/// Whether its size in pixels, where it is known, is one of a photo.
fn is_photo(attachment: &Attachment) -> bool {
    let pixels = attachment.width.zip(attachment.height);
    pixels.is_none_or(|(width, height)| {
        let (width, height) = (u64::from(width), u64::from(height));
        let (short, long) = (width.min(height).max(1), width.max(height));
        width + height <= PHOTO_PIXELS_MAX && long / short <= PHOTO_RATIO_MAX
    })
}

/// The message that shows an attachment, with a caption as members of its body.
pub(super) fn step(media: &MediaPart, caption: Map<String, Value>) -> Option<Step> {
    let way = way(media)?;
    let attachment = &media.attachment;
    let mut body = Map::new();
    body.insert(METHOD.to_owned(), way.method.into());
    if let Some(url) = fetched_url(way, attachment) {
        body.insert(way.field.to_owned(), url.into());
    } else if within(attachment, way.bytes_max) {
        body.insert(FILE.to_owned(), way.field.into());
    } else {
        return None;
    }
    if matches!(
        media.kind,
        MediaKind::Audio | MediaKind::Voice | MediaKind::Video
    ) && let Some(duration) = attachment.duration_ms
        && way.method != DOCUMENT.method
    {
        body.insert("duration".to_owned(), duration.div_ceil(1_000).into());
    }
    if let (MediaKind::Video, Some(width), Some(height)) =
        (media.kind, attachment.width, attachment.height)
    {
        body.insert("width".to_owned(), width.into());
        body.insert("height".to_owned(), height.into());
    }
    if way.method != STICKER.method {
        body.extend(caption);
    }
    Some(send(attachment, &Value::Object(body)))
}

/// Whether a caption can stand below it.
pub(super) fn takes_caption(media: &MediaPart) -> bool {
    media.kind != MediaKind::Sticker
}

/// The URL from which Telegram fetches it by itself.
fn fetched_url<'a>(way: &Way, attachment: &'a Attachment) -> Option<&'a str> {
    let Source::Url(url) = &attachment.source else {
        return None;
    };
    let most = if way.method == PHOTO.method {
        REMOTE_PHOTO_BYTES_MAX
    } else {
        REMOTE_FILE_BYTES_MAX
    };
    let known = way.fetched.contains(&media_type(attachment).as_str());
    (url.starts_with("https://") && known && within(attachment, most)).then_some(url)
}

/// A place or a contact as a message of its own. A contact of several numbers has no form.
pub(super) fn segment(segment: &Known) -> Option<Value> {
    match segment {
        Known::Location {
            lat,
            lon,
            name,
            address,
        } => Some(match name.as_deref().or(address.as_deref()) {
            Some(title) => json!({
                METHOD: "sendVenue", "latitude": lat, "longitude": lon, "title": title,
                "address": address.clone().unwrap_or_else(|| format!("{lat}, {lon}"))
            }),
            None => json!({METHOD: "sendLocation", "latitude": lat, "longitude": lon}),
        }),
        Known::Contact { name, phones } => match phones.as_slice() {
            [phone] if !name.trim().is_empty() && !phone.trim().is_empty() => {
                Some(json!({METHOD: "sendContact", "phone_number": phone, "first_name": name}))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A request with the bytes of the step's attachment, when its body names the parameter for them: all other members are
/// fields of the form. `None`: the body is all.
///
/// # Errors
/// `missing_attachment` when the message has no such attachment, which a stored plan of another version may name.
pub(super) fn upload(
    url: &Url,
    step: &Step,
    body: &mut Map<String, Value>,
    message: &Message,
    context: &Context<'_>,
) -> Result<Option<UploadRequest>, Problem> {
    let Some(id) = step.attachment.as_deref() else {
        return Ok(None);
    };
    let Some(Value::String(field)) = body.remove(FILE) else {
        return Ok(None);
    };
    let mut all = message.attachments.iter();
    let attachment = all.find(|attachment| attachment.id == id).ok_or_else(|| {
        let detail = format!("the message has no attachment {id:?}");
        Problem::invalid("missing_attachment", "attachments", detail)
    })?;
    let mut form = Multipart::new(message, context);
    for (name, value) in body.iter() {
        form = match value {
            Value::String(text) => form.field(name, text),
            other => form.field(name, &other.to_string()),
        };
    }
    let name = file_name(attachment);
    let form = form.file(&field, &name, &media_type(attachment), id);
    Ok(Some(form.post(url.clone())))
}
