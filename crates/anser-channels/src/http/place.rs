//! The places of a request that values are written into, and values as text and as JSON. Must not know templates.

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, ErrorKind, State, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// What stands for itself in any part of a URL is left as it is (RFC 3986 section 2.3).
pub(super) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where the text goes: how a value is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As it is; what holds the text does the encoding.
    Plain,
    /// In a URL: percent-encoded.
    Url,
    /// In a body of form fields: percent-encoded.
    Form,
    /// In a JSON document: as a JSON value, text with its quotes.
    Json,
    /// In XML or HTML: with character references.
    Markup,
}

impl Place {
    /// The place in a body of that media type.
    pub(super) fn of_body(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or("").trim();
        let essence = essence.to_ascii_lowercase();
        let (_, subtype) = essence.split_once('/').unwrap_or_default();
        match subtype {
            "x-www-form-urlencoded" => Self::Form,
            "html" | "xml" => Self::Markup,
            "json" => Self::Json,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+xml") => Self::Markup,
            _ => Self::Plain,
        }
    }

    /// Its name for the engine.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Url => "url",
            Self::Form => "form",
            Self::Json => "json",
            Self::Markup => "markup",
        }
    }

    /// The place that the engine is in. Another name can only come from `{% autoescape %}` with a text of the user's.
    pub(super) fn current(state: &State<'_, '_>) -> Self {
        let AutoEscape::Custom(name) = state.auto_escape() else {
            return Self::Plain;
        };
        let places = [Self::Url, Self::Form, Self::Json, Self::Markup];
        let found = places.into_iter().find(|place| place.name() == name);
        found.unwrap_or(Self::Plain)
    }
}

/// A value as plain text: none is nothing, lists and objects are JSON.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Undefined => Cow::Borrowed(""),
        ValueKind::Bool => Cow::Borrowed(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => value.to_string().into(),
        ValueKind::String => Cow::Borrowed(value.as_str().unwrap_or_default()),
        ValueKind::Bytes => String::from_utf8_lossy(value.as_bytes().unwrap_or_default()),
        _ => json(value)?.to_string().into(),
    })
}

/// A value as JSON.
pub(super) fn json(value: &Value) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| {
        let detail = format!("has no form in JSON: {error}");
        Error::new(ErrorKind::BadSerialization, detail)
    })
}
