//! The forms of a message from a bot: HTML with buttons, HTML, text, or media. Must not know the chat.

use anser_core::Problem;
use anser_core::channel::Step;
use anser_core::message::segment::{Known, MentionKind};
use serde_json::{Map, Value, json};

use super::dialect::{HTML, TEXT};
use super::media;
use crate::kit::content::{Block, Button, CardPart, MediaPart, blocks_above_buttons, buttons};
use crate::kit::plan::{Form, Needs, Platform, object_within};
use crate::kit::split::split;

/// UTF-16 code units of a message. Telegram counts them without tags; here they count.
pub(super) const TEXT_UNITS_MAX: usize = 4_096;
/// Buttons in a row.
const ROW_MAX: usize = 3;
/// Bytes of a native payload.
const BODY_BYTES_MAX: usize = 100_000;

/// The bot's forms.
pub(super) struct Bot;

impl Platform for Bot {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn overrides(&self) -> &'static [&'static str] {
        &[super::KIND, "telegram"]
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Markdown, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        if needs.markup || needs.links || needs.mentions {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let named = payload.get(media::METHOD);
        let sends = named.is_none_or(|name| name.as_str().is_some_and(is_sending));
        object_within(payload, BODY_BYTES_MAX).filter(|_| sends)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let text = HTML.write(&blocks_above_buttons(part));
        if text.trim().is_empty() || text.encode_utf16().count() > TEXT_UNITS_MAX {
            return None;
        }
        let mut body = html(text);
        let (links, _) = buttons(&part.card);
        if !links.is_empty() {
            let rows: Vec<Value> = links.chunks(ROW_MAX).map(row).collect();
            body["reply_markup"] = json!({"inline_keyboard": rows});
        }
        Some(vec![body])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        if form == Form::Text {
            let parts = split(blocks, TEXT_UNITS_MAX, &TEXT)?;
            let body = |part: &Vec<Block>| json!({"text": TEXT.write(part)});
            return Ok(parts.iter().map(body).collect());
        }
        let parts = split(blocks, TEXT_UNITS_MAX, &HTML)?;
        Ok(parts.iter().map(|part| html(HTML.write(part))).collect())
    }

    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        Some(vec![media::step(media, Map::new())?])
    }

    fn captioned(&self, media: &MediaPart, blocks: &[Block], form: Form) -> Option<Vec<Step>> {
        let dialect = if form == Form::Text { TEXT } else { HTML };
        let text = dialect.write(blocks);
        let fits = text.encode_utf16().count() <= media::CAPTION_UNITS_MAX;
        if !fits || !media::takes_caption(media) {
            return None;
        }
        let mut caption = Map::new();
        caption.insert("caption".to_owned(), text.into());
        if form != Form::Text {
            caption.insert("parse_mode".to_owned(), "HTML".into());
        }
        Some(vec![media::step(media, caption)?])
    }

    fn segment(&self, segment: &Known) -> Option<Value> {
        media::segment(segment)
    }

    fn shows_pictures(&self, _: Form) -> bool {
        false
    }

    fn pings(&self, form: Form, kind: MentionKind, id: Option<&str>) -> bool {
        let dialect = if form == Form::Text { TEXT } else { HTML };
        (dialect.mention)(kind, id, "").is_some()
    }
}

/// Whether a method of the Bot API shows something in a chat, and no more.
pub(super) fn is_sending(method: &str) -> bool {
    let rest = method.strip_prefix("send");
    rest.is_some_and(|rest| rest.len() <= 32 && rest.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

fn html(text: String) -> Value {
    json!({"text": text, "parse_mode": "HTML"})
}

fn row(links: &[Button]) -> Value {
    links
        .iter()
        .map(|link| json!({"text": link.label, "url": link.url}))
        .collect()
}
