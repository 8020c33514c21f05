//! What a message may say, by its type. Must not know to whom it goes.

use serde_json::Value;

use super::super::fields::{chars, list, text};
use super::super::{Breach, Desk, Refusal};
use super::codes::{missing, parameter, refuse, refuse_for};
use super::media;

/// Characters of a text.
const TEXT_MAX: usize = 4_096;
/// Characters of a caption, and of the text of an interactive message with buttons.
const CAPTION_MAX: usize = 1_024;
/// Characters of the line above or below an interactive message.
const LINE_MAX: usize = 60;
/// Characters of a button.
const BUTTON_MAX: usize = 20;
/// Bytes of what a button or a row answers.
const ANSWER_MAX: usize = 256;
const ROW_ANSWER_MAX: usize = 200;
/// Buttons that answer.
const BUTTONS_MAX: usize = 3;
/// Rows of a list in all, and the characters of their titles and descriptions.
const ROWS_MAX: usize = 10;
const ROW_TITLE_MAX: usize = 24;
const ROW_DESCRIPTION_MAX: usize = 72;
/// Characters of what comes back with the news of a message.
const OPAQUE_MAX: usize = 512;
/// The template that every account has.
const SAMPLE: (&str, &str) = ("hello_world", "en_US");
/// Types that show a file, and those of them that have a caption.
const MEDIA: [&str; 5] = ["image", "audio", "video", "document", "sticker"];
const CAPTIONED: [&str; 3] = ["image", "video", "document"];

type Checked = Result<(), Box<Refusal>>;

/// The type of a message that is whole and within its limits, and the files that it shows.
pub(super) fn check(
    desk: &Desk<'_>,
    number: &str,
    body: &Value,
) -> Result<(String, Vec<String>), Box<Refusal>> {
    if body["messaging_product"] != "whatsapp" {
        let details = "The parameter messaging_product is required.";
        return Err(refuse_for("100", details, Breach::Content));
    }
    if text(body, "/to").is_none() {
        let details = "The parameter to is required.";
        return Err(refuse_for("100", details, Breach::Content));
    }
    let context = body.pointer("/context/message_id");
    let is_message = |id: &Value| id.as_str().is_some_and(|id| id.starts_with("wamid."));
    if context.is_some_and(|id| !is_message(id)) {
        return Err(parameter("context['message_id']", Breach::Content));
    }
    let opaque = body["biz_opaque_callback_data"].as_str();
    if opaque.is_some_and(|opaque| chars(opaque) > OPAQUE_MAX) {
        return Err(parameter("biz_opaque_callback_data", Breach::Size));
    }
    let kind = body["type"].as_str().unwrap_or("text");
    let said = &body[kind];
    let mut uploads = Vec::new();
    match kind {
        "text" => {
            let said = text(said, "/body").ok_or_else(|| missing("text['body']"))?;
            within("text['body']", said, TEXT_MAX)?;
        }
        "template" => template(said)?,
        "interactive" => interactive(desk, number, said, &mut uploads)?,
        "location" => location(said)?,
        "contacts" => contacts(body)?,
        "reaction" if is_message(&said["message_id"]) && said["emoji"].is_string() => {}
        "reaction" => return Err(parameter("reaction", Breach::Content)),
        kind if MEDIA.contains(&kind) => {
            uploads.extend(shown(desk, number, kind, said)?);
            caption(kind, said)?;
        }
        _ => return Err(refuse("131051", Breach::Content)),
    }
    Ok((kind.to_owned(), uploads))
}

fn within(name: &str, text: &str, most: usize) -> Checked {
    if chars(text) <= most {
        return Ok(());
    }
    let details = format!("Param {name} must be at most {most} characters long.");
    Err(refuse_for("100", &details, Breach::Size))
}

/// A file by the id of its upload, or by a link; the key of the upload.
fn shown(
    desk: &Desk<'_>,
    number: &str,
    kind: &str,
    said: &Value,
) -> Result<Option<String>, Box<Refusal>> {
    match (said["id"].as_str(), said["link"].as_str()) {
        (Some(id), None) => media::shown(desk, number, kind, id).map(Some),
        (None, Some(link)) if is_web(link) => Ok(None),
        (None, Some(_)) => Err(parameter("link", Breach::Content)),
        _ => {
            let details = format!("Param {kind} must have either 'id' or 'link'.");
            Err(refuse_for("100", &details, Breach::Content))
        }
    }
}

