//! Attachments of an app's messages: what is uploaded to which end of the API, and the messages that show it. Must not take
//! what the platform refuses anyway: it goes as a link.

use anser_core::channel::{Context, Step, UploadRequest};
use anser_core::message::Attachment;
use anser_core::{Message, Problem};
use serde_json::{Value, json};
use url::Url;

use super::settings::Endpoint;
use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{file_name, is_of_kind, mark, media_type, send, upload, within};
use crate::kit::multipart::Multipart;

/// Where pictures are uploaded.
const IMAGES_PATH: &str = "/open-apis/im/v1/images";
/// Where everything else is.
const FILES_PATH: &str = "/open-apis/im/v1/files";
/// Bytes of a picture (Feishu, "Upload image": 10 MB, not empty).
const IMAGE_BYTES_MAX: u64 = 10_000_000;
/// Bytes of a file (Feishu, "Upload file": 30 MB, not empty).
const FILE_BYTES_MAX: u64 = 30_000_000;
/// Pictures that are taken (Feishu, "Upload image").
const IMAGE_TYPES: [&str; 10] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    "image/tiff",
    "image/heic",
    "application/octet-stream",
];
/// What `file_type` says of which media types; all others are a `stream`.
const FILE_TYPES: [(&str, &str); 10] = [
    ("audio/opus", "opus"),
    ("video/mp4", "mp4"),
    ("application/pdf", "pdf"),
    ("application/msword", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "doc",
    ),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xls",
    ),
    ("text/csv", "xls"),
    ("application/vnd.ms-powerpoint", "ppt"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "ppt",
    ),
];

/// The steps that show it. Speech must be Opus and a video MP4, or they go as files; the platform has no stickers but those
/// that it made itself.
pub(super) fn steps(media: &MediaPart) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    match media.kind {
        MediaKind::Image => Some(vec![
            image(attachment)?,
            send(
                attachment,
                &json!({"msg_type": "image", "content": {"image_key": mark(1)}}),
            ),
        ]),
        MediaKind::Voice | MediaKind::Audio if is_opus(media) => shown(media, "opus", "audio"),
        MediaKind::Video if media_type(attachment) == "video/mp4" => video(media),
        MediaKind::File => shown(media, file_type(attachment), "file"),
        MediaKind::Voice | MediaKind::Audio | MediaKind::Video | MediaKind::Sticker => None,
    }
}

/// The step that brings a picture, which gives its key.
pub(super) fn image(attachment: &Attachment) -> Option<Step> {
    let known = IMAGE_TYPES.contains(&media_type(attachment).as_str());
    (known && within(attachment, IMAGE_BYTES_MAX))
        .then(|| upload(attachment, &json!({"image_type": "message"})))
}

fn file(attachment: &Attachment, file_type: &str) -> Option<Step> {
    let mut form = json!({"file_type": file_type});
    if let Some(duration) = attachment
        .duration_ms
        .filter(|_| ["opus", "mp4"].contains(&file_type))
    {
        form["duration"] = duration.to_string().into();
    }
    within(attachment, FILE_BYTES_MAX).then(|| upload(attachment, &form))
}

fn shown(media: &MediaPart, file_type: &str, msg_type: &str) -> Option<Vec<Step>> {
    let body = json!({"msg_type": msg_type, "content": {"file_key": mark(1)}});
    Some(vec![
        file(&media.attachment, file_type)?,
        send(&media.attachment, &body),
    ])
}

/// A video, with its cover when that is a picture that the platform takes.
fn video(media: &MediaPart) -> Option<Vec<Step>> {
    let video = file(&media.attachment, "mp4")?;
    let cover = media.cover.as_ref();
    let cover = cover.filter(|cover| is_of_kind(MediaKind::Image, cover));
    let Some(cover) = cover.and_then(image) else {
        return shown(media, "mp4", "media");
    };
    let content = json!({"file_key": mark(1), "image_key": mark(2)});
    let body = json!({"msg_type": "media", "content": content});
    Some(vec![cover, video, send(&media.attachment, &body)])
}

/// Speech in an Ogg file is Opus, by all programs that record it; other sound in one may be Vorbis.
fn is_opus(media: &MediaPart) -> bool {
    let media_type = media_type(&media.attachment);
    media_type == "audio/opus" || (media_type == "audio/ogg" && media.kind == MediaKind::Voice)
}

fn file_type(attachment: &Attachment) -> &'static str {
    let media_type = media_type(attachment);
    let mut known = FILE_TYPES.iter();
    let known = known.find(|(name, _)| *name == media_type);
    known.map_or("stream", |(_, file_type)| file_type)
}

/// The request of an upload: the step's body are the form's fields.
///
/// # Errors
/// `missing_attachment` when the message has no such attachment, which a stored plan of another version may name.
pub(super) fn request(
    endpoint: &Endpoint,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> Result<UploadRequest, Problem> {
    let id = step.attachment.as_deref().unwrap_or_default();
    let mut all = message.attachments.iter();
    let attachment = all.find(|attachment| attachment.id == id).ok_or_else(|| {
        let detail = format!("the message has no attachment {id:?}");
        Problem::invalid("missing_attachment", "attachments", detail)
    })?;
    let fields: Value = serde_json::from_slice(&step.body).unwrap_or_default();
    let mut form = Multipart::new(message, context);
    for (name, value) in fields.as_object().into_iter().flatten() {
        form = form.field(name, value.as_str().unwrap_or_default());
    }
    let name = file_name(attachment);
    let media_type = media_type(attachment);
    let is_image = fields.get("image_type").is_some();
    let url: Url = endpoint.url(if is_image { IMAGES_PATH } else { FILES_PATH });
    let form = if is_image {
        form.file("image", &name, &media_type, id)
    } else {
        form.field("file_name", &name)
            .file("file", &name, &media_type, id)
    };
    Ok(form.post(url))
}
