//! Attachments on their way to a platform: what they are, a name that is safe, steps that bring and show them, and the
//! outputs of earlier steps put into later ones. Must not know any platform.

use anser_core::Problem;
use anser_core::channel::{Context, Step, StepKind};
use anser_core::message::{Attachment, Source, media_type};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use url::Url;

use super::content::MediaKind;

pub(crate) use anser_core::message::media_type::extension;

/// The media type of a step with a body of ours.
const STEP_MEDIA_TYPE: &str = "application/json; charset=utf-8";
/// Characters of a file's name, its extension among them.
const NAME_CHARS_MAX: usize = 100;
/// The member that stands for an output in a body. No text of a user can make one by accident.
const MARK: &str = "\0output";
/// The media type without parameters, lower case: as given, else by the extension of its name or URL, else that of bytes.
pub(crate) fn media_type(attachment: &Attachment) -> String {
    let given = attachment.media_type.as_deref().unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    if let Some((major, minor)) = given.split_once('/')
        && is_token(major)
        && is_token(minor)
    {
        return given.to_ascii_lowercase();
    }
    let named = own_name(attachment).and_then(|name| media_type::of_name(&name));
    named.unwrap_or(media_type::UNKNOWN).to_owned()
}

/// A name for the file that every platform and system takes: its own, else the last part of its URL, else its id; without
/// folders, control characters, characters that turn the direction of text, and what a path or a header could take for
/// more than a name; with an extension where its media type has one.
pub(crate) fn file_name(attachment: &Attachment) -> String {
    let name = own_name(attachment).unwrap_or_else(|| attachment.id.clone());
    let safe: String = name
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .map(|c| if "/\\\"<>|:*?".contains(c) { '_' } else { c })
        .collect();
    let safe = safe.trim_matches(|c: char| c.is_whitespace() || c == '.');
    let mut safe = if safe.is_empty() { "file" } else { safe }.to_owned();
    if extension(&safe).is_none() {
        let wanted = media_type(attachment);
        if let Some(extension) = media_type::usual_extension(&wanted) {
            safe = format!("{safe}.{extension}");
        }
    }
    shortened(&safe)
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let tail = extension(name).map_or(String::new(), |extension| format!(".{extension}"));
    let head: String = name.chars().take(NAME_CHARS_MAX - tail.len()).collect();
    format!("{head}{tail}")
}

/// Marks of direction and joiners, which make a name read as another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The last part of the name or of the URL's path.
fn own_name(attachment: &Attachment) -> Option<String> {
    if let Some(name) = &attachment.name {
        return Some(name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned());
    }
    let Source::Url(url) = &attachment.source else {
        return None;
    };
    let url = Url::parse(url).ok()?;
    let last = url.path_segments()?.next_back()?;
    let name = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    (!name.is_empty()).then(|| name.into_owned())
}

/// Whether it is not known to be empty or of more than `most` bytes. The size of what is at a URL is often not known: the
/// platform may still refuse it.
pub(crate) fn within(attachment: &Attachment, most: u64) -> bool {
    attachment
        .size
        .is_none_or(|size| (1..=most).contains(&size))
}

/// Whether its bytes are at a URL of somebody else's.
pub(crate) const fn is_remote(attachment: &Attachment) -> bool {
    matches!(attachment.source, Source::Url(_))
}

/// Whether the media type is one of that kind of media; any is a file.
pub(crate) fn is_of_kind(kind: MediaKind, attachment: &Attachment) -> bool {
    let media_type = media_type(attachment);
    match kind {
        MediaKind::Image | MediaKind::Sticker => media_type.starts_with("image/"),
        MediaKind::Audio | MediaKind::Voice => media_type.starts_with("audio/"),
        MediaKind::Video => media_type.starts_with("video/"),
        MediaKind::File => true,
    }
}

/// A step that brings an attachment to the platform.
pub(crate) fn upload(attachment: &Attachment, body: &Value) -> Step {
    about(StepKind::Upload, attachment, body)
}

/// A step that asks the platform for something that the upload of an attachment needs.
pub(crate) fn call(attachment: &Attachment, body: &Value) -> Step {
    about(StepKind::Call, attachment, body)
}

/// A step that shows an attachment. When the platform does not take it, the attachment goes as a link.
pub(crate) fn send(attachment: &Attachment, body: &Value) -> Step {
    about(StepKind::Send, attachment, body)
}

