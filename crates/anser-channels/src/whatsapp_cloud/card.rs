//! A card as an interactive message: one link as a button, or up to three buttons that answer. Must not cut anything off: what
//! does not fit goes as text.

use anser_core::message::segment::{ActionKind, CardAction};
use serde_json::{Value, json};

use super::dialect::MARKUP;
use crate::kit::content::{CardPart, Run, buttons, card_blocks, plain};
use crate::kit::media::mark;

/// Characters of the text
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-reply-buttons-messages>, as the others).
const BODY_CHARS_MAX: usize = 1_024;
/// Characters of the line above or below it.
const LINE_CHARS_MAX: usize = 60;
/// Characters of a button.
const BUTTON_CHARS_MAX: usize = 20;
/// Bytes of what a button answers.
const ID_BYTES_MAX: usize = 256;
/// Buttons that answer.
const REPLIES_MAX: usize = 3;

/// The body of the card, if all of it fits.
pub(super) fn body(part: &CardPart) -> Option<Value> {
    let (kind, action) = action(part)?;
    let mut rest = part.clone();
    rest.image = None;
    rest.media = None;
    rest.card
        .actions
        .retain(|action| action.kind == ActionKind::Copy);
    let mut interactive = json!({"type": kind, "action": action});
    if let Some(picture) = picture(part) {
        interactive["header"] = picture;
    } else if let Some(title) = rest.card.title.as_deref().and_then(line) {
        interactive["header"] = json!({"type": "text", "text": title});
        rest.card.title = None;
    }
    if let Some(footer) = rest.card.footer.as_deref().and_then(line) {
        interactive["footer"] = json!({"text": footer});
        rest.card.footer = None;
    }
    let mut text = MARKUP.write(&card_blocks(&rest));
    if text.trim().is_empty() {
        // A text is wanted: the title, rather than nothing.
        text = interactive["header"]["text"].as_str()?.to_owned();
        interactive.as_object_mut()?.remove("header");
    }
    interactive["body"] = json!({"text": text});
    let fits = text.chars().count() <= BODY_CHARS_MAX;
    fits.then(|| json!({"type": "interactive", "interactive": interactive}))
}

/// The picture at the head: what was uploaded before, or a URL.
fn picture(part: &CardPart) -> Option<Value> {
    if part.media.is_some() {
        return Some(json!({"type": "image", "image": {"id": mark(1)}}));
    }
    match &part.image {
        Some(Run::Image { url, .. }) => Some(json!({"type": "image", "image": {"link": url}})),
        _ => None,
    }
}

/// The kind of interactive message and its buttons; what is to be copied can be read in the text.
fn action(part: &CardPart) -> Option<(&'static str, Value)> {
    let (links, _) = buttons(&part.card);
    let actions = part.card.actions.iter();
    let replies: Vec<&CardAction> = actions
        .clone()
        .filter(|action| action.kind == ActionKind::Callback)
        .collect();
    let urls = actions.filter(|action| action.kind == ActionKind::Url);
    if urls.count() != links.len() {
        return None;
    }
    match (links.as_slice(), replies.as_slice()) {
        ([link], []) => {
            let label = label(&link.label)?;
            let parameters = json!({"display_text": label, "url": link.url});
            Some((
                "cta_url",
                json!({"name": "cta_url", "parameters": parameters}),
            ))
        }
        ([], replies) if (1..=REPLIES_MAX).contains(&replies.len()) => {
            let buttons: Option<Vec<Value>> = replies.iter().map(|action| reply(action)).collect();
            let mut labels: Vec<&str> = replies.iter().map(|action| &*action.label).collect();
            labels.sort_unstable();
            labels.dedup();
            let unique = labels.len() == replies.len();
            unique.then_some(("button", json!({"buttons": buttons?})))
        }
        _ => None,
    }
}

/// A button that answers with the action's id.
fn reply(action: &CardAction) -> Option<Value> {
    let id = action.id.trim();
    let title = label(&action.label)?;
    let good = (1..=ID_BYTES_MAX).contains(&id.len());
    good.then(|| json!({"type": "reply", "reply": {"id": id, "title": title}}))
}

fn label(text: &str) -> Option<String> {
    short(text, BUTTON_CHARS_MAX)
}

fn line(text: &str) -> Option<String> {
    short(text, LINE_CHARS_MAX)
}

/// A text that is there, on one line and short enough.
fn short(text: &str, most: usize) -> Option<String> {
    let text = plain(text);
    let text = text.trim();
    let good = !text.is_empty() && !text.contains('\n') && text.chars().count() <= most;
    good.then(|| text.to_owned())
}
