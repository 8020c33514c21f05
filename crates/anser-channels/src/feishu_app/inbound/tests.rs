//! Known answers of the official SDK, every type of event, and what no mutation of a request may do.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::FeishuApp;
use crate::feishu_app::address::is_message_id;
use crate::feishu_app::settings::Receiver;
use crate::kit::arrival::hex;
use crate::kit::cbc;
use crate::kit::testing::inbound::{Call, accepted, answer, mutated, shown, target};

const VECTORS: &str = include_str!("../../../fixtures/inbound/vectors-cn.json");
const EVENTS: &str = include_str!("../../../fixtures/inbound/feishu.json");
const KEY: &str = "anser-encrypt-key";
const TOKEN: &str = "anser-verify-token";
const NOW: i64 = 1_700_000_100;

fn channel(encrypt_key: Option<&str>, token: Option<&str>) -> Arc<dyn Channel> {
    let mut settings = json!({"app_id": "cli_anser0001", "app_secret": "s"});
    for (name, value) in [("encrypt_key", encrypt_key), ("verification_token", token)] {
        if let Some(value) = value {
            settings[name] = value.into();
        }
    }
    FeishuApp.open(&settings).unwrap()
}

fn vector(id: &str) -> Value {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut vectors = vectors["vectors"].as_array().unwrap().iter();
    vectors.find(|vector| vector["id"] == id).unwrap().clone()
}

fn events() -> Vec<Value> {
    serde_json::from_str(EVENTS).unwrap()
}

fn event(name: &str) -> Value {
    let event = events().into_iter().find(|event| event["name"] == name);
    event.unwrap()["body"].clone()
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).unwrap().as_str().unwrap()
}

/// A POST with a signature made of `secret`.
fn signed(body: &[u8], algorithm: &'static Algorithm, secret: &str) -> Call {
    let stamp = "1700000000";
    let whole = [stamp.as_bytes(), b"nonce", secret.as_bytes(), body].concat();
    let signature = hex(digest(algorithm, &whole).as_ref());
    Call::post(body, NOW).headers(&[
        ("x-lark-request-timestamp", stamp),
        ("x-lark-request-nonce", "nonce"),
        ("x-lark-signature", &signature),
    ])
}

fn encrypted(plain: &str) -> Vec<u8> {
    let mut key = cbc::Key::default();
    key.copy_from_slice(digest(&SHA256, KEY.as_bytes()).as_ref());
    let iv = [5; cbc::BLOCK_BYTES];
    let bytes = [
        &iv[..],
        &cbc::encrypt(&key, &iv, cbc::BLOCK_BYTES, plain.into()),
    ]
    .concat();
    json!({"encrypt": BASE64.encode(bytes)})
        .to_string()
        .into_bytes()
}

/// As Feishu calls an app with an encrypt key.
fn sealed(body: &Value) -> Call {
    signed(&encrypted(&body.to_string()), &SHA256, KEY)
}

