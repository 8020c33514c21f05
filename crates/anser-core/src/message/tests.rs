//! The message format against its shared vectors (`docs/spec/vectors`), its schema, and random input.

mod properties;
mod vectors;

use serde_json::Value;

use super::header::SenderKind;
use super::{Item, Message, Sender, Source, Stamp};
use crate::id::IdGenerator;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::random::SeededRandom;

/// The stamp that the vectors are written for.
fn stamp() -> Stamp {
    let time = "2026-11-23T01:00:00Z".parse().unwrap();
    Stamp {
        id: IdGenerator::above(None).next(time, &SeededRandom::new(1)),
        time,
        topic: "orders".to_owned(),
        from: Sender {
            kind: SenderKind::Service,
            id: "billing".to_owned(),
            name: None,
            platform: None,
            account: None,
        },
        target_id: None,
        origin: None,
        hops: 0,
        blobs: std::collections::HashMap::new(),
    }
}

fn accept(json: &[u8]) -> Result<Message, Problem> {
    Message::accept(Item::from_json(json)?, stamp(), &Limits::default())
}

/// What is accepted is read back the same, and satisfies the published schema.
fn check_stored(message: &Message, schema: &jsonschema::Validator) {
    let stored = message.to_json();
    let read = Message::from_json(&stored).unwrap();
    assert_eq!(read.to_json(), stored, "reading and writing is stable");
    assert_eq!(read.body.payload(), message.body.payload());
    // A number past the doubles has no value that a validator could look at.
    if let Ok(value) = serde_json::from_slice::<Value>(&stored) {
        let errors: Vec<String> = schema
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{value:#}");
    }
}

fn schema() -> jsonschema::Validator {
    let schema = super::schema::message_schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn generated_message_schema_is_current() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/spec/message.schema.json"
    );
    let current = format!("{:#}\n", super::schema::message_schema());
    if std::env::var_os("ANSER_UPDATE").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/spec/message.schema.json is stale: run the tests with ANSER_UPDATE=1"
    );
}

#[test]
fn the_schema_refuses_what_is_no_message() {
    let schema = schema();
    let message = accept(br#"{"body":{"data":1}}"#).unwrap();
    let good: Value = serde_json::from_slice(&message.to_json()).unwrap();
    assert!(schema.is_valid(&good));
    let refused = |change: fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        assert!(!schema.is_valid(&value), "{value}");
    };
    refused(|value| value["v"] = 2.into());
    refused(|value| value["body"] = serde_json::json!({}));
    refused(|value| value["body"]["bytes"] = "".into());
    refused(|value| value["body"]["fallback"] = "x".into());
    refused(|value| value["body"] = serde_json::json!({"segments": null}));
    refused(|value| value["body"] = serde_json::json!({"segments": []}));
    refused(|value| value["header"]["tpyo"] = 1.into());
    refused(|value| value["header"]["kind"] = "loud".into());
    refused(|value| value["body"] = serde_json::json!({"segments": [{"type": "text"}]}));
}

/// An item whose only attachment is of the blob `hello`, with these members beside.
fn of_blob(hash: &str, beside: &str) -> Result<Message, Problem> {
    let json = format!(
        r#"{{"body":{{"data":1}},"attachments":[{{"id":"a"{beside},"source":{{"blob":"{hash}"}}}}]}}"#
    );
    let mut stamp = stamp();
    stamp.blobs.insert(HELLO.parse().unwrap(), 5);
    Message::accept(Item::from_json(json.as_bytes())?, stamp, &Limits::default())
}

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn a_blob_is_stamped_with_its_size_and_hash() {
    let beside = format!(",\"size\":5,\"sha256\":\"{}\"", HELLO.to_uppercase());
    for beside in ["", &beside] {
        let message = of_blob(&HELLO.to_uppercase(), beside).unwrap();
        let [attachment] = &message.attachments[..] else {
            unreachable!("there is one")
        };
        assert_eq!(attachment.size, Some(5));
        assert_eq!(attachment.sha256.as_deref(), Some(HELLO));
        assert_eq!(attachment.source, Source::Blob(HELLO.to_owned()));
        assert_eq!(message.blobs(), [HELLO.parse().unwrap()]);
    }
}

