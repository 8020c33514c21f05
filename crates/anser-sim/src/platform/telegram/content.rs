//! What the messages of a bot say: texts and captions without their marks, keyboards, places and albums, each within its
//! limits. Must not know files beyond their names.

use serde_json::Value;

use super::super::fields::{gist, text};
use super::super::html;
use super::super::{Breach, Refusal};
use super::answer::{bad, refuse};

/// UTF-16 code units of a text, without its tags.
const TEXT_MAX: usize = 4096;
/// UTF-16 code units of a caption, without its tags.
const CAPTION_MAX: usize = 1024;
/// Bytes of a button's `callback_data`.
const CALLBACK_MAX: usize = 64;
/// Buttons of a keyboard.
const BUTTONS_MAX: usize = 100;
/// Items of an album.
const ALBUM: std::ops::RangeInclusive<usize> = 2..=10;
/// Kinds of items of an album that stand only beside their own kind.
const APART: [&str; 2] = ["document", "audio"];

/// A number, also as a text: forms have nothing else.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// A text that must be there.
pub(super) fn said(body: &Value) -> Result<String, Box<Refusal>> {
    let said = spoken(body, "text", "parse_mode")?;
    if said.trim().is_empty() {
        return Err(bad("message text is empty"));
    }
    within(&said, TEXT_MAX, "message is too long")?;
    Ok(said)
}

/// A caption, which may be empty.
pub(super) fn caption(body: &Value) -> Result<String, Box<Refusal>> {
    let caption = spoken(body, "caption", "parse_mode")?;
    within(&caption, CAPTION_MAX, "message caption is too long")?;
    Ok(caption)
}

/// Where a place is, in degrees.
pub(super) fn place(body: &Value) -> Result<(f64, f64), Box<Refusal>> {
    let degrees = |name: &str| match &body[name] {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let latitude = degrees("latitude").filter(|at: &f64| at.abs() <= 90.0);
    let longitude = degrees("longitude").filter(|at: &f64| at.abs() <= 180.0);
    latitude
        .zip(longitude)
        .ok_or_else(|| bad("latitude and longitude must be non-empty"))
}

/// An album: what its items are, each with its kind, and what they say.
pub(super) struct Album<'a> {
    pub(super) items: Vec<(&'a str, &'a Value)>,
    pub(super) said: String,
}

/// The album of a request.
pub(super) fn album(body: &Value) -> Result<Album<'_>, Box<Refusal>> {
    let media = body["media"].as_array().map_or(&[][..], Vec::as_slice);
    if !ALBUM.contains(&media.len()) {
        return Err(bad("expected from 2 to 10 media in an album"));
    }
    let mut items = Vec::new();
    for item in media {
        let kind = item["type"].as_str().unwrap_or_default();
        if !["photo", "video", "document", "audio"].contains(&kind) {
            return Err(bad("can't parse InputMedia: Type not found"));
        }
        caption(item)?;
        items.push((kind, item));
    }
    for kind in APART {
        let alike = items.iter().filter(|(known, _)| *known == kind).count();
        if alike != 0 && alike != items.len() {
            let told = format!("{kind} can't be mixed with other media types");
            return Err(bad(&told));
        }
    }
    let said = gist(&body["media"]);
    Ok(Album { items, said })
}

/// A text without its marks, as its `parse_mode` has them.
fn spoken(body: &Value, member: &str, mode: &str) -> Result<String, Box<Refusal>> {
    let text = body[member].as_str().unwrap_or_default();
    let parsed = match body[mode].as_str().unwrap_or_default() {
        "" => Ok(text.to_owned()),
        mode if mode.eq_ignore_ascii_case("html") => html::plain(text),
        mode if mode.eq_ignore_ascii_case("markdownv2") => unescaped(text),
        mode if mode.eq_ignore_ascii_case("markdown") => Ok(text.to_owned()),
        _ => {
            let told = "Bad Request: unsupported parse_mode";
            return Err(refuse(400, told, Breach::Content));
        }
    };
    parsed.map_err(|why| {
        let told = format!("Bad Request: can't parse entities: {why}");
        refuse(400, &told, Breach::Content)
    })
}

/// MarkdownV2: what is a mark is not said, and the characters that are reserved but never open a mark must be escaped.
fn unescaped(text: &str) -> Result<String, String> {
    let mut said = String::new();
    let mut characters = text.chars();
    let mut code = false;
    while let Some(next) = characters.next() {
        match next {
            '\\' => said.extend(characters.next()),
            '`' => code = !code,
            '_' | '*' | '~' | '|' | '[' | ']' | '(' | ')' if !code => {}
            '>' if !code && (said.is_empty() || said.ends_with('\n')) => {}
            '>' | '#' | '+' | '-' | '=' | '{' | '}' | '.' | '!' if !code => {
                return Err(format!(
                    "Character '{next}' is reserved and must be escaped with the preceding '\\'"
                ));
            }
            other => said.push(other),
        }
    }
    Ok(said)
}

fn within(said: &str, most: usize, told: &str) -> Result<(), Box<Refusal>> {
    if said.encode_utf16().count() > most {
        let told = format!("Bad Request: {told}");
        return Err(refuse(400, &told, Breach::Size));
    }
    Ok(())
}

/// A keyboard below a message.
pub(super) fn check_keyboard(markup: &Value) -> Result<(), Box<Refusal>> {
    let rows = markup["inline_keyboard"].as_array();
    let buttons: Vec<&Value> = rows
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .collect();
    if buttons.len() > BUTTONS_MAX {
        let told = "Bad Request: reply markup is too long";
        return Err(refuse(400, told, Breach::Size));
    }
    for button in buttons {
        let data = button["callback_data"].as_str();
        if data.is_some_and(|data| data.is_empty() || data.len() > CALLBACK_MAX) {
            let told = "Bad Request: BUTTON_DATA_INVALID";
            return Err(refuse(400, told, Breach::Size));
        }
        let acts = data.is_some() || text(button, "/url").is_some();
        if text(button, "/text").is_none() || !acts {
            let told = "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard";
            return Err(refuse(400, told, Breach::Content));
        }
    }
    Ok(())
}
