//! A card as one of WeCom's: the template card `text_notice`, an article of `news` with a picture, or a `textcard`. All are
//! short and must lead somewhere. Must not cut anything off: what does not fit goes as Markdown.

use serde_json::{Value, json};

use crate::kit::content::{Button, CardPart, Run, buttons, plain};

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
/// Bytes of the title of an article and of a textcard.
const ARTICLE_TITLE_BYTES_MAX: usize = 128;
/// Bytes of the description of an article and of a textcard.
const ARTICLE_TEXT_BYTES_MAX: usize = 512;
/// Characters of the words by which a textcard says that it leads somewhere.
const MORE_CHARS_MAX: usize = 4;

/// A template card, if the whole card fits. Its texts are plain: a section with markup does not fit.
pub(crate) fn template_card(part: &CardPart) -> Option<Value> {
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
    let text = unmarked(card.sections.iter().chain(&card.footer))?;
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

/// An article with the card's picture, if the whole card fits but for the label of its one link: to open it is all that
/// one can do with an article.
pub(crate) fn news(part: &CardPart) -> Option<Value> {
    let Some(Run::Image { url, .. }) = &part.image else {
        return None;
    };
    let (mut article, _) = article(part)?;
    article["picurl"] = url.as_str().into();
    Some(json!({"msgtype": "news", "news": {"articles": [article]}}))
}

/// A textcard, if the whole card fits; the label of its one link shows only if it is short.
pub(crate) fn textcard(part: &CardPart) -> Option<Value> {
    let None = part.image else {
        return None;
    };
    let (mut card, label) = article(part)?;
    // Both are wanted.
    card["description"]
        .as_str()
        .filter(|text| !text.is_empty())?;
    if let Some(label) = short(&label, MORE_CHARS_MAX) {
        card["btntxt"] = label.into();
    }
    Some(json!({"msgtype": "textcard", "textcard": card}))
}

/// Title, description and address, which an article and a textcard share; and the label of the one link.
fn article(part: &CardPart) -> Option<(Value, String)> {
    let card = &part.card;
    let (links, notes) = buttons(card);
    let ([link], true) = (links.as_slice(), notes.is_empty()) else {
        return None;
    };
    let title = card.title.as_deref().map(plain)?;
    let fields = card.fields.iter();
    let fields: Vec<String> = fields
        .map(|field| format!("{}: {}", field.name, field.value))
        .collect();
    let texts = card.subtitle.iter().chain(&card.sections);
    let text = unmarked(texts.chain(&fields).chain(&card.footer))?;
    let fits = !title.trim().is_empty()
        && title.len() <= ARTICLE_TITLE_BYTES_MAX
        && text.len() <= ARTICLE_TEXT_BYTES_MAX
        && !title.contains(['<', '>', '&']);
    let article = json!({"title": title, "description": text, "url": link.url});
    fits.then(|| (article, link.label.clone()))
}

/// Texts as lines; `None` when one of them has markup, of Markdown or of tags.
fn unmarked<'t>(texts: impl Iterator<Item = &'t String>) -> Option<String> {
    let text = texts.map(String::as_str).collect::<Vec<_>>().join("\n");
    let marked = text.contains(|c: char| "*_`[]<>#|~".contains(c));
    (!marked).then(|| plain(&text))
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
