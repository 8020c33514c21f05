//! Blocks as a post of an app: lines of nodes with styles, blocks of code and rules, in which text is never markup. Must
//! not write Markdown.

use serde_json::{Value, json};

use crate::kit::content::{Block, Look, Role, Run, mention_name};
use crate::kit::dialect::{Unit, ZERO_WIDTH_SPACE};
use crate::kit::feishu::dialect::{mention_id, without_tags};
use crate::kit::split::Measure;

/// A text's styles, as posts name them.
const STYLES: [(Look, &str); 4] = [
    (Look::BOLD, "bold"),
    (Look::ITALIC, "italic"),
    (Look::UNDERLINE, "underline"),
    (Look::STRIKE, "lineThrough"),
];

/// The lines.
pub(super) fn lines(blocks: &[Block]) -> Vec<Vec<Value>> {
    let mut lines = Vec::new();
    for block in blocks {
        match block {
            Block::Line { role, runs } => {
                let mut line: Vec<Value> = prefix(role).into_iter().collect();
                for run in runs {
                    if *run == Run::Break {
                        lines.push(std::mem::take(&mut line));
                        line.extend(prefix(role).filter(|_| *role == Role::Quote));
                    } else {
                        line.push(node(role, run));
                    }
                }
                lines.push(line);
            }
            Block::Code { lang, text } => lines.push(vec![code(lang, text)]),
            Block::Divider => lines.push(vec![json!({"tag": "hr"})]),
        }
    }
    for line in &mut lines {
        if line.is_empty() {
            line.push(text_node("", Look::PLAIN));
        }
    }
    lines
}

/// What begins a line of that role.
fn prefix(role: &Role) -> Option<Value> {
    let text = match role {
        Role::Paragraph | Role::Heading(_) => return None,
        Role::Quote => "> ",
        Role::Item(marker) => marker,
    };
    Some(text_node(text, Look::PLAIN))
}

fn text_node(text: &str, look: Look) -> Value {
    let mut node = json!({"tag": "text", "text": without_tags(text)});
    let styles = STYLES.iter().filter(|(style, _)| look.has(*style));
    let styles: Vec<&str> = styles.map(|(_, name)| *name).collect();
    if !styles.is_empty() {
        node["style"] = styles.into();
    }
    node
}

fn code(lang: &str, text: &str) -> Value {
    let mut node = json!({"tag": "code_block", "text": without_tags(text)});
    if !lang.is_empty() {
        node["language"] = lang.to_uppercase().into();
    }
    node
}

fn node(role: &Role, run: &Run) -> Value {
    let emphasis = match role {
        Role::Heading(_) => Look::BOLD,
        Role::Paragraph | Role::Quote | Role::Item(_) => Look::PLAIN,
    };
    match run {
        Run::Text { text, look } => text_node(text, look.with(emphasis)),
        Run::Break => text_node("", Look::PLAIN),
        Run::Link { label, url } => json!({"tag": "a", "text": without_tags(label), "href": url}),
        Run::Image { alt, url } => {
            json!({"tag": "a", "text": without_tags(&format!("[image: {alt}]")), "href": url})
        }
        Run::Mention { kind, id, name } => match mention_id(*kind, id.as_deref()) {
            Some(id) => json!({"tag": "at", "user_id": id}),
            None => {
                let name = mention_name(*kind, id.as_deref(), name.as_deref());
                text_node(&format!("@{name}"), emphasis)
            }
        },
    }
}

/// How much room nodes take in a request, where they are JSON inside of JSON.
pub(super) struct Nodes;

/// The bytes of a node, with a comma, and with brackets if it stands alone.
fn bytes(node: &Value) -> usize {
    Unit::JsonBytes.of(&node.to_string()) + 3
}

/// The most that breaking up tags adds.
fn broken_tags(text: &str) -> usize {
    text.matches('<').count() * ZERO_WIDTH_SPACE.len_utf8()
}

impl Measure for Nodes {
    fn frame(&self, block: &Block) -> usize {
        match block {
            Block::Line { role, .. } => {
                bytes(&text_node("", Look::PLAIN)) + prefix(role).map_or(0, |node| bytes(&node))
            }
            Block::Code { lang, .. } => bytes(&code(lang, "")),
            Block::Divider => bytes(&json!({"tag": "hr"})),
        }
    }

    fn run(&self, role: &Role, run: &Run) -> usize {
        let again = match (role, run) {
            (Role::Quote, Run::Break) => prefix(role).map_or(0, |node| bytes(&node)),
            _ => 0,
        };
        bytes(&node(role, run)) + again
    }

    /// A heading's emphasis is counted for every text.
    fn look(&self, look: Look) -> usize {
        bytes(&text_node("", look.with(Look::BOLD)))
    }

    fn text(&self, text: &str, _: Look) -> usize {
        Unit::NestedJsonBytes.of(text) + broken_tags(text)
    }

    fn code(&self, text: &str) -> usize {
        Unit::NestedJsonBytes.of(text) + broken_tags(text)
    }
}
