//! Attachments on their way to WhatsApp: uploaded, then shown by the id that this gave; rather than by their URL, since WhatsApp
//! would fetch that only after it has said yes. Must not take what WhatsApp shows in no form.

use anser_core::channel::{Context, Step, UploadRequest};
use anser_core::message::Attachment;
use anser_core::{Message, Problem};
use serde_json::{Value, json};
use url::Url;

use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{file_name, mark, media_type, send, upload, within};
use crate::kit::multipart::Multipart;

/// Bytes of a picture (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>, as the others).
const IMAGE_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// Bytes of sound or video.
const PLAYED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of a document.
const DOCUMENT_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Bytes of a sticker that moves; one that does not has 100 KiB, which the platform checks.
const STICKER_BYTES_MAX: u64 = 500 * 1024;
/// Documents that are taken as what they are.
const DOCUMENTS: [&str; 7] = [
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];
/// Types of text that do not call themselves so.
const TEXTS: [&str; 2] = ["application/json", "application/xml"];

/// As what an attachment is shown, the media type that its upload names, and the most bytes that it may have.
fn form(media: &MediaPart) -> Option<(&'static str, String, u64)> {
    let given = media_type(&media.attachment);
    let (name, taken, most) = match (media.kind, &*given) {
        (MediaKind::Image, "image/jpeg" | "image/jpg") => ("image", "image/jpeg", IMAGE_BYTES_MAX),
        (MediaKind::Image, "image/png") => ("image", "image/png", IMAGE_BYTES_MAX),
        (MediaKind::Sticker, "image/webp") => ("sticker", "image/webp", STICKER_BYTES_MAX),
        (
            MediaKind::Audio | MediaKind::Voice,
            "audio/aac" | "audio/mp4" | "audio/mpeg" | "audio/amr" | "audio/ogg",
        ) => ("audio", &*given, PLAYED_BYTES_MAX),
        // Opus in a file is in Ogg (RFC 7845).
        (MediaKind::Audio | MediaKind::Voice, "audio/opus") => {
            ("audio", "audio/ogg", PLAYED_BYTES_MAX)
        }
        (MediaKind::Video, "video/mp4" | "video/3gpp") => ("video", &*given, PLAYED_BYTES_MAX),
        (MediaKind::File, given) if DOCUMENTS.contains(&given) => {
            ("document", given, DOCUMENT_BYTES_MAX)
        }
        (MediaKind::File, given) if given.starts_with("text/") || TEXTS.contains(&given) => {
            ("document", "text/plain", DOCUMENT_BYTES_MAX)
        }
        // Pictures, sound and video that are too big to be shown or played.
        (MediaKind::File, "image/jpeg" | "image/png" | "video/mp4" | "audio/mpeg") => {
            ("document", &*given, DOCUMENT_BYTES_MAX)
        }
        _ => return None,
    };
    Some((name, taken.to_owned(), most))
}

/// The steps that show an attachment, with a caption where one is given. `None` when it cannot be shown, or not with that.
pub(super) fn steps(media: &MediaPart, caption: Option<&str>) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    let (name, ..) = form(media)?;
    let mut shown = json!({"id": mark(1)});
    if name == "document" {
        shown["filename"] = file_name(attachment).into();
    }
    if let Some(caption) = caption {
        if ["audio", "sticker"].contains(&name) {
            return None;
        }
        shown["caption"] = caption.into();
    }
    Some(vec![
        bring(media)?,
        send(attachment, &json!({"type": name, name: shown})),
    ])
}

/// The step that brings an attachment to WhatsApp.
pub(super) fn bring(media: &MediaPart) -> Option<Step> {
    let (_, taken, most) = form(media)?;
    let attachment = &media.attachment;
    within(attachment, most).then(|| upload(attachment, &json!({"type": taken})))
}

/// The request of an upload's step.
///
/// # Errors
/// `missing_attachment` when the message has none of the step's id.
pub(super) fn request(
    step: &Step,
    message: &Message,
    context: &Context<'_>,
    url: Url,
) -> Result<UploadRequest, Problem> {
    let attachment = attachment(step, message).ok_or_else(|| {
        let detail = "the message has no attachment of the id that its plan names";
        Problem::invalid("missing_attachment", "attachments", detail)
    })?;
    let body: Value = serde_json::from_slice(&step.body).unwrap_or_default();
    let taken = body["type"].as_str().unwrap_or_default();
    let form = Multipart::new(message, context)
        .field("messaging_product", "whatsapp")
        .field("type", taken)
        .file("file", &file_name(attachment), taken, &attachment.id);
    Ok(form.post(url))
}

fn attachment<'m>(step: &Step, message: &'m Message) -> Option<&'m Attachment> {
    let mut attachments = message.attachments.iter();
    attachments.find(|attachment| Some(&attachment.id) == step.attachment.as_ref())
}
