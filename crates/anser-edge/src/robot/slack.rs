//! The dialect of Slack's incoming webhooks: text, blocks, attachments, as JSON or in the field `payload` of a form. Formats
//! and refusals: platforms.md §4; blocks and attachments after Slack's reference at docs.slack.dev/reference/block-kit/blocks
//! and docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments (not checked against the service).

mod blocks;
mod mrkdwn;

use anser_core::message::segment::Level;
use serde_json::Value;

use super::draft::{CardDraft, Draft};
use super::member::{list, scalar, text};
use super::reply::{Reply, text as reply};
use super::told::{Fault, Posted, Told};

/// The kind of channel that what is native here goes to as it is.
const KIND: &str = "slack-webhook";
/// Attachments of a message (docs.slack.dev: `too_many_attachments`).
const ATTACHMENTS_MAX: usize = 100;
/// How deep blocks are looked into.
const DEPTH_MAX: usize = 8;

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the payload is no JSON object".to_owned()));
    }
    let (said, shown) = (text(&body, "/text"), list(&body, "/blocks"));
    let attachments = list(&body, "/attachments");
    if said.is_none() && shown.is_empty() && attachments.is_empty() {
        return Err(Fault::Empty);
    }
    if body
        .get("blocks")
        .is_some_and(|blocks| !blocks.is_array() && !blocks.is_null())
    {
        return Err(Fault::Missing("blocks"));
    }
    if attachments.len() > ATTACHMENTS_MAX {
        let detail = format!("a message has at most {ATTACHMENTS_MAX} attachments");
        return Err(Fault::TooLarge(detail));
    }
    let mut draft = Draft::default();
    blocks::write(&mut draft, shown, 0);
    // Where there are blocks, the text is only for what cannot show them.
    if shown.is_empty() {
        match body.get("mrkdwn") {
            Some(Value::Bool(false)) => draft.text(&mrkdwn::unescaped(said.unwrap_or_default())),
            _ => mrkdwn::write(&mut draft, said.unwrap_or_default()),
        }
    }
    for attached in attachments {
        draft.line();
        attachment(&mut draft, attached);
    }
    if draft.is_empty() {
        mrkdwn::write(&mut draft, said.unwrap_or_default());
    }
    if draft.is_empty() {
        draft.raw(KIND, body);
        return draft.finish("blocks");
    }
    let kind = if shown.is_empty() { "text" } else { "blocks" };
    draft.keep(KIND, body);
    draft.finish(kind)
}

/// An attachment of the old form as a card, one of blocks as those.
fn attachment(draft: &mut Draft, attached: &Value) {
    let shown = list(attached, "/blocks");
    if !shown.is_empty() {
        blocks::write(draft, shown, 0);
        return;
    }
    if let Some(before) = text(attached, "/pretext") {
        mrkdwn::write(draft, before);
        draft.line();
    }
    let color = text(attached, "/color");
    let title = text(attached, "/title").map(mrkdwn::unescaped);
    let mut card = CardDraft::new(&title.unwrap_or_default(), color.and_then(level));
    card.color(
        color
            .filter(|color| color.starts_with('#'))
            .map(str::to_owned),
    );
    card.subtitle(text(attached, "/author_name"));
    if let Some(said) = text(attached, "/text") {
        card.section(&mrkdwn::to_markdown(said));
    }
    for field in list(attached, "/fields") {
        let name = text(field, "/title").unwrap_or_default();
        let value = field.get("value").and_then(scalar).unwrap_or_default();
        card.field(name, &mrkdwn::unescaped(&value), field["short"] == true);
    }
    card.button("Open", text(attached, "/title_link"));
    for action in list(attached, "/actions") {
        card.button(
            text(action, "/text").unwrap_or("Open"),
            text(action, "/url"),
        );
    }
    let picture = text(attached, "/image_url").or_else(|| text(attached, "/thumb_url"));
    card.image(picture.and_then(|url| draft.attachment_at(url)));
    card.footer(text(attached, "/footer"));
    if card.is_blank() {
        mrkdwn::write(draft, text(attached, "/fallback").unwrap_or_default());
    } else {
        draft.card(card);
    }
}

/// What the colours of attachments mean.
fn level(color: &str) -> Option<Level> {
    match color {
        "good" => Some(Level::Success),
        "warning" => Some(Level::Warning),
        "danger" => Some(Level::Error),
        _ => None,
    }
}

/// What is answered to a message that was taken.
pub(super) fn done() -> Reply {
    reply(200, "ok")
}

/// What is answered to a request that was not: one word, as clients compare it.
pub(super) fn refused(fault: &Fault) -> Reply {
    match fault {
        Fault::Unknown | Fault::NoSuchCall => reply(404, "no_service"),
        Fault::Unsigned | Fault::Forged | Fault::Stale => reply(403, "invalid_token"),
        Fault::Empty => reply(400, "no_text"),
        Fault::Missing("blocks") => reply(400, "invalid_blocks_format"),
        Fault::Malformed(_) | Fault::Missing(_) | Fault::UnknownType(_) => {
            reply(400, "invalid_payload")
        }
        Fault::TooLarge(_) => reply(413, "msg_too_long"),
        Fault::Refused(_) => reply(403, "action_prohibited"),
        Fault::Method => reply(405, "method_not_allowed"),
        Fault::Busy(_) => reply(503, "service_unavailable"),
        Fault::Slow => reply(408, "request_timeout"),
        Fault::Internal => reply(500, "internal_error"),
    }
}

#[cfg(test)]
mod tests;
