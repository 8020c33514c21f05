//! The shared vectors: items that every implementation must accept, with what becomes of them, and items that it must
//! refuse, with the code and the path.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{accept, check_stored, schema};
use crate::message::Message;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    item: Option<Box<RawValue>>,
    json: Option<String>,
    // Refused:
    status: Option<u16>,
    code: Option<String>,
    field: Option<String>,
    // Accepted:
    payload: Option<String>,
    media_type: Option<String>,
    header: Option<serde_json::Map<String, Value>>,
    body: Option<Value>,
    attachments: Option<Value>,
}

impl Vector {
    fn json(&self) -> &str {
        let item = self.item.as_deref().map(RawValue::get);
        item.or(self.json.as_deref()).expect("an item or its text")
    }
}

fn check_refused(vector: &Vector) -> Result<(), String> {
    let expected = (
        vector.status,
        vector.code.as_deref(),
        vector.field.as_deref(),
    );
    match accept(vector.json().as_bytes()) {
        Ok(_) => Err(format!("{}: accepted", vector.name)),
        Err(problem) => {
            let actual = (
                Some(problem.kind.status()),
                Some(problem.code),
                problem.field.as_deref(),
            );
            let noise =
                problem.detail.contains("line 1 column") && problem.code != "malformed_json";
            if actual == expected && !noise {
                return Ok(());
            }
            Err(format!("{}: {actual:?} {problem}", vector.name))
        }
    }
}

#[test]
fn refused() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!(
        "../../../../../docs/spec/vectors/refused.json"
    ))
    .unwrap();
    assert!(vectors.len() > 100);
    let wrong: Vec<String> = vectors
        .iter()
        .filter_map(|vector| check_refused(vector).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_accepted(vector: &Vector, message: &Message) {
    let name = &vector.name;
    let payload = message.body.payload();
    if let Some(expected) = &vector.payload {
        assert_eq!(&payload.bytes[..], expected.as_bytes(), "{name}");
    }
    if let Some(expected) = &vector.media_type {
        assert_eq!(payload.media_type, *expected, "{name}");
    }
    let text = String::from_utf8(message.to_json()).unwrap();
    let header = serde_json::to_value(&message.header).unwrap();
    for (field, expected) in vector.header.iter().flatten() {
        assert_eq!(header[field], *expected, "{name}: {field}");
    }
    for (part, expected) in [("body", &vector.body), ("attachments", &vector.attachments)] {
        // As text, so that the order of members counts.
        if let Some(expected) = expected {
            assert!(
                text.contains(&format!("\"{part}\":{expected}")),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn accepted() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!(
        "../../../../../docs/spec/vectors/accepted.json"
    ))
    .unwrap();
    let schema = schema();
    for vector in &vectors {
        let message = accept(vector.json().as_bytes())
            .unwrap_or_else(|problem| panic!("{}: {problem}", vector.name));
        check_accepted(vector, &message);
        check_stored(&message, &schema);
    }
}
