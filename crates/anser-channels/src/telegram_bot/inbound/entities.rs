//! Text with entities (<https://core.telegram.org/bots/api#messageentity>), whose places are counted in UTF-16 code units.
//! Must not trust that places are inside of the text, or in order.

use std::ops::Range;

use serde_json::{Value, json};

use super::place::name;
use crate::kit::arrival::Content;
use crate::kit::draft::id;

/// Entities of a text that are looked at; Telegram gives at most 100.
const ENTITIES_MAX: usize = 200;

/// An entity and the part of the text that it is about.
struct Entity<'a> {
    range: Range<usize>,
    own: &'a Value,
    kind: &'a str,
}

impl Entity<'_> {
    /// Whether it is a segment of its own, in which others do not count.
    fn is_whole(&self) -> bool {
        matches!(
            self.kind,
            "mention" | "text_mention" | "url" | "text_link" | "pre" | "custom_emoji"
        )
    }

    fn style(&self) -> Option<&'static str> {
        Some(match self.kind {
            "bold" => "bold",
            "italic" => "italic",
            "underline" => "underline",
            "strikethrough" => "strike",
            "spoiler" => "spoiler",
            "code" => "code",
            _ => return None,
        })
    }
}

/// Adds a text and what its entities make of it.
pub(super) fn add(content: &mut Content, text: &str, entities: &Value) {
    let units: Vec<u16> = text.encode_utf16().collect();
    let entities = entities.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut entities: Vec<Entity<'_>> = entities
        .iter()
        .take(ENTITIES_MAX)
        .filter_map(|own| entity(own, units.len()))
        .collect();
    entities.sort_by_key(|entity| (entity.range.start, usize::MAX - entity.range.end));
    let mut at = 0;
    for whole in entities.iter().filter(|entity| entity.is_whole()) {
        // What begins inside of another that is whole is not looked at.
        if whole.range.start < at {
            continue;
        }
        styled(content, &units, at..whole.range.start, &entities);
        add_whole(content, &units, whole);
        at = whole.range.end;
    }
    styled(content, &units, at..units.len(), &entities);
}

fn entity(own: &Value, length: usize) -> Option<Entity<'_>> {
    let number = |name: &str| usize::try_from(own[name].as_u64()?).ok();
    let start = number("offset")?.min(length);
    let end = start.saturating_add(number("length")?).min(length);
    (start < end).then(|| Entity {
        range: start..end,
        own,
        kind: own["type"].as_str().unwrap_or_default(),
    })
}

/// Text of several looks: a look ends where any entity begins or ends.
fn styled(content: &mut Content, units: &[u16], range: Range<usize>, entities: &[Entity<'_>]) {
    let looks: Vec<&Entity<'_>> = entities
        .iter()
        .filter(|entity| entity.style().is_some())
        .filter(|entity| entity.range.start < range.end && entity.range.end > range.start)
        .collect();
    let ends = looks
        .iter()
        .flat_map(|entity| [entity.range.start, entity.range.end]);
    let mut ends: Vec<usize> = ends
        .filter(|end| range.contains(end))
        .chain([range.start, range.end])
        .collect();
    ends.sort_unstable();
    ends.dedup();
    for pair in ends.windows(2) {
        let covers =
            |entity: &&&Entity<'_>| entity.range.start <= pair[0] && entity.range.end >= pair[1];
        let mut style: Vec<&str> = looks
            .iter()
            .filter(covers)
            .filter_map(|entity| entity.style())
            .collect();
        style.sort_unstable();
        style.dedup();
        content.text(&text_of(units, pair[0]..pair[1]), &style);
    }
}

fn text_of(units: &[u16], range: Range<usize>) -> String {
    String::from_utf16_lossy(&units[range])
}

fn add_whole(content: &mut Content, units: &[u16], entity: &Entity<'_>) {
    let text = text_of(units, entity.range.clone());
    let own = entity.own;
    match entity.kind {
        "mention" => content.mention("user", Some(&text), None),
        "text_mention" => {
            let user = &own["user"];
            let id = id(&user["id"]);
            content.mention("user", id.as_deref(), Some(&name(user)));
        }
        "text_link" => match own["url"].as_str() {
            Some(url) => content.push(json!({"type": "link", "url": url, "title": text})),
            None => content.text(&text, &[]),
        },
        "url" => content.push(json!({"type": "link", "url": text})),
        "custom_emoji" => {
            let name = own["custom_emoji_id"].as_str().unwrap_or(&text);
            content.push(json!({"type": "emoji", "name": name, "unicode": text}));
        }
        _ => content.block("code", &text, own["language"].as_str()),
    }
}
