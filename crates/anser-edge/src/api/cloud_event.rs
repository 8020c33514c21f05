//! CloudEvents 1.0 (CNCF), JSON format and HTTP protocol binding, read into items. An event's attributes that have no
//! field of their own in a message are kept in `header.ext.cloudevents`.

use std::fmt;

use anser_core::limits::KEY_BYTES_MAX;
use anser_core::message::Item;
use anser_core::message::body::BodyFields;
use anser_core::message::item::{ItemHeader, parse_json};
use anser_core::{Problem, ProblemKind, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::payload::{data, opaque};
use crate::call::{Call, is_json};

/// Every media type of an event format begins so (HTTP protocol binding §3.2).
pub(super) const FAMILY: &str = "application/cloudevents";
/// One event as JSON.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";
/// An array of events as JSON.
pub(super) const BATCH: &str = "application/cloudevents-batch+json";

/// Attributes in headers begin so (HTTP protocol binding §3.1.3.1).
const PREFIX: &str = "ce-";
/// The version that is understood.
const VERSION: &str = "1.0";
/// Where in `header.ext` the remaining attributes are kept.
const EXT: &str = "cloudevents";

type Attributes = Map<String, Value>;

/// An event as it came.
pub(super) struct CloudEvent {
    attributes: Attributes,
    body: BodyFields,
}

/// The attributes in the headers of a binary-mode request; `None` when it is no CloudEvent.
///
/// # Errors
/// 400 `invalid_header`.
pub(super) fn attributes(call: &Call) -> Result<Option<Attributes>, Problem> {
    let mut attributes = Attributes::new();
    for name in call.header_names() {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        if let Some(text) = call.header(name)? {
            // Header values carry what is not printable ASCII percent-encoded (§3.1.3.2).
            let text = percent_decode_str(text).decode_utf8().map_err(|_| {
                let rule = "is not UTF-8 once its % signs are decoded";
                Problem::new(ProblemKind::Malformed, "invalid_header", rule).field(name.as_str())
            })?;
            attributes.insert(attribute.to_owned(), text.into_owned().into());
        }
    }
    Ok(attributes.contains_key("specversion").then_some(attributes))
}

/// Reads an event in JSON format.
///
/// # Errors
/// 400 `malformed_json`, 422 `invalid_field` or `invalid_cloudevent`.
pub(super) fn parse(json: &[u8]) -> Result<CloudEvent, Problem> {
    let Document {
        mut attributes,
        data,
        data_base64,
    } = parse_json("", json)?;
    let media_type = match attributes.shift_remove("datacontenttype") {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(invalid("datacontenttype", "must be a string")),
    };
    let body = match (data, data_base64) {
        (Some(_), Some(_)) => return Err(invalid("data", "and data_base64 exclude each other")),
        (None, Some(text)) => {
            let bytes = BASE64
                .decode(text)
                .map_err(|_| invalid("data_base64", "must be standard base64"))?;
            opaque(&bytes, media_type)
        }
        (raw, None) => json_data(raw.unwrap_or_else(|| RawValue::NULL.to_owned()), media_type),
    };
    Ok(CloudEvent { attributes, body })
}

/// `data` is a JSON value, or with another content type than JSON a string that holds the text (JSON format §3.1).
fn json_data(raw: Box<RawValue>, media_type: Option<String>) -> BodyFields {
    if media_type
        .as_deref()
        .is_some_and(|text| !is_json(essence(text)))
        && let Ok(text) = serde_json::from_str::<String>(raw.get())
    {
        return opaque(text.as_bytes(), media_type);
    }
    data(raw)
}

fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or("").trim()
}

impl CloudEvent {
    pub(super) fn new(attributes: Attributes, body: BodyFields) -> Self {
        Self { attributes, body }
    }

    /// The event as an item.
    ///
    /// # Errors
    /// 422 `invalid_cloudevent`, naming the attribute.
    pub(super) fn into_item(self) -> Result<Item, Problem> {
        let mut attributes = self.attributes;
        match attributes.shift_remove("specversion") {
            Some(Value::String(version)) if version == VERSION => {}
            _ => return Err(invalid("specversion", "must be \"1.0\"")),
        }
        let id = required(&attributes, "id")?;
        let source = required(&attributes, "source")?;
        let dedupe_key = dedupe_key(source, id);
        let r#type = required(&attributes, "type")?.to_owned();
        attributes.shift_remove("type");
        let occurred_at = match optional(&mut attributes, "time")? {
            None => None,
            Some(text) => Some(
                text.parse::<Timestamp>()
                    .map_err(|error| invalid("time", &error.to_string()))?,
            ),
        };
        let header = ItemHeader {
            r#type: Some(r#type),
            occurred_at,
            key: optional(&mut attributes, "partitionkey")?,
            traceparent: optional(&mut attributes, "traceparent")?,
            ext: [(EXT.to_owned(), Value::Object(attributes))]
                .into_iter()
                .collect(),
            ..ItemHeader::default()
        };
        Ok(Item {
            header,
            body: self.body,
            attachments: Vec::new(),
            dedupe_key: Some(dedupe_key),
        })
    }
}

