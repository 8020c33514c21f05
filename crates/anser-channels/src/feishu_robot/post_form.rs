//! Blocks as a Feishu post: lines of nodes, in which text is never markup. Must not send styles, which a robot's posts
//! have not.

use serde_json::{Value, json};

use crate::kit::content::{Block, Look, Role, Run, mention_name};
use crate::kit::dialect::{Unit, ZERO_WIDTH_SPACE};
use crate::kit::feishu::dialect::{mention_id, without_tags};
use crate::kit::split::Measure;

/// The lines.
pub(super) fn lines(blocks: &[Block]) -> Vec<Vec<Value>> {
    let mut lines = Vec::new();
    for block in blocks {
        match block {
            Block::Line { role, runs } => {
                let mut line = prefix(role).map(text_node).into_iter().collect::<Vec<_>>();
                for run in runs {
                    if *run == Run::Break {
                        lines.push(std::mem::take(&mut line));
                    } else {
                        line.push(node(run));
                    }
                }
                lines.push(line);
            }
            Block::Code { text, .. } => {
                lines.extend(text.split('\n').map(|line| vec![text_node(line)]));
            }
            Block::Divider => lines.push(vec![text_node("---")]),
        }
    }
    for line in &mut lines {
        if line.is_empty() {
            line.push(text_node(""));
        }
    }
    lines
}

fn prefix(role: &Role) -> Option<&str> {
    match role {
        Role::Paragraph | Role::Heading(_) => None,
        Role::Quote => Some("> "),
        Role::Item(marker) => Some(marker),
    }
}

fn text_node(text: &str) -> Value {
    json!({"tag": "text", "text": without_tags(text)})
}

fn node(run: &Run) -> Value {
    match run {
        Run::Text { text, .. } => text_node(text),
        Run::Break => text_node(""),
        Run::Link { label, url } => json!({"tag": "a", "text": without_tags(label), "href": url}),
        Run::Image { alt, url } => {
            json!({"tag": "a", "text": without_tags(&format!("[image: {alt}]")), "href": url})
        }
        Run::Mention { kind, id, name } => match mention_id(*kind, id.as_deref()) {
            Some(id) => json!({"tag": "at", "user_id": id}),
            None => {
                let name = mention_name(*kind, id.as_deref(), name.as_deref());
                text_node(&format!("@{name}"))
            }
        },
    }
}

/// How much room nodes take in the body.
pub(super) struct Nodes;

/// The bytes of a node, with a comma, and with brackets if it stands alone.
fn bytes(node: &Value) -> usize {
    node.to_string().len() + 3
}

impl Measure for Nodes {
    fn frame(&self, block: &Block) -> usize {
        match block {
            Block::Line { role, .. } => {
                bytes(&text_node("")) + prefix(role).map_or(0, |text| bytes(&text_node(text)))
            }
            Block::Code { .. } | Block::Divider => bytes(&text_node("---")),
        }
    }

    fn run(&self, _: &Role, run: &Run) -> usize {
        bytes(&node(run))
    }

    fn look(&self, _: Look) -> usize {
        bytes(&text_node(""))
    }

    fn text(&self, text: &str, _: Look) -> usize {
        Unit::JsonBytes.of(text) + broken_tags(text)
    }

    fn code(&self, text: &str) -> usize {
        let lines = text.matches('\n').count() + 1;
        Unit::JsonBytes.of(text) + broken_tags(text) + lines * bytes(&text_node(""))
    }
}

/// The most that breaking up tags adds.
fn broken_tags(text: &str) -> usize {
    text.matches('<').count() * ZERO_WIDTH_SPACE.len_utf8()
}
