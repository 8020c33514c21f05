//! Segments: the parts of content for people, in order. A type that this version does not know is kept as it is and
//! shown by the body's fallback, never refused.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::json::locate;
use super::strict::Strict;
use crate::problem::{Problem, ProblemKind};
use crate::time::Timestamp;

/// One part of a content body.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Segment {
    /// A type of the format.
    Known(Box<Known>),
    /// A type that this version does not know, verbatim.
    Unknown(Map<String, Value>),
}

/// The segment types of the format.
///
/// Serde derives the form `{"text": {…}}`, under which an error keeps its path (a `tag` would buffer the fields and lose
/// it); the form of the format, `{"type": "text", …}`, is written by [`Serialize`] and read by [`Segment::parse`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "lowercase", deny_unknown_fields)]
#[schemars(tag = "type", rename = "KnownSegment")]
pub enum Known {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// How it looks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        style: Vec<Style>,
    },
    /// Markdown (CommonMark).
    Markdown {
        /// The source.
        text: String,
    },
    /// A block of code.
    Code {
        /// Its language.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lang: Option<String>,
        /// The code.
        text: String,
    },
    /// A line break.
    Break {},
    /// A horizontal rule.
    Divider {},
    /// A link.
    Link {
        /// Where it leads.
        url: String,
        /// Its title.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Its description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Its preview picture.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// A mention of somebody.
    Mention {
        /// Whom.
        kind: MentionKind,
        /// The id on the platform.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The name to show.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// An emoji.
    Emoji {
        /// Its short name.
        name: String,
        /// The characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unicode: Option<String>,
    },
    /// A picture.
    Image {
        /// The attachment's id.
        att: String,
        /// A description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alt: Option<String>,
    },
    /// A sound file.
    Audio {
        /// The attachment's id.
        att: String,
    },
    /// A voice message.
    Voice {
        /// The attachment's id.
        att: String,
        /// What is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript: Option<String>,
    },
    /// A video.
    Video {
        /// The attachment's id.
        att: String,
        /// The cover picture's attachment id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cover: Option<String>,
    },
    /// A file.
    File {
        /// The attachment's id.
        att: String,
    },
    /// A sticker.
    Sticker {
        /// The attachment's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        att: Option<String>,
    },
    /// A place.
    Location {
        /// Degrees north.
        #[schemars(range(min = -90.0, max = 90.0))]
        lat: f64,
        /// Degrees east.
        #[schemars(range(min = -180.0, max = 180.0))]
        lon: f64,
        /// Its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// Somebody's contact data.
    Contact {
        /// The name.
        name: String,
        /// Telephone numbers.
        #[serde(default)]
        phones: Vec<String>,
    },
    /// A quotation of an earlier message.
    Quote {
        /// The quoted message's id.
        message_id: String,
        /// Who said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// What was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        excerpt: Option<String>,
    },
    /// Messages passed on.
    Forward {
        /// The messages, in order.
        items: Vec<ForwardItem>,
    },
    /// A card.
    Card(Card),
    /// Native content of one platform.
    Raw {
        /// The platform's kind.
        platform: String,
        /// Its native JSON.
        payload: Value,
    },
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tagged =
            Self::serialize(self, serde_json::value::Serializer).map_err(S::Error::custom)?;
        let Some((name, Value::Object(fields))) = only_member(tagged) else {
            return Err(S::Error::custom("a segment is an object"));
        };
        let mut segment = serializer.serialize_map(Some(fields.len() + 1))?;
        segment.serialize_entry("type", &name)?;
        for (name, value) in &fields {
            segment.serialize_entry(name, value)?;
        }
        segment.end()
    }
}

fn only_member(value: Value) -> Option<(String, Value)> {
    match value {
        Value::Object(members) => members.into_iter().next(),
        _ => None,
    }
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
    /// Fixed width.
    Code,
    /// Hidden until clicked.
    Spoiler,
}

/// Whom a mention means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MentionKind {
    /// One person.
    User,
    /// A role or group of people.
    Role,
    /// A channel.
    Channel,
    /// Everybody.
    All,
    /// Everybody who is here now.
    Here,
}

/// One message inside a `forward` segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardItem {
    /// Who said it.
    pub from: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// What.
    pub segments: Vec<Segment>,
}

/// A card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Subtitle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// How serious it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// A colour, for platforms that take one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// A picture's attachment id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Paragraphs, in Markdown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
    /// Names and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<CardField>,
    /// Buttons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub actions: Vec<CardAction>,
    /// Small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
}

/// How serious a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something succeeded.
    Success,
    /// Something needs watching.
    Warning,
    /// Something failed.
    Error,
}

/// A name and its value on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardField {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether two fit side by side.
    #[serde(default)]
    pub short: bool,
}

/// A button of a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardAction {
    /// Its id, returned when it is pressed.
    pub id: String,
    /// Its text.
    pub label: String,
    /// Its style, such as `primary` or `danger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
    /// What it does.
    pub kind: ActionKind,
    /// The link, the value returned, or the text copied.
    #[serde(default)]
    pub value: Value,
}

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// Opens a link.
    Url,
    /// Sends a `chat.button` event back.
    Callback,
    /// Copies a text.
    Copy,
}

impl Segment {
    /// Reads a segment; `field` is its path.
    ///
    /// # Errors
    /// `invalid_segment` when it is no object with a `type`, or a known type has wrong fields.
    pub fn parse(field: &str, value: Value) -> Result<Self, Problem> {
        Self::read(value).map_err(|(path, detail)| {
            let path = match path.as_str() {
                "" => field.to_owned(),
                path if path.starts_with('[') => format!("{field}{path}"),
                path => format!("{field}.{path}"),
            };
            Problem {
                code: "invalid_segment",
                field: Some(path),
                ..detail
            }
        })
    }

