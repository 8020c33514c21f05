//! Attachments on their way to WeCom: uploaded first, then shown by the `media_id` that this gave. Must not know where a
//! robot or an app uploads to.

use anser_core::channel::{Context, Request, Step};
use anser_core::message::Attachment;
use anser_core::{Message, Problem};
use serde_json::{Value, json};
use url::Url;

use crate::kit::media::{file_name, mark, media_type, send, upload};
use crate::kit::multipart::Multipart;

/// Bytes of a voice message (<https://developer.work.weixin.qq.com/document/path/90253>, as the other limits here).
pub(crate) const VOICE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Bytes of a file.
pub(crate) const FILE_BYTES_MAX: u64 = 20 * 1024 * 1024;
/// Bytes that anything uploaded has at least.
const BYTES_MIN: u64 = 6;
/// Milliseconds of a voice message.
const VOICE_MS_MAX: u64 = 60_000;

/// Whether it is a picture that WeCom shows.
pub(crate) fn is_picture(attachment: &Attachment) -> bool {
    ["image/jpeg", "image/jpg", "image/png"].contains(&&*media_type(attachment))
}

/// Whether it is speech that WeCom plays, as far as it is known.
pub(crate) fn is_voice(attachment: &Attachment) -> bool {
    let short = attachment.duration_ms.is_none_or(|ms| ms <= VOICE_MS_MAX);
    short && media_type(attachment) == "audio/amr"
}

/// The steps that show an attachment of at most `most` bytes as a message of the type `name`, which is also what its upload
/// is called.
pub(crate) fn uploaded(name: &str, attachment: &Attachment, most: u64) -> Option<Vec<Step>> {
    let size = attachment.size;
    let fits = size.is_none_or(|size| (BYTES_MIN..=most).contains(&size));
    let shown = json!({"msgtype": name, name: {"media_id": mark(1)}});
    fits.then(|| {
        vec![
            upload(attachment, &json!({"type": name})),
            send(attachment, &shown),
        ]
    })
}

/// The request of an upload's step, to an address whose query lacks only the type.
///
/// # Errors
/// `missing_attachment` when the message has none of the step's id.
pub(crate) fn request(
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
    url.query_pairs_mut().append_pair("type", name);
    let form = Multipart::new(message, context).file(
        "media",
        &file_name(attachment),
        &media_type(attachment),
        &attachment.id,
    );
    Ok(Request::Upload(form.post(url)))
}
