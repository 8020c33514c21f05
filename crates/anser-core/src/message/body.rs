//! The body of a message: exactly one of content for people, data for machines, or opaque bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::segment::{self, Segment};
use crate::limits::SEGMENTS_MAX;
use crate::problem::Problem;

/// The media type of opaque bytes whose own is not given (RFC 2046 §4.5.1).
pub const MEDIA_TYPE_BYTES: &str = "application/octet-stream";

/// A body as written: every form's fields, none checked.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BodyFields {
    /// Content for people, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Value>>,
    /// The content as plain text, for what cannot show the segments; computed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Native JSON by platform kind, sent as it is where it fits.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Map<String, Value>>,
    /// Any JSON value, kept and sent as the bytes received.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<Box<RawValue>>,
    /// Opaque bytes, base64 (RFC 4648 §4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// Media type of `bytes`; default `application/octet-stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// A template to render.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
}

/// `data: null` is a present `null`, not an absent field.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// A valid body.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "BodyFields")]
pub enum Body {
    /// Content for people.
    Content(Content),
    /// A JSON value, as the bytes received.
    Data(Box<RawValue>),
    /// Opaque bytes.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Their media type.
        media_type: String,
    },
}

/// Content for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The parts, in order; order is meaning.
    pub segments: Vec<Segment>,
    /// The content as plain text.
    pub fallback: String,
    /// Native JSON by platform kind.
    pub overrides: Map<String, Value>,
}

/// What a body is without the envelope: the bytes that the formats `data`, `cmq-*` and CloudEvents send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
    /// Their media type.
    pub media_type: Cow<'a, str>,
}

impl Body {
    /// The JSON value, for a body that has one.
    #[must_use]
    pub fn data(&self) -> Option<&RawValue> {
        match self {
            Self::Data(raw) => Some(raw),
            Self::Content(_) | Self::Bytes { .. } => None,
        }
    }

    /// The body's own bytes: a JSON string is its text, other JSON the bytes received, opaque bytes are decoded,
    /// content is its fallback text.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        const TEXT: &str = "text/plain; charset=utf-8";
        match self {
            Self::Content(content) => Payload {
                bytes: content.fallback.as_bytes().into(),
                media_type: TEXT.into(),
            },
            Self::Bytes { bytes, media_type } => Payload {
                bytes: bytes.as_slice().into(),
                media_type: media_type.as_str().into(),
            },
            Self::Data(raw) => match self.text() {
                Some(text) => Payload {
                    bytes: text.into_owned().into_bytes().into(),
                    media_type: TEXT.into(),
                },
                None => Payload {
                    bytes: raw.get().as_bytes().into(),
                    media_type: "application/json".into(),
                },
            },
        }
    }

    /// The text of a JSON string, or of content; `None` for other JSON and for bytes.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Content(content) => Some(content.fallback.as_str().into()),
            Self::Data(raw) if raw.get().starts_with('"') => {
                serde_json::from_str::<String>(raw.get())
                    .ok()
                    .map(Cow::Owned)
            }
            Self::Data(_) | Self::Bytes { .. } => None,
        }
    }
}

impl TryFrom<BodyFields> for Body {
    type Error = Problem;

    fn try_from(fields: BodyFields) -> Result<Self, Problem> {
        if fields.template.is_some() {
            return Err(Problem::not_available("body.template", "a template body"));
        }
        let forms = [
            fields.segments.is_some(),
            fields.data.is_some(),
            fields.bytes.is_some(),
        ];
        if forms.iter().filter(|given| **given).count() != 1 {
            return Err(Problem::invalid(
                "invalid_body",
                "body",
                "a body has exactly one of segments, data and bytes",
            ));
        }
        if fields.segments.is_none() && (fields.fallback.is_some() || fields.overrides.is_some()) {
            return Err(Problem::invalid(
                "invalid_body",
                "body",
                "fallback and override go with segments only",
            ));
        }
        if fields.bytes.is_none() && fields.media_type.is_some() {
            return Err(Problem::invalid(
                "invalid_body",
                "body.media_type",
                "media_type goes with bytes only",
            ));
        }
        if let Some(values) = fields.segments {
            return content(
                values,
                fields.fallback,
                fields.overrides.unwrap_or_default(),
            );
        }
        match (fields.data, fields.bytes) {
            (Some(raw), _) => Ok(Self::Data(raw)),
            (None, Some(text)) => bytes(&text, fields.media_type),
            (None, None) => Err(Problem::invalid(
                "invalid_body",
                "body",
                "a body has exactly one of segments, data and bytes",
            )),
        }
    }
}