#[test]
fn a_blob_that_is_not_what_the_publisher_says_is_refused() {
    let other = HELLO.replace('2', "3");
    for (hash, beside, code, field) in [
        (&*other, "", "unknown_blob", "source.blob"),
        ("hello", "", "invalid_hash", "source.blob"),
        (HELLO, ",\"size\":6", "integrity", "size"),
        (
            HELLO,
            &format!(",\"sha256\":\"{other}\""),
            "integrity",
            "sha256",
        ),
    ] {
        let problem = of_blob(hash, beside).unwrap_err();
        assert_eq!(problem.code, code);
        let field = format!("attachments[0].{field}");
        assert_eq!(problem.field.as_ref(), Some(&field));
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    for bytes in [
        &b"{\"header\":{\"key\":\"\xff\"},\"body\":{\"data\":1}}"[..],
        b"{\"body\":{\"data\":\"\xff\"}}",
        b"{\"body\":{\"data\":[\"\xc3\x28\"]}}",
        b"\xff\xfe{\x00}\x00",
    ] {
        let problem = accept(bytes).unwrap_err();
        assert_eq!(problem.code, "malformed_json", "{problem}");
    }
}

#[test]
fn data_nested_thousands_deep_is_refused_not_overflowed() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = open.repeat(100_000) + "1" + &close.repeat(100_000);
        let problem = accept(format!("{{\"body\":{{\"data\":{nested}}}}}").as_bytes()).unwrap_err();
        assert_eq!(problem.code, "too_deep");
    }
    let brackets_in_text = format!(r#"{{"body":{{"data":"{}\""}}}}"#, "[".repeat(500));
    assert!(accept(brackets_in_text.as_bytes()).is_ok());
}

