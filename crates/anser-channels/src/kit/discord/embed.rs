//! A card as Discord's embed. Must not cut anything off: what does not fit goes as a message.

use anser_core::message::segment::{Card, Level};
use serde_json::{Value, json};

use super::dialect::MARKDOWN;
use crate::kit::content::{
    Block, Button, CardPart, Look, Run, blocks_above_buttons, buttons as link_buttons, card_blocks,
    plain, text_runs,
};

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 256;
/// Characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 4_096;
/// Fields.
const FIELDS_MAX: usize = 25;
/// Characters of a field's name.
const NAME_CHARS_MAX: usize = 256;
/// Characters of a field's value.
const VALUE_CHARS_MAX: usize = 1_024;
/// Characters of a footer.
const FOOTER_CHARS_MAX: usize = 2_048;
/// Characters of all embeds of a message together.
const ALL_CHARS_MAX: usize = 6_000;

/// Buttons in a row, and rows.
const ROW_MAX: usize = 5;
/// Characters of a button.
const LABEL_CHARS_MAX: usize = 80;
/// Characters of a button's URL.
const BUTTON_URL_CHARS_MAX: usize = 512;

/// The links of a card as rows of buttons; none when one of them cannot be a button.
pub(super) fn buttons(card: &Card) -> Vec<Value> {
    let (links, _) = link_buttons(card);
    let fits = |link: &Button| {
        link.label.chars().count() <= LABEL_CHARS_MAX && link.url.len() <= BUTTON_URL_CHARS_MAX
    };
    if links.len() > ROW_MAX * ROW_MAX || !links.iter().all(fits) {
        return Vec::new();
    }
    let button =
        |link: &Button| json!({"type": 2, "style": 5, "label": link.label, "url": link.url});
    let row = |links: &[Button]| json!({"type": 1, "components": links.iter().map(button).collect::<Vec<Value>>()});
    links.chunks(ROW_MAX).map(row).collect()
}

/// The embed, with the picture at that URL or its own, and without the links that are buttons; `None` when the card does not
/// fit.
pub(super) fn of(part: &CardPart, picture: Option<String>, has_buttons: bool) -> Option<Value> {
    let mut left = Left(ALL_CHARS_MAX);
    let card = &part.card;
    let mut embed = json!({"type": "rich"});
    // What has no place of its own in an embed stands in its description.
    let mut inner = part.clone();
    inner.card.fields.clear();
    if let Some(title) = inner.card.title.take() {
        embed["title"] = left.take(MARKDOWN.escaped(&plain(&title)), TITLE_CHARS_MAX)?;
    }
    if let Some(footer) = inner.card.footer.take() {
        embed["footer"] = json!({"text": left.take(plain(&footer), FOOTER_CHARS_MAX)?});
    }
    let own = match &part.image {
        Some(Run::Image { url, .. }) => Some(url.clone()),
        _ => None,
    };
    if let Some(url) = picture.or(own) {
        embed["image"] = json!({"url": url});
        inner.image = None;
    }
    let blocks = if has_buttons {
        blocks_above_buttons(&inner)
    } else {
        card_blocks(&inner)
    };
    let description = MARKDOWN.write(&blocks);
    if !description.is_empty() {
        embed["description"] = left.take(description, DESCRIPTION_CHARS_MAX)?;
    }
    if card.fields.len() > FIELDS_MAX {
        return None;
    }
    let mut fields = Vec::with_capacity(card.fields.len());
    for field in &card.fields {
        let name = left.take(text(&field.name), NAME_CHARS_MAX)?;
        let value = left.take(text(&field.value), VALUE_CHARS_MAX)?;
        fields.push(json!({"name": name, "value": value, "inline": field.short}));
    }
    if !fields.is_empty() {
        embed["fields"] = fields.into();
    }
    if let Some(color) = color(card) {
        embed["color"] = color.into();
    }
    Some(embed)
}

fn text(text: &str) -> String {
    MARKDOWN.write(&[Block::paragraph(text_runs(text, Look::PLAIN))])
}

/// The characters that are left for all texts.
struct Left(usize);

impl Left {
    fn take(&mut self, text: String, most: usize) -> Option<Value> {
        let count = text.encode_utf16().count();
        self.0 = self.0.checked_sub(count)?;
        (count <= most && !text.trim().is_empty()).then(|| text.into())
    }
}

fn color(card: &Card) -> Option<u32> {
    let own = card.color.as_deref().and_then(|color| {
        let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        u32::from_str_radix(digits, 16).ok()
    });
    own.or(card.level.map(|level| match level {
        Level::Info => 0x34_98_DB,
        Level::Success => 0x2E_CC_71,
        Level::Warning => 0xF1_C4_0F,
        Level::Error => 0xE7_4C_3C,
    }))
}