#[test]
fn a_known_encrypted_and_signed_event_is_read() {
    let vector = vector("feishu.event.v2.encrypted+signed");
    let headers = |name: &str| text(&vector, &format!("/inputs/headers/{name}")).to_owned();
    let call = Call::post(text(&vector, "/inputs/raw_body"), NOW).headers(&[
        (
            "x-lark-request-timestamp",
            &headers("X-Lark-Request-Timestamp"),
        ),
        ("x-lark-request-nonce", &headers("X-Lark-Request-Nonce")),
        ("x-lark-signature", &headers("X-Lark-Signature")),
    ]);
    let channel = channel(Some(KEY), Some(TOKEN));
    let received = call.taken(&*channel);
    assert_eq!(received.answer.body, r#"{"msg":"success"}"#);
    let (key, message) = accepted(received, NOW).remove(0);
    assert_eq!(key, "om_m1");
    assert_eq!(message.body.text().unwrap(), "@anser ping 你好");
    assert_eq!(target(&message), Some("oc_c1"));

    let mut bad = call.clone();
    bad.headers[2].1 = "0".repeat(64);
    assert_eq!(bad.refused(&*channel), "wrong_signature");
    for missing in 0..3 {
        let mut bad = call.clone();
        bad.headers.remove(missing);
        assert_eq!(bad.refused(&*channel), "unsigned", "{missing}");
    }
    let mut stale = call.clone();
    stale.now += 8 * 3_600;
    assert_eq!(stale.refused(&*channel), "stale_signature");
    let mut early = call;
    early.now = 1_700_000_000 - 301;
    assert_eq!(early.refused(&*channel), "stale_signature");
}

#[test]
fn the_check_of_the_url_is_answered_plain() {
    let answer = r#"{"challenge":"ajls384kdj1234"}"#;
    for (id, keys) in [
        ("feishu.challenge.plain", &[None, Some(KEY)][..]),
        ("feishu.challenge.encrypted", &[Some(KEY)]),
    ] {
        let vector = vector(id);
        let call = Call::post(text(&vector, "/inputs/raw_body"), NOW);
        for key in keys {
            let received = call.taken(&*channel(*key, Some(TOKEN)));
            assert_eq!(received.answer.body, answer, "{id}");
            assert!(received.events.is_empty());
            let refused = call.refused(&*channel(*key, Some("another")));
            assert!(
                ["wrong_signature", "unsigned"].contains(&refused),
                "{refused}"
            );
        }
    }
    // Being encrypted proves it where there is no token; being plain proves nothing.
    let only_key = channel(Some(KEY), None);
    let encrypted = vector("feishu.challenge.encrypted");
    let call = Call::post(text(&encrypted, "/inputs/raw_body"), NOW);
    assert_eq!(call.taken(&*only_key).answer.body, answer);
    let plain = vector("feishu.challenge.plain");
    let call = Call::post(text(&plain, "/inputs/raw_body"), NOW);
    assert_eq!(call.refused(&*only_key), "unsigned");
}

#[test]
fn without_an_encrypt_key_the_token_is_the_proof() {
    let channel = channel(None, Some(TOKEN));
    for id in ["feishu.event.v1.plain", "feishu.card.action.trigger"] {
        let vector = vector(id);
        let body = text(&vector, "/inputs/raw_body");
        assert_eq!(Call::post(body, NOW).messages(&*channel).len(), 1, "{id}");
        let wrong = body.replace(TOKEN, "anser-verify-tokem");
        assert_eq!(Call::post(wrong, NOW).refused(&*channel), "wrong_signature");
        let without = body.replace("\"token\": \"anser-verify-token\"", "\"x\": 1");
        assert_eq!(Call::post(without, NOW).refused(&*channel), "unsigned");
    }
    let sealed = sealed(&event("joined")).refused(&*channel);
    assert_eq!(sealed, "unsigned", "it has no key to open it with");
}

#[test]
fn a_click_on_an_old_card_has_a_signature_of_its_own() {
    let vector = vector("feishu.card.v1.signature");
    let (keyed, plain) = (channel(Some(KEY), Some(TOKEN)), channel(None, Some(TOKEN)));
    let call = Call::post(text(&vector, "/inputs/raw_body"), NOW).headers(&[
        (
            "x-lark-request-timestamp",
            text(&vector, "/inputs/timestamp"),
        ),
        ("x-lark-request-nonce", text(&vector, "/inputs/nonce")),
        ("x-lark-signature", text(&vector, "/expected/signature_hex")),
    ]);
    for channel in [&keyed, &plain] {
        let (_, message) = call.messages(&**channel).remove(0);
        assert_eq!(message.header.r#type, "chat.button");
        assert_eq!(message.header.from.id, "ou_u1");
        assert_eq!(target(&message), Some("oc_c1"));
        let mut bare = call.clone();
        bare.headers.clear();
        let refused = bare.refused(&**channel);
        assert!(
            ["unsigned", "wrong_signature"].contains(&refused),
            "{refused}"
        );
    }
    // What proves a card proves no event.
    let body = event("joined").to_string();
    let call = signed(body.as_bytes(), &SHA1_FOR_LEGACY_USE_ONLY, TOKEN);
    assert_eq!(call.refused(&*keyed), "malformed_event");
}

#[test]
fn what_is_signed_must_also_have_the_right_token_and_be_an_event() {
    let channel = channel(Some(KEY), Some(TOKEN));
    let mut body = event("joined");
    body["header"]["token"] = "another".into();
    assert_eq!(sealed(&body).refused(&*channel), "wrong_signature");
    for (bad, code) in [
        ("{}", "malformed_event"),
        ("7", "malformed_event"),
        ("", "malformed_event"),
    ] {
        let call = signed(&encrypted(bad), &SHA256, KEY);
        assert_eq!(call.refused(&*channel), code, "{bad}");
        let call = signed(bad.as_bytes(), &SHA256, KEY);
        assert_eq!(call.refused(&*channel), code, "{bad}");
    }
    let mut call = sealed(&event("joined"));
    call.method = Method::GET;
    assert_eq!(call.refused(&*channel), "method_not_allowed");
    let short = json!({"encrypt": BASE64.encode([1_u8; 16])}).to_string();
    let call = signed(short.as_bytes(), &SHA256, KEY);
    assert_eq!(call.refused(&*channel), "malformed_event");
}

#[test]
fn every_type_of_event_is_normalised() {
    let (keyed, plain) = (channel(Some(KEY), Some(TOKEN)), channel(None, Some(TOKEN)));
    let mut all = Vec::new();
    for event in events() {
        let name = event["name"].as_str().unwrap();
        let by_key = sealed(&event["body"]).messages(&*keyed);
        let by_token = Call::post(event["body"].to_string(), NOW).messages(&*plain);
        assert_eq!(by_key.len(), 1, "{name}");
        assert_eq!(shown(&by_key[0]), shown(&by_token[0]), "{name}");
        check_answerable(&by_key[0].1);
        all.push(json!({"event": name, "message": shown(&by_key[0])}));
    }
    insta::assert_snapshot!("feishu", serde_json::to_string_pretty(&all).unwrap());
}

/// The channel can send to the conversation, and reply to the message.
fn check_answerable(message: &anser_core::Message) {
    if let Some(target) = target(message) {
        Receiver::parse("to", target).unwrap();
    }
    let thread = message
        .header
        .conversation
        .iter()
        .find_map(|chat| chat.thread.as_deref());
    let replied = message.header.reply_to.as_deref();
    for id in thread.into_iter().chain(replied) {
        assert!(is_message_id(id), "{id}");
    }
}

#[test]
fn an_answer_goes_to_the_same_chat_and_thread() {
    let channel = channel(Some(KEY), Some(TOKEN));
    for (name, in_thread) in [
        ("message: text", false),
        ("message: direct", false),
        ("message: in a thread", true),
    ] {
        let (_, message) = sealed(&event(name)).messages(&*channel).remove(0);
        let (url, body) = answer(&*channel, &message);
        assert!(
            url.ends_with("/im/v1/messages/om_m1/reply"),
            "{name}: {url}"
        );
        assert_eq!(body["reply_in_thread"], in_thread, "{name}");
    }
    // A menu has no message to reply to.
    let (_, message) = sealed(&event("menu")).messages(&*channel).remove(0);
    let (url, body) = answer(&*channel, &message);
    assert!(
        url.ends_with("/im/v1/messages?receive_id_type=open_id"),
        "{url}"
    );
    assert_eq!(body["receive_id"], "ou_u1");
}

#[test]
fn what_the_app_did_itself_is_no_event() {
    let channel = channel(Some(KEY), Some(TOKEN));
    let mut own = event("message: text");
    own["event"]["sender"]["sender_type"] = "app".into();
    for id in [json!({"app_id": "cli_anser0001"}), json!({}), Value::Null] {
        own["event"]["sender"]["sender_id"] = id;
        assert!(sealed(&own).messages(&*channel).is_empty());
    }
    let mut own = event("reaction of another app");
    own["event"]["app_id"] = "cli_anser0001".into();
    assert!(sealed(&own).messages(&*channel).is_empty());
}

#[test]
fn a_message_is_known_again_whatever_the_event_is_called() {
    let channel = channel(Some(KEY), Some(TOKEN));
    let key = |body: &Value| sealed(body).messages(&*channel).remove(0).0;
    let mut body = event("message: text");
    let first = key(&body);
    body["header"]["event_id"] = "ev_2".into();
    assert_eq!(key(&body), first);
    body["event"]["message"]["message_id"] = "om_m2".into();
    assert_ne!(key(&body), first);
    let mut body = event("reaction added");
    let first = key(&body);
    assert_ne!(
        key(&event("message: text")),
        first,
        "about the same message"
    );
    body["header"]["event_id"] = "ev_2".into();
    assert_ne!(key(&body), first);
}

/// Deeper than a stack of recursion would bear, or wider than a message may be.
#[test]
fn hostile_content_is_a_message_all_the_same() {
    let channel = channel(Some(KEY), Some(TOKEN));
    let deep = (0..100).fold(json!("x"), |inner, _| json!([inner]));
    let long = "长".repeat(60_000);
    let nodes = json!({"title": long, "content": vec![json!([{"tag": "text", "text": "x"}]); 500]});
    for (msg_type, content) in [
        ("post", nodes),
        ("post", json!({"content": [[{"tag": "md", "text": long}]]})),
        ("text", json!({"text": long})),
        ("text", json!({"text": "@_user_1 ".repeat(2_000)})),
        ("interactive", json!({"elements": deep})),
        ("todo", json!({"summary": deep})),
        (&*long, json!({})),
        ("image", json!({"image_key": "k".repeat(20_000)})),
        ("file", json!({"file_key": deep, "file_name": "\u{0}\n"})),
        ("location", json!({"latitude": "NaN", "longitude": "inf"})),
        ("text", json!("no object")),
    ] {
        let mut body = event("message: text");
        let message = &mut body["event"]["message"];
        message["message_type"] = msg_type.into();
        message["content"] = content.to_string().into();
        for id in ["message_id", "root_id", "parent_id", "thread_id", "chat_id"] {
            message[id] = "\u{7f}om_/\n".into();
        }
        let messages = sealed(&body).messages(&*channel);
        assert_eq!(messages.len(), 1);
        check_answerable(&messages[0].1);
    }
    let mut body = event("user created");
    body["event"]["object"] = deep;
    assert_eq!(sealed(&body).messages(&*channel).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_mutation_of_a_signed_request_is_taken(choice: u64, part in 0_usize..4) {
        let channel = channel(Some(KEY), Some(TOKEN));
        let mut call = sealed(&event("message: text"));
        match part {
            3 => call.body = mutated(&call.body, choice),
            part => {
                let bytes = mutated(call.headers[part].1.as_bytes(), choice);
                let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
                call.headers[part].1 = text;
            }
        }
        if let Some(sent) = call.sent(&*channel) {
            let refusal = sent.err();
            prop_assert!(refusal.is_some_and(|refusal| refusal.kind.status() == 401), "{call:?}");
        }
    }

    #[test]
    fn no_mutation_of_an_old_cards_click_is_taken(choice: u64) {
        let channel = channel(None, Some(TOKEN));
        let vector = vector("feishu.card.v1.signature");
        let body = mutated(text(&vector, "/inputs/raw_body").as_bytes(), choice);
        let mut call = signed(&body, &SHA1_FOR_LEGACY_USE_ONLY, TOKEN);
        call.headers[2].1 = text(&vector, "/expected/signature_hex").to_owned();
        call.headers[1].1 = text(&vector, "/inputs/nonce").to_owned();
        prop_assert_eq!(call.refused(&*channel), "wrong_signature");
    }

    #[test]
    fn what_is_mutated_before_it_is_signed_never_breaks_anything(choice: u64, which: usize) {
        let all = events();
        let body = all[which % all.len()]["body"].to_string();
        let body = mutated(body.as_bytes(), choice);
        let keyed = channel(Some(KEY), Some(TOKEN));
        for call in [signed(&body, &SHA256, KEY), Call::post(body.clone(), NOW)] {
            if let Some(Ok(received)) = call.sent(&*keyed) {
                for (_, message) in accepted(received, NOW) {
                    check_answerable(&message);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(body: Vec<u8>, signature: String) {
        for channel in [channel(Some(KEY), Some(TOKEN)), channel(None, Some(TOKEN)), channel(Some(KEY), None)] {
            let mut call = signed(&body, &SHA256, "another key");
            prop_assert!(call.sent(&*channel).unwrap().is_err());
            call.headers[2].1.clone_from(&signature);
            if let Some(sent) = call.sent(&*channel) {
                prop_assert!(sent.is_err());
            }
        }
    }
}

#[test]
fn the_same_json_in_other_bytes_is_refused() {
    let channel = channel(Some(KEY), Some(TOKEN));
    let call = sealed(&event("joined"));
    let value: Value = serde_json::from_slice(&call.body).unwrap();
    let text = text(&value, "/encrypt");
    for body in [
        format!("{{\"encrypt\": \"{text}\"}}"),
        format!("{{\"encrypt\":\"{text}\"}}\n"),
        format!("{{\"encrypt\":\"{}\"}}", text.replacen('A', "\\u0041", 1)),
        format!("{{\"encrypt\":\"x\",\"encrypt\":\"{text}\"}}"),
    ] {
        assert_ne!(body.as_bytes(), call.body);
        let other = Call {
            body: body.into(),
            ..call.clone()
        };
        assert_eq!(other.refused(&*channel), "wrong_signature");
    }
}

#[test]
fn without_key_and_token_nothing_is_taken() {
    assert!(channel(None, None).inbound().is_none());
}
