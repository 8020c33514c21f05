//! Putting a message together from what a dialect reads: segments, attachments and what is kept of the original, within the
//! limits of the format, so that what is finished is a valid message. Must not know a dialect.

use anser_core::limits::{
    ATTACHMENT_INLINE_BYTES_MAX, ATTACHMENTS_MAX, CARD_ACTIONS_MAX, KEY_BYTES_MAX,
    SEGMENT_TEXT_BYTES_MAX, SEGMENTS_MAX, TAG_BYTES_MAX, TAGS_MAX, TYPE_BYTES_MAX,
};
use anser_core::message::body::BodyFields;
use anser_core::message::item::ItemHeader;
use anser_core::message::segment::{
    self, ActionKind, Card, CardAction, CardField, Known, Level, MentionKind, Style,
};
use anser_core::message::{Attachment, Item, Kind, Segment, Source};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::member::{GLANCE_CHARS, line, shorten, web_url};
use super::told::{Fault, Told};

/// Characters of a card's title.
const TITLE_CHARS: usize = 200;
/// Fields of a card.
const FIELDS_MAX: usize = 20;
/// Characters of a button's text.
const LABEL_CHARS: usize = 60;
/// Bytes of a sender's own id: with the dialect before it, it is a dedupe key.
const ID_BYTES_MAX: usize = KEY_BYTES_MAX - 64;
/// Bytes of a file's name.
const FILE_NAME_BYTES_MAX: usize = 255;

/// A message in the making.
#[derive(Default)]
pub(super) struct Draft {
    header: ItemHeader,
    segments: Vec<Known>,
    attachments: Vec<Attachment>,
    files: Vec<(usize, Vec<u8>)>,
    kept: Map<String, Value>,
    event_id: Option<String>,
    dedupe_key: Option<String>,
}

impl Draft {
    /// Whether nothing was written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Plain text.
    pub(super) fn text(&mut self, text: &str) {
        self.styled(text, &[]);
    }

    /// Text with a look.
    pub(super) fn styled(&mut self, text: &str, style: &[Style]) {
        for piece in pieces(text) {
            let style = style.to_vec();
            self.segments.push(Known::Text { text: piece, style });
        }
    }

    /// Markdown.
    pub(super) fn markdown(&mut self, text: &str) {
        for text in pieces(text) {
            self.segments.push(Known::Markdown { text });
        }
    }

    /// A block of code.
    pub(super) fn code(&mut self, lang: Option<&str>, text: &str) {
        for text in pieces(text) {
            let lang = lang.map(str::to_owned);
            self.segments.push(Known::Code { lang, text });
        }
    }

    /// A line break, unless nothing is before it.
    pub(super) fn line(&mut self) {
        if !self.segments.is_empty() {
            self.segments.push(Known::Break {});
        }
    }

    /// A horizontal rule.
    pub(super) fn divider(&mut self) {
        self.segments.push(Known::Divider {});
    }

    /// A link that reads `label`; what is no link of the web stays text.
    pub(super) fn link(&mut self, url: &str, label: Option<&str>, description: Option<&str>) {
        let label = label.filter(|label| !label.trim().is_empty() && *label != url);
        match web_url(url) {
            Some(url) => self.segments.push(Known::Link {
                url,
                title: label.map(str::to_owned),
                text: description.map(str::to_owned),
                image: None,
            }),
            None => {
                self.text(label.unwrap_or(url));
                if label.is_some() && !url.is_empty() {
                    self.text(&format!(" ({url})"));
                }
            }
        }
    }

    /// A link with a preview picture.
    pub(super) fn preview(
        &mut self,
        url: &str,
        title: &str,
        text: Option<&str>,
        image: Option<&str>,
    ) {
        match (web_url(url), image.and_then(web_url)) {
            (Some(url), image @ Some(_)) => self.segments.push(Known::Link {
                url,
                title: Some(title.to_owned()).filter(|title| !title.is_empty()),
                text: text.map(str::to_owned),
                image,
            }),
            _ => self.link(url, Some(title), text),
        }
    }

