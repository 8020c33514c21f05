//! Blocks as Slack's: rich text, in which text is never markup, and pictures between. Must not use `mrkdwn`, which has no
//! escape for its marks.

use serde_json::{Value, json};

use super::mention;
use crate::kit::content::{Block, Look, Role, Run, mention_name};
use crate::kit::split::Measure;

/// What an element of rich text takes beside its text, in the room of a message.
const ELEMENT_CHARS: usize = 10;
/// What a picture takes: a message of nothing else has 20 of them, and fewer than 50 blocks.
const PICTURE_CHARS: usize = 150;
/// Characters of a picture's description.
const ALT_CHARS_MAX: usize = 500;

/// Slack's blocks for ours.
pub(crate) fn rich_text(blocks: &[Block]) -> Vec<Value> {
    let mut writer = Writer::default();
    for (place, block) in blocks.iter().enumerate() {
        if place > 0 {
            writer.gap(&blocks[place - 1], block);
        }
        writer.block(block);
    }
    writer.end_rich_text();
    writer.blocks
}

#[derive(Default)]
struct Writer {
    blocks: Vec<Value>,
    /// Sections, quotations and code of the open block of rich text.
    parts: Vec<Value>,
    /// Elements of the open section.
    elements: Vec<Value>,
}

impl Writer {
    /// A blank line between paragraphs; quotations and code stand apart by themselves.
    fn gap(&mut self, before: &Block, after: &Block) {
        let is_item = |block: &Block| {
            matches!(
                block,
                Block::Line {
                    role: Role::Item(_),
                    ..
                }
            )
        };
        if self.elements.is_empty() {
            return;
        }
        let gap = if is_item(before) && is_item(after) {
            "\n"
        } else {
            "\n\n"
        };
        self.elements.push(text(gap, Look::PLAIN));
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Line {
                role: Role::Quote,
                runs,
            } => {
                self.end_section();
                self.runs(runs, Look::PLAIN);
                self.end_part("rich_text_quote");
            }
            Block::Line { role, runs } => {
                if let Role::Item(marker) = role {
                    let marker = marker.replacen("- ", "• ", 1);
                    self.elements.push(text(&marker, Look::PLAIN));
                }
                let look = match role {
                    Role::Heading(_) => Look::BOLD,
                    _ => Look::PLAIN,
                };
                self.runs(runs, look);
            }
            Block::Code { text: code, .. } => {
                self.end_section();
                if !code.is_empty() {
                    self.elements.push(text(code, Look::PLAIN));
                }
                self.end_part("rich_text_preformatted");
            }
            Block::Divider => {
                self.end_rich_text();
                self.blocks.push(json!({"type": "divider"}));
            }
        }
    }

    fn runs(&mut self, runs: &[Run], look: Look) {
        for run in runs {
            match run {
                Run::Image { alt, url } => {
                    self.end_rich_text();
                    self.blocks.push(picture(alt, url));
                }
                run => self.elements.push(element(run, look)),
            }
        }
    }

    fn end_section(&mut self) {
        self.end_part("rich_text_section");
    }

    fn end_part(&mut self, kind: &str) {
        while self.elements.last().is_some_and(is_break) {
            self.elements.pop();
        }
        if !self.elements.is_empty() {
            let elements = std::mem::take(&mut self.elements);
            self.parts.push(json!({"type": kind, "elements": elements}));
        }
    }

    fn end_rich_text(&mut self) {
        self.end_section();
        if !self.parts.is_empty() {
            let parts = std::mem::take(&mut self.parts);
            self.blocks
                .push(json!({"type": "rich_text", "elements": parts}));
        }
    }
}

/// Line breaks before what stands on lines of its own would be blank lines.
fn is_break(element: &Value) -> bool {
    element["text"]
        .as_str()
        .is_some_and(|text| text.bytes().all(|byte| byte == b'\n'))
}

/// A block with a picture.
pub(super) fn picture(alt: &str, url: &str) -> Value {
    let alt = if alt.is_empty() { "image" } else { alt };
    let alt = crate::kit::plan::shorten(alt, ALT_CHARS_MAX);
    json!({"type": "image", "image_url": url, "alt_text": alt})
}

fn element(run: &Run, look: Look) -> Value {
    match run {
        Run::Text {
            text: plain,
            look: own,
        } => text(plain, own.with(look)),
        Run::Break => text("\n", Look::PLAIN),
        Run::Link { label, url } => json!({"type": "link", "url": url, "text": label}),
        Run::Image { alt, url } => json!({"type": "link", "url": url, "text": alt}),
        Run::Mention { kind, id, name } => {
            mention::element(*kind, id.as_deref()).unwrap_or_else(|| {
                let name = mention_name(*kind, id.as_deref(), name.as_deref());
                text(&format!("@{name}"), look)
            })
        }
    }
}

fn text(text: &str, look: Look) -> Value {
    let mut element = json!({"type": "text", "text": text});
    for (style, name) in [
        (Look::BOLD, "bold"),
        (Look::ITALIC, "italic"),
        (Look::STRIKE, "strike"),
        (Look::CODE, "code"),
    ] {
        if look.has(style) {
            element["style"][name] = true.into();
        }
    }
    element
}

/// How much room rich text takes: its characters, and something for each element.
pub(super) struct RichText;

impl Measure for RichText {
    fn frame(&self, block: &Block) -> usize {
        let marker = match block {
            Block::Line {
                role: Role::Item(marker),
                ..
            } => marker.len(),
            _ => 0,
        };
        2 * ELEMENT_CHARS + marker
    }

    fn run(&self, _: &Role, run: &Run) -> usize {
        ELEMENT_CHARS
            + match run {
                Run::Text { text, .. } => text.chars().count(),
                Run::Break => 1,
                Run::Link { label, url } => label.chars().count() + url.len(),
                Run::Image { alt, url } => {
                    PICTURE_CHARS + alt.chars().count().min(ALT_CHARS_MAX) + url.len()
                }
                Run::Mention { kind, id, name } => {
                    let name = mention_name(*kind, id.as_deref(), name.as_deref());
                    1 + name.chars().count()
                }
            }
    }

    fn look(&self, _: Look) -> usize {
        ELEMENT_CHARS
    }

    fn text(&self, text: &str, _: Look) -> usize {
        text.chars().count()
    }

    fn code(&self, text: &str) -> usize {
        text.chars().count()
    }
}
