//! A message as a chat shows it, whatever the platform: parts of blocks, cards, media and native payloads, with text,
//! links and mentions told apart, so that no text of a user can turn into anything else. Must not know any platform.

mod card;
mod markdown;
mod run;
mod segments;

use std::collections::BTreeSet;

use anser_core::Message;
use anser_core::channel::Links;
use anser_core::message::segment::{Card, Known, MentionKind};
use anser_core::message::{Attachment, Body};
use serde_json::Value;

pub(crate) use card::{Button, blocks as card_blocks, blocks_above_buttons, buttons};
pub(crate) use markdown::blocks as markdown_blocks;
pub(crate) use run::{is_bare, mention_name, plain, text_runs};

/// A message, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// In order.
    pub(crate) parts: Vec<Part>,
    /// Rungs of the ladder taken already here, such as `file->link`.
    pub(crate) degraded: BTreeSet<String>,
}

/// What makes a message of its own on a platform.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// Text with markup.
    Blocks(Vec<Block>),
    /// A card.
    Card(Box<CardPart>),
    /// A payload in the platform's own form.
    Native(Value),
    /// An attachment that the platform shows natively.
    Media(Box<MediaPart>),
    /// Another segment that the platform shows natively: its body.
    Segment(Value),
}

/// A card and where its picture is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CardPart {
    /// The card.
    pub(crate) card: Card,
    /// Its picture as a run: a link where there is a URL, else a note.
    pub(crate) image: Option<Run>,
    /// Its picture, when the platform takes it inside of a card, with an upload.
    pub(crate) media: Option<MediaPart>,
}

/// An attachment with what a segment says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MediaPart {
    /// As what it is to be shown.
    pub(crate) kind: MediaKind,
    /// Where it is.
    pub(crate) attachment: Attachment,
    /// What a picture shows, for those who do not see it, or what is said in a voice message; on one line. The latter also
    /// follows as text.
    pub(crate) caption: Option<String>,
    /// A picture that stands for a video until it is played.
    pub(crate) cover: Option<Attachment>,
    /// What is shown where it is refused: a picture by its URL, a link, else a note.
    pub(crate) fallback: Run,
}

/// As what an attachment is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    /// A picture.
    Image,
    /// Music or other sound.
    Audio,
    /// Speech.
    Voice,
    /// A video.
    Video,
    /// A file to download.
    File,
    /// A small picture without a frame.
    Sticker,
}

impl MediaKind {
    /// As notes on degradation call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::File => "file",
            Self::Sticker => "sticker",
        }
    }
}

/// What a platform can show natively.
pub(crate) struct Shows<'a> {
    /// The kind of channel, whose `raw` segments are its own.
    pub(crate) kind: &'a str,
    /// Whether it takes that as a message of its own.
    pub(crate) media: &'a dyn Fn(&MediaPart) -> bool,
    /// Whether it takes that picture inside of a card.
    pub(crate) in_card: &'a dyn Fn(&MediaPart) -> bool,
    /// Another segment as a message of its own.
    pub(crate) segment: &'a dyn Fn(&Known) -> Option<Value>,
    /// Links to the attachments that have no URL of their own.
    pub(crate) links: Option<&'a dyn Links>,
}

impl<'a> Shows<'a> {
    /// Text and links only.
    pub(crate) const fn text(kind: &'a str, links: Option<&'a dyn Links>) -> Self {
        Self {
            kind,
            media: &|_| false,
            in_card: &|_| false,
            segment: &|_| None,
            links,
        }
    }
}

/// What stands on lines of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A flow of runs.
    Line {
        /// How it is set off.
        role: Role,
        /// The runs.
        runs: Vec<Run>,
    },
    /// Text shown as it is, in fixed width.
    Code {
        /// Its language, of letters, digits and `+#._-`; empty for none.
        lang: String,
        /// The text, without a last line break.
        text: String,
    },
    /// A horizontal rule.
    Divider,
}

