//! The forms of a message from a bot: HTML with buttons, HTML, or text. Must not know the chat.

use anser_core::Problem;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::dialect::{HTML, TEXT};
use crate::kit::content::{Block, Button, CardPart, blocks_above_buttons, buttons};
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
        object_within(payload, BODY_BYTES_MAX)
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

    fn shows_pictures(&self, _: Form) -> bool {
        false
    }

    fn pings(&self, form: Form, kind: MentionKind, id: Option<&str>) -> bool {
        let dialect = if form == Form::Text { TEXT } else { HTML };
        (dialect.mention)(kind, id, "").is_some()
    }
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
