//! Short texts of long ones: titles and previews. Must not write markup.

use crate::kit::content::{Block, Run, mention_name};

/// The first words of blocks, for a title or a preview: on one line, of at most `most` characters.
pub(crate) fn preview(blocks: &[Block], most: usize) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Line { runs, .. } => {
                for run in runs {
                    preview_run(run, &mut text);
                }
            }
            Block::Code { text: code, .. } => text.push_str(code),
            Block::Divider => {}
        }
        text.push(' ');
        if text.len() > most.saturating_mul(4) {
            break;
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    shorten(&words.join(" "), most)
}

fn preview_run(run: &Run, text: &mut String) {
    match run {
        Run::Text { text: plain, .. } => text.push_str(plain),
        Run::Break => text.push(' '),
        Run::Link { label, .. } => text.push_str(label),
        Run::Image { alt, .. } => text.push_str(&format!("[image: {alt}]")),
        Run::Mention { kind, id, name } => {
            let name = mention_name(*kind, id.as_deref(), name.as_deref());
            text.push_str(&format!("@{name}"));
        }
    }
}

/// A text of at most `most` characters; what is left out shows as an ellipsis. Never inside a grapheme.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation as _;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.chars().count();
        if used > most {
            break;
        }
        short.push_str(grapheme);
    }
    short.push('…');
    short
}
