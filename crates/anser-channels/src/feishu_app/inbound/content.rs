//! What a received message says, of each type: text with its mentions, posts, media by their keys, places, and what the
//! format has no word for. Must not know who sent it.

use serde_json::{Value, json};

use super::{PLATFORM, people};
use crate::kit::arrival::{Content, moment, shallow, word};
use crate::kit::inbound::raw;

/// What stands in a text for everybody.
const ALL: &str = "@_all";
/// Levels of a card that are looked through for texts.
const CARD_LEVELS: usize = 32;

/// Reads the content of a message of `msg_type`, whose placeholders stand for `mentions`.
pub(super) fn read(msg_type: &str, value: &Value, mentions: &Value) -> Content {
    let mut content = Content::default();
    let of = value;
    match msg_type {
        "text" if of["text"].is_string() => {
            text(
                &mut content,
                of["text"].as_str().unwrap_or_default(),
                mentions,
            );
        }
        "post" => post(&mut content, of, mentions),
        "image" => content.media("image", None, json!({"key": of["image_key"]})),
        "file" => content.media(
            "file",
            of["file_name"].as_str(),
            json!({"key": of["file_key"]}),
        ),
        "audio" => content.media(
            "voice",
            None,
            json!({"key": of["file_key"], "duration_ms": of["duration"]}),
        ),
        "media" | "video" => video(&mut content, of),
        "sticker" => {
            content.push(json!({"type": "sticker"}));
            content.key(json!({"kind": "sticker", "key": of["file_key"]}));
        }
        "location" => location(&mut content, of),
        _ => other(&mut content, msg_type, of),
    }
    content
}

fn video(content: &mut Content, of: &Value) {
    let key =
        json!({"key": of["file_key"], "cover": of["image_key"], "duration_ms": of["duration"]});
    content.media("video", of["file_name"].as_str(), key);
}

/// Degrees come as texts.
fn location(content: &mut Content, of: &Value) {
    let degrees = |name: &str, most: f64| {
        let value = &of[name];
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        (-most..=most).contains(&number).then_some(number)
    };
    match (degrees("latitude", 90.0), degrees("longitude", 180.0)) {
        (Some(lat), Some(lon)) => {
            let mut segment = json!({"type": "location", "lat": lat, "lon": lon});
            if let Some(name) = word(of, "name") {
                segment["name"] = name.into();
            }
            content.push(segment);
        }
        _ => other(content, "location", of),
    }
}

/// What the format has no word for: in words what it is, and as it came.
fn other(content: &mut Content, msg_type: &str, of: &Value) {
    let label = msg_type.replace('_', " ");
    let mut shown = vec![title(of).map_or_else(
        || format!("[{label}]"),
        |title| format!("[{label}: {title}]"),
    )];
    if msg_type == "interactive" {
        texts(of, CARD_LEVELS, &mut shown);
    }
    if let Some(time) = ["start_time", "due_time"]
        .iter()
        .find_map(|name| moment(&of[name]))
    {
        shown.push(time.to_string());
    }
    if let Some(file) = word(of, "file_key") {
        content.key(json!({"kind": label, "key": file, "name": of["file_name"]}));
    }
    content.text(&shown.join("\n"), &[]);
    let payload = json!({"msg_type": msg_type, "content": shallow(of)});
    content.push(raw(PLATFORM, &payload));
}

fn title(of: &Value) -> Option<&str> {
    let places = [
        "/topic",
        "/summary",
        "/summary/title",
        "/title",
        "/text",
        "/name",
        "/file_name",
        "/template",
        "/chat_id",
        "/user_id",
    ];
    let mut texts = places
        .iter()
        .filter_map(|place| of.pointer(place)?.as_str());
    texts.find(|text| !text.is_empty())
}

/// The texts of a card, in order.
fn texts(value: &Value, levels: usize, into: &mut Vec<String>) {
    let Some(levels) = levels.checked_sub(1) else {
        return;
    };
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, levels, into)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if ["text", "content"].contains(&name.as_str()) => {
                        into.push(text.clone());
                    }
                    Value::Array(_) | Value::Object(_) => texts(member, levels, into),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Text in which `@_user_1`, `@_user_2` … and `@_all` stand for mentions.
pub(super) fn text(content: &mut Content, text: &str, mentions: &Value) {
    let mut rest = text;
    let mut from = 0;
    while let Some(found) = rest[from..].find("@_") {
        let at = from + found;
        let Some((length, mention)) = placeholder(&rest[at..], mentions) else {
            from = at + 2;
            continue;
        };
        content.text(&rest[..at], &[]);
        mention_of(content, mention);
        rest = &rest[at + length..];
        from = 0;
    }
    content.text(rest, &[]);
}

