//! Blocks as text in a platform's own markup, by capability data: a dialect is a table of what opens and closes what,
//! and how a character is written so that it means itself. Must not know any platform by name.

use anser_core::message::segment::MentionKind;

use super::content::{Block, Look, Role, Run, is_bare, mention_name};
use super::split::Measure;

/// What a platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Bytes of the text inside a JSON string.
    JsonBytes,
    /// Bytes of the text inside a JSON string in JSON that is itself inside a JSON string.
    NestedJsonBytes,
    /// Characters.
    Chars,
    /// UTF-16 code units.
    Utf16,
}

impl Unit {
    /// The length of a text; that of two texts together is the sum.
    pub(crate) fn of(self, text: &str) -> usize {
        match self {
            Self::Bytes => text.len(),
            Self::JsonBytes => text.chars().map(json_bytes).sum(),
            Self::NestedJsonBytes => text.chars().map(nested_json_bytes).sum(),
            Self::Chars => text.chars().count(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }
}

/// As `serde_json` writes it.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// As `serde_json` writes what it has written before.
fn nested_json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' => 4,
        c => json_bytes(c) + usize::from(c < ' '),
    }
}

/// Where in its line a character stands, for markup that only begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing but blanks before it.
    Start,
    /// Nothing but a number before it.
    Number,
    /// A letter or a digit right before it, or an underscore that had one before it.
    Word,
    /// Anything else.
    Inside,
}

impl Place {
    fn after(self, c: char) -> Self {
        match self {
            Self::Start if c.is_whitespace() => Self::Start,
            Self::Start | Self::Number if c.is_ascii_digit() => Self::Number,
            _ if c.is_alphanumeric() => Self::Word,
            Self::Word | Self::Number if c == '_' => Self::Word,
            _ => Self::Inside,
        }
    }
}