/// How a line is set off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Not at all.
    Paragraph,
    /// A heading of level 1 to 6.
    Heading(u8),
    /// A quotation.
    Quote,
    /// An item of a list, with its number or bullet and the blanks before it.
    Item(String),
}

/// What stands within a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Run {
    /// Text without line breaks and control characters.
    Text {
        /// The text.
        text: String,
        /// How it looks.
        look: Look,
    },
    /// A line break.
    Break,
    /// A link that may be followed: `http`, `https`, `mailto` or `tel`, in ASCII.
    Link {
        /// What it reads; the URL itself for a bare one.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// A picture at an `http` or `https` URL.
    Image {
        /// Its description.
        alt: String,
        /// Where it is.
        url: String,
    },
    /// A mention.
    Mention {
        /// Of whom.
        kind: MentionKind,
        /// The id on some platform.
        id: Option<String>,
        /// The name to show.
        name: Option<String>,
    },
}

/// How text looks: any of six styles together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look(u8);

impl Look {
    /// No style.
    pub(crate) const PLAIN: Self = Self(0);
    /// Bold.
    pub(crate) const BOLD: Self = Self(1);
    /// Italic.
    pub(crate) const ITALIC: Self = Self(2);
    /// Underlined.
    pub(crate) const UNDERLINE: Self = Self(4);
    /// Struck through.
    pub(crate) const STRIKE: Self = Self(8);
    /// Hidden until clicked.
    pub(crate) const SPOILER: Self = Self(16);
    /// Fixed width.
    pub(crate) const CODE: Self = Self(32);

    /// Both together.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every style of `other` is in it.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Block {
    /// A paragraph of plain text.
    pub(crate) fn paragraph(runs: Vec<Run>) -> Self {
        Self::Line {
            role: Role::Paragraph,
            runs,
        }
    }
}

impl Content {
    /// Takes a message apart for a platform that shows that.
    pub(crate) fn of(message: &Message, shows: &Shows<'_>) -> Self {
        match &message.body {
            Body::Content(content) => {
                segments::content(&content.segments, &message.attachments, shows)
            }
            Body::Data(raw) => Self::of_block(match message.body.text() {
                Some(text) => Block::paragraph(text_runs(&text, Look::PLAIN)),
                None => Block::Code {
                    lang: "json".to_owned(),
                    text: plain(raw.get()),
                },
            }),
            Body::Bytes { bytes, media_type } => {
                let note = format!("[{media_type}, {} bytes]", bytes.len());
                Self::of_block(Block::paragraph(text_runs(&note, Look::PLAIN)))
            }
        }
    }

    fn of_block(block: Block) -> Self {
        Self {
            parts: vec![Part::Blocks(vec![block])],
            degraded: BTreeSet::new(),
        }
    }

    /// Whether there is nothing that could be seen.
    pub(crate) fn is_blank(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Blocks(blocks) => is_blank(blocks),
            Part::Card(_) | Part::Native(_) | Part::Media(_) | Part::Segment(_) => false,
        })
    }
}

/// Whether none of the blocks shows anything.
pub(crate) fn is_blank(blocks: &[Block]) -> bool {
    blocks.iter().all(|block| match block {
        Block::Line { runs, .. } => runs.iter().all(|run| match run {
            Run::Text { text, .. } => text.chars().all(is_invisible),
            Run::Break => true,
            Run::Link { .. } | Run::Image { .. } | Run::Mention { .. } => false,
        }),
        Block::Code { text, .. } => text.chars().all(is_invisible),
        Block::Divider => true,
    })
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// All the runs of all the lines, in order.
pub(crate) fn runs(blocks: &[Block]) -> impl Iterator<Item = &Run> {
    blocks
        .iter()
        .filter_map(|block| match block {
            Block::Line { runs, .. } => Some(runs.as_slice()),
            Block::Code { .. } | Block::Divider => None,
        })
        .flatten()
}

#[cfg(test)]
mod tests;
