//! What DingTalk's messages have beside their text: a title, which the notification shows, and a card's buttons. Must not
//! know how a message names them.

use super::dialect::MARKDOWN;
use crate::kit::content::{Block, Button, CardPart, blocks_above_buttons, buttons, plain};
use crate::kit::plan::{preview, shorten};

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 60;

/// A card as Markdown with buttons.
pub(crate) struct ActionCard {
    /// Its title.
    pub(crate) title: String,
    /// Its text.
    pub(crate) text: String,
    /// Its buttons, at least one.
    pub(crate) links: Vec<Button>,
}

/// A card; `None` without a button that opens a link, without which there is none.
pub(crate) fn action_card(part: &CardPart) -> Option<ActionCard> {
    let (links, _) = buttons(&part.card);
    let blocks = blocks_above_buttons(part);
    let title = match &part.card.title {
        Some(title) => shorten(&plain(title).replace('\n', " "), TITLE_CHARS_MAX),
        None => title(&blocks),
    };
    let text = MARKDOWN.write(&blocks);
    let card = ActionCard { title, text, links };
    (!card.links.is_empty()).then_some(card)
}

/// A title is required: the first words.
pub(crate) fn title(blocks: &[Block]) -> String {
    let words = preview(blocks, TITLE_CHARS_MAX);
    if words.is_empty() {
        "…".to_owned()
    } else {
        words
    }
}
