//! Cuts what is too long for one message into several: between blocks, else lines, sentences, words, graphemes; never
//! inside a link, a mention or a fence, which is closed and opened again. Must not know how anything is written, only
//! how much room it takes.

use std::collections::VecDeque;

use anser_core::{Problem, ProblemKind};
use unicode_segmentation::UnicodeSegmentation as _;

use super::content::{Block, Look, Role, Run, is_blank, mention_name, text_runs};

/// Messages that one message may become. More would take a robot of 20 a minute longer than anybody reads on.
pub(crate) const PARTS_MAX: usize = 64;

/// How much room things take in a form. The room of several together is at most the sum.
pub(crate) trait Measure {
    /// What a block takes beside its runs or its text, with the gap before it.
    fn frame(&self, block: &Block) -> usize;
    /// A run, whole.
    fn run(&self, role: &Role, run: &Run) -> usize;
    /// What opens and closes a style.
    fn look(&self, look: Look) -> usize;
    /// Text within a style.
    fn text(&self, text: &str, look: Look) -> usize;
    /// Text within a block of code.
    fn code(&self, text: &str) -> usize;
}

/// The blocks in parts of at most `max` each; more than one are numbered `(1/3)`. Parts that show nothing are left out.
///
/// # Errors
/// `too_long` when they would be more than [`PARTS_MAX`].
pub(crate) fn split(
    blocks: Vec<Block>,
    max: usize,
    measure: &dyn Measure,
) -> Result<Vec<Vec<Block>>, Problem> {
    let whole = total(&blocks, measure);
    if whole <= max {
        return Ok(vec![blocks]);
    }
    // No cutting makes it take less room.
    if whole > PARTS_MAX.saturating_mul(max) {
        return Err(too_long());
    }
    let numbered = number(PARTS_MAX, PARTS_MAX);
    let room = max.saturating_sub(total(std::slice::from_ref(&numbered), measure));
    let mut cutter = Cutter {
        measure,
        max: room,
        parts: Vec::new(),
        open: Vec::new(),
        used: 0,
    };
    for block in blocks {
        cutter.add(block);
        if cutter.parts.len() > PARTS_MAX {
            break;
        }
    }
    cutter.end_part();
    let mut parts = cutter.parts;
    let count = parts.len();
    if count > PARTS_MAX {
        return Err(too_long());
    }
    if count > 1 {
        for (place, part) in parts.iter_mut().enumerate() {
            part.insert(0, number(place + 1, count));
        }
    }
    Ok(parts)
}

fn too_long() -> Problem {
    let detail = format!(
        "would take more than {PARTS_MAX} messages on this platform; send a file or a link instead"
    );
    Problem::new(ProblemKind::TooLarge, "too_long", detail).field("body")
}

fn number(place: usize, count: usize) -> Block {
    Block::paragraph(text_runs(&format!("({place}/{count})"), Look::PLAIN))
}

fn total(blocks: &[Block], measure: &dyn Measure) -> usize {
    blocks.iter().map(|block| cost(block, measure)).sum()
}

fn cost(block: &Block, measure: &dyn Measure) -> usize {
    measure.frame(block)
        + match block {
            Block::Line { role, runs } => runs.iter().map(|run| measure.run(role, run)).sum(),
            Block::Code { text, .. } => measure.code(text),
            Block::Divider => 0,
        }
}

struct Cutter<'a> {
    measure: &'a dyn Measure,
    max: usize,
    parts: Vec<Vec<Block>>,
    open: Vec<Block>,
    used: usize,
}