fn is_web(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

fn caption(kind: &str, said: &Value) -> Checked {
    match said["caption"].as_str() {
        None => Ok(()),
        Some(caption) if CAPTIONED.contains(&kind) => {
            within(&format!("{kind}['caption']"), caption, CAPTION_MAX)
        }
        Some(_) => Err(parameter("caption", Breach::Content)),
    }
}

/// A template is taken by any name that one can have: which the account has is not known. The sample is as everybody has it.
fn template(said: &Value) -> Checked {
    let name = text(said, "/name").ok_or_else(|| missing("template['name']"))?;
    let language = text(said, "/language/code");
    let language = language.ok_or_else(|| missing("template['language']['code']"))?;
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let (sample, in_language) = SAMPLE;
    if !name.bytes().all(is_word) || (name == sample && language != in_language) {
        return Err(refuse("132001", Breach::Content));
    }
    let components = list(said, "/components").unwrap_or_default();
    let parameters = components
        .iter()
        .filter_map(|component| list(component, "/parameters"));
    for parameter in parameters.flatten() {
        if name == sample {
            return Err(refuse("132000", Breach::Content));
        }
        if parameter["type"] == "text" && text(parameter, "/text").is_none() {
            return Err(missing("template['components']['parameters']['text']"));
        }
    }
    Ok(())
}

fn location(said: &Value) -> Checked {
    for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
        // Numbers, or texts of them.
        let value = match &said[name] {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        let value: f64 = value.ok_or_else(|| missing(&format!("location['{name}']")))?;
        if !(-most..=most).contains(&value) {
            return Err(parameter(&format!("location['{name}']"), Breach::Content));
        }
    }
    Ok(())
}

/// Each has a name, and one part of it beside the whole.
fn contacts(body: &Value) -> Checked {
    let contacts = list(body, "/contacts").ok_or_else(|| missing("contacts"))?;
    for contact in contacts {
        if text(contact, "/name/formatted_name").is_none() {
            return Err(missing("contacts['name']['formatted_name']"));
        }
        let parts = ["first_name", "last_name", "middle_name", "prefix", "suffix"];
        let mut named = parts.iter().map(|part| format!("/name/{part}"));
        if !named.any(|part| text(contact, &part).is_some()) {
            return Err(parameter("contacts['name']", Breach::Content));
        }
    }
    Ok(())
}

fn interactive(desk: &Desk<'_>, number: &str, said: &Value, uploads: &mut Vec<String>) -> Checked {
    let kind = said["type"].as_str().unwrap_or_default();
    let body = text(said, "/body/text").ok_or_else(|| missing("interactive['body']['text']"))?;
    let most = if kind == "list" {
        TEXT_MAX
    } else {
        CAPTION_MAX
    };
    within("interactive['body']['text']", body, most)?;
    if let Some(footer) = said.pointer("/footer/text").and_then(Value::as_str) {
        within("interactive['footer']['text']", footer, LINE_MAX)?;
    }
    match (&said["header"], said["header"]["type"].as_str()) {
        (Value::Null, _) => {}
        (header, Some("text")) => {
            let line =
                text(header, "/text").ok_or_else(|| missing("interactive['header']['text']"))?;
            within("interactive['header']['text']", line, LINE_MAX)?;
        }
        (header, Some(kind @ ("image" | "video" | "document"))) => {
            uploads.extend(shown(desk, number, kind, &header[kind])?);
        }
        _ => return Err(parameter("interactive['header']['type']", Breach::Content)),
    }
    let action = &said["action"];
    match kind {
        "button" => buttons(action),
        "list" => rows(action),
        "cta_url" => {
            let wrong = || parameter("interactive['action']['parameters']", Breach::Content);
            let label = text(action, "/parameters/display_text").ok_or_else(wrong)?;
            within("display_text", label, BUTTON_MAX)?;
            let url = text(action, "/parameters/url").filter(|url| is_web(url));
            url.filter(|_| action["name"] == "cta_url")
                .map(drop)
                .ok_or_else(wrong)
        }
        "flow" | "location_request_message" if action["name"].is_string() => Ok(()),
        _ => Err(parameter("interactive['type']", Breach::Content)),
    }
}

fn buttons(action: &Value) -> Checked {
    const NAME: &str = "interactive['action']['buttons']";
    let buttons = list(action, "/buttons").ok_or_else(|| missing(NAME))?;
    if buttons.len() > BUTTONS_MAX {
        return Err(parameter(NAME, Breach::Size));
    }
    let mut titles = Vec::new();
    let mut answers = Vec::new();
    for button in buttons {
        let title = text(button, "/reply/title").filter(|_| button["type"] == "reply");
        let title = title.ok_or_else(|| parameter(NAME, Breach::Content))?;
        within("title", title, BUTTON_MAX)?;
        let id = text(button, "/reply/id").ok_or_else(|| parameter(NAME, Breach::Content))?;
        if id.len() > ANSWER_MAX {
            return Err(parameter(NAME, Breach::Size));
        }
        if titles.contains(&title) || answers.contains(&id) {
            return Err(parameter(NAME, Breach::Content));
        }
        titles.push(title);
        answers.push(id);
    }
    Ok(())
}

fn rows(action: &Value) -> Checked {
    const NAME: &str = "interactive['action']['sections']";
    let label =
        text(action, "/button").ok_or_else(|| missing("interactive['action']['button']"))?;
    within("button", label, BUTTON_MAX)?;
    let sections = list(action, "/sections").ok_or_else(|| missing(NAME))?;
    let mut count = 0;
    for section in sections {
        for row in list(section, "/rows").ok_or_else(|| missing(NAME))? {
            count += 1;
            let title = text(row, "/title").ok_or_else(|| missing(NAME))?;
            within("title", title, ROW_TITLE_MAX)?;
            let description = row["description"].as_str().unwrap_or_default();
            within("description", description, ROW_DESCRIPTION_MAX)?;
            let id = text(row, "/id").ok_or_else(|| missing(NAME))?;
            if id.len() > ROW_ANSWER_MAX {
                return Err(parameter(NAME, Breach::Size));
            }
        }
    }
    match count > ROWS_MAX {
        true => Err(parameter(NAME, Breach::Size)),
        false => Ok(()),
    }
}
