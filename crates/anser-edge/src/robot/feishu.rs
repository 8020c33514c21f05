//! The dialect of Feishu's and Lark's group robots: text, post, image, a shared chat, cards of both schemas. Formats,
//! signature and codes: platforms.md §1.1, after the open platform's guide to custom bots.

use anser_core::message::segment::{Level, MentionKind, Style};
use serde_json::{Map, Value, json};

use super::draft::{CardDraft, Draft};
use super::member::{bracketed, first, list, text};
use super::proof::{self, SKEW_MAX};
use super::reply::{Reply, json as reply};
use super::told::{Fault, Posted, Told};

/// The kind of channel that what is native here goes to as it is.
const KIND: &str = "feishu-robot";
/// How deep a card's containers are looked into.
const CARD_DEPTH_MAX: usize = 8;

/// The signature in the body: an HMAC-SHA256 of nothing, its key the time in seconds, a line feed and the secret.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let body = posted.json()?;
    let time = match &body["timestamp"] {
        Value::String(time) => time.clone(),
        Value::Number(time) => time.to_string(),
        _ => return Err(Fault::Unsigned),
    };
    let sign = text(&body, "/sign").ok_or(Fault::Unsigned)?;
    proof::hmac_base64(format!("{time}\n{secret}").as_bytes(), b"", sign)?;
    let seconds: i64 = time.parse().map_err(|_| Fault::Stale)?;
    proof::fresh(posted, seconds.saturating_mul(1_000), SKEW_MAX)
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let mut body = object(posted.json()?)?;
    for signature in ["timestamp", "sign"] {
        body.shift_remove(signature);
    }
    let body = Value::Object(body);
    let kind = text(&body, "/msg_type").ok_or(Fault::Missing("msg_type"))?;
    let mut draft = Draft::default();
    match kind {
        "text" => {
            let said = text(&body, "/content/text").ok_or(Fault::Missing("content.text"))?;
            marked_text(&mut draft, said);
        }
        "post" => post(&mut draft, &body)?,
        "image" => {
            text(&body, "/content/image_key").ok_or(Fault::Missing("content.image_key"))?;
            draft.raw(KIND, body.clone());
            return draft.finish(kind);
        }
        "share_chat" => {
            text(&body, "/content/share_chat_id").ok_or(Fault::Missing("content.share_chat_id"))?;
            draft.raw(KIND, body.clone());
            return draft.finish(kind);
        }
        "interactive" => {
            let card = body.get("card").ok_or(Fault::Missing("card"))?;
            if !interactive(&mut draft, card) {
                draft.raw(KIND, body.clone());
                return draft.finish(kind);
            }
        }
        _ => return Err(Fault::UnknownType(kind.to_owned())),
    }
    let kind = kind.to_owned();
    draft.keep(KIND, body);
    draft.finish(&kind)
}

fn object(value: Value) -> Result<Map<String, Value>, Fault> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Fault::Malformed("the body is no JSON object".to_owned())),
    }
}

/// Text with mentions written as `<at user_id="ou_x">Tom</at>`; anything else in angle brackets is text.
fn marked_text(draft: &mut Draft, said: &str) {
    let mut rest = said;
    while let Some(start) = rest.find("<at ") {
        let Some((id, name, after)) = mention_at(&rest[start..]) else {
            let (before, after) = rest.split_at(start + "<at ".len());
            draft.text(before);
            rest = after;
            continue;
        };
        draft.text(&rest[..start]);
        mention(draft, id, Some(name));
        rest = after;
    }
    draft.text(rest);
}

/// The id and name of the mention that a text begins with, and what follows it.
fn mention_at(text: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = bracketed(text)?;
    let (name, after) = match head.strip_suffix('/') {
        Some(_) => ("", rest),
        None => {
            let (name, after) = bracketed(rest)?;
            (name.strip_suffix("</at")?, after)
        }
    };
    let (_, id) = head.split_once("id=")?;
    let id = id.trim_end_matches('/').trim();
    let id = id.trim_matches(['"', '\'']);
    (!id.is_empty() && !name.contains('<')).then_some((id, name, after))
}

fn mention(draft: &mut Draft, id: &str, name: Option<&str>) {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    match id {
        "all" => draft.mention(MentionKind::All, None, name),
        id => draft.mention(MentionKind::User, Some(id), name),
    }
}

/// The first language of a post, Chinese before others.
fn post(draft: &mut Draft, body: &Value) -> Result<(), Fault> {
    let locales = body.pointer("/content/post").and_then(Value::as_object);
    let locales = locales.ok_or(Fault::Missing("content.post"))?;
    let locale = locales.get("zh_cn").or_else(|| locales.values().next());
    let locale = locale.ok_or(Fault::Missing("content.post.zh_cn"))?;
    if let Some(title) = text(locale, "/title") {
        draft.styled(title, &[Style::Bold]);
    }
    for paragraph in list(locale, "/content") {
        draft.line();
        for node in paragraph.as_array().into_iter().flatten() {
            post_node(draft, node);
        }
    }
    Ok(())
}

fn post_node(draft: &mut Draft, node: &Value) {
    let said = node["text"].as_str().unwrap_or_default();
    match node["tag"].as_str().unwrap_or_default() {
        "text" => draft.styled(said, &styles(node)),
        "md" => draft.markdown(said),
        "a" => draft.link(node["href"].as_str().unwrap_or_default(), Some(said), None),
        "at" => {
            let name = text(node, "/user_name");
            mention(draft, node["user_id"].as_str().unwrap_or("all"), name);
        }
        "emotion" => draft.emoji(node["emoji_type"].as_str().unwrap_or("emoji"), None),
        "hr" => draft.divider(),
        "code_block" => draft.code(text(node, "/language"), said),
        // Pictures by a key that only the platform can look up.
        "img" | "media" => draft.text("[image]"),
        _ => draft.text(said),
    }
}

