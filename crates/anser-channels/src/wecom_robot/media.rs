//! What a robot shows of attachments: pictures inside of the message, files and speech by upload. Must not show what has a
//! URL by which Markdown shows it.

use anser_core::Problem;
use anser_core::channel::{Context, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{fill, is_remote, send, within};
use crate::kit::plan::json as bytes_of;
use crate::kit::wecom::media::{FILE_BYTES_MAX, VOICE_BYTES_MAX, is_picture, is_voice, uploaded};

/// Bytes of a picture before it is base64 (<https://developer.work.weixin.qq.com/document/path/91770>).
const PICTURE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The steps that show an attachment.
pub(super) fn steps(media: &MediaPart) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    match media.kind {
        MediaKind::Image if is_picture(attachment) && !is_remote(attachment) => {
            let step = Step {
                loaded: true,
                ..send(attachment, &json!({"msgtype": "image"}))
            };
            within(attachment, PICTURE_BYTES_MAX).then(|| vec![step])
        }
        MediaKind::Voice if is_voice(attachment) => uploaded("voice", attachment, VOICE_BYTES_MAX),
        MediaKind::File => uploaded("file", attachment, FILE_BYTES_MAX),
        _ => None,
    }
}

/// The body of a message as it is sent: with the picture, or the key of what was uploaded, in it.
///
/// # Errors
/// `missing_upload` when either is not there.
pub(super) fn body(step: &Step, context: &Context<'_>) -> Result<Bytes, Problem> {
    if step.attachment.is_none() {
        return Ok(step.body.clone());
    }
    if step.loaded {
        let Some(bytes) = context.media else {
            let detail = "the picture's bytes are not at hand; publish the message again";
            return Err(Problem::invalid("missing_upload", "attachments", detail));
        };
        return Ok(bytes_of(&picture(bytes)).into());
    }
    let mut body: Value = serde_json::from_slice(&step.body).unwrap_or_default();
    fill(&mut body, context)?;
    Ok(bytes_of(&body).into())
}

/// A picture's message: the bytes, and the MD5 of them by which WeCom knows that all arrived.
pub(super) fn picture(bytes: &[u8]) -> Value {
    let hash = Md5::digest(bytes);
    let md5: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"msgtype": "image", "image": {"base64": BASE64.encode(bytes), "md5": md5}})
}
