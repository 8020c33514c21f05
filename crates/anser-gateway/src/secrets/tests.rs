//! Sealing, masking and keeping secrets.

use serde_json::json;

use super::*;

fn sealer() -> Sealer {
    Sealer::new(&[7; 32])
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "secret": {"type": "string", "writeOnly": true},
            "old": {"type": "array", "writeOnly": true, "items": {"type": "string", "writeOnly": true}},
            "headers": {"type": "object", "additionalProperties": {"type": "string", "writeOnly": true}},
            "auth": {"anyOf": [{"$ref": "#/$defs/Auth"}, {"type": "null"}]},
            "accounts": {"type": "array", "items": {"$ref": "#/$defs/Account"}},
        },
        "$defs": {
            "Auth": {"oneOf": [
                {"type": "object", "additionalProperties": false, "properties": {
                    "type": {"const": "basic"}, "user": {"type": "string"}, "password": {"type": "string", "writeOnly": true}}},
                {"type": "object", "additionalProperties": false, "properties": {
                    "type": {"const": "bearer"}, "token": {"$ref": "#/$defs/Token"}}},
            ]},
            "Token": {"type": "string", "writeOnly": true},
            "Account": {"type": "object", "properties": {
                "name": {"type": "string"}, "key": {"type": "string", "writeOnly": true},
                "under": {"$ref": "#/$defs/Account"}}},
        },
    })
}

fn settings() -> Value {
    json!({
        "url": "https://example.com/",
        "secret": "S1",
        "old": ["S2", "S3"],
        "headers": {"x-a": "S4", "x-b": "S5"},
        "auth": {"type": "basic", "user": "u", "password": "S6"},
        "accounts": [{"name": "n", "key": "S7", "under": {"name": "m", "key": "S8"}}],
    })
}

#[test]
fn a_sealed_text_opens_only_in_its_place_and_with_its_key() {
    let sealed = sealer().seal("channel a secret", b"hush").unwrap();
    assert!(sealed.starts_with("sealed:v1:") && !sealed.contains("hush"));
    assert_ne!(sealed, sealer().seal("channel a secret", b"hush").unwrap());
    assert_eq!(sealer().open("channel a secret", &sealed).unwrap(), b"hush");
    assert_eq!(sealer().open("channel b secret", &sealed), Err(OpenError));
    let other = Sealer::new(&[8; 32]);
    assert_eq!(other.open("channel a secret", &sealed), Err(OpenError));
    for damaged in ["", "sealed:v1:", "sealed:v1:AAAA", "sealed:v1:!", "hush"] {
        assert_eq!(sealer().open("channel a secret", damaged), Err(OpenError));
    }
}

#[test]
fn every_secret_field_is_sealed_and_opens_again() {
    let sealed = sealer()
        .seal_settings("channel a", &schema(), &settings())
        .unwrap();
    let text = sealed.to_string();
    for secret in 1..=8 {
        assert!(
            !text.contains(&format!("S{secret}\"")),
            "S{secret} in {text}"
        );
    }
    assert!(text.contains("https://example.com/") && text.contains("basic"));
    let opened = sealer().open_settings("channel a", &schema(), &sealed);
    assert_eq!(opened.unwrap(), settings());
    let moved = sealer().open_settings("channel b", &schema(), &sealed);
    assert_eq!(moved.unwrap_err(), "accounts[0].key");
    let plain = sealer().open_settings("channel a", &schema(), &settings());
    assert_eq!(plain.unwrap(), settings());
}

#[test]
fn masks_hide_every_secret_and_show_what_is_empty() {
    let masked = mask(&schema(), &settings());
    assert_eq!(
        masked,
        json!({
            "url": "https://example.com/",
            "secret": MASK,
            "old": MASK,
            "headers": {"x-a": MASK, "x-b": MASK},
            "auth": {"type": "basic", "user": "u", "password": MASK},
            "accounts": [{"name": "n", "key": MASK, "under": {"name": "m", "key": MASK}}],
        })
    );
    assert_eq!(mask(&schema(), &json!({"old": []})), json!({"old": []}));
    assert_eq!(
        keep(&schema(), &settings(), &masked, Absent::Remove).unwrap(),
        settings()
    );
}

#[test]
fn secrets_that_a_change_leaves_out_are_kept() {
    let new = json!({"url": "https://other.example/", "auth": {"type": "basic", "user": "v"}});
    assert_eq!(
        keep(&schema(), &settings(), &new, Absent::Keep).unwrap(),
        json!({
            "url": "https://other.example/",
            "auth": {"type": "basic", "user": "v", "password": "S6"},
            "secret": "S1",
            "old": ["S2", "S3"],
        })
    );
    assert_eq!(
        keep(&schema(), &settings(), &new, Absent::Remove).unwrap(),
        new
    );
}

#[test]
fn a_secret_is_not_carried_into_another_alternative() {
    let new = json!({"secret": "S9", "old": [], "auth": {"type": "bearer", "token": "T"}});
    assert_eq!(
        keep(&schema(), &settings(), &new, Absent::Keep).unwrap(),
        new
    );
}

#[test]
fn a_mask_inside_a_secret_keeps_that_part() {
    let schema = json!({"properties": {"auth": {"writeOnly": true, "properties": {
        "user": {"type": "string"}, "password": {"type": "string", "writeOnly": true}}}}});
    let old = json!({"auth": {"user": "u", "password": "S"}});
    assert_eq!(mask(&schema, &old), json!({"auth": MASK}));
    let new = json!({"auth": {"user": "v", "password": MASK}});
    assert_eq!(
        keep(&schema, &old, &new, Absent::Keep).unwrap(),
        json!({"auth": {"user": "v", "password": "S"}})
    );
}

#[test]
fn a_mask_without_a_stored_secret_is_refused() {
    let new = json!({"headers": {"x-new": MASK}});
    let problem = keep(&schema(), &settings(), &new, Absent::Keep).unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("missing_secret", Some("settings.headers.x-new"))
    );
}

#[test]
fn reads_master_keys() {
    assert_eq!(parse_master_key(&"0f".repeat(32)).unwrap(), [15; 32]);
    assert_eq!(
        parse_master_key(&format!("{}\n", STANDARD.encode([9; 32]))).unwrap(),
        [9; 32]
    );
    for bad in ["", "short", &"0g".repeat(32), &STANDARD.encode([9; 31])] {
        assert_eq!(
            parse_master_key(bad).unwrap_err().code,
            "invalid_master_key"
        );
    }
}
