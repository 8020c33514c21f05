//! The dialect of Discord's webhooks: content, embeds, link buttons and files, as JSON or as a form with `payload_json`.
//! Formats and codes: platforms.md §6; embeds and components after discord.com/developers/docs/resources/message (not
//! checked against the service). Messages that were posted can be neither edited nor deleted through a robot.

use anser_core::message::segment::{Level, MentionKind};
use anser_gateway::publish::Published;
use serde_json::{Value, json};

use super::draft::{CardDraft, Draft};
use super::member::{bracketed, list, text};
use super::multipart;
use super::reply::{Reply, empty, json as reply};
use super::told::{Fault, Posted, Told, parse};

/// The kind of channel that what is native here goes to as it is.
const KIND: &str = "discord-webhook";
/// Embeds of a message.
const EMBEDS_MAX: usize = 10;
/// Bytes of the JSON of a message; a form may be larger by its files.
const JSON_BYTES_MAX: usize = 1024 * 1024;
/// How deep components are looked into.
const DEPTH_MAX: usize = 8;
/// The first second of 2015 in milliseconds since the Unix epoch, from which ids count
/// (discord.com/developers/docs/reference#snowflakes).
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits of an id below its time.
const ID_TIME_SHIFT: u32 = 22;

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    if posted.rest.contains("/messages/") {
        return Err(Fault::NoSuchCall);
    }
    let mut draft = Draft::default();
    let content_type = posted.header("content-type").unwrap_or_default();
    let form = posted.media_type() == "multipart/form-data";
    let parts = if form {
        multipart::parts(content_type, posted.body)?
    } else {
        Vec::new()
    };
    let payload = parts.iter().find(|part| part.name == "payload_json");
    let json = match (payload, form) {
        (Some(part), _) => part.bytes,
        (None, true) => b"",
        (None, false) => posted.body,
    };
    if json.len() > JSON_BYTES_MAX {
        let detail = format!("a message has at most {JSON_BYTES_MAX} bytes of JSON");
        return Err(Fault::TooLarge(detail));
    }
    let body = match payload {
        Some(part) => parse(part.bytes)?,
        None if form => form_fields(&parts),
        None => posted.json()?,
    };
    if !body.is_object() {
        return Err(Fault::Malformed("the body is no JSON object".to_owned()));
    }
    let kind = write(&mut draft, &body)?;
    for file in parts.iter().filter(|part| part.file_name.is_some()) {
        draft.line();
        let media_type = file.media_type.as_deref();
        draft.file(file.file_name.as_deref(), media_type, file.bytes.to_vec());
    }
    if draft.is_empty() && body.get("poll").is_some_and(Value::is_object) {
        draft.raw(KIND, body);
        return draft.finish("poll");
    }
    if !form {
        draft.keep(KIND, body);
    }
    draft.finish(kind)
}

/// The fields of a form that has no `payload_json`.
fn form_fields(parts: &[multipart::Part<'_>]) -> Value {
    let fields = parts.iter().filter(|part| part.file_name.is_none());
    fields
        .map(|part| {
            let value = String::from_utf8_lossy(part.bytes).into_owned();
            (part.name.clone(), Value::from(value))
        })
        .collect()
}

fn write(draft: &mut Draft, body: &Value) -> Result<&'static str, Fault> {
    if let Some(said) = text(body, "/content") {
        content(draft, said);
    }
    let embeds = list(body, "/embeds");
    if embeds.len() > EMBEDS_MAX {
        return Err(Fault::TooLarge(format!(
            "a message has at most {EMBEDS_MAX} embeds"
        )));
    }
    for embedded in embeds {
        embed(draft, embedded);
    }
    components(draft, list(body, "/components"), 0);
    Ok(if embeds.is_empty() {
        "content"
    } else {
        "embeds"
    })
}

/// Text in Discord's Markdown, with mentions `<@1>`, `<@&1>`, `<#1>`, emoji `<:name:1>`, `@everyone` and `@here`.
fn content(draft: &mut Draft, said: &str) {
    let mut markdown = String::new();
    let mut rest = said;
    while let Some(at) = rest.find(['<', '@']) {
        let (before, after) = rest.split_at(at);
        markdown.push_str(before);
        let Some((write, after)) = reference(after) else {
            let (mark, after) = after.split_at(1);
            markdown.push_str(mark);
            rest = after;
            continue;
        };
        draft.markdown(&std::mem::take(&mut markdown));
        write(draft);
        rest = after;
    }
    markdown.push_str(rest);
    draft.markdown(&markdown);
}

/// How the reference that a text begins with is written, and what follows it.
#[expect(clippy::type_complexity, reason = "a name for it would tell no more")]
fn reference(text: &str) -> Option<(Box<dyn Fn(&mut Draft) + '_>, &str)> {
    if let Some(after) = text.strip_prefix("@everyone") {
        return Some((
            Box::new(|draft| draft.mention(MentionKind::All, None, None)),
            after,
        ));
    }
    if let Some(after) = text.strip_prefix("@here") {
        return Some((
            Box::new(|draft| draft.mention(MentionKind::Here, None, None)),
            after,
        ));
    }
    let (inner, after) = bracketed(text.strip_prefix('<')?)?;
    let number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let of = |kind: MentionKind, id| -> Box<dyn Fn(&mut Draft)> {
        Box::new(move |draft| draft.mention(kind, Some(id), None))
    };
    if let Some(id) = inner.strip_prefix("@&").filter(|id| number(id)) {
        return Some((of(MentionKind::Role, id), after));
    }
    let user = inner.strip_prefix("@!").or_else(|| inner.strip_prefix('@'));
    if let Some(id) = user.filter(|id| number(id)) {
        return Some((of(MentionKind::User, id), after));
    }
    if let Some(id) = inner.strip_prefix('#').filter(|id| number(id)) {
        return Some((of(MentionKind::Channel, id), after));
    }
    let emoji = inner
        .strip_prefix("a:")
        .or_else(|| inner.strip_prefix(':'))?;
    let (name, id) = emoji.split_once(':')?;
    (number(id) && !name.is_empty()).then(|| {
        (
            Box::new(move |draft: &mut Draft| draft.emoji(name, None)) as Box<_>,
            after,
        )
    })
}

