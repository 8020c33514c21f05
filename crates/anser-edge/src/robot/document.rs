//! The dialect `json`: any JSON document. Of an object the members that are commonly called so become title, text, level
//! and link of a card, and other single values its fields; every other document is shown as it is. The document itself is
//! kept.

use anser_core::message::segment::Level;
use anser_core::name::check_type;
use serde_json::{Map, Value};

use super::draft::{CardDraft, Draft};
use super::member::{TEXT_CHARS, escaped, scalar, shorten};
use super::told::{Fault, Posted, Told};

/// The dialect.
const NAME: &str = "json";
/// What members are commonly called, ignoring case.
const TITLES: &[&str] = &["title", "subject", "summary", "name", "event"];
const TEXTS: &[&str] = &[
    "text",
    "message",
    "msg",
    "body",
    "content",
    "description",
    "detail",
    "details",
];
const LEVELS: &[&str] = &["level", "severity", "status", "state", "priority"];
const LINKS: &[&str] = &["url", "link", "href", "html_url", "web_url"];
const TIMES: &[&str] = &["time", "timestamp", "occurred_at", "date"];

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    let mut draft = Draft::default();
    match &body {
        Value::Object(members) if !members.is_empty() => object(&mut draft, members),
        Value::String(said) if said.trim().is_empty() => return Err(Fault::Empty),
        Value::String(said) => draft.text(said),
        Value::Null => return Err(Fault::Empty),
        other => draft.code(Some(NAME), &other.to_string()),
    }
    draft.keep(NAME, body);
    draft.finish(NAME)
}

fn object(draft: &mut Draft, members: &Map<String, Value>) {
    let find = |names: &[&str]| {
        names.iter().find_map(|wanted| {
            let mut given = members.iter();
            given
                .find(|(name, value)| name.eq_ignore_ascii_case(wanted) && scalar(value).is_some())
                .map(|(name, _)| name.as_str())
        })
    };
    let value = |name: Option<&str>| name.and_then(|name| scalar(&members[name]));
    let (title, said, link) = (find(TITLES), find(TEXTS), find(LINKS));
    let level = find(LEVELS).filter(|name| level(&members[*name]).is_some());
    if let Some(Value::String(name)) = members.get("type")
        && check_type("type", name).is_ok()
    {
        draft.event(&[name]);
    }
    let time = value(find(TIMES));
    draft.occurred(time.as_deref());
    if let (None, None, Some(said)) = (title, level, value(said).filter(|_| members.len() == 1)) {
        draft.text(&said);
        return;
    }
    let mut card = CardDraft::new(
        &value(title).unwrap_or_default(),
        level.and_then(|name| self::level(&members[name])),
    );
    card.section(&escaped(&shorten(
        &value(said).unwrap_or_default(),
        TEXT_CHARS,
    )));
    for (name, member) in members {
        let shown = [title, said].contains(&Some(name.as_str()));
        if shown || link == Some(name.as_str()) {
            continue;
        }
        let text = scalar(member).unwrap_or_else(|| match member {
            Value::Array(_) | Value::Object(_) => member.to_string(),
            _ => String::new(),
        });
        card.field(name, &text, text.chars().count() <= 30);
    }
    card.button("Open", value(link).as_deref());
    if card.is_blank() {
        draft.code(Some(NAME), &Value::Object(members.clone()).to_string());
    } else {
        draft.card(card);
    }
}

fn level(value: &Value) -> Option<Level> {
    match value.as_str()?.to_ascii_lowercase().as_str() {
        "error" | "err" | "critical" | "crit" | "fatal" | "alert" | "emergency" | "failed"
        | "failure" | "down" | "firing" | "high" => Some(Level::Error),
        "warning" | "warn" | "degraded" | "medium" => Some(Level::Warning),
        "ok" | "success" | "succeeded" | "resolved" | "up" | "passed" | "recovered" => {
            Some(Level::Success)
        }
        "info" | "information" | "notice" | "debug" | "low" => Some(Level::Info),
        _ => None,
    }
}