/// What opens and closes a block of code in a language.
pub(crate) type Fence = fn(lang: &str) -> (String, &'static str);

/// The capabilities of a text form.
pub(crate) struct Dialect {
    /// What the platform counts.
    pub(crate) unit: Unit,
    /// Writes a character of a user so that it means itself; letters, and what is not ASCII, stay as they are.
    pub(crate) escape: fn(char, Place, &mut String),
    /// What opens and closes each style, the outermost first.
    pub(crate) looks: &'static [(Look, &'static str, &'static str)],
    /// A link with a label that is escaped already; `None`: both are shown as text.
    pub(crate) link: fn(label: &str, url: &str) -> Option<String>,
    /// A link that reads as where it leads; `None`: as any other.
    pub(crate) bare: fn(url: &str) -> Option<String>,
    /// A picture by URL, with an escaped description; `None`: a link.
    pub(crate) image: fn(alt: &str, url: &str) -> Option<String>,
    /// A native mention; `None` when the id is none of this platform: a name as text.
    pub(crate) mention: fn(kind: MentionKind, id: Option<&str>, name: &str) -> Option<String>,
    /// What opens and closes a block of code in a language; `None`: its lines as text.
    pub(crate) fence: Option<Fence>,
    /// Writes code, such that nothing in it ends the block or mentions anybody. It may add zero-width spaces after `<`
    /// and backticks, and what [`Dialect::escape`] writes, and no more.
    pub(crate) code: fn(&str) -> String,
    /// What opens and closes a heading.
    pub(crate) heading: fn(u8) -> (&'static str, &'static str),
    /// What opens a quotation, begins its further lines, and closes it.
    pub(crate) quote: (&'static str, &'static str, &'static str),
    /// A horizontal rule.
    pub(crate) divider: &'static str,
    /// A line break within a paragraph.
    pub(crate) line: &'static str,
    /// Whether backticks mark code, so that none may stand inside it.
    pub(crate) backticks: bool,
}

/// Between two blocks.
const PARAGRAPH: &str = "\n\n";
/// A character that nobody sees, and that no markup goes across.
pub(crate) const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// A heading that is none.
pub(crate) const fn no_heading(_: u8) -> (&'static str, &'static str) {
    ("", "")
}

/// No form for links or pictures.
pub(crate) const fn no_link(_: &str, _: &str) -> Option<String> {
    None
}

/// No form for links that read as where they lead.
pub(crate) const fn no_bare(_: &str) -> Option<String> {
    None
}

/// A character as it is.
pub(crate) fn verbatim(c: char, _: Place, out: &mut String) {
    out.push(c);
}

/// A character with a backslash where CommonMark would take it for a mark. A tag is also broken up by a character that
/// nobody sees, since the readers of platforms look for tags before they look for backslashes.
pub(crate) fn backslash(c: char, place: Place, out: &mut String) {
    let is_mark = match place {
        _ if "\\`*_[]~|&>".contains(c) => true,
        Place::Start => "#+-=".contains(c),
        Place::Number => ".)".contains(c),
        Place::Word | Place::Inside => false,
    };
    if is_mark {
        out.push('\\');
    }
    out.push(c);
    if c == '<' {
        out.push(ZERO_WIDTH_SPACE);
    }
}

/// Code in which a fence is broken up by characters that nobody sees.
pub(crate) fn unfenced(text: &str) -> String {
    text.replace("```", "`\u{200b}`\u{200b}`")
}

/// A fence of backticks.
pub(crate) fn fence(lang: &str) -> (String, &'static str) {
    (format!("```{lang}\n"), "\n```")
}

/// Headings by number signs.
pub(crate) const fn number_signs(level: u8) -> (&'static str, &'static str) {
    match level {
        1 => ("# ", ""),
        2 => ("## ", ""),
        3 => ("### ", ""),
        4 => ("#### ", ""),
        5 => ("##### ", ""),
        _ => ("###### ", ""),
    }
}

/// A link as CommonMark writes it; its label is escaped, its URL has no brackets.
pub(crate) fn bracketed(label: &str, url: &str) -> Option<String> {
    Some(format!("[{label}]({url})"))
}

/// A picture as CommonMark writes it.
pub(crate) fn bracketed_image(alt: &str, url: &str) -> Option<String> {
    Some(format!("![{alt}]({url})"))
}

/// Text without any markup.
pub(crate) const PLAIN: Dialect = Dialect {
    unit: Unit::Bytes,
    escape: verbatim,
    looks: &[],
    link: no_link,
    bare: no_bare,
    image: no_link,
    mention: |_, _, _| None,
    fence: None,
    code: str::to_owned,
    heading: no_heading,
    quote: ("> ", "> ", ""),
    divider: "---",
    line: "\n",
    backticks: false,
};

impl Dialect {
    /// The blocks as text.
    pub(crate) fn write(&self, blocks: &[Block]) -> String {
        let mut out = String::new();
        for (place, block) in blocks.iter().enumerate() {
            if place > 0 {
                out.push_str(self.gap(&blocks[place - 1], block));
            }
            self.block(block, &mut out);
        }
        out
    }

    /// A text of a user as it is written here, on one line or more.
    pub(crate) fn escaped(&self, text: &str) -> String {
        let mut out = String::new();
        for (place, line) in text.split('\n').enumerate() {
            if place > 0 {
                out.push_str(self.line);
            }
            self.escape_from(Place::Start, line, &mut out);
        }
        out
    }

    fn gap(&self, before: &Block, after: &Block) -> &'static str {
        let is_item = |block: &Block| {
            matches!(
                block,
                Block::Line {
                    role: Role::Item(_),
                    ..
                }
            )
        };
        if is_item(before) && is_item(after) {
            "\n"
        } else {
            PARAGRAPH
        }
    }

    fn block(&self, block: &Block, out: &mut String) {
        match block {
            Block::Line { role, runs } => {
                let (open, close) = self.role(role);
                out.push_str(&open);
                self.line(role, runs, out);
                out.push_str(close);
            }
            Block::Code { lang, text } => match self.fence {
                Some(fence) => {
                    let (open, close) = fence(lang);
                    out.push_str(&open);
                    out.push_str(&(self.code)(text));
                    out.push_str(close);
                }
                None => out.push_str(&self.escaped(text)),
            },
            Block::Divider => out.push_str(self.divider),
        }
    }

    fn role(&self, role: &Role) -> (String, &'static str) {
        match role {
            Role::Paragraph => (String::new(), ""),
            Role::Heading(level) => {
                let (open, close) = (self.heading)(*level);
                (open.to_owned(), close)
            }
            Role::Quote => (self.quote.0.to_owned(), self.quote.2),
            Role::Item(marker) => (marker.clone(), ""),
        }
    }

    fn line(&self, role: &Role, runs: &[Run], out: &mut String) {
        let mut place = Place::Start;
        for run in runs {
            match run {
                Run::Text { text, look } => place = self.styled(place, text, *look, out),
                Run::Break => {
                    out.push_str(self.line);
                    if *role == Role::Quote {
                        out.push_str(self.quote.1);
                    }
                    place = Place::Start;
                }
                solid => {
                    out.push_str(&self.solid(solid));
                    place = Place::Inside;
                }
            }
        }
    }

    /// Blanks stand outside of the marks: `** a **` is no bold text.
    fn styled(&self, place: Place, text: &str, look: Look, out: &mut String) -> Place {
        let core = text.trim();
        if core.is_empty() {
            return self.escape_from(place, text, out);
        }
        let start = text.len() - text.trim_start().len();
        out.push_str(&text[..start]);
        let is_code = look.has(Look::CODE)
            && self.marks(Look::CODE)
            && !(self.backticks && core.contains('`'));
        let shown: Vec<_> = self
            .looks
            .iter()
            .filter(|(style, ..)| look.has(*style) && (*style == Look::CODE) == is_code)
            .collect();
        for (_, open, _) in &shown {
            out.push_str(open);
        }
        if is_code {
            out.push_str(&(self.code)(core));
        } else {
            let place = if shown.is_empty() {
                place
            } else {
                Place::Inside
            };
            self.escape_from(place, core, out);
        }
        for (_, _, close) in shown.iter().rev() {
            out.push_str(close);
        }
        out.push_str(&text[start + core.len()..]);
        Place::Inside
    }

    fn marks(&self, look: Look) -> bool {
        self.looks.iter().any(|(style, ..)| *style == look)
    }

    fn escape_from(&self, mut place: Place, text: &str, out: &mut String) -> Place {
        for c in text.chars() {
            (self.escape)(c, place, out);
            place = place.after(c);
        }
        place
    }

    fn inline(&self, text: &str) -> String {
        let mut out = String::new();
        self.escape_from(Place::Inside, text, &mut out);
        out
    }

    fn solid(&self, run: &Run) -> String {
        match run {
            Run::Text { text, .. } => self.inline(text),
            Run::Break => self.line.to_owned(),
            Run::Link { label, url } => self.link_or_text(label, url),
            Run::Image { alt, url } => {
                let alt = if alt.is_empty() { "image" } else { alt };
                (self.image)(&self.inline(alt), url)
                    .unwrap_or_else(|| self.link_or_text(&format!("[image: {alt}]"), url))
            }
            Run::Mention { kind, id, name } => {
                let name = mention_name(*kind, id.as_deref(), name.as_deref());
                (self.mention)(*kind, id.as_deref(), &self.inline(&name))
                    .unwrap_or_else(|| self.inline(&format!("@{name}")))
            }
        }
    }

    fn link_or_text(&self, label: &str, url: &str) -> String {
        let is_bare = is_bare(label, url);
        if let Some(bare) = (self.bare)(url).filter(|_| is_bare) {
            return bare;
        }
        match (self.link)(&self.inline(label), url) {
            Some(link) => link,
            None if is_bare => self.inline(label),
            None => {
                let url = (self.bare)(url).unwrap_or_else(|| self.inline(url));
                format!("{} ({url})", self.inline(label))
            }
        }
    }

    /// The most that a text can take, wherever it stands.
    fn worst(&self, text: &str) -> usize {
        let mut out = String::with_capacity(16);
        let mut most_of = |c: char| {
            let places = [Place::Start, Place::Number, Place::Word, Place::Inside];
            let lengths = places.map(|place| {
                out.clear();
                (self.escape)(c, place, &mut out);
                self.unit.of(&out)
            });
            lengths.into_iter().max().unwrap_or_default()
        };
        // A letter is a letter everywhere.
        text.chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' => 1,
                c if !c.is_ascii() => self.unit.of(c.encode_utf8(&mut [0; 4])),
                c => most_of(c),
            })
            .sum()
    }

    fn worst_code(&self, text: &str) -> usize {
        let zero_width = self.unit.of("\u{200b}");
        let marks = text.chars().filter(|c| matches!(c, '<' | '`')).count();
        self.unit.of(&(self.code)(text)) + marks * zero_width
    }
}