    /// A mention.
    pub(super) fn mention(&mut self, kind: MentionKind, id: Option<&str>, name: Option<&str>) {
        self.segments.push(Known::Mention {
            kind,
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
        });
    }

    /// An emoji by its short name.
    pub(super) fn emoji(&mut self, name: &str, unicode: Option<String>) {
        let name = name.to_owned();
        self.segments.push(Known::Emoji { name, unicode });
    }

    /// A picture at a URL; what is no link of the web stays text.
    pub(super) fn image_at(&mut self, url: &str, alt: Option<&str>) {
        let Some(source) = web_url(url).map(Source::Url) else {
            self.text(alt.unwrap_or(url));
            return;
        };
        let att = self.attach(None, None, source);
        let alt = alt.map(str::to_owned);
        self.segments.push(Known::Image { att, alt });
    }

    /// A picture's bytes.
    pub(super) fn image(&mut self, bytes: Vec<u8>, media_type: &str) {
        let att = self.attach_bytes(None, Some(media_type), bytes);
        self.segments.push(Known::Image { att, alt: None });
    }

    /// A file's bytes.
    pub(super) fn file(&mut self, name: Option<&str>, media_type: Option<&str>, bytes: Vec<u8>) {
        let is_image = media_type.is_some_and(|media_type| media_type.starts_with("image/"));
        let att = self.attach_bytes(name, media_type, bytes);
        self.segments.push(if is_image {
            Known::Image { att, alt: None }
        } else {
            Known::File { att }
        });
    }

    /// An attachment that is named by nothing yet, at a URL; its id.
    pub(super) fn attachment_at(&mut self, url: &str) -> Option<String> {
        let source = web_url(url).map(Source::Url)?;
        Some(self.attach(None, None, source))
    }

    fn attach_bytes(
        &mut self,
        name: Option<&str>,
        media_type: Option<&str>,
        bytes: Vec<u8>,
    ) -> String {
        if bytes.len() <= ATTACHMENT_INLINE_BYTES_MAX {
            let source = Source::Inline(BASE64.encode(bytes));
            return self.attach(name, media_type, source);
        }
        self.files.push((self.attachments.len(), bytes));
        self.attach(name, media_type, Source::Inline(String::new()))
    }

    fn attach(&mut self, name: Option<&str>, media_type: Option<&str>, source: Source) -> String {
        let id = format!("a{}", self.attachments.len() + 1);
        let good = |name: &&str| {
            (1..=FILE_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        let known = |media_type: &&str| {
            anser_core::message::body::check_media_type("media_type", media_type).is_ok()
        };
        self.attachments.push(Attachment {
            id: id.clone(),
            name: name.filter(good).map(str::to_owned),
            media_type: media_type.filter(known).map(str::to_owned),
            size: None,
            sha256: None,
            source,
            width: None,
            height: None,
            duration_ms: None,
        });
        id
    }

    /// A card.
    pub(super) fn card(&mut self, draft: CardDraft) {
        self.segments.push(Known::Card(draft.0));
    }

    /// Content that has no standard form, as it is.
    pub(super) fn raw(&mut self, platform: &str, payload: Value) {
        let platform = platform.to_owned();
        self.segments.push(Known::Raw { platform, payload });
    }

    /// Keeps the original beside the standard form: as what the platform `name` is sent instead, where it fits.
    pub(super) fn keep(&mut self, name: &str, payload: Value) {
        self.kept.insert(name.to_owned(), payload);
    }

    /// The type of the event: its words joined by `.`; what a type may not contain becomes `_`.
    pub(super) fn event(&mut self, words: &[&str]) {
        let words: Vec<String> = words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| {
                let allowed = |c: char| {
                    if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                        c
                    } else {
                        '_'
                    }
                };
                word.chars().map(allowed).collect()
            })
            .collect();
        let mut name = words.join(".");
        name.truncate(TYPE_BYTES_MAX);
        self.header.r#type = Some(name).filter(|name| !name.is_empty());
        self.header.kind = Kind::Headline;
    }

