//! Segments into parts: what the platform does not take natively becomes a link or a note, and the rung is recorded. Must
//! not refuse any segment.

use anser_core::message::segment::{Card, ForwardItem, Known, MentionKind, Segment, Style};
use anser_core::message::{Attachment, Source};
use serde_json::{Map, Value};

use super::markdown::language;
use super::run::{link, one_line, plain, web_link};
use super::{
    Block, CardPart, Content, Look, MediaKind, MediaPart, Part, Role, Run, Shows, markdown_blocks,
    text_runs,
};

/// Where places are shown.
const MAP: &str = "https://www.openstreetmap.org/";

/// The parts of a content body.
pub(super) fn content(
    segments: &[Segment],
    attachments: &[Attachment],
    shows: &Shows<'_>,
) -> Content {
    let mut builder = Builder {
        attachments,
        shows,
        content: Content::default(),
        blocks: Vec::new(),
        runs: Vec::new(),
    };
    for segment in segments {
        builder.segment(segment);
    }
    builder.end_part();
    builder.content
}

struct Builder<'a> {
    attachments: &'a [Attachment],
    shows: &'a Shows<'a>,
    content: Content,
    blocks: Vec<Block>,
    runs: Vec<Run>,
}

impl<'a> Builder<'a> {
    fn segment(&mut self, segment: &Segment) {
        match segment {
            Segment::Known(known) => self.known(known),
            Segment::Unknown(members) => self.text(&unknown(members), Look::PLAIN),
        }
    }

    fn known(&mut self, known: &Known) {
        if let Some(body) = (self.shows.segment)(known) {
            self.part(Part::Segment(body));
            return;
        }
        match known {
            Known::Text { text, style } => self.text(text, look(style)),
            Known::Markdown { text } => self.markdown(text),
            Known::Code { lang, text } => self.block(Block::Code {
                lang: language(lang.as_deref().unwrap_or_default()),
                text: plain(text),
            }),
            Known::Break {} => self.runs.push(Run::Break),
            Known::Divider {} => self.block(Block::Divider),
            Known::Link {
                url, title, text, ..
            } => self.link(url, title.as_deref(), text.as_deref()),
            Known::Mention { kind, id, name } => self.mention(*kind, id.as_ref(), name.as_ref()),
            Known::Emoji { name, unicode } => match unicode {
                Some(unicode) => self.text(unicode, Look::PLAIN),
                None => self.text(&format!(":{name}:"), Look::PLAIN),
            },
            Known::Image { att, alt } => self.image(att, alt.as_deref()),
            Known::Audio { att } => self.file(MediaKind::Audio, att, None, None),
            Known::Video { att, cover } => {
                self.file(MediaKind::Video, att, None, cover.as_deref());
            }
            Known::File { att } => self.file(MediaKind::File, att, None, None),
            Known::Voice { att, transcript } => {
                self.file(MediaKind::Voice, att, transcript.as_deref(), None);
                if let Some(transcript) = transcript {
                    let gap = if self.runs.is_empty() { "" } else { " " };
                    self.text(&format!("{gap}{transcript}"), Look::PLAIN);
                }
            }
            Known::Sticker { att } => self.sticker(att.as_deref()),
            Known::Location {
                lat,
                lon,
                name,
                address,
            } => self.location(*lat, *lon, name.as_deref().or(address.as_deref())),
            Known::Contact { name, phones } => {
                self.note(
                    "contact->text",
                    &format!("[contact: {name} {}]", phones.join(", ")),
                );
            }
            Known::Quote { from, excerpt, .. } => self.quote(from.as_deref(), excerpt.as_deref()),
            Known::Forward { items } => self.forward(items),
            Known::Card(card) => self.card(card),
            Known::Raw { platform, payload } => self.raw(platform, payload),
        }
    }

    fn text(&mut self, text: &str, look: Look) {
        self.runs.extend(text_runs(text, look));
    }

    fn run(&mut self, run: Run) {
        self.runs.push(run);
    }

    fn note(&mut self, rung: &str, text: &str) {
        self.degrade(rung);
        self.text(text, Look::PLAIN);
    }

    fn degrade(&mut self, rung: &str) {
        self.content.degraded.insert(rung.to_owned());
    }

    fn block(&mut self, block: Block) {
        self.end_line();
        self.blocks.push(block);
    }

    /// Markdown of one paragraph goes on in the line that is open.
    fn markdown(&mut self, source: &str) {
        let mut blocks = markdown_blocks(source);
        if let [
            Block::Line {
                role: Role::Paragraph,
                runs,
            },
        ] = blocks.as_mut_slice()
        {
            self.runs.append(runs);
            return;
        }
        self.end_line();
        self.blocks.append(&mut blocks);
    }

