//! A message as a mail: subject, text, HTML and attachments. Must not address it.

use std::collections::BTreeSet;

use anser_core::channel::{Context, MAIL_BYTES_MAX, MailAttachment, Plan, Step};
use anser_core::message::segment::Level;
use anser_core::message::{Body, Source};
use anser_core::{Message, Problem};
use serde::{Deserialize, Serialize};

use super::html::{escaped, html, image};
use crate::kit::content::{
    Block, CardPart, Content, MediaKind, MediaPart, Part, Shows, card_blocks,
};
use crate::kit::dialect::PLAIN;
use crate::kit::media::{file_name, media_type};
use crate::kit::plan::{FORMAT, MEDIA_TYPE, check_format, preview, shorten};

/// The version of the rendering.
const VERSION: u16 = 1;
/// Characters of a subject.
const SUBJECT_CHARS_MAX: usize = 150;

/// The mail, as the step's body keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Written {
    /// `Message-ID` without angle brackets: the same for every attempt of a delivery, another for every delivery.
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) html: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<File>,
}

impl Written {
    /// What a step of a plan holds.
    pub(super) fn of(step: &Step) -> Self {
        // Nothing but this module's own writing gets into a plan.
        serde_json::from_slice(&step.body).unwrap_or_default()
    }
}

/// An attachment of the mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct File {
    attachment: String,
    name: String,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_id: Option<String>,
}

impl From<File> for MailAttachment {
    fn from(file: File) -> Self {
        Self {
            attachment: file.attachment,
            name: file.name,
            media_type: file.media_type,
            content_id: file.content_id,
        }
    }
}

/// `body.override.email`: what the publisher wrote for mail alone. What is missing is made from the segments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
}

/// The one mail of a message.
///
/// # Errors
/// `invalid_format`; `no_lower_form` for a rung below the first; `empty_message`.
pub(super) fn plan(
    message: &Message,
    context: &Context<'_>,
    domain: &str,
) -> Result<Plan, Problem> {
    check_format(context.format)?;
    if context.rung > 0 {
        let detail = "a mail has one form only";
        return Err(Problem::invalid("no_lower_form", "body", detail));
    }
    let takes_files = !context.media_refused && weight(message) <= MAIL_BYTES_MAX;
    let shows = Shows {
        media: &|media| takes_files && is_kept(media),
        in_card: &|media| takes_files && is_kept(media),
        ..Shows::text(super::KIND, context.links)
    };
    let content = Content::of(message, &shows);
    if content.is_blank() {
        let detail =
            "has nothing that a mail could show; write a text, a picture, a file or a card";
        return Err(Problem::invalid("empty_message", "body", detail));
    }
    let mut degraded = content.degraded.clone();
    let mut writer = Writer::default();
    let subject = subject(message, &content.parts);
    for part in content.parts {
        writer.part(part);
    }
    let mut written = Written {
        id: format!("{}.{}@{domain}", message.header.id, context.delivery),
        subject,
        text: writer.text,
        html: Some(writer.html),
        files: writer.files,
    };
    overridden(message, &mut written, &mut degraded);
    let body = serde_json::to_vec(&written).expect("texts always serialise");
    let attachment = written.files.first().map(|file| file.attachment.clone());
    let step = Step {
        attachment,
        ..Step::send(body.into(), MEDIA_TYPE)
    };
    Ok(Plan {
        version: VERSION,
        steps: vec![step],
        degraded: degraded.into_iter().collect(),
    })
}

/// Bytes of the attachments that could ride along.
fn weight(message: &Message) -> u64 {
    let kept = message
        .attachments
        .iter()
        .filter(|attachment| matches!(attachment.source, Source::Inline(_) | Source::Blob(_)));
    kept.filter_map(|attachment| attachment.size).sum()
}

/// What has a URL is shown by it.
fn is_kept(media: &MediaPart) -> bool {
    matches!(media.attachment.source, Source::Inline(_) | Source::Blob(_))
}