    /// A label that filters match on.
    pub(super) fn tag(&mut self, text: &str) {
        let good = (1..=TAG_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        let tags = &mut self.header.tags;
        if good && tags.len() < TAGS_MAX && !tags.iter().any(|tag| tag == text) {
            tags.push(text.to_owned());
        }
    }

    /// What this belongs to, such as an alert that fires and is resolved: messages of the same are delivered in order. Of
    /// whatever length: its hash is the key.
    pub(super) fn order_by(&mut self, what: &str) {
        let digest = Sha256::digest(what.as_bytes());
        let digits: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.header.key = Some(digits);
    }

    /// When it happened, if that is a time.
    pub(super) fn occurred(&mut self, time: Option<&str>) {
        self.header.occurred_at = time.and_then(|text| text.parse().ok());
    }

    /// The sender's own id of what it sent. With `once`, what comes with the same one again is not published again.
    pub(super) fn id(&mut self, id: Option<&str>, once: bool) {
        let good =
            |id: &&str| (1..=ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control);
        let Some(id) = id.filter(good) else {
            return;
        };
        self.event_id = Some(id.to_owned());
        self.dedupe_key = once.then(|| id.to_owned());
    }

    /// The message; `kind` is the sender's own name for what it sent.
    ///
    /// # Errors
    /// [`Fault::Empty`]; [`Fault::TooLarge`] for more attachments, or more text, than a message has.
    pub(super) fn finish(mut self, kind: &str) -> Result<Told, Fault> {
        while matches!(self.segments.last(), Some(Known::Break {})) {
            self.segments.pop();
        }
        if self.segments.is_empty() {
            return Err(Fault::Empty);
        }
        let too_many = |what: &str, count: usize, most: usize| {
            Fault::TooLarge(format!(
                "a message has at most {most} {what}, this one has {count}"
            ))
        };
        if self.segments.len() > SEGMENTS_MAX {
            self.flatten();
        }
        if self.segments.len() > SEGMENTS_MAX {
            return Err(too_many("parts", self.segments.len(), SEGMENTS_MAX));
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            let count = self.attachments.len();
            return Err(too_many("pictures and files", count, ATTACHMENTS_MAX));
        }
        let segments: Result<Vec<Value>, _> = self
            .segments
            .iter()
            .map(serde_json::value::to_value)
            .collect();
        let segments = segments.map_err(|_| Fault::Internal)?;
        Ok(Told {
            item: Item {
                header: self.header,
                body: BodyFields {
                    segments: Some(segments),
                    overrides: (!self.kept.is_empty()).then_some(self.kept),
                    ..BodyFields::default()
                },
                attachments: self.attachments,
                dedupe_key: self.dedupe_key,
            },
            kind: line(kind, GLANCE_CHARS),
            event_id: self.event_id,
            files: self.files,
        })
    }
}

impl Draft {
    /// More parts than a message has become plain text: nothing is lost but its look.
    fn flatten(&mut self) {
        let segments = std::mem::take(&mut self.segments);
        let known = |known| Segment::Known(Box::new(known));
        let segments: Vec<Segment> = segments.into_iter().map(known).collect();
        self.text(&segment::fallback(&segments));
    }
}

/// A text in pieces that a segment may hold, none of them empty.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(SEGMENT_TEXT_BYTES_MAX));
        pieces.push(piece.to_owned());
        rest = more;
    }
    pieces
}

/// A card in the making.
#[derive(Default)]
pub(super) struct CardDraft(Card);

impl CardDraft {
    /// With a title and a level.
    pub(super) fn new(title: &str, level: Option<Level>) -> Self {
        let title = line(title, TITLE_CHARS);
        Self(Card {
            title: Some(title).filter(|title| !title.is_empty()),
            level,
            ..Card::default()
        })
    }

    /// Below the title.
    pub(super) fn subtitle(&mut self, text: Option<&str>) {
        let text = text.map(|text| line(text, GLANCE_CHARS));
        self.0.subtitle = text.filter(|text| !text.is_empty());
    }

    /// A paragraph of Markdown.
    pub(super) fn section(&mut self, markdown: &str) {
        if !markdown.trim().is_empty() {
            self.0.sections.push(markdown.to_owned());
        }
    }

