//! The forms of a message: blocks of a card, rich text, or text. Must not choose among them, nor know the channel.

use anser_core::Problem;
use anser_core::channel::Step;
use anser_core::message::segment::{Card, Level, MentionKind};
use serde_json::{Value, json};

use super::blocks::{RichText, picture, rich_text};
use super::mention;
use crate::kit::content::{
    Block, Button, CardPart, Look, MediaPart, Run, blocks_above_buttons, buttons, plain, text_runs,
};
use crate::kit::dialect::{Dialect, Place, Unit, no_bare, no_heading, no_link};
use crate::kit::plan::{Form, Needs, Platform, object_within, preview};
use crate::kit::split::{Measure, split};

/// Characters of a message's text. Slack cuts at 40,000, and advises 4,000.
pub(super) const TEXT_CHARS_MAX: usize = 4_000;
/// Characters of all rich text of a message.
pub(super) const RICH_TEXT_CHARS_MAX: usize = 3_000;
/// Blocks of a message.
pub(super) const BLOCKS_MAX: usize = 50;
/// Characters of a header.
const HEADER_CHARS_MAX: usize = 150;
/// Characters of a button.
const BUTTON_CHARS_MAX: usize = 75;
/// Buttons in a row.
const BUTTONS_MAX: usize = 25;
/// Characters of what a notification shows.
const PREVIEW_CHARS_MAX: usize = 150;
/// Bytes of a native payload.
const BODY_BYTES_MAX: usize = 200_000;

/// Text without formatting: only what stands between angle brackets has a meaning.
pub(crate) const TEXT: Dialect = Dialect {
    unit: Unit::Chars,
    escape,
    looks: &[],
    link: no_link,
    bare: no_bare,
    image: no_link,
    mention: |kind, id, _| mention::text(kind, id),
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("&gt; ", "&gt; ", ""),
    divider: "---",
    line: "\n",
    backticks: false,
};

fn escape(c: char, _: Place, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

/// The forms of a kind of channel.
pub(crate) struct Forms {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// The members of `body.override` that are for it, the first wins.
    pub(crate) overrides: &'static [&'static str],
    /// The least form of a message: text without markup is not always read as such.
    pub(crate) least: Form,
    /// The steps that show an attachment, where it can be brought to the platform.
    pub(crate) media: fn(&MediaPart) -> Option<Vec<Step>>,
}

impl Platform for Forms {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn overrides(&self) -> &'static [&'static str] {
        self.overrides
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Markdown, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        if needs.markup || needs.links || needs.mentions {
            Form::Markdown
        } else {
            self.least
        }
    }

    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        (self.media)(media)
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let blocks = payload["blocks"].as_array();
        let few = blocks.is_none_or(|blocks| blocks.len() <= BLOCKS_MAX);
        object_within(payload, BODY_BYTES_MAX).filter(|_| few)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let card = &part.card;
        let mut inner = part.clone();
        let mut blocks = Vec::new();
        if let Some(title) = inner.card.title.take() {
            blocks.push(header(&title)?);
        }
        if let Some(Run::Image { alt, url }) = inner.image.take() {
            blocks.push(picture(&alt, &url));
        } else {
            inner.image = part.image.clone();
        }
        let text = blocks_above_buttons(&inner);
        if room(&text) > RICH_TEXT_CHARS_MAX {
            return None;
        }
        blocks.extend(rich_text(&text));
        let (links, _) = buttons(card);
        if !links.is_empty() {
            blocks.push(actions(&links)?);
        }
        if blocks.len() > BLOCKS_MAX {
            return None;
        }
        let title = card
            .title
            .as_deref()
            .map(|title| vec![Block::paragraph(text_runs(title, Look::PLAIN))]);
        let notified = TEXT.escaped(&preview(&title.unwrap_or(text), PREVIEW_CHARS_MAX));
        Some(vec![match color(card) {
            Some(color) => {
                json!({"text": notified, "mrkdwn": false, "attachments": [{"color": color, "blocks": blocks}]})
            }
            None => json!({"text": notified, "mrkdwn": false, "blocks": blocks}),
        }])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        if form == Form::Text {
            let parts = split(blocks, TEXT_CHARS_MAX, &TEXT)?;
            let body = |part: &Vec<Block>| json!({"text": TEXT.write(part), "mrkdwn": false});
            return Ok(parts.iter().map(body).collect());
        }
        let parts = split(blocks, RICH_TEXT_CHARS_MAX, &RichText)?;
        let body = |part: &Vec<Block>| {
            let notified = TEXT.escaped(&preview(part, PREVIEW_CHARS_MAX));
            json!({"text": notified, "mrkdwn": false, "blocks": rich_text(part)})
        };
        Ok(parts.iter().map(body).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        form != Form::Text
    }

    fn pings(&self, _: Form, kind: MentionKind, id: Option<&str>) -> bool {
        mention::text(kind, id).is_some()
    }
}

fn room(blocks: &[Block]) -> usize {
    let mut room = 0;
    for block in blocks {
        room += RichText.frame(block);
        match block {
            Block::Line { role, runs } => {
                room += runs
                    .iter()
                    .map(|run| RichText.run(role, run))
                    .sum::<usize>();
            }
            Block::Code { text, .. } => room += RichText.code(text),
            Block::Divider => {}
        }
    }
    room
}

fn header(title: &str) -> Option<Value> {
    let title = plain_text(title, HEADER_CHARS_MAX)?;
    Some(json!({"type": "header", "text": title}))
}

/// Text of a header or button, in which emoji names stay names.
fn plain_text(text: &str, most: usize) -> Option<Value> {
    let text = plain(text).replace('\n', " ");
    let fits = !text.trim().is_empty() && text.chars().count() <= most;
    fits.then(|| json!({"type": "plain_text", "text": text, "emoji": false}))
}

fn actions(links: &[Button]) -> Option<Value> {
    if links.len() > BUTTONS_MAX {
        return None;
    }
    let mut elements = Vec::with_capacity(links.len());
    for link in links {
        let text = plain_text(&link.label, BUTTON_CHARS_MAX)?;
        let mut button = json!({"type": "button", "text": text, "url": link.url});
        if let Some(style @ ("primary" | "danger")) = link.style.as_deref() {
            button["style"] = style.into();
        }
        elements.push(button);
    }
    Some(json!({"type": "actions", "elements": elements}))
}

/// The colour of the bar beside a card.
fn color(card: &Card) -> Option<&str> {
    let own = card.color.as_deref().filter(|color| {
        color.len() == 7
            && color.starts_with('#')
            && color[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    own.or(card.level.map(|level| match level {
        Level::Info => "#1264a3",
        Level::Success => "#2eb67d",
        Level::Warning => "#ecb22e",
        Level::Error => "#e01e5a",
    }))
}