    fn link(&mut self, url: &str, title: Option<&str>, text: Option<&str>) {
        let label = title.or(text).unwrap_or(url);
        match link(label.to_owned(), url) {
            Some(run) => self.run(run),
            None if label == url => self.text(url, Look::PLAIN),
            None => self.text(&format!("{label} ({url})"), Look::PLAIN),
        }
        if let (Some(_), Some(text)) = (title, text) {
            self.text(&format!(" {text}"), Look::PLAIN);
        }
    }

    fn mention(&mut self, kind: MentionKind, id: Option<&String>, name: Option<&String>) {
        self.run(Run::Mention {
            kind,
            id: id.cloned(),
            name: name.map(|name| one_line(name)),
        });
    }

    /// The attachment as a message of its own, of the first of the kinds that the platform takes.
    fn media(
        &mut self,
        kinds: &[MediaKind],
        att: &str,
        caption: Option<&str>,
        cover: Option<&str>,
    ) -> bool {
        for kind in kinds {
            let Some(media) = self.media_part(*kind, att, caption, cover) else {
                return false;
            };
            if (self.shows.media)(&media) {
                if *kind != kinds[0] {
                    self.degrade(&format!("{}->{}", kinds[0].name(), kind.name()));
                }
                self.part(Part::Media(Box::new(media)));
                return true;
            }
        }
        false
    }

    fn media_part(
        &self,
        kind: MediaKind,
        att: &str,
        caption: Option<&str>,
        cover: Option<&str>,
    ) -> Option<MediaPart> {
        let fallback = match kind {
            MediaKind::Image | MediaKind::Sticker => self.picture(att, caption),
            _ => self.linked(kind, att),
        };
        Some(MediaPart {
            kind,
            attachment: self.attachment(att)?.clone(),
            caption: caption.map(one_line),
            cover: cover.and_then(|att| self.attachment(att)).cloned(),
            fallback,
        })
    }

    /// A picture natively, else by its URL, else a note. One that has a URL is rather shown by it than as a file.
    fn image(&mut self, att: &str, alt: Option<&str>) {
        let kinds: &[MediaKind] = if self.attachment(att).is_some_and(has_url) {
            &[MediaKind::Image]
        } else {
            &[MediaKind::Image, MediaKind::File]
        };
        if self.media(kinds, att, alt, None) {
            return;
        }
        let run = self.picture(att, alt);
        if !matches!(run, Run::Image { .. }) {
            self.degrade("image->text");
        }
        self.run(run);
    }

    /// A picture by its URL, else a note.
    fn picture(&self, att: &str, alt: Option<&str>) -> Run {
        let attachment = self.attachment(att);
        let name = attachment.and_then(|attachment| attachment.name.as_deref());
        let alt = one_line(alt.or(name).unwrap_or(att));
        match attachment.and_then(|attachment| self.url(attachment)) {
            Some(url) => Run::Image { alt, url },
            None => Run::Text {
                text: format!("[image: {alt}]"),
                look: Look::PLAIN,
            },
        }
    }

    /// A file natively, else as a link that names it, else a note.
    fn file(&mut self, kind: MediaKind, att: &str, caption: Option<&str>, cover: Option<&str>) {
        let kinds: &[MediaKind] = match kind {
            MediaKind::Voice => &[MediaKind::Voice, MediaKind::Audio, MediaKind::File],
            MediaKind::Audio => &[MediaKind::Audio, MediaKind::File],
            MediaKind::Video => &[MediaKind::Video, MediaKind::File],
            MediaKind::File | MediaKind::Image | MediaKind::Sticker => &[MediaKind::File],
        };
        if self.media(kinds, att, caption, cover) {
            return;
        }
        let run = self.linked(kind, att);
        let form = match run {
            Run::Link { .. } => "link",
            _ => "text",
        };
        self.degrade(&format!("{}->{form}", kind.name()));
        self.run(run);
    }

    /// A link that names it, else a note.
    fn linked(&self, kind: MediaKind, att: &str) -> Run {
        let attachment = self.attachment(att);
        let name = attachment.and_then(|attachment| attachment.name.as_deref());
        let size = attachment.and_then(|attachment| attachment.size);
        let size = size.map_or(String::new(), |size| format!(", {}", readable(size)));
        let name = one_line(name.unwrap_or(att));
        let label = format!("[{}: {name}{size}]", kind.name());
        attachment
            .and_then(|attachment| self.url(attachment))
            .and_then(|url| link(label.clone(), &url))
            .unwrap_or(Run::Text {
                text: label,
                look: Look::PLAIN,
            })
    }