fn content(
    values: Vec<Value>,
    fallback: Option<String>,
    overrides: Map<String, Value>,
) -> Result<Body, Problem> {
    let mut segments = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        segments.push(Segment::parse(&format!("body.segments[{i}]"), value)?);
    }
    let fallback = fallback.unwrap_or_else(|| segment::fallback(&segments));
    Ok(Body::Content(Content {
        segments,
        fallback,
        overrides,
    }))
}

fn bytes(text: &str, media_type: Option<String>) -> Result<Body, Problem> {
    let bytes = BASE64.decode(text).map_err(|_| {
        Problem::invalid(
            "invalid_base64",
            "body.bytes",
            "must be standard base64 with padding (RFC 4648 section 4)",
        )
    })?;
    let media_type = media_type.unwrap_or_else(|| MEDIA_TYPE_BYTES.to_owned());
    check_media_type("body.media_type", &media_type)?;
    Ok(Body::Bytes { bytes, media_type })
}

/// Checks a media type: `type/subtype`, perhaps with parameters, in visible ASCII (RFC 9110 §8.3.1), so that it can be
/// sent as a header.
///
/// # Errors
/// `invalid_media_type`.
pub fn check_media_type(field: &str, text: &str) -> Result<(), Problem> {
    let essence = text.split(';').next().unwrap_or("").trim();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let visible = text.len() <= 255
        && text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if visible
        && essence
            .split_once('/')
            .is_some_and(|(main, sub)| token(main) && token(sub))
    {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_media_type",
        field,
        "must be a media type such as image/png",
    ))
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        match self {
            Self::Data(raw) => {
                let mut body = serializer.serialize_struct("Body", 1)?;
                body.serialize_field("data", raw)?;
                body.end()
            }
            Self::Bytes { bytes, media_type } => {
                let mut body = serializer.serialize_struct("Body", 2)?;
                body.serialize_field("bytes", &BASE64.encode(bytes))?;
                body.serialize_field("media_type", media_type)?;
                body.end()
            }
            Self::Content(content) => {
                let with_override = !content.overrides.is_empty();
                let mut body =
                    serializer.serialize_struct("Body", 2 + usize::from(with_override))?;
                body.serialize_field("segments", &content.segments)?;
                body.serialize_field("fallback", &content.fallback)?;
                if with_override {
                    body.serialize_field("override", &content.overrides)?;
                }
                body.end()
            }
        }
    }
}

impl JsonSchema for Body {
    fn schema_name() -> Cow<'static, str> {
        "Body".into()
    }

    /// One closed object a form: here, unlike when reading, `null` is a value of `data` and nothing else.
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let segment = generator.subschema_for::<Segment>();
        let form = |required: &str, properties: Value| serde_json::json!({"type": "object", "properties": properties, "required": [required], "additionalProperties": false});
        let content = serde_json::json!({
            "segments": {"type": "array", "items": segment, "minItems": 1, "maxItems": SEGMENTS_MAX, "description": "Content for people, in order."},
            "fallback": {"type": "string", "description": "The content as plain text, for what cannot show the segments; computed when absent."},
            "override": {"type": "object", "description": "Native JSON by platform kind, sent as it is where it fits."},
        });
        let data = serde_json::json!({
            "data": {"description": "Any JSON value, kept and sent as the bytes received."},
        });
        let bytes = serde_json::json!({
            "bytes": {"type": "string", "contentEncoding": "base64", "description": "Opaque bytes, base64 (RFC 4648 §4)."},
            "media_type": {"type": "string", "maxLength": 255, "description": "Media type of `bytes`.", "default": MEDIA_TYPE_BYTES},
        });
        schemars::json_schema!({
            "description": "Exactly one of content (segments with fallback and override), data, and bytes (with media_type).",
            "oneOf": [form("segments", content), form("data", data), form("bytes", bytes)],
        })
    }
}