#[test]
fn problems_stay_short_whatever_the_input() {
    let long = "x".repeat(100_000);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for item in [
        format!(r#"{{"header":{{"ext":{{"n":{deep}}}}},"body":{{"data":1}}}}"#),
        format!(r#"{{"header":{{"{long}":1}},"body":{{"data":1}}}}"#),
        format!(r#"{{"header":{{"kind":"{long}"}},"body":{{"data":1}}}}"#),
        format!(r#"{{"header":{{"tags":"{long}"}},"body":{{"data":1}}}}"#),
        format!(r#"{{"header":{{"occurred_at":"{long}"}},"body":{{"data":1}}}}"#),
        format!(r#"{{"body":{{"segments":[{{"type":"text","{long}":1}}]}}}}"#),
        format!(r#"{{"body":{{"segments":[{{"type":"text","text":["{long}"]}}]}}}}"#),
    ] {
        let problem = accept(item.as_bytes()).unwrap_err();
        assert_eq!(problem.kind.status(), 422);
        assert!(problem.to_string().len() < 1_000, "{problem:.300}");
    }
}

#[test]
fn limits_that_a_configuration_lowers_hold() {
    let limits = Limits {
        attachments_max: 0,
        attachment_inline_bytes_max: 3,
        segments_max: 1,
        segment_text_bytes_max: 4,
        ext_bytes_max: 10,
        ..Limits::default()
    };
    for (item, code, field) in [
        (
            r#"{"body":{"data":1},"attachments":[{"id":"a","source":{"url":"https://a"}}]}"#,
            "too_many",
            "attachments",
        ),
        (
            r#"{"body":{"segments":[{"type":"break"},{"type":"break"}]}}"#,
            "too_many",
            "body.segments",
        ),
        (
            r#"{"body":{"segments":[{"type":"code","text":"12345"}]}}"#,
            "too_large",
            "body.segments[0].text",
        ),
        (
            r#"{"body":{"segments":[{"type":"break"}],"fallback":"12345"}}"#,
            "too_large",
            "body.fallback",
        ),
        (
            r#"{"header":{"ext":{"abc":"de"}},"body":{"data":1}}"#,
            "too_large",
            "header.ext",
        ),
    ] {
        let item = Item::from_json(item.as_bytes()).unwrap();
        let problem = Message::accept(item, stamp(), &limits).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    let raised = Limits {
        segments_max: usize::MAX,
        ..Limits::default()
    };
    assert_eq!(raised.clamped(), Limits::default());
}

#[test]
fn inline_attachments_end_at_64_kib() {
    use base64::Engine as _;
    for (size, fits) in [(65_536, true), (65_537, false)] {
        let inline = base64::engine::general_purpose::STANDARD.encode(vec![7_u8; size]);
        let item = format!(
            r#"{{"body":{{"data":1}},"attachments":[{{"id":"a","source":{{"inline":"{inline}"}}}}]}}"#
        );
        let accepted = accept(item.as_bytes());
        assert_eq!(accepted.is_ok(), fits);
        if let Err(problem) = accepted {
            assert_eq!(
                problem.field.as_deref(),
                Some("attachments[0].source.inline")
            );
            assert_eq!(problem.kind.status(), 413);
        }
    }
}

#[test]
fn a_message_of_another_version_is_refused() {
    let message = accept(br#"{"body":{"data":1}}"#).unwrap();
    let text = String::from_utf8(message.to_json()).unwrap();
    let other = text.replacen("\"v\":1", "\"v\":2", 1);
    let problem = Message::from_json(other.as_bytes()).unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("unsupported_version", Some("v"))
    );
}

#[test]
fn problems_read_as_sentences() {
    for (item, expected) in [
        (
            r#"{"header":{"tpyo":1},"body":{"data":1}}"#,
            "header.tpyo: is not a field of this object; check the spelling (invalid_field)",
        ),
        (r#"{"header":{}}"#, "body: is required (invalid_field)"),
        (
            r#"{"header":{"tags":["a",2]},"body":{"data":1}}"#,
            "header.tags[1]: must be a string, is integer `2` (invalid_field)",
        ),
        (
            r#"{"header":{"kind":"loud"},"body":{"data":1}}"#,
            "header.kind: `loud` is not one of the accepted words (invalid_field)",
        ),
        (
            r#"{"header":[],"body":{"data":1}}"#,
            "header: must be an object, is sequence (invalid_field)",
        ),
        (
            r#"{"header":{"occurred_at":"soon"},"body":{"data":1}}"#,
            "header.occurred_at: must be an RFC 3339 date-time between 1970 and 9999, such as 2026-11-23T01:00:00Z (invalid_field)",
        ),
        (
            r#"{"body":{"data":1},"#,
            "the body is not valid JSON (RFC 8259): EOF while parsing a value at line 1 column 19 (malformed_json)",
        ),
    ] {
        let problem = accept(item.as_bytes()).unwrap_err();
        assert_eq!(problem.to_string(), expected);
    }
    let problem = accept(br#"{"header":{"kind":"loud"},"body":{"data":1}}"#).unwrap_err();
    assert_eq!(
        problem.accepted.as_deref(),
        Some("normal, chat, groupchat, headline, error")
    );
}

/// Found by the fuzz target: without serde_json's `float_roundtrip` the last digit drifts with every reading.
#[test]
fn numbers_do_not_drift_when_read_again() {
    let item = r#"{"header":{"ext":{"n":116.2757777777777777777777}},"body":{"data":1}}"#;
    let read = Item::from_json(item.as_bytes()).unwrap();
    let written = serde_json::to_vec(&read).unwrap();
    let again = Item::from_json(&written).unwrap();
    assert_eq!(again.fingerprint(), read.fingerprint());
}

#[test]
fn a_path_inside_a_batch_has_its_prefix() {
    use super::item::parse_json;
    let at = |json: &[u8]| parse_json::<Item>("messages[2]", json).unwrap_err().field;
    assert_eq!(at(b"7").as_deref(), Some("messages[2]"));
    assert_eq!(
        at(br#"{"body":{"x":1}}"#).as_deref(),
        Some("messages[2].body.x")
    );
}

#[test]
fn the_fingerprint_tells_items_apart_and_ignores_how_they_are_written() {
    let print = |json: &str| Item::from_json(json.as_bytes()).unwrap().fingerprint();
    let base = print(
        r#"{"header":{"key":"k","ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"x":1,"y":2}}}"#,
    );
    for same in [
        r#" { "body" : {"data":{"x":1,"y":2}}, "header":{"ext":{"b":{"d":2,"c":1},"a":1},"key":"k"} } "#,
        r#"{"header":{"key":"k","kind":"normal","reply_to":null,"ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"x":1,"y":2}},"dedupe_key":"other","attachments":[]}"#,
        r#"{"header":{"topic":"orders","key":"k","ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"x":1,"y":2}}}"#,
    ] {
        assert_eq!(print(same), base, "{same}");
    }
    for other in [
        r#"{"header":{"key":"k","ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"y":2,"x":1}}}"#,
        r#"{"header":{"key":"k","ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"x":1, "y":2}}}"#,
        r#"{"header":{"key":"k","ext":{"a":1,"b":{"c":1,"d":3}}},"body":{"data":{"x":1,"y":2}}}"#,
        r#"{"header":{"key":"l","ext":{"a":1,"b":{"c":1,"d":2}}},"body":{"data":{"x":1,"y":2}}}"#,
    ] {
        assert_ne!(print(other), base, "{other}");
    }
    assert_eq!(
        print(r#"{"body":{"segments":[{"type":"text","text":"a"}]}}"#),
        print(r#"{"body":{"segments":[{"text":"a","type":"text"}]}}"#)
    );
    assert_ne!(
        print(r#"{"body":{"segments":[{"type":"text","text":"a"}]}}"#),
        print(
            r#"{"body":{"segments":[{"type":"text","text":"a"}]},"attachments":[{"id":"a","source":{"url":"https://a"}}]}"#
        )
    );
}
