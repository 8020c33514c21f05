//! CommonMark into blocks: what a publisher wrote in Markdown is understood here once, and written anew in each
//! platform's own dialect. Raw HTML is text; a table becomes aligned code. Must not pass any markup through.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::run::{link, one_line, plain, web_link};
use super::{Block, Look, Role, Run, text_runs};

/// Lists nested deeper are set off no further.
const INDENT_MAX: usize = 4;

/// The blocks of a Markdown text.
pub(crate) fn blocks(source: &str) -> Vec<Block> {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut reader = Reader::default();
    for event in Parser::new_ext(&plain(source), options) {
        reader.event(event);
    }
    reader.end_line();
    reader.blocks
}

/// What is open while the events pass.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    runs: Vec<Run>,
    looks: Vec<Look>,
    quotes: usize,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The item that has just begun.
    marker: Option<String>,
    heading: Option<u8>,
    code: Option<(String, String)>,
    /// The open link or picture, and what it reads.
    link: Option<(String, String, bool)>,
    table: Option<Vec<Vec<String>>>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.text(&text, Look::PLAIN);
            }
            Event::Code(text) => self.text(&text, Look::CODE),
            Event::SoftBreak | Event::HardBreak => self.text("\n", Look::PLAIN),
            Event::Rule => {
                self.end_line();
                self.blocks.push(Block::Divider);
            }
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text, Look::CODE),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.end_line(),
            Tag::Heading { level, .. } => {
                self.end_line();
                self.heading = Some(depth(level));
            }
            Tag::BlockQuote(_) => {
                self.end_line();
                self.quotes += 1;
            }
            Tag::CodeBlock(kind) => {
                self.end_line();
                let lang = match kind {
                    CodeBlockKind::Fenced(info) => language(&info),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((lang, String::new()));
            }
            Tag::List(first) => {
                self.end_line();
                self.lists.push(first);
            }
            Tag::Item => {
                self.end_line();
                self.marker = Some(self.next_marker());
            }
            Tag::Emphasis => self.looks.push(Look::ITALIC),
            Tag::Strong => self.looks.push(Look::BOLD),
            Tag::Strikethrough => self.looks.push(Look::STRIKE),
            Tag::Link { dest_url, .. } => {
                self.link = Some((dest_url.into_string(), String::new(), false));
            }
            Tag::Image { dest_url, .. } => {
                self.link = Some((dest_url.into_string(), String::new(), true));
            }
            Tag::Table(_) => {
                self.end_line();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => self.with_table(|rows| rows.push(Vec::new())),
            Tag::TableCell => self.with_table(|rows| {
                if let Some(row) = rows.last_mut() {
                    row.push(String::new());
                }
            }),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::Item => self.end_line(),
            TagEnd::Heading(_) => {
                self.end_line();
                self.heading = None;
            }
            TagEnd::BlockQuote(_) => {
                self.end_line();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::CodeBlock => {
                if let Some((lang, text)) = self.code.take() {
                    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                    self.blocks.push(Block::Code { lang, text });
                }
            }
            TagEnd::List(_) => {
                self.end_line();
                self.lists.pop();
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.looks.pop();
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            TagEnd::Table => {
                if let Some(rows) = self.table.take() {
                    self.blocks.push(aligned(&rows));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, look: Look) {
        if let Some((_, code)) = &mut self.code {
            code.push_str(text);
        } else if let Some((_, label, _)) = &mut self.link {
            label.push_str(&one_line(text));
        } else if let Some(rows) = &mut self.table {
            if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                cell.push_str(&one_line(text));
            }
        } else {
            let look = self.look().with(look);
            self.runs.extend(text_runs(text, look));
        }
    }

    fn look(&self) -> Look {
        self.looks
            .iter()
            .fold(Look::PLAIN, |all, look| all.with(*look))
    }

    fn end_link(&mut self) {
        let Some((url, label, is_image)) = self.link.take() else {
            return;
        };
        if self.table.is_some() {
            self.text(&format!("{label} ({url})"), Look::PLAIN);
            return;
        }
        let look = self.look();
        match (is_image, web_link(&url)) {
            (true, Some(url)) if url.starts_with("http") => {
                self.runs.push(Run::Image { alt: label, url });
            }
            (true, _) => self
                .runs
                .extend(text_runs(&format!("[image: {label}]"), look)),
            (false, _) => match link(label.clone(), &url) {
                Some(run) => self.runs.push(run),
                None => self
                    .runs
                    .extend(text_runs(&format!("{label} ({url})"), look)),
            },
        }
    }

    fn with_table(&mut self, change: impl FnOnce(&mut Vec<Vec<String>>)) {
        if let Some(rows) = &mut self.table {
            change(rows);
        }
    }

    fn next_marker(&mut self) -> String {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(INDENT_MAX));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => format!("{indent}- "),
        }
    }

    fn end_line(&mut self) {
        let mut runs = std::mem::take(&mut self.runs);
        while runs.last() == Some(&Run::Break) {
            runs.pop();
        }
        if runs.is_empty() {
            return;
        }
        let role = if let Some(marker) = self.marker.take() {
            Role::Item(marker)
        } else if let Some(level) = self.heading {
            Role::Heading(level)
        } else if self.quotes > 0 {
            Role::Quote
        } else {
            Role::Paragraph
        };
        self.blocks.push(Block::Line { role, runs });
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The first word of a fence's info string, if it is a name and nothing else.
pub(super) fn language(info: &str) -> String {
    /// Bytes of a language's name.
    const LANGUAGE_BYTES_MAX: usize = 32;
    let word = info.split([' ', ',', '{']).next().unwrap_or_default();
    let is_name = word.len() <= LANGUAGE_BYTES_MAX
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+#._-".contains(&byte));
    if is_name {
        word.to_owned()
    } else {
        String::new()
    }
}

/// A table as code whose columns stand below each other. A character counts as one column: wide ones shift the rest.
fn aligned(rows: &[Vec<String>]) -> Block {
    /// Columns wider than this are not filled up.
    const WIDTH_MAX: usize = 40;
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widest.unwrap_or_default().min(WIDTH_MAX)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        lines.push(line.join("  ").trim_end().to_owned());
    }
    Block::Code {
        lang: String::new(),
        text: lines.join("\n"),
    }
}
