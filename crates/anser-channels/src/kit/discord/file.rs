//! Files: up to ten ride along with a message, in one request of several parts. A step's body names them in a member of
//! ours, `files`, in the order of Discord's own `attachments`. Must not take what can be shown by its URL.

use anser_core::Problem;
use anser_core::channel::{Instead, Plan, Step, StepKind};
use anser_core::message::Attachment;
use serde_json::{Map, Value, json};

use crate::kit::content::{MediaKind, MediaPart};
use crate::kit::media::{extension, file_name, is_remote, media_type, send, within};
use crate::kit::plan::{json as bytes_of, shorten};

/// Bytes of a file unless the server has a higher tier: 10 MiB.
pub(crate) const FILE_BYTES_DEFAULT: u64 = 10 * 1024 * 1024;
/// Bytes of a file on a server of the highest tier: 100 MiB.
const FILE_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Files of a message.
const FILES_MAX: usize = 10;
/// Characters of a file's description.
const DESCRIPTION_CHARS_MAX: usize = 1_024;
/// The member of a step's body that is ours.
pub(super) const FILES: &str = "files";
/// What an embed's picture can be, by the extension of its name.
const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];

/// Checks the setting that says how large files may be.
///
/// # Errors
/// `invalid_field`.
pub(crate) fn limit(setting: Option<u64>) -> Result<u64, Problem> {
    let most = setting.unwrap_or(FILE_BYTES_DEFAULT);
    if (1..=FILE_BYTES_MAX).contains(&most) {
        return Ok(most);
    }
    let detail = format!("must be from 1 to {FILE_BYTES_MAX} bytes");
    Err(Problem::invalid(
        "invalid_field",
        "settings.file_bytes_max",
        detail,
    ))
}

/// The step that shows an attachment of at most `most` bytes. `None` for a picture that can be shown by its URL.
pub(super) fn steps(media: &MediaPart, most: u64) -> Option<Vec<Step>> {
    let attachment = &media.attachment;
    let is_picture = matches!(media.kind, MediaKind::Image | MediaKind::Sticker);
    if (is_picture && is_remote(attachment)) || !within(attachment, most) {
        return None;
    }
    let description = media.caption.as_deref().filter(|_| is_picture);
    let mut body = with_file(attachment, &file_name(attachment), description);
    body["allowed_mentions"] = json!({"parse": []});
    Some(vec![send(attachment, &body)])
}

/// The picture of an embed as a file, and the URL that names it there. `None` when it can be shown by its URL, is too large,
/// or nothing that an embed shows.
pub(super) fn picture(media: &MediaPart, most: u64) -> Option<(Value, String)> {
    let attachment = &media.attachment;
    let extension = extension(&file_name(attachment))?;
    if is_remote(attachment) || !within(attachment, most) || !PICTURES.contains(&extension.as_str())
    {
        return None;
    }
    let name = format!("picture.{extension}");
    let body = with_file(attachment, &name, media.caption.as_deref());
    Some((body, format!("attachment://{name}")))
}

fn with_file(attachment: &Attachment, name: &str, description: Option<&str>) -> Value {
    let mut shown = json!({"id": 0, "filename": name});
    if let Some(description) = description.filter(|text| !text.trim().is_empty()) {
        shown["description"] = shorten(description, DESCRIPTION_CHARS_MAX).into();
    }
    let mut file = json!({"id": attachment.id, "media_type": media_type(attachment)});
    if let Some(size) = attachment.size {
        file["size"] = size.into();
    }
    json!({"attachments": [shown], FILES: [file]})
}

/// A native payload has no files of ours.
pub(super) fn without(mut payload: Value) -> Value {
    if let Some(members) = payload.as_object_mut() {
        members.remove(FILES);
    }
    payload
}

/// The plan with files put into the message before them, as many as it takes and of at most `most` bytes together. The order
/// stays: Discord shows the files of a message below its text.
pub(crate) fn joined(mut plan: Plan, most: u64) -> Plan {
    let mut steps: Vec<Step> = Vec::with_capacity(plan.steps.len());
    for mut step in plan.steps {
        step.attachment = files(&step)
            .first()
            .and_then(|file| file["id"].as_str().map(str::to_owned));
        match steps
            .last_mut()
            .and_then(|last| together(last, &step, most))
        {
            Some(both) => *steps.last_mut().expect("it was joined with") = both,
            None => steps.push(step),
        }
    }
    plan.steps = steps;
    plan
}

fn together(first: &Step, second: &Step, most: u64) -> Option<Step> {
    let (mut before, mut after) = (members(first), members(second));
    let takes_files = |body: &Map<String, Value>| {
        body.keys().all(|name| {
            ["content", "allowed_mentions", "attachments", FILES].contains(&name.as_str())
        })
    };
    let is_file = after.contains_key(FILES) && !after.contains_key("content");
    let are_sent = first.kind == StepKind::Send && second.kind == StepKind::Send;
    if !are_sent || !is_file || !takes_files(&before) || !takes_files(&after) {
        return None;
    }
    let count = |body: &Map<String, Value>, name: &str| {
        body.get(name).and_then(Value::as_array).map_or(0, Vec::len)
    };
    if count(&before, "attachments") != count(&before, FILES) {
        return None;
    }
    let mut all = Vec::new();
    for name in ["attachments", FILES] {
        let mut list = take_list(&mut before, name);
        list.extend(take_list(&mut after, name));
        all.push(list);
    }
    let (files, mut shown) = (all.pop()?, all.pop()?);
    // What is of unknown size goes alone, as it may be all that fits.
    let bytes: Option<u64> = files.iter().map(|file| file["size"].as_u64()).sum();
    let fit = files.len() <= FILES_MAX && bytes.is_some_and(|bytes| bytes <= most);
    if files.len() > 1 && !fit {
        return None;
    }
    for (place, file) in shown.iter_mut().enumerate() {
        file["id"] = place.into();
    }
    before.insert("attachments".to_owned(), shown.into());
    before.insert(FILES.to_owned(), files.into());
    Some(Step {
        body: bytes_of(&Value::Object(before)).into(),
        attachment: first.attachment.clone().or(second.attachment.clone()),
        instead: apart(first, second),
        ..first.clone()
    })
}

/// What is sent in the place of a message with the files of both: what each would be without its files.
fn apart(first: &Step, second: &Step) -> Option<Box<Instead>> {
    let mut both = Instead {
        steps: Vec::new(),
        degraded: Vec::new(),
    };
    for step in [first, second] {
        match &step.instead {
            Some(lower) => {
                both.steps.extend(lower.steps.iter().cloned());
                both.degraded.extend(lower.degraded.iter().cloned());
            }
            None if !members(step).contains_key(FILES) => both.steps.push(step.clone()),
            None => return None,
        }
    }
    Some(Box::new(both))
}

/// Takes a list out of a body; an empty one when there is none.
pub(super) fn take_list(body: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match body.remove(name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn files(step: &Step) -> Vec<Value> {
    take_list(&mut members(step), FILES)
}

/// The members of a step's body, `files` among them.
pub(crate) fn members(step: &Step) -> Map<String, Value> {
    serde_json::from_slice(&step.body).unwrap_or_default()
}