fn styles(node: &Value) -> Vec<Style> {
    let names = list(node, "/style").iter().filter_map(Value::as_str);
    names
        .filter_map(|name| match name {
            "bold" => Some(Style::Bold),
            "italic" => Some(Style::Italic),
            "underline" => Some(Style::Underline),
            "lineThrough" => Some(Style::Strike),
            _ => None,
        })
        .collect()
}

/// A card of either schema; false when nothing of it can be read, such as of a template's.
fn interactive(draft: &mut Draft, card: &Value) -> bool {
    let (title, level) = header(card);
    let mut drawn = CardDraft::new(title.unwrap_or_default(), level);
    drawn.subtitle(text(card, "/header/subtitle/content"));
    let link = first(card, &["/card_link/url", "/card_link/pc_url"]);
    elements(&mut drawn, body_elements(card), 0);
    drawn.button("Open", link);
    if drawn.is_blank() {
        return false;
    }
    draft.card(drawn);
    true
}

fn header(card: &Value) -> (Option<&str>, Option<Level>) {
    let title = first(
        card,
        &["/header/title/content", "/i18n_header/zh_cn/title/content"],
    );
    let level = match card.pointer("/header/template").and_then(Value::as_str) {
        Some("red" | "carmine") => Some(Level::Error),
        Some("orange" | "yellow") => Some(Level::Warning),
        Some("green" | "turquoise") => Some(Level::Success),
        Some("blue" | "wathet" | "indigo") => Some(Level::Info),
        Some(_) | None => None,
    };
    (title, level)
}

/// The elements: below `body` in schema 2.0, at the top or by language in the first.
fn body_elements(card: &Value) -> &[Value] {
    let places = ["/body/elements", "/elements", "/i18n_elements/zh_cn"];
    let found = places.iter().map(|place| list(card, place));
    found
        .into_iter()
        .find(|list| !list.is_empty())
        .unwrap_or_default()
}

fn elements(card: &mut CardDraft, elements: &[Value], depth: usize) {
    if depth > CARD_DEPTH_MAX {
        return;
    }
    for element in elements {
        element_on(card, element, depth);
    }
}

fn element_on(card: &mut CardDraft, element: &Value, depth: usize) {
    match element["tag"].as_str().unwrap_or_default() {
        "markdown" => card.section(text(element, "/content").unwrap_or_default()),
        "plain_text" => card.section(text(element, "/content").unwrap_or_default()),
        "div" => {
            if let Some(said) = text(element, "/text/content") {
                card.section(said);
            }
            for field in list(element, "/fields") {
                if let Some(said) = text(field, "/text/content") {
                    card.section(said);
                }
            }
        }
        "hr" => card.section("---"),
        "note" => {
            let parts = list(element, "/elements").iter();
            let said: Vec<&str> = parts.filter_map(|part| text(part, "/content")).collect();
            card.footer(
                Some(&said.join(" "))
                    .filter(|_| !said.is_empty())
                    .map(String::as_str),
            );
        }
        "img" => card.section(text(element, "/alt/content").unwrap_or_default()),
        "button" => button(card, element),
        // Containers: `action` of the first schema, the others of the second.
        _ => {
            for members in ["/actions", "/elements", "/columns"] {
                elements(card, list(element, members), depth + 1);
            }
        }
    }
}

fn button(card: &mut CardDraft, element: &Value) {
    let label = text(element, "/text/content").unwrap_or("Open");
    let opened = list(element, "/behaviors").iter();
    let behavior = opened
        .filter(|behavior| behavior["type"] == "open_url")
        .find_map(|behavior| first(behavior, &["/default_url", "/pc_url"]));
    let url = first(element, &["/url", "/multi_url/url", "/multi_url/pc_url"]);
    card.button(label, url.or(behavior));
}

/// What is answered to a message that was taken.
pub(super) fn done() -> Reply {
    let body = json!({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success", "Extra": null});
    reply(200, &body)
}

/// What is answered to a request that was not.
pub(super) fn refused(fault: &Fault) -> Reply {
    let (status, code, message) = match fault {
        Fault::Unknown => {
            let message = "param invalid: incoming webhook access token invalid";
            (404, 19_001, message.to_owned())
        }
        Fault::Unsigned | Fault::Forged | Fault::Stale => {
            let message = "sign match fail or timestamp is not within one hour from current time";
            (200, 19_021, message.to_owned())
        }
        Fault::TooLarge(detail) => (413, 19_036, format!("request body too large: {detail}")),
        Fault::Busy(detail) => (503, 2_200, format!("internal error: {detail}")),
        Fault::Slow | Fault::Internal => (fault.status(), 2_200, fault.detail()),
        Fault::NoSuchCall | Fault::Method => (fault.status(), 9_499, fault.detail()),
        Fault::Malformed(_)
        | Fault::Missing(_)
        | Fault::UnknownType(_)
        | Fault::Empty
        | Fault::Refused(_) => (400, 9_499, format!("Bad Request: {}", fault.detail())),
    };
    reply(status, &json!({"code": code, "msg": message, "data": {}}))
}