fn embed(draft: &mut Draft, embed: &Value) {
    let color = embed["color"].as_u64().filter(|color| *color <= 0xff_ffff);
    let mut card = CardDraft::new(
        text(embed, "/title").unwrap_or_default(),
        color.and_then(level),
    );
    card.color(color.map(|color| format!("#{color:06x}")));
    card.subtitle(text(embed, "/author/name"));
    card.section(text(embed, "/description").unwrap_or_default());
    for field in list(embed, "/fields") {
        let name = text(field, "/name").unwrap_or("·");
        let value = text(field, "/value").unwrap_or_default();
        card.field_whole(name, value, field["inline"] == true);
    }
    let picture = text(embed, "/image/url").or_else(|| text(embed, "/thumbnail/url"));
    card.image(picture.and_then(|url| draft.attachment_at(url)));
    card.button("Open", text(embed, "/url"));
    card.footer(text(embed, "/footer/text"));
    if !card.is_blank() {
        draft.card(card);
    }
}

/// What the colours mean that bots use for it: the strongest part decides.
fn level(color: u64) -> Option<Level> {
    let (red, green, blue) = (color >> 16 & 0xff, color >> 8 & 0xff, color & 0xff);
    let strong = |part: u64| part >= 0x80;
    match (strong(red), strong(green), strong(blue)) {
        (true, false, false) => Some(Level::Error),
        (true, true, false) => Some(Level::Warning),
        (false, true, false) => Some(Level::Success),
        (false, false, true) => Some(Level::Info),
        _ => None,
    }
}

/// Buttons that open a link, and text of the newer components.
fn components(draft: &mut Draft, components_given: &[Value], depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for component in components_given {
        if let Some(url) = text(component, "/url") {
            draft.line();
            draft.link(url, text(component, "/label"), None);
        }
        if let Some(said) = text(component, "/content") {
            draft.line();
            content(draft, said);
        }
        components(draft, list(component, "/components"), depth + 1);
    }
}

/// What is answered to a message that was taken: nothing, or with `wait=true` the message.
pub(super) fn done(posted: &Posted<'_>, published: &Published) -> Reply {
    if !matches!(
        posted.parameter("wait").as_deref(),
        Some("true" | "1" | "True")
    ) {
        return empty(204);
    }
    let body = posted.json().unwrap_or_default();
    let since = posted.now.millis().saturating_sub(EPOCH_MS);
    let below = published.seq.unwrap_or_default() & ((1 << ID_TIME_SHIFT) - 1);
    let id = (u64::try_from(since).unwrap_or_default() << ID_TIME_SHIFT) | below;
    let thread = posted
        .parameter("thread_id")
        .unwrap_or_else(|| "1".to_owned());
    let name = text(&body, "/username").unwrap_or("Anser");
    let shown = json!({
        "type": 0, "id": id.to_string(), "channel_id": thread, "webhook_id": "1",
        "content": body["content"].as_str().unwrap_or_default(),
        "embeds": list(&body, "/embeds"), "attachments": [], "components": [], "mentions": [], "mention_roles": [],
        "mention_everyone": false, "pinned": false, "tts": false, "flags": 0,
        "timestamp": posted.now.to_string(), "edited_timestamp": null,
        "author": {"id": "1", "username": name, "discriminator": "0000", "avatar": null, "bot": true},
    });
    reply(200, &shown)
}

/// What is answered to a request that was not.
pub(super) fn refused(fault: &Fault) -> Reply {
    let (status, code, message) = match fault {
        Fault::Unknown => (404, 10_015, "Unknown Webhook".to_owned()),
        Fault::NoSuchCall => (404, 10_008, "Unknown Message".to_owned()),
        Fault::Unsigned | Fault::Forged | Fault::Stale => {
            (401, 50_027, "Invalid Webhook Token".to_owned())
        }
        Fault::Empty => (400, 50_006, "Cannot send an empty message".to_owned()),
        Fault::Malformed(detail) => (
            400,
            50_109,
            format!("The request body contains invalid JSON. {detail}"),
        ),
        Fault::Missing(_) | Fault::UnknownType(_) | Fault::Refused(_) => {
            let body = json!({"message": "Invalid Form Body", "code": 50_035,
                "errors": {"_errors": [{"code": "INVALID", "message": fault.detail()}]}});
            return reply(400, &body);
        }
        Fault::TooLarge(_) => (413, 40_005, "Request entity too large".to_owned()),
        Fault::Method => (405, 0, "405: Method Not Allowed".to_owned()),
        Fault::Busy(_) => {
            let message = "API resource is currently overloaded. Try again a little later";
            (503, 130_000, message.to_owned())
        }
        Fault::Slow | Fault::Internal => (fault.status(), 0, fault.detail()),
    };
    reply(status, &json!({"message": message, "code": code}))
}