fn about(kind: StepKind, attachment: &Attachment, body: &Value) -> Step {
    Step {
        kind,
        attachment: Some(attachment.id.clone()),
        ..Step::send(bytes_of(body), STEP_MEDIA_TYPE)
    }
}

fn bytes_of(body: &Value) -> Bytes {
    let bytes = serde_json::to_vec(body).expect("a JSON value always serialises");
    bytes.into()
}

/// The steps with what brings attachments before all that can be seen: one that the platform refuses can then still go as
/// a link, and nobody has seen a part of the message yet. What would be brought twice in the same way is brought once.
/// Marks are changed to where their outputs then are; nothing but a mark may refer to another step.
pub(crate) fn uploads_first(steps: Vec<Step>) -> Vec<Step> {
    if steps.iter().all(|step| step.kind.is_seen()) {
        return steps;
    }
    let mut order: Vec<usize> = Vec::new();
    let mut places = vec![0; steps.len()];
    for seen in [false, true] {
        for old in 0..steps.len() {
            if steps[old].kind.is_seen() != seen {
                continue;
            }
            let again = order
                .iter()
                .position(|first| is_same_upload(&steps, *first, old));
            places[old] = again.unwrap_or(order.len());
            if again.is_none() {
                order.push(old);
            }
        }
    }
    let moved = |(new, old): (usize, &usize)| {
        let mut step = steps[*old].clone();
        let place = |back: usize| new.checked_sub(places[old.checked_sub(back)?]);
        if let Ok(mut body) = serde_json::from_slice::<Value>(&step.body)
            && remark(&mut body, &place)
        {
            step.body = bytes_of(&body);
        }
        step
    };
    order.iter().enumerate().map(moved).collect()
}

/// Whether both upload the same attachment to the same end. An address that was called for is for one upload.
fn is_same_upload(steps: &[Step], one: usize, other: usize) -> bool {
    let is_called = |place: usize| place > 0 && steps[place - 1].kind == StepKind::Call;
    steps[one].kind == StepKind::Upload
        && steps[one] == steps[other]
        && !is_called(one)
        && !is_called(other)
}

/// Changes every mark; whether there was one.
fn remark(body: &mut Value, place: &dyn Fn(usize) -> Option<usize>) -> bool {
    match body {
        Value::Object(members) => match marked(members).and_then(place) {
            Some(back) => {
                *body = mark(back);
                true
            }
            None => {
                let values = members.values_mut().map(|value| remark(value, place));
                values.fold(false, |any, found| any | found)
            }
        },
        Value::Array(items) => {
            let items = items.iter_mut().map(|item| remark(item, place));
            items.fold(false, |any, found| any | found)
        }
        _ => false,
    }
}

/// What the step gave that is `back` steps before the context's, 1 for the one directly before it. For steps that bring an
/// attachment, of which none is moved away from another; what is seen refers to other steps by [`mark`] alone.
pub(crate) fn output<'c>(context: &Context<'c>, back: usize) -> Option<&'c str> {
    let place = context.step.checked_sub(back)?;
    context.outputs.get(place)?.as_deref()
}

/// What stands in a step's body for the output of the step that is `back` steps before it where the platform makes the
/// steps, until [`fill`]. A step that is no [`StepKind::Send`] refers to none that is one.
pub(crate) fn mark(back: usize) -> Value {
    json!({MARK: back})
}

/// Puts the outputs of earlier steps in the place of their marks.
///
/// # Errors
/// `missing_upload` when such a step gave nothing, which its classifier must not call delivered.
pub(crate) fn fill(body: &mut Value, context: &Context<'_>) -> Result<(), Problem> {
    match body {
        Value::Object(members) => match marked(members) {
            Some(back) => *body = output(context, back).ok_or_else(missing)?.into(),
            None => members
                .values_mut()
                .try_for_each(|value| fill(value, context))?,
        },
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, context))?,
        _ => {}
    }
    Ok(())
}

fn marked(members: &Map<String, Value>) -> Option<usize> {
    let back = members.get(MARK).filter(|_| members.len() == 1)?;
    usize::try_from(back.as_u64()?).ok()
}

fn missing() -> Problem {
    Problem::invalid(
        "missing_upload",
        "attachments",
        "the platform named no key of what was uploaded; publish the message again",
    )
}

#[cfg(test)]
mod tests;
