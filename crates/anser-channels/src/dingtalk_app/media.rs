//! Attachments on their way to DingTalk: uploaded to the older part of its API, then shown by the `media_id` that this gave.
//! Must not take what has a URL by which Markdown shows it.

use anser_core::channel::{Context, Request, Step};
use anser_core::message::Attachment;
use anser_core::{Message, Problem};
use serde_json::{Value, json};
use url::Url;

use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{extension, file_name, is_remote, mark, media_type, send, upload, within};
use crate::kit::multipart::Multipart;

/// Bytes of a picture, a video or a file (<https://open.dingtalk.com/document/orgapp/upload-media-files>, as the others).
const BYTES_MAX: u64 = 20 * 1024 * 1024;
/// Bytes of speech.
const VOICE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Pictures that are shown.
const PICTURES: [&str; 5] = [
    "image/jpeg",
    "image/jpg",
    "image/png",
    "image/gif",
    "image/bmp",
];
/// Extensions of the files that are taken
/// (<https://open.dingtalk.com/document/orgapp/types-of-messages-sent-by-robots>).
const FILES: [&str; 6] = ["xlsx", "pdf", "zip", "rar", "doc", "docx"];

/// The steps that show an attachment.
pub(super) fn steps(media: &MediaPart) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    let given = media_type(attachment);
    match media.kind {
        MediaKind::Image if PICTURES.contains(&&*given) && !is_remote(attachment) => {
            let shown = json!({"msgKey": "sampleImageMsg", "msgParam": {"photoURL": mark(1)}});
            shown_by("image", attachment, BYTES_MAX, &shown)
        }
        MediaKind::Voice if given == "audio/amr" || given == "audio/ogg" => {
            let duration = attachment.duration_ms?.to_string();
            let param = json!({"mediaId": mark(1), "duration": duration});
            let shown = json!({"msgKey": "sampleAudio", "msgParam": param});
            shown_by("voice", attachment, VOICE_BYTES_MAX, &shown)
        }
        MediaKind::Video if given == "video/mp4" => video(attachment, media.cover.as_ref()?),
        MediaKind::File => {
            let name = file_name(attachment);
            let extension = extension(&name).filter(|extension| FILES.contains(&&**extension))?;
            let param = json!({"mediaId": mark(1), "fileName": name, "fileType": extension});
            let shown = json!({"msgKey": "sampleFile", "msgParam": param});
            shown_by("file", attachment, BYTES_MAX, &shown)
        }
        _ => None,
    }
}

fn shown_by(name: &str, attachment: &Attachment, most: u64, shown: &Value) -> Option<Vec<Step>> {
    within(attachment, most).then(|| {
        vec![
            upload(attachment, &json!({"type": name})),
            send(attachment, shown),
        ]
    })
}

/// A video needs a picture that stands for it, and its length in seconds.
fn video(attachment: &Attachment, cover: &Attachment) -> Option<Vec<Step>> {
    let seconds = attachment.duration_ms?.div_ceil(1_000).to_string();
    let good = PICTURES.contains(&&*media_type(cover))
        && within(cover, BYTES_MAX)
        && within(attachment, BYTES_MAX);
    let param = json!({"videoMediaId": mark(1), "videoType": "mp4", "duration": seconds, "picMediaId": mark(2)});
    let shown = json!({"msgKey": "sampleVideo", "msgParam": param});
    good.then(|| {
        vec![
            upload(cover, &json!({"type": "image"})),
            upload(attachment, &json!({"type": "video"})),
            send(attachment, &shown),
        ]
    })
}

/// The request of an upload's step, to an address with the token.
///
/// # Errors
/// `missing_attachment` when the message has none of the step's id.
pub(super) fn request(
    step: &Step,
    message: &Message,
    context: &Context<'_>,
    mut url: Url,
) -> Result<Request, Problem> {
    let mut attachments = message.attachments.iter();
    let attachment = attachments
        .find(|attachment| Some(&attachment.id) == step.attachment.as_ref())
        .ok_or_else(|| {
            let detail = "the message has no attachment of the id that its plan names";
            Problem::invalid("missing_attachment", "attachments", detail)
        })?;
    let body: Value = serde_json::from_slice(&step.body).unwrap_or_default();
    let name = body["type"].as_str().unwrap_or("file");
    // The type is wanted in the form; in the query as well where the form is not read well.
    url.query_pairs_mut().append_pair("type", name);
    let form = Multipart::new(message, context).field("type", name).file(
        "media",
        &file_name(attachment),
        &media_type(attachment),
        &attachment.id,
    );
    Ok(Request::Upload(form.post(url)))
}
