//! Random items and random bytes: what is valid survives the way through the gateway, nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{accept, check_stored, schema};
use crate::message::{Item, Message};

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..5)
                .prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

fn segment() -> impl Strategy<Value = Value> {
    let text = "\\PC{0,12}";
    let leaf = prop_oneof![
        text.prop_map(|text| json!({"type": "text", "text": text, "style": ["bold"]})),
        text.prop_map(|text| json!({"type": "markdown", "text": text})),
        text.prop_map(|name| json!({"type": "mention", "kind": "user", "name": name})),
        Just(json!({"type": "image", "att": "a1", "alt": "x"})),
        (-90.0..=90.0, -180.0..=180.0)
            .prop_map(|(lat, lon)| json!({"type": "location", "lat": lat, "lon": lon})),
        (text, json_value()).prop_map(|(title, value)| json!({"type": "card", "title": title,
            "fields": [{"name": title, "value": title}],
            "actions": [{"id": "i", "label": "l", "kind": "callback", "value": value}]})),
        json_value().prop_map(|value| json!({"type": "raw", "platform": "p", "payload": value})),
        json_value().prop_map(|value| json!({"z": value, "type": "x-new", "a": 1})),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(
            |segments| json!({"type": "forward", "items": [{"from": "f", "segments": segments}]}),
        )
    })
}

fn body() -> impl Strategy<Value = Value> {
    prop_oneof![
        json_value().prop_map(|data| json!({"data": data})),
        Just(json!({"bytes": "aGVsbG8=", "media_type": "image/cbor"})),
        prop::collection::vec(segment(), 1..5).prop_map(|segments| json!({"segments": segments})),
    ]
}

fn header() -> impl Strategy<Value = Value> {
    let ext = prop::collection::vec(("[a-z]{1,4}", json_value()), 0..3);
    (
        prop::option::of("[A-Za-z0-9_.-]{1,30}"),
        prop::option::of("\\PC{1,20}"),
        prop::collection::vec("[^\\pC]{1,10}", 0..16),
        prop::collection::vec("[a-z][a-z0-9]{0,5}(/[!-~]{1,9})?", 0..4),
        prop::option::of(0_i64..253_402_214_400_000),
        ext,
    )
        .prop_map(|(name, key, tags, to, occurred, ext)| {
            let occurred = occurred.map(|millis| crate::Timestamp::from_millis(millis).to_string());
            json!({"type": name, "key": key, "tags": tags, "to": to, "occurred_at": occurred,
                "ext": Map::from_iter(ext)})
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn valid_items_survive(header in header(), body in body()) {
        let item = json!({"header": header, "body": body,
            "attachments": [{"id": "a1", "source": {"url": "https://example.com/a"}}]});
        let text = item.to_string();
        let message = accept(text.as_bytes()).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        check_stored(&message, &SCHEMA);
        if let Some(data) = message.body.data() {
            prop_assert_eq!(data.get(), body["data"].to_string());
        }
        // An item is read and written to the same item.
        let read = Item::from_json(text.as_bytes()).unwrap();
        let written = serde_json::to_vec(&read).unwrap();
        prop_assert_eq!(Item::from_json(&written).unwrap().fingerprint(), read.fingerprint());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _problem = accept(&bytes);
        let _problem = Message::from_json(&bytes);
    }

    #[test]
    fn arbitrary_json_never_panics(header in json_value(), body in json_value(), segment in json_value()) {
        for item in [
            json!({"header": header, "body": body}),
            json!({"header": {"ext": header}, "body": {"segments": [segment]}}),
            json!({"header": {"tags": [header]}, "body": {"segments": [{"type": "card", "fields": segment}]}}),
        ] {
            let text = item.to_string();
            if let Ok(message) = accept(text.as_bytes()) {
                check_stored(&message, &SCHEMA);
            }
            let _problem = Message::from_json(text.as_bytes());
        }
    }
}

static SCHEMA: std::sync::LazyLock<jsonschema::Validator> = std::sync::LazyLock::new(schema);
