//! A card one rung lower: as blocks with headings, fields and links, for a platform without cards, or where its own was
//! refused. Must not know how a platform shows them.

use anser_core::message::segment::{ActionKind, Card};

use super::run::link;
use super::{Block, CardPart, Look, Role, Run, markdown_blocks, text_runs};

/// The card as blocks: title, subtitle, picture, sections, fields, actions, footer.
pub(crate) fn blocks(part: &CardPart) -> Vec<Block> {
    with_actions(part, actions(&part.card))
}

/// The card as blocks, without the actions that open a link: for a platform that has these as buttons.
pub(crate) fn blocks_above_buttons(part: &CardPart) -> Vec<Block> {
    with_actions(part, buttons(&part.card).1)
}

fn with_actions(part: &CardPart, actions: Vec<Run>) -> Vec<Block> {
    let card = &part.card;
    let mut blocks = Vec::new();
    let mut line = |role: Role, runs: Vec<Run>| {
        if !runs.is_empty() {
            blocks.push(Block::Line { role, runs });
        }
    };
    if let Some(title) = &card.title {
        line(Role::Heading(4), text_runs(title, Look::PLAIN));
    }
    if let Some(subtitle) = &card.subtitle {
        line(Role::Paragraph, text_runs(subtitle, Look::ITALIC));
    }
    if let Some(image) = &part.image {
        line(Role::Paragraph, vec![image.clone()]);
    }
    for section in &card.sections {
        blocks.extend(markdown_blocks(section));
    }
    for runs in [fields(card), actions] {
        if !runs.is_empty() {
            blocks.push(Block::paragraph(runs));
        }
    }
    if let Some(footer) = &card.footer {
        blocks.push(Block::paragraph(text_runs(footer, Look::ITALIC)));
    }
    blocks
}

fn fields(card: &Card) -> Vec<Run> {
    let mut runs = Vec::new();
    for field in &card.fields {
        if !runs.is_empty() {
            runs.push(Run::Break);
        }
        runs.extend(text_runs(&field.name, Look::BOLD));
        runs.extend(text_runs(": ", Look::PLAIN));
        runs.extend(text_runs(&field.value, Look::PLAIN));
    }
    runs
}

/// Actions as links; those that open none as notes.
fn actions(card: &Card) -> Vec<Run> {
    let (links, mut runs) = buttons(card);
    for Button { label, url, .. } in links.into_iter().rev() {
        if !runs.is_empty() {
            runs.splice(0..0, text_runs(" · ", Look::PLAIN));
        }
        runs.insert(0, Run::Link { label, url });
    }
    runs
}

/// A button that opens a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    /// Its text, on one line.
    pub(crate) label: String,
    /// The link.
    pub(crate) url: String,
    /// Its style, such as `primary` or `danger`.
    pub(crate) style: Option<String>,
}

/// The actions that open a link, which every platform with buttons can show, and the others as runs: what is to be
/// copied can still be read, what calls back needs an endpoint that a webhook has not.
pub(crate) fn buttons(card: &Card) -> (Vec<Button>, Vec<Run>) {
    let mut links = Vec::new();
    let mut notes = Vec::new();
    for action in &card.actions {
        let target = match action.kind {
            ActionKind::Url => action.value.as_str(),
            ActionKind::Callback | ActionKind::Copy => None,
        };
        let run = target.and_then(|url| link(action.label.clone(), url));
        if let Some(Run::Link { label, url }) = run {
            let style = action.style.clone();
            links.push(Button { label, url, style });
            continue;
        }
        if !notes.is_empty() {
            notes.extend(text_runs(" · ", Look::PLAIN));
        }
        let text = match (action.kind, action.value.as_str()) {
            (ActionKind::Copy | ActionKind::Url, Some(value)) => {
                format!("{}: {value}", action.label)
            }
            _ => format!("[{}]", action.label),
        };
        notes.extend(text_runs(&text, Look::PLAIN));
    }
    (links, notes)
}
