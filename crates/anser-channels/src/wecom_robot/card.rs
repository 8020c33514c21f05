//! A card as WeCom's template card `text_notice`, which is short and must lead somewhere. Must not cut anything off: what
//! does not fit goes as Markdown.

use serde_json::{Value, json};

use crate::kit::content::{Button, CardPart, buttons, plain};

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 36;
/// Characters below the title.
const SUBTITLE_CHARS_MAX: usize = 44;
/// Characters of the text.
const TEXT_CHARS_MAX: usize = 160;
/// Rows of names and values.
const FIELDS_MAX: usize = 6;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 8;
/// Characters of a value.
const VALUE_CHARS_MAX: usize = 30;
/// Links below the card.
const LINKS_MAX: usize = 3;
/// Characters of a link's label.
const LABEL_CHARS_MAX: usize = 18;

/// The body of the card, if the whole card fits. Its texts are plain: a section with markup does not fit.
pub(super) fn body(part: &CardPart) -> Option<Value> {
    let card = &part.card;
    let (links, notes) = buttons(card);
    let first = links.first()?;
    let title = short(card.title.as_deref()?, TITLE_CHARS_MAX)?;
    if !notes.is_empty() || part.image.is_some() || links.len() > LINKS_MAX {
        return None;
    }
    let mut notice = json!({
        "card_type": "text_notice",
        "main_title": {"title": title},
        "card_action": {"type": 1, "url": first.url}
    });
    if let Some(subtitle) = &card.subtitle {
        notice["main_title"]["desc"] = short(subtitle, SUBTITLE_CHARS_MAX)?.into();
    }
    let text = card.sections.iter().chain(&card.footer);
    let text = text.map(String::as_str).collect::<Vec<_>>().join("\n");
    if text.contains(|c: char| "*_`[]<>#|~".contains(c)) {
        return None;
    }
    if !text.is_empty() {
        notice["sub_title_text"] = short(&text, TEXT_CHARS_MAX)?.into();
    }
    let rows = rows(part)?;
    if !rows.is_empty() {
        notice["horizontal_content_list"] = rows.into();
    }
    notice["jump_list"] = links.iter().map(jump).collect::<Option<Vec<_>>>()?.into();
    Some(json!({"msgtype": "template_card", "template_card": notice}))
}

fn rows(part: &CardPart) -> Option<Vec<Value>> {
    let fields = &part.card.fields;
    if fields.len() > FIELDS_MAX {
        return None;
    }
    let row = fields.iter().map(|field| {
        let name = short(&field.name, NAME_CHARS_MAX)?;
        let value = short(&field.value, VALUE_CHARS_MAX)?;
        Some(json!({"keyname": name, "value": value}))
    });
    row.collect()
}

fn jump(button: &Button) -> Option<Value> {
    let title = short(&button.label, LABEL_CHARS_MAX)?;
    Some(json!({"type": 1, "title": title, "url": button.url}))
}

/// A text that is there and short enough.
fn short(text: &str, most: usize) -> Option<String> {
    let text = plain(text);
    (!text.trim().is_empty() && text.chars().count() <= most).then_some(text)
}