    /// Reads a segment, or says what is wrong and at which path inside it.
    fn read(value: Value) -> Result<Self, (String, Problem)> {
        let refuse = |path: &str, detail: &str| {
            (
                path.to_owned(),
                Problem::new(ProblemKind::Invalid, "invalid_segment", detail),
            )
        };
        let Value::Object(mut members) = value else {
            return Err(refuse("", "a segment is an object with a type"));
        };
        let name = match members.get("type") {
            Some(Value::String(name)) => name.clone(),
            Some(_) => return Err(refuse("type", "must be a text, the name of a segment type")),
            None => return Err(refuse("type", "is required: a segment names its type")),
        };
        if !is_known(&name) {
            return Ok(Self::Unknown(members));
        }
        members.shift_remove("type");
        let tagged = Value::Object(Map::from_iter([(name, Value::Object(members))]));
        let mut track = serde_path_to_error::Track::new();
        Known::deserialize(serde_path_to_error::Deserializer::new(
            Strict(tagged),
            &mut track,
        ))
        .map(|known| Self::Known(Box::new(known)))
        .map_err(|error| locate(&track.path(), &error.to_string()))
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(value).map_err(|(path, problem)| match path.as_str() {
            "" => D::Error::custom(problem.detail),
            path => D::Error::custom(format_args!("{path}: {}", problem.detail)),
        })
    }
}

impl JsonSchema for Segment {
    fn schema_name() -> Cow<'static, str> {
        "Segment".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known = generator.subschema_for::<Known>();
        let names: Vec<&str> = KNOWN_TYPES.to_vec();
        schemars::json_schema!({
            "description": "A known segment, or an object of another type, which is kept and shown by the fallback.",
            "anyOf": [known, {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "not": {"enum": names}}}}]
        })
    }
}

/// The names of the known types, as they stand in `type`.
pub const KNOWN_TYPES: [&str; 20] = [
    "text", "markdown", "code", "break", "divider", "link", "mention", "emoji", "image", "audio",
    "voice", "video", "file", "sticker", "location", "contact", "quote", "forward", "card", "raw",
];

fn is_known(name: &str) -> bool {
    KNOWN_TYPES.contains(&name)
}

/// The segments as plain text: what is shown where nothing richer is possible.
#[must_use]
pub fn fallback(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        if let Segment::Known(known) = segment {
            write_fallback(&mut text, known);
        }
    }
    text
}

fn write_fallback(out: &mut String, known: &Known) {
    let label = |name: &str, detail: Option<&str>| {
        detail.map_or_else(
            || format!("[{name}]"),
            |detail| format!("[{name}: {detail}]"),
        )
    };
    match known {
        Known::Text { text, .. } | Known::Markdown { text } | Known::Code { text, .. } => {
            out.push_str(text);
        }
        Known::Break {} => out.push('\n'),
        Known::Divider {} => out.push_str("\n---\n"),
        Known::Link { url, title, .. } => match title {
            Some(title) => out.push_str(&format!("{title} ({url})")),
            None => out.push_str(url),
        },
        Known::Mention { kind, id, name } => {
            out.push_str(&mention(*kind, id.as_deref(), name.as_deref()));
        }
        Known::Emoji { name, unicode } => {
            out.push_str(&unicode.clone().unwrap_or_else(|| format!(":{name}:")));
        }
        Known::Image { att, alt } => {
            out.push_str(&label("image", Some(alt.as_deref().unwrap_or(att))));
        }
        Known::Audio { att } => out.push_str(&label("audio", Some(att))),
        Known::Voice { att, transcript } => {
            out.push_str(&label("voice", Some(transcript.as_deref().unwrap_or(att))));
        }
        Known::Video { att, .. } => out.push_str(&label("video", Some(att))),
        Known::File { att } => out.push_str(&label("file", Some(att))),
        Known::Sticker { att } => out.push_str(&label("sticker", att.as_deref())),
        Known::Location { lat, lon, name, .. } => {
            let place = format!("{lat},{lon}");
            out.push_str(&label(
                "location",
                Some(
                    &name
                        .as_ref()
                        .map_or_else(|| place.clone(), |name| format!("{name} {place}")),
                ),
            ));
        }
        Known::Contact { name, phones } => out.push_str(&label(
            "contact",
            Some(&format!("{name} {}", phones.join(", "))),
        )),
        Known::Quote { excerpt, .. } => {
            out.push_str(&format!("> {}\n", excerpt.as_deref().unwrap_or("…")));
        }
        Known::Forward { items } => {
            for item in items {
                out.push_str(&format!("{}: {}\n", item.from, fallback(&item.segments)));
            }
        }
        Known::Card(card) => write_card(out, card),
        Known::Raw { platform, .. } => out.push_str(&label(platform, None)),
    }
}

fn mention(kind: MentionKind, id: Option<&str>, name: Option<&str>) -> String {
    let default = match kind {
        MentionKind::All => "all",
        MentionKind::Here => "here",
        MentionKind::User | MentionKind::Role | MentionKind::Channel => id.unwrap_or("?"),
    };
    format!("@{}", name.unwrap_or(default))
}

fn write_card(out: &mut String, card: &Card) {
    let lines = [&card.title, &card.subtitle].into_iter().flatten().cloned();
    let lines = lines.chain(card.sections.iter().cloned());
    let lines = lines.chain(
        card.fields
            .iter()
            .map(|field| format!("{}: {}", field.name, field.value)),
    );
    let lines = lines.chain(card.footer.iter().cloned());
    out.push_str(&lines.collect::<Vec<_>>().join("\n"));
}