impl Cutter<'_> {
    fn add(&mut self, block: Block) {
        let cost = cost(&block, self.measure);
        if self.used + cost > self.max {
            self.end_part();
        }
        if cost <= self.max {
            self.used += cost;
            self.open.push(block);
            return;
        }
        let pieces = match block {
            Block::Line { role, runs } => self.cut_line(&role, runs),
            Block::Code { lang, text } => self.cut_code(&lang, &text),
            Block::Divider => Vec::new(),
        };
        for piece in pieces {
            self.end_part();
            self.used = self::cost(&piece, self.measure);
            self.open.push(piece);
        }
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.open);
        self.used = 0;
        if !is_blank(&part) {
            self.parts.push(part);
        }
    }

    fn room(&self, empty: &Block) -> usize {
        self.max.saturating_sub(self.measure.frame(empty))
    }

    fn cut_line(&self, role: &Role, runs: Vec<Run>) -> Vec<Block> {
        let block = |runs| Block::Line {
            role: role.clone(),
            runs,
        };
        let room = self.room(&block(Vec::new()));
        let mut line = OpenLine::default();
        let mut pieces = Vec::new();
        let mut rest = VecDeque::from(runs);
        while pieces.len() <= PARTS_MAX
            && let Some(run) = rest.pop_front()
        {
            let fits = !is_surely_over(&run, room);
            let cost = if fits {
                self.measure.run(role, &run)
            } else {
                usize::MAX
            };
            if fits && line.used + cost <= room {
                line.push(run, cost);
                continue;
            }
            // The line is full. A line break in its second half is the best place to cut.
            if let Some(tail) = line.cut_at_break(room / 2) {
                rest.push_front(run);
                for run in tail.into_iter().rev() {
                    rest.push_front(run);
                }
            } else {
                match self.cut_run(run, room - line.used, line.runs.is_empty()) {
                    (Some(head), tail) => {
                        line.runs.push(head);
                        rest.push_front(tail);
                    }
                    (None, run) => {
                        rest.push_front(run);
                        if line.runs.is_empty() {
                            continue;
                        }
                    }
                }
            }
            pieces.push(block(std::mem::take(&mut line).runs));
        }
        pieces.push(block(line.runs));
        pieces
    }

    /// The beginning of a run that fits, if any, and the rest. On an empty line something always fits, or the run
    /// becomes text.
    fn cut_run(&self, run: Run, room: usize, on_empty_line: bool) -> (Option<Run>, Run) {
        match run {
            Run::Text { text, look } => {
                let room = room.saturating_sub(self.measure.look(look));
                let cut = best_cut(&text, room, on_empty_line, &|text| {
                    self.measure.text(text, look)
                });
                let (head, tail) = text.split_at(cut);
                let head = (!head.is_empty()).then(|| Run::Text {
                    text: head.to_owned(),
                    look,
                });
                let text = tail.to_owned();
                (head, Run::Text { text, look })
            }
            solid if on_empty_line => (None, as_text(solid)),
            solid => (None, solid),
        }
    }

    fn cut_code(&self, lang: &str, text: &str) -> Vec<Block> {
        let block = |text: &str| Block::Code {
            lang: lang.to_owned(),
            text: text.to_owned(),
        };
        let room = self.room(&block(""));
        let cost = |text: &str| self.measure.code(text);
        let mut pieces = Vec::new();
        let mut rest = text;
        while pieces.len() <= PARTS_MAX && (is_longer(rest, room) || cost(rest) > room) {
            let fits = best_cut(rest, room, true, &cost);
            // Whole lines, unless one line alone is too long.
            let line_end = rest[..fits].rfind('\n').filter(|end| *end > 0);
            let cut = line_end.unwrap_or(fits);
            pieces.push(block(&rest[..cut]));
            rest = rest[cut..].strip_prefix('\n').unwrap_or(&rest[cut..]);
        }
        pieces.push(block(rest));
        pieces
    }
}

/// Whether a run need not be measured, since a character takes at least one of any unit. A text of megabytes would
/// otherwise be measured whole for each of its parts.
fn is_surely_over(run: &Run, room: usize) -> bool {
    matches!(run, Run::Text { text, .. } if is_longer(text, room))
}

/// Whether a text has more characters than that, of which none has more than four bytes.
fn is_longer(text: &str, chars: usize) -> bool {
    text.len() / 4 > chars
}

/// A line while runs are added.
#[derive(Default)]
struct OpenLine {
    runs: Vec<Run>,
    used: usize,
    /// The last line break: its place, and what was used before it.
    last_break: Option<(usize, usize)>,
}

impl OpenLine {
    fn push(&mut self, run: Run, cost: usize) {
        if run == Run::Break {
            self.last_break = Some((self.runs.len(), self.used));
        }
        self.used += cost;
        self.runs.push(run);
    }

    /// Ends the line before its last line break, if at least `least` is used by then; what came after the break.
    fn cut_at_break(&mut self, least: usize) -> Option<Vec<Run>> {
        let (place, used) = self.last_break?;
        if used < least.max(1) {
            return None;
        }
        let tail = self.runs.split_off(place + 1);
        self.runs.pop();
        Some(tail)
    }
}

/// The length of the longest beginning that fits, moved back to the end of a sentence or word in its second half. With
/// `must_move` it is never 0: a grapheme larger than the room is cut between characters, and one character goes anyway.
fn best_cut(text: &str, room: usize, must_move: bool, cost: &dyn Fn(&str) -> usize) -> usize {
    let (mut fits, mut word, mut sentence, mut used) = (0, 0, 0, 0);
    for (start, grapheme) in text.grapheme_indices(true) {
        used += cost(grapheme);
        if used > room {
            break;
        }
        fits = start + grapheme.len();
        let c = grapheme.chars().next().unwrap_or_default();
        if c.is_whitespace() {
            word = fits;
            if text[..start].ends_with(['.', '!', '?', ';', ':']) {
                sentence = fits;
            }
        } else if matches!(c, '。' | '！' | '？' | '；' | '…') {
            (sentence, word) = (fits, fits);
        }
    }
    if fits == text.len() || (fits == 0 && !must_move) {
        return fits;
    }
    if fits > 0 {
        let half = fits / 2;
        return [sentence, word]
            .into_iter()
            .find(|cut| *cut > half)
            .unwrap_or(fits);
    }
    let mut used = 0;
    for (start, c) in text.char_indices() {
        used += cost(c.encode_utf8(&mut [0; 4]));
        if used > room {
            return if start == 0 { c.len_utf8() } else { start };
        }
    }
    text.len()
}

/// What is too large for a message of its own, as text that can be cut.
fn as_text(run: Run) -> Run {
    let text = match run {
        Run::Text { text, .. } => text,
        Run::Break => String::new(),
        Run::Link { label, url } => format!("{label} ({url})"),
        Run::Image { alt, url } => format!("[image: {alt}] ({url})"),
        Run::Mention { kind, id, name } => {
            format!("@{}", mention_name(kind, id.as_deref(), name.as_deref()))
        }
    };
    Run::Text {
        text,
        look: Look::PLAIN,
    }
}

#[cfg(test)]
mod tests;