/// Whom a placeholder at the beginning of a text stands for.
enum Mentioned<'a> {
    One(&'a Value),
    All,
}

/// The longest placeholder that the text begins with.
fn placeholder<'a>(text: &str, mentions: &'a Value) -> Option<(usize, Mentioned<'a>)> {
    let known = mentions.as_array().into_iter().flatten();
    let longest = known
        .filter_map(|mention| Some((word(mention, "key")?, mention)))
        .filter(|(key, _)| text.starts_with(key))
        .max_by_key(|(key, _)| key.len());
    match longest {
        Some((key, _)) if key == ALL => Some((key.len(), Mentioned::All)),
        Some((key, mention)) => Some((key.len(), Mentioned::One(mention))),
        None => {
            let after = text.strip_prefix(ALL)?.chars().next();
            let ends = after.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_');
            ends.then_some((ALL.len(), Mentioned::All))
        }
    }
}

fn mention_of(content: &mut Content, mentioned: Mentioned<'_>) {
    match mentioned {
        Mentioned::All => content.mention("all", None, None),
        Mentioned::One(mention) => {
            // An id is an object of ids; in a list of a message that was fetched it is one text.
            content.mention("user", people::id(&mention["id"]), mention["name"].as_str());
        }
    }
}

/// A post: a title and paragraphs of nodes, with or without a language around them.
fn post(content: &mut Content, of: &Value, mentions: &Value) {
    let inner = of.as_object().and_then(|languages| {
        let mut languages = languages.values();
        languages.find(|language| language["content"].is_array())
    });
    let of = if of["content"].is_array() {
        of
    } else {
        inner.unwrap_or(of)
    };
    if let Some(title) = of["title"].as_str() {
        content.text(title, &["bold"]);
    }
    for paragraph in of["content"].as_array().into_iter().flatten() {
        content.line_break();
        for node in paragraph.as_array().into_iter().flatten() {
            post_node(content, node, mentions);
        }
    }
}

fn post_node(content: &mut Content, node: &Value, mentions: &Value) {
    let text = node["text"].as_str().unwrap_or_default();
    match node["tag"].as_str().unwrap_or_default() {
        "text" => content.text(text, &styles(node)),
        "a" => match word(node, "href") {
            Some(url) => content.push(json!({"type": "link", "url": url, "title": text})),
            None => content.text(text, &[]),
        },
        "at" => post_mention(content, node, mentions),
        "img" => content.media("image", None, json!({"key": node["image_key"]})),
        "media" => video(content, node),
        "emotion" => {
            let name = word(node, "emoji_type").unwrap_or("emoji");
            content.push(json!({"type": "emoji", "name": name}));
        }
        "hr" => content.push(json!({"type": "divider"})),
        "code_block" => {
            let lang = word(node, "language").map(str::to_ascii_lowercase);
            content.block("code", text, lang.as_deref());
        }
        "md" => content.block("markdown", text, None),
        _ => content.push(raw(PLATFORM, &shallow(node))),
    }
}

fn styles(node: &Value) -> Vec<&'static str> {
    let given = node["style"].as_array().into_iter().flatten();
    given
        .filter_map(|style| match style.as_str()? {
            "bold" => Some("bold"),
            "italic" => Some("italic"),
            "underline" => Some("underline"),
            "lineThrough" | "strikethrough" => Some("strike"),
            "code" => Some("code"),
            _ => None,
        })
        .collect()
}

fn post_mention(content: &mut Content, node: &Value, mentions: &Value) {
    let id = word(node, "user_id").unwrap_or_default();
    match placeholder(id, mentions) {
        Some((length, mentioned)) if length == id.len() => mention_of(content, mentioned),
        _ if id == "all" => content.mention("all", None, None),
        _ => content.mention("user", Some(id), node["user_name"].as_str()),
    }
}

/// Text of schema 1.0, in which mentions are tags: `<at open_id="ou_x">@Tom</at>`.
pub(super) fn tagged_text(content: &mut Content, text: &str) {
    let mut rest = text;
    while let Some((before, (id, name), after)) = tag(rest) {
        content.text(before, &[]);
        let name = name.trim_start_matches('@');
        if id == "all" {
            content.mention("all", None, None);
        } else {
            content.mention("user", Some(id), Some(name));
        }
        rest = after;
    }
    content.text(rest, &[]);
}

/// What stands before the first tag, the tag's id and name, and the rest.
fn tag(text: &str) -> Option<(&str, (&str, &str), &str)> {
    let (before, tag) = text.split_once("<at ")?;
    let (attributes, inner) = tag.split_once('>')?;
    let (name, after) = inner.split_once("</at>")?;
    let (_, quoted) = attributes.split_once("_id=\"")?;
    let (id, _) = quoted.split_once('"')?;
    Some((before, (id, name), after))
}