    /// A name and its value; beyond so many the rest is left to the original.
    pub(super) fn field(&mut self, name: &str, value: &str, short: bool) {
        if value.trim().is_empty() || self.0.fields.len() >= FIELDS_MAX {
            return;
        }
        self.0.fields.push(CardField {
            name: line(name, LABEL_CHARS),
            value: shorten(value.trim(), GLANCE_CHARS),
            short,
        });
    }

    /// A name and its value as it was sent, for a platform whose cards are as large as ours.
    pub(super) fn field_whole(&mut self, name: &str, value: &str, short: bool) {
        self.0.fields.push(CardField {
            name: name.to_owned(),
            value: value.to_owned(),
            short,
        });
    }

    /// A button that opens a link; what is none, and a link that has a button already, is left out.
    pub(super) fn button(&mut self, label: &str, url: Option<&str>) {
        let Some(url) = url.and_then(web_url) else {
            return;
        };
        let known = self.0.actions.iter().any(|action| action.value == *url);
        if known || self.0.actions.len() >= CARD_ACTIONS_MAX {
            return;
        }
        let label = line(label, LABEL_CHARS);
        self.0.actions.push(CardAction {
            id: format!("link{}", self.0.actions.len() + 1),
            label: if label.is_empty() {
                "Open".to_owned()
            } else {
                label
            },
            style: None,
            kind: ActionKind::Url,
            value: url.into(),
        });
    }

    /// A picture's attachment.
    pub(super) fn image(&mut self, attachment: Option<String>) {
        self.0.image = attachment;
    }

    /// A colour.
    pub(super) fn color(&mut self, color: Option<String>) {
        self.0.color = color;
    }

    /// Small print.
    pub(super) fn footer(&mut self, text: Option<&str>) {
        let text = text.map(|text| line(text, GLANCE_CHARS));
        self.0.footer = text.filter(|text| !text.is_empty());
    }

    /// Whether there is nothing on it.
    pub(super) fn is_blank(&self) -> bool {
        self.0
            == Card {
                level: self.0.level,
                color: self.0.color.clone(),
                ..Card::default()
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_become_several_parts_and_too_many_parts_plain_text() {
        let mut draft = Draft::default();
        draft.text(&"ä".repeat(SEGMENT_TEXT_BYTES_MAX));
        assert_eq!(draft.segments.len(), 2);
        for _ in 0..SEGMENTS_MAX {
            draft.styled("x", &[Style::Bold]);
        }
        let told = draft.finish("text").unwrap();
        assert_eq!(told.item.body.segments.unwrap().len(), 3);
        let mut draft = Draft::default();
        for _ in 0..=SEGMENTS_MAX {
            draft.text(&"x".repeat(SEGMENT_TEXT_BYTES_MAX));
        }
        assert!(matches!(draft.finish("text"), Err(Fault::TooLarge(_))));
        assert!(matches!(Draft::default().finish("text"), Err(Fault::Empty)));
    }

    #[test]
    fn what_is_no_link_stays_text() {
        let mut draft = Draft::default();
        draft.link("javascript:alert(1)", Some("here"), None);
        draft.image_at("data:image/png;base64,AAAA", Some("a picture"));
        let told = draft.finish("text").unwrap();
        assert_eq!(
            serde_json::to_string(&told.item.body.segments).unwrap(),
            r#"[{"type":"text","text":"here"},{"type":"text","text":" (javascript:alert(1))"},{"type":"text","text":"a picture"}]"#
        );
        assert!(told.item.attachments.is_empty());
    }

    #[test]
    fn types_and_tags_keep_to_their_grammar() {
        let mut draft = Draft::default();
        draft.event(&["a b", "", "ü.c"]);
        draft.tag("");
        draft.tag("x");
        draft.tag("x");
        draft.tag(&"x".repeat(65));
        draft.text("x");
        let header = draft.finish("text").unwrap().item.header;
        assert_eq!(header.r#type.as_deref(), Some("a_b._.c"));
        assert_eq!(header.tags, ["x"]);
    }
}