fn overridden(message: &Message, written: &mut Written, degraded: &mut BTreeSet<String>) {
    let Body::Content(content) = &message.body else {
        return;
    };
    let Some(given) = content.overrides.get(super::KIND) else {
        return;
    };
    let Ok(given) = serde_json::from_value::<Override>(given.clone()) else {
        degraded.insert("override->html".to_owned());
        return;
    };
    if let Some(subject) = given.subject {
        written.subject = one_line(&subject);
    }
    if given.text.is_some() || given.html.is_some() {
        // What the publisher wrote shows none of our pictures: they are listed.
        for file in &mut written.files {
            file.content_id = None;
        }
        written.html = given.html;
    }
    if let Some(text) = given.text {
        written.text = text;
    }
}

/// The first card's title, else the first words, else the type.
fn subject(message: &Message, parts: &[Part]) -> String {
    let title = parts.iter().find_map(|part| match part {
        Part::Card(part) => part.card.title.as_deref().map(one_line),
        _ => None,
    });
    let words = || {
        parts.iter().find_map(|part| match part {
            Part::Blocks(blocks) => Some(preview(blocks, SUBJECT_CHARS_MAX)),
            Part::Media(media) => Some(file_name(&media.attachment)),
            _ => None,
        })
    };
    title
        .filter(|title| !title.is_empty())
        .or_else(words)
        .filter(|subject| !subject.is_empty())
        .unwrap_or_else(|| message.header.r#type.clone())
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    shorten(&words.join(" "), SUBJECT_CHARS_MAX)
}

/// Text and HTML as they grow.
#[derive(Default)]
struct Writer {
    text: String,
    html: String,
    files: Vec<File>,
}

impl Writer {
    fn part(&mut self, part: Part) {
        match part {
            Part::Blocks(blocks) => self.blocks(&blocks),
            Part::Card(card) => self.card(&card),
            Part::Media(media) => self.media(&media),
            // Nothing is asked for natively, and `raw` of a mail is none.
            Part::Native(_) | Part::Segment(_) => {}
        }
    }

    fn blocks(&mut self, blocks: &[Block]) {
        self.paragraph(&PLAIN.write(blocks));
        self.html.push_str(&html(blocks));
    }

    fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    fn card(&mut self, part: &CardPart) {
        let color = match part.card.level {
            Some(Level::Success) => "#2e7d32",
            Some(Level::Warning) => "#ed6c02",
            Some(Level::Error) => "#d32f2f",
            Some(Level::Info) | None => "#1976d2",
        };
        let style = format!("border-left:4px solid {color};padding-left:12px;margin:12px 0");
        self.html.push_str(&format!("<div style=\"{style}\">\n"));
        self.blocks(&card_blocks(part));
        if let Some(media) = &part.media {
            self.media(media);
        }
        self.html.push_str("</div>\n");
    }

    /// Pictures are shown where they stand; everything else is listed beside the text.
    fn media(&mut self, media: &MediaPart) {
        let attachment = &media.attachment;
        let name = file_name(attachment);
        let shown = matches!(media.kind, MediaKind::Image | MediaKind::Sticker);
        let content_id = shown.then(|| format!("part{}@anser", self.files.len()));
        let alt = media.caption.as_deref().unwrap_or(&name);
        self.paragraph(&format!("[{}: {alt}]", media.kind.name()));
        match &content_id {
            Some(id) => {
                let picture = image(&escaped(alt), &format!("cid:{id}"));
                self.html.push_str(&format!("<p>{picture}</p>\n"));
            }
            None => {
                let label = escaped(&format!("[{}: {name}]", media.kind.name()));
                self.html.push_str(&format!("<p>{label}</p>\n"));
            }
        }
        self.files.push(File {
            attachment: attachment.id.clone(),
            name,
            media_type: media_type(attachment),
            content_id,
        });
    }
}

/// The one format.
pub(super) const FORMATS: [&str; 1] = [FORMAT];