    fn sticker(&mut self, att: Option<&str>) {
        match att {
            Some(att) if self.media(&[MediaKind::Sticker], att, None, None) => {}
            Some(att) => {
                self.degrade("sticker->image");
                self.image(att, Some("sticker"));
            }
            None => self.note("sticker->text", "[sticker]"),
        }
    }

    fn location(&mut self, lat: f64, lon: f64, name: Option<&str>) {
        let label = name.map_or_else(
            || format!("[location: {lat},{lon}]"),
            |name| format!("[location: {}]", one_line(name)),
        );
        let url = format!("{MAP}?mlat={lat}&mlon={lon}");
        match link(label.clone(), &url) {
            Some(run) => {
                self.degrade("location->link");
                self.run(run);
            }
            None => self.note("location->text", &label),
        }
    }

    fn quote(&mut self, from: Option<&str>, excerpt: Option<&str>) {
        self.degrade("quote->excerpt");
        let mut runs = Vec::new();
        if let Some(from) = from {
            runs.extend(text_runs(&format!("{from}: "), Look::BOLD));
        }
        runs.extend(text_runs(excerpt.unwrap_or("…"), Look::PLAIN));
        let role = Role::Quote;
        self.block(Block::Line { role, runs });
    }

    fn forward(&mut self, items: &[ForwardItem]) {
        self.degrade("forward->text");
        for item in items {
            self.end_line();
            let time = item.time.map_or(String::new(), |time| format!("[{time}] "));
            self.text(&format!("{time}{}:", item.from), Look::BOLD);
            self.run(Run::Break);
            for segment in &item.segments {
                self.segment(segment);
            }
        }
        self.end_line();
    }

    /// A picture that the platform takes in no card, and that has no URL either, goes before the card.
    fn card(&mut self, card: &Card) {
        self.end_part();
        let (mut image, mut media) = (None, None);
        if let Some(att) = card.image.as_deref() {
            media = self
                .media_part(MediaKind::Image, att, None, None)
                .filter(|media| (self.shows.in_card)(media));
            let run = self.picture(att, None);
            let is_note = !matches!(run, Run::Image { .. });
            let goes_before =
                media.is_none() && is_note && self.media(&[MediaKind::Image], att, None, None);
            if !goes_before {
                if is_note && media.is_none() {
                    self.degrade("image->text");
                }
                image = Some(run);
            }
        }
        let card = card.clone();
        let part = CardPart { card, image, media };
        self.part(Part::Card(Box::new(part)));
    }

    /// Native content of another platform is nothing that could be shown here.
    fn raw(&mut self, platform: &str, payload: &Value) {
        if platform == self.shows.kind {
            self.part(Part::Native(payload.clone()));
        } else {
            self.note("raw->text", &format!("[{platform}]"));
        }
    }

    fn part(&mut self, part: Part) {
        self.end_part();
        self.content.parts.push(part);
    }

    fn end_line(&mut self) {
        if !self.runs.is_empty() {
            let runs = std::mem::take(&mut self.runs);
            self.blocks.push(Block::paragraph(runs));
        }
    }

    fn end_part(&mut self) {
        self.end_line();
        if !self.blocks.is_empty() {
            let blocks = std::mem::take(&mut self.blocks);
            self.content.parts.push(Part::Blocks(blocks));
        }
    }

    fn attachment(&self, id: &str) -> Option<&'a Attachment> {
        self.attachments
            .iter()
            .find(|attachment| attachment.id == id)
    }

    /// The attachment's own URL, else a link to its bytes.
    fn url(&self, attachment: &Attachment) -> Option<String> {
        match &attachment.source {
            Source::Url(url) => Some(url.as_str())
                .filter(|url| url.starts_with("http"))
                .and_then(web_link),
            Source::Inline(_) | Source::Blob(_) => web_link(&self.shows.links?.link(attachment)?),
        }
    }
}

fn has_url(attachment: &Attachment) -> bool {
    matches!(attachment.source, Source::Url(_))
}

fn look(styles: &[Style]) -> Look {
    styles.iter().fold(Look::PLAIN, |look, style| {
        look.with(match style {
            Style::Bold => Look::BOLD,
            Style::Italic => Look::ITALIC,
            Style::Underline => Look::UNDERLINE,
            Style::Strike => Look::STRIKE,
            Style::Code => Look::CODE,
            Style::Spoiler => Look::SPOILER,
        })
    })
}

/// What a segment of an unknown type says of itself, else its type.
fn unknown(members: &Map<String, Value>) -> String {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    match (text("fallback"), text("text"), text("type")) {
        (Some(text), _, _) | (None, Some(text), _) => text.to_owned(),
        (None, None, name) => format!("[{}]", name.unwrap_or("?")),
    }
}

fn readable(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}