/// Source and id together are unique per event (CloudEvents §3.1.1). A source holds no space, so the two cannot run into
/// one another; what is too long for a key, or no text for one, is hashed.
fn dedupe_key(source: &str, id: &str) -> String {
    let key = format!("{source} {id}");
    if key.len() <= KEY_BYTES_MAX && !key.chars().any(char::is_control) {
        return key;
    }
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    format!("sha256 {}", BASE64.encode(hash))
}

fn required<'a>(attributes: &'a Attributes, name: &str) -> Result<&'a str, Problem> {
    match attributes.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(invalid(name, "must be a non-empty string")),
    }
}

fn optional(attributes: &mut Attributes, name: &str) -> Result<Option<String>, Problem> {
    match attributes.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(name, "must be a string")),
    }
}

fn invalid(attribute: &str, rule: &str) -> Problem {
    Problem::invalid(
        "invalid_cloudevent",
        attribute,
        format!("{attribute} {rule} (CloudEvents 1.0)"),
    )
}

/// An event as JSON: `data` keeps its bytes, which serde cannot do through a flattened struct.
struct Document {
    attributes: Attributes,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent, a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document {
                    attributes: Attributes::new(),
                    data: None,
                    data_base64: None,
                };
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "data" => document.data = Some(map.next_value()?),
                        "data_base64" => document.data_base64 = Some(map.next_value()?),
                        _ => {
                            document.attributes.insert(name, map.next_value()?);
                        }
                    }
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.paid","time":"2026-11-23T01:00:00Z","subject":"order 42","partitionkey":"42","shop":7,"data":{"b":1.0,"a":1}}"#;

    fn item(json: &str) -> Result<Item, Problem> {
        parse(json.as_bytes())?.into_item()
    }

    #[test]
    fn attributes_find_their_fields() {
        let item = item(EVENT).unwrap();
        assert_eq!(item.header.r#type.as_deref(), Some("order.paid"));
        assert_eq!(
            item.header.occurred_at.unwrap().to_string(),
            "2026-11-23T01:00:00.000Z"
        );
        assert_eq!(item.header.key.as_deref(), Some("42"));
        assert_eq!(item.dedupe_key.as_deref(), Some("/shop 1"));
        assert_eq!(item.body.data.unwrap().get(), r#"{"b":1.0,"a":1}"#);
        let ext = Value::Object(item.header.ext).to_string();
        assert_eq!(
            ext,
            r#"{"cloudevents":{"id":"1","source":"/shop","subject":"order 42","shop":7}}"#
        );
    }

    #[test]
    fn data_keeps_its_kind() {
        let with = |rest: &str| {
            item(&format!(
                r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{rest}}}"#
            ))
            .unwrap()
            .body
        };
        let text = with(r#""datacontenttype":"text/plain","data":"hé""#);
        assert_eq!(
            (text.bytes.as_deref(), text.media_type.as_deref()),
            (Some("aMOp"), Some("text/plain"))
        );
        let bytes = with(r#""data_base64":"AAE=""#);
        assert_eq!(bytes.bytes.as_deref(), Some("AAE="));
        assert_eq!(
            bytes.media_type.as_deref(),
            Some("application/octet-stream")
        );
        assert_eq!(with(r#""data":"text""#).data.unwrap().get(), "\"text\"");
        assert_eq!(with(r#""x":1"#).data.unwrap().get(), "null");
    }

    #[test]
    fn long_sources_are_hashed() {
        let key = dedupe_key(&"s".repeat(300), "1");
        assert!(key.starts_with("sha256 ") && key.len() <= KEY_BYTES_MAX);
        assert_ne!(key, dedupe_key(&"s".repeat(300), "2"));
    }

    #[test]
    fn refuses_by_attribute() {
        for (json, code, field) in [
            ("{", "malformed_json", None),
            ("[]", "invalid_field", None),
            ("{}", "invalid_cloudevent", Some("specversion")),
            (
                r#"{"specversion":"0.3"}"#,
                "invalid_cloudevent",
                Some("specversion"),
            ),
            (r#"{"specversion":"1.0"}"#, "invalid_cloudevent", Some("id")),
            (
                r#"{"specversion":"1.0","id":1}"#,
                "invalid_cloudevent",
                Some("id"),
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":""}"#,
                "invalid_cloudevent",
                Some("source"),
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"s"}"#,
                "invalid_cloudevent",
                Some("type"),
            ),
            (
                r#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"soon"}"#,
                "invalid_cloudevent",
                Some("time"),
            ),
            (
                r#"{"data":1,"data_base64":""}"#,
                "invalid_cloudevent",
                Some("data"),
            ),
            (
                r#"{"data_base64":"="}"#,
                "invalid_cloudevent",
                Some("data_base64"),
            ),
            (
                r#"{"datacontenttype":1}"#,
                "invalid_cloudevent",
                Some("datacontenttype"),
            ),
        ] {
            let problem = item(json).unwrap_err();
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                (code, field),
                "{json}"
            );
        }
    }
}
