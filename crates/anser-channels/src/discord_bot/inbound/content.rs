//! What a message of Discord says: its text with `<…>` for what is no text, its files, and what else is in it. Marks such as
//! `*` stay. Must not know where it was said.

use serde_json::{Value, json};

use super::events::PLATFORM;
use crate::kit::arrival::{Content, shallow};
use crate::kit::discord::is_number;
use crate::kit::inbound::raw;

/// The flag of a message that is a voice message
/// (<https://discord.com/developers/docs/resources/message#message-object-message-flags>).
const VOICE: u64 = 1 << 13;
/// Bytes of what can stand in `<…>`: the name of an emoji has at most 32 characters, and an id 20.
const REFERENCE_BYTES_MAX: usize = 200;

/// The content of a message; of one that was forwarded, what was forwarded.
pub(super) fn read(message: &Value) -> Content {
    let mut content = Content::default();
    add(&mut content, message);
    for snapshot in list(&message["message_snapshots"]) {
        content.line_break();
        add(&mut content, &snapshot["message"]);
    }
    if content.is_empty() {
        content.push(raw(PLATFORM, &shallow(message)));
    }
    content
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn add(content: &mut Content, message: &Value) {
    marked(
        content,
        message["content"].as_str().unwrap_or_default(),
        message,
    );
    let is_voice = message["flags"].as_u64().unwrap_or_default() & VOICE != 0;
    for file in list(&message["attachments"]) {
        content.line_break();
        add_file(content, file, is_voice);
    }
    for sticker in list(&message["sticker_items"]) {
        content.push(json!({"type": "sticker"}));
        content.key(json!({"kind": "sticker", "key": sticker["id"], "name": sticker["name"]}));
    }
    if !message["poll"].is_null() {
        content.push(raw(PLATFORM, &shallow(&json!({"poll": message["poll"]}))));
    }
    if content.is_empty() {
        for embed in list(&message["embeds"]) {
            add_embed(content, embed);
        }
    }
}

/// Other bots often say everything in embeds.
fn add_embed(content: &mut Content, embed: &Value) {
    let fields = list(&embed["fields"]).iter();
    let fields = fields.flat_map(|field| [&field["name"], &field["value"]]);
    let texts = [&embed["title"], &embed["description"]];
    for text in texts.into_iter().chain(fields) {
        if let Some(text) = text.as_str().filter(|text| !text.is_empty()) {
            content.line_break();
            marked(content, text, embed);
        }
    }
}

/// A file, which anybody can fetch for a day by the address that comes with it.
fn add_file(content: &mut Content, file: &Value, is_voice: bool) {
    let media_type = file["content_type"].as_str();
    let kind = match media_type.and_then(|of| of.split('/').next()) {
        Some("image") => "image",
        Some("audio") if is_voice => "voice",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "file",
    };
    let name = file["filename"].as_str();
    let link = file["url"].as_str().unwrap_or_default();
    if !content.linked(kind, link, name, media_type) {
        content.media(kind, name, json!({"key": file["id"], "size": file["size"]}));
    }
}

/// Text with `<…>` (<https://discord.com/developers/docs/reference#message-formatting>), and with `@everyone` and `@here` where
/// they are mentions.
fn marked(content: &mut Content, text: &str, message: &Value) {
    let mut rest = text;
    while let Some((before, inside, after)) = next_reference(rest) {
        plain(content, before, message);
        reference(content, inside, message);
        rest = after;
    }
    plain(content, rest, message);
}

/// The text before the first `<…>` that is a reference, what is in it, and the text behind it.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('<').find_map(|(place, _)| {
        let behind = &text[place + 1..];
        let mut near = behind.bytes().take(REFERENCE_BYTES_MAX);
        let end = near.position(|byte| byte == b'>')?;
        let inside = &behind[..end];
        is_reference(inside).then_some((&text[..place], inside, &behind[end + 1..]))
    })
}

/// Text in which nothing but everybody can be mentioned.
fn plain(content: &mut Content, text: &str, message: &Value) {
    let mut rest = text;
    while message["mention_everyone"] == true
        && let Some((place, name)) = ["@everyone", "@here"]
            .iter()
            .filter_map(|name| Some((rest.find(name)?, *name)))
            .min()
    {
        content.text(&rest[..place], &[]);
        let kind = if name == "@here" { "here" } else { "all" };
        content.mention(kind, None, None);
        rest = &rest[place + name.len()..];
    }
    content.text(rest, &[]);
}

/// Whether `<…>` means something else than its characters.
fn is_reference(inside: &str) -> bool {
    let ids = ["@!", "@&", "@", "#"];
    if ids
        .iter()
        .any(|sign| inside.strip_prefix(sign).is_some_and(is_number))
    {
        return true;
    }
    emoji(inside).is_some()
}

/// The name of an emoji of a server, `:NAME:ID` or `a:NAME:ID`.
fn emoji(inside: &str) -> Option<&str> {
    let (start, rest) = inside.split_once(':')?;
    let (name, id) = rest.split_once(':')?;
    (["", "a"].contains(&start) && !name.is_empty() && is_number(id)).then_some(name)
}

fn reference(content: &mut Content, inside: &str, message: &Value) {
    if let Some(name) = emoji(inside) {
        return content.push(json!({"type": "emoji", "name": name}));
    }
    if let Some(id) = inside.strip_prefix("@&") {
        return content.mention("role", Some(id), None);
    }
    if let Some(id) = inside.strip_prefix('#') {
        return content.mention("channel", Some(id), None);
    }
    let id = inside.trim_start_matches(['@', '!']);
    let named = list(&message["mentions"])
        .iter()
        .find(|user| user["id"] == id);
    let name = named.and_then(|user| {
        let mut names = [
            &user["member"]["nick"],
            &user["global_name"],
            &user["username"],
        ]
        .into_iter();
        names.find_map(Value::as_str)
    });
    content.mention("user", Some(id), name);
}
