//! Files: three calls each, for an address to upload to, the upload, and the message that shows it. Must not take what the
//! platform can fetch and show by itself.

use anser_core::channel::{BodyPart, Context, Step, UploadRequest};
use anser_core::{Message, Problem};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use super::address::Target;
use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::header;
use crate::kit::media::{call, file_name, fill, is_remote, mark, media_type, output, send, upload};
use crate::kit::plan::shorten;
use crate::kit::post::AGENT;

/// Bytes of a file.
const FILE_BYTES_MAX: u64 = 1_000_000_000;
/// Characters of a picture's description.
const ALT_CHARS_MAX: usize = 1_000;
/// How many steps before the upload, and before the message, their file was named.
const NAMED_BEFORE_UPLOAD: usize = 1;
const NAMED_BEFORE_MESSAGE: usize = 2;

/// The steps that show an attachment. `None` for a picture that can be shown by its URL, and for a file of unknown size,
/// which the platform wants to know before it is sent.
pub(super) fn steps(media: &MediaPart) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    let is_picture = matches!(media.kind, MediaKind::Image | MediaKind::Sticker);
    if is_picture && is_remote(attachment) {
        return None;
    }
    let size = attachment.size?;
    if !(1..=FILE_BYTES_MAX).contains(&size) {
        return None;
    }
    let name = file_name(attachment);
    let mut asked = json!({"filename": name, "length": size.to_string()});
    if let Some(alt) = media.caption.as_deref().filter(|_| is_picture) {
        asked["alt_txt"] = shorten(alt, ALT_CHARS_MAX).into();
    }
    Some(vec![
        call(attachment, &asked),
        upload(attachment, &json!({})),
        send(
            attachment,
            &json!({"files": [{"title": name, "id": mark(NAMED_BEFORE_MESSAGE)}]}),
        ),
    ])
}

/// The file's id and the address to upload it to, as the answer to the first step named them.
fn named(output: Option<&str>) -> Result<(String, Url), Problem> {
    let named = output.and_then(|named| named.split_once(' '));
    let named = named.and_then(|(file, url)| Some((file.to_owned(), Url::parse(url).ok()?)));
    named.ok_or_else(|| {
        let detail = "the platform named no address to upload to; publish the message again";
        Problem::invalid("missing_upload", "attachments", detail)
    })
}

/// The id of the file that a step shows.
pub(super) fn id(step: &Step, context: &Context<'_>) -> Option<String> {
    let mut body = serde_json::from_slice(&step.body).ok()?;
    fill(&mut body, context).ok()?;
    let (file, _) = named(body["files"][0]["id"].as_str()).ok()?;
    Some(file)
}

/// The address that asks for one to upload to.
pub(super) fn asked(mut url: Url, body: &Value) -> Url {
    let members = body.as_object().into_iter().flatten();
    for (name, value) in members {
        url.query_pairs_mut()
            .append_pair(name, value.as_str().unwrap_or_default());
    }
    url
}

/// The upload. Its address is the proof that we may; the token is not for it.
///
/// # Errors
/// `missing_upload`.
pub(super) fn brought(
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> Result<UploadRequest, Problem> {
    let (_, url) = named(output(context, NAMED_BEFORE_UPLOAD))?;
    let id = step.attachment.clone().unwrap_or_default();
    let mut attachments = message.attachments.iter();
    let attachment = attachments.find(|attachment| attachment.id == id);
    let media_type = attachment.map_or_else(String::new, media_type);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, header::readable(&media_type));
    headers.insert(USER_AGENT, AGENT);
    Ok(UploadRequest {
        method: Method::POST,
        url,
        headers,
        body: vec![BodyPart::Attachment(id)],
    })
}

/// The body of the message that shows it.
///
/// # Errors
/// `missing_upload`.
pub(super) fn shown(
    mut body: Value,
    target: &Target,
    context: &Context<'_>,
) -> Result<Value, Problem> {
    fill(&mut body, context)?;
    let (file, _) = named(body["files"][0]["id"].as_str())?;
    body["files"][0]["id"] = file.into();
    // A person's conversation has no id until something is written there.
    let place = if target.is_person() {
        "channels"
    } else {
        "channel_id"
    };
    body[place] = target.id.as_str().into();
    if let Some(thread) = &target.thread {
        body["thread_ts"] = thread.as_str().into();
    }
    Ok(body)
}
