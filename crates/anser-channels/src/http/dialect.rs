//! A message as the variables `text`, `markdown` and `title`: in no platform's own form. Must not choose what is sent.

use anser_core::Message;
use anser_core::channel::Links;
use anser_core::message::Body;
use anser_core::message::segment;

use crate::kit::content::{Block, Content, Look, Part, Role, Shows, card_blocks, is_blank};
use crate::kit::dialect::{
    Dialect, PLAIN, Unit, backslash, bracketed, bracketed_image, fence, no_bare, number_signs,
    unfenced,
};
use crate::kit::plan::preview;

/// Characters of a title that is made of a heading.
const TITLE_CHARS_MAX: usize = 250;

/// CommonMark, with struck-through text as most dialects have it.
const MARKDOWN: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: backslash,
    looks: &[
        (Look::BOLD, "**", "**"),
        (Look::ITALIC, "*", "*"),
        (Look::STRIKE, "~~", "~~"),
        (Look::CODE, "`", "`"),
    ],
    link: bracketed,
    bare: no_bare,
    image: bracketed_image,
    mention: |_, _, _| None,
    fence: Some(fence),
    code: unfenced,
    heading: number_signs,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "  \n",
    backticks: true,
};

/// What a message says, as plain text: its own fallback where the publisher wrote one, data and text bytes to the letter.
pub(super) fn text(message: &Message, links: Option<&dyn Links>) -> String {
    match &message.body {
        Body::Content(content) if content.fallback != segment::fallback(&content.segments) => {
            content.fallback.clone()
        }
        Body::Content(_) => PLAIN.write(&blocks(message, links)),
        Body::Data(raw) => match message.body.text() {
            Some(text) => text.into_owned(),
            None => raw.get().to_owned(),
        },
        Body::Bytes { bytes, media_type } => {
            let text = std::str::from_utf8(bytes).ok();
            match text.filter(|_| media_type.starts_with("text/")) {
                Some(text) => text.to_owned(),
                None => PLAIN.write(&blocks(message, links)),
            }
        }
    }
}

/// The same as CommonMark, in which text of a user is no markup.
pub(super) fn markdown(message: &Message, links: Option<&dyn Links>) -> String {
    MARKDOWN.write(&blocks(message, links))
}

/// The title: that of the first card, else a heading that comes first, else the data's `title`; else nothing.
pub(super) fn title(message: &Message) -> String {
    let Body::Content(_) = &message.body else {
        let data = message.body.data();
        let title = data.and_then(|raw| serde_json::from_str::<Titled>(raw.get()).ok());
        return title.map_or_else(String::new, |titled| titled.title);
    };
    let parts = Content::of(message, &Shows::text(super::KIND, None)).parts;
    let card = parts.iter().find_map(|part| match part {
        Part::Card(part) => part.card.title.clone(),
        Part::Blocks(_) | Part::Native(_) | Part::Media(_) | Part::Segment(_) => None,
    });
    let heading = || match parts.first()? {
        Part::Blocks(blocks) => match blocks.first()? {
            line @ Block::Line {
                role: Role::Heading(_),
                ..
            } => Some(preview(std::slice::from_ref(line), TITLE_CHARS_MAX)),
            _ => None,
        },
        Part::Card(_) | Part::Native(_) | Part::Media(_) | Part::Segment(_) => None,
    };
    card.or_else(heading).unwrap_or_default()
}

/// Data with a title.
#[derive(serde::Deserialize)]
struct Titled {
    title: String,
}

fn blocks(message: &Message, links: Option<&dyn Links>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for part in Content::of(message, &Shows::text(super::KIND, links)).parts {
        match part {
            Part::Blocks(given) if is_blank(&given) => {}
            Part::Blocks(given) => blocks.extend(given),
            Part::Card(card) => blocks.extend(card_blocks(&card)),
            // It is for templates, which find it in the message.
            Part::Native(_) | Part::Media(_) | Part::Segment(_) => {}
        }
    }
    blocks
}