impl Measure for Dialect {
    fn frame(&self, block: &Block) -> usize {
        let inside = match block {
            Block::Line { role, .. } => {
                let (open, close) = self.role(role);
                self.unit.of(&open) + self.unit.of(close)
            }
            Block::Code { lang, .. } => self.fence.map_or(0, |fence| {
                let (open, close) = fence(lang);
                self.unit.of(&open) + self.unit.of(close)
            }),
            Block::Divider => self.unit.of(self.divider),
        };
        self.unit.of(PARAGRAPH) + inside
    }

    fn run(&self, role: &Role, run: &Run) -> usize {
        match run {
            Run::Text { text, look } => self.look(*look) + self.text(text, *look),
            Run::Break if *role == Role::Quote => {
                self.unit.of(self.line) + self.unit.of(self.quote.1)
            }
            solid => self.unit.of(&self.solid(solid)),
        }
    }

    fn look(&self, look: Look) -> usize {
        self.looks
            .iter()
            .filter(|(style, ..)| look.has(*style))
            .map(|(_, open, close)| self.unit.of(open) + self.unit.of(close))
            .sum()
    }

    fn text(&self, text: &str, look: Look) -> usize {
        if look.has(Look::CODE) {
            self.worst(text).max(self.worst_code(text))
        } else {
            self.worst(text)
        }
    }

    fn code(&self, text: &str) -> usize {
        match self.fence {
            Some(_) => self.worst_code(text),
            None => self.worst(text) + text.matches('\n').count() * self.unit.of(self.line),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
