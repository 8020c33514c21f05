//! Known answers of the official SDK, every type of message and event, and what no mutation of a request may do.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Channel, ChannelKind as _};
use anser_core::inbound::InboundContext;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::WeComApp;
use crate::kit::envelope::{Envelope, Signed, settings};
use crate::kit::testing::inbound::{CHANNEL, Call, accepted, answer, mutated, shown, target};
use crate::wecom_app::target::Target;

const VECTORS: &str = include_str!("../../../fixtures/inbound/vectors-cn.json");
const EVENTS: &str = include_str!("../../../fixtures/inbound/wecom.json");
const TOKEN: &str = "QDG6eK";
const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
const CORP: &str = "wx5823bf96d3bd56c7";
const NOW: i64 = 1_700_000_000;

fn channel(corp: &str) -> Arc<dyn Channel> {
    let settings = json!({"corp_id": corp, "corp_secret": "s", "agent_id": 218, "token": TOKEN, "encoding_aes_key": KEY});
    WeComApp.open(&settings).unwrap()
}

fn envelope(receiver: &str) -> Envelope {
    let read = settings(("t", Some(TOKEN.to_owned())), ("k", Some(KEY.to_owned())));
    let (token, key) = read.unwrap().unwrap();
    Envelope::new(token, key, receiver.to_owned())
}

fn vector(id: &str) -> Value {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut vectors = vectors["vectors"].as_array().unwrap().iter();
    vectors.find(|vector| vector["id"] == id).unwrap().clone()
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).unwrap().as_str().unwrap()
}

fn events() -> Vec<(String, String)> {
    let events: Vec<Value> = serde_json::from_str(EVENTS).unwrap();
    let events = events.iter();
    events
        .map(|event| {
            (
                text(event, "/name").to_owned(),
                text(event, "/xml").to_owned(),
            )
        })
        .collect()
}

/// As WeCom posts it.
fn sealed(plain: &[u8], receiver: &str) -> Call {
    let context = InboundContext {
        now: Timestamp::EPOCH,
        channel: CHANNEL,
        random: *b"0123456789abcdef",
    };
    let stamp = NOW.to_string();
    let sealed = envelope(receiver).seal(plain, &stamp, "n1", &context);
    let body = format!(
        "<xml><ToUserName><![CDATA[{receiver}]]></ToUserName><Encrypt><![CDATA[{}]]></Encrypt><AgentID>218</AgentID></xml>",
        sealed.encrypted
    );
    Call::post(body, NOW).query(&[
        ("msg_signature", &sealed.signature),
        ("timestamp", &stamp),
        ("nonce", "n1"),
    ])
}

#[test]
fn the_known_check_of_the_url_is_answered_plain() {
    let vector = vector("wecom.verify_url/doc");
    let input = |name: &str| text(&vector, &format!("/inputs/{name}")).to_owned();
    let mut call = Call::post("", input("timestamp").parse().unwrap()).query(&[
        ("msg_signature", &input("msg_signature")),
        ("timestamp", &input("timestamp")),
        ("nonce", &input("nonce")),
        ("echostr", &input("echostr")),
    ]);
    call.method = Method::GET;
    let received = call.taken(&*channel(CORP));
    assert_eq!(received.answer.body, text(&vector, "/expected/http_body"));
    assert!(received.events.is_empty());
    assert_eq!(
        call.refused(&*channel("ww1")),
        "wrong_signature",
        "another company's"
    );
    for missing in 0..4 {
        let mut bad = call.clone();
        bad.query.remove(missing);
        assert_eq!(bad.refused(&*channel(CORP)), "unsigned", "{missing}");
    }
    call.now += 601;
    assert_eq!(call.refused(&*channel(CORP)), "stale_signature");
}

#[test]
fn a_known_message_is_read() {
    let vector = vector("wecom.message");
    let stamp = text(&vector, "/inputs/timestamp");
    let call = Call::post(text(&vector, "/expected/raw_body"), stamp.parse().unwrap()).query(&[
        ("msg_signature", text(&vector, "/expected/msg_signature")),
        ("timestamp", stamp),
        ("nonce", text(&vector, "/inputs/nonce")),
    ]);
    let received = call.taken(&*channel(CORP));
    assert!(received.answer.body.is_empty());
    let (key, message) = accepted(received, call.now).remove(0);
    assert_eq!(key, "4561255354251345929");
    assert_eq!(message.body.text().unwrap(), "hello 你好");
    assert_eq!(target(&message), Some("user/mycreate"));
}

/// Robots of groups have no receiver, and DingTalk's have other words: the envelope is the same.
#[test]
fn known_envelopes_are_opened_and_closed() {
    let context = InboundContext {
        now: Timestamp::EPOCH,
        channel: CHANNEL,
        random: *b"0123456789abcdef",
    };
    for (id, key, receiver, plain) in [
        (
            "wecom.message",
            "encoding_aes_key",
            "receive_id",
            "/inputs/plaintext_xml",
        ),
        (
            "wecom.json_callback",
            "encoding_aes_key",
            "receive_id",
            "/inputs/plaintext",
        ),
        (
            "dingtalk.event_push",
            "aes_key",
            "owner_key",
            "/inputs/plaintext",
        ),
        (
            "dingtalk.event_push/demo",
            "aes_key",
            "owner_key",
            "/expected/plaintext",
        ),
    ] {
        let vector = vector(id);
        let input = |name: &str| text(&vector, &format!("/inputs/{name}")).to_owned();
        let read = settings(("t", Some(input("token"))), ("k", Some(input(key))));
        let (token, aes) = read.unwrap().unwrap();
        let envelope = Envelope::new(token, aes, input(receiver));
        let plain = text(&vector, plain);
        let encrypt = vector
            .pointer("/expected/encrypt")
            .or(vector.pointer("/inputs/encrypt"));
        let encrypt = encrypt.unwrap().as_str().unwrap();
        let signed = Signed {
            signature: text(&vector, "/expected/msg_signature").to_owned(),
            timestamp: input("timestamp"),
            nonce: input("nonce"),
        };
        let now = Timestamp::from_millis(1_000 * input("timestamp")[..10].parse::<i64>().unwrap());
        let opened = envelope.open(&signed, encrypt, Duration::from_secs(60), now);
        assert_eq!(opened.unwrap(), plain.as_bytes(), "{id}");
        if vector["inputs"]["random16"].is_string() {
            let sealed =
                envelope.seal(plain.as_bytes(), &signed.timestamp, &signed.nonce, &context);
            assert_eq!(sealed.encrypted, encrypt, "{id}");
            assert_eq!(sealed.signature, signed.signature, "{id}");
        }
    }
}

#[test]
fn every_type_of_message_and_event_is_normalised() {
    let channel = channel(CORP);
    let mut all = Vec::new();
    for (name, xml) in events() {
        let messages = sealed(xml.as_bytes(), CORP).messages(&*channel);
        assert_eq!(messages.len(), 1, "{name}");
        if let Some(target) = target(&messages[0].1) {
            Target::parse("to", target).unwrap();
        }
        all.push(json!({"event": name, "message": shown(&messages[0])}));
    }
    insta::assert_snapshot!("wecom", serde_json::to_string_pretty(&all).unwrap());
}

#[test]
fn an_answer_goes_to_who_wrote() {
    let channel = channel(CORP);
    let (_, message) = sealed(events()[0].1.as_bytes(), CORP)
        .messages(&*channel)
        .remove(0);
    let (url, body) = answer(&*channel, &message);
    assert!(url.contains("/cgi-bin/message/send?"), "{url}");
    assert_eq!(
        (&body["touser"], &body["agentid"]),
        (&json!("ann"), &json!(218))
    );
}

#[test]
fn events_of_one_second_differ_and_their_repeats_do_not() {
    let channel = channel(CORP);
    let key = |xml: &str| sealed(xml.as_bytes(), CORP).messages(&*channel).remove(0).0;
    let (_, xml) = events()
        .into_iter()
        .find(|(name, _)| name == "contact")
        .unwrap();
    assert_eq!(
        key(&xml),
        key(&xml.replace("<ChangeType>", "\n  <ChangeType>"))
    );
    assert_ne!(key(&xml), key(&xml.replace("tom", "tim")));
}

#[test]
fn what_is_signed_but_no_message_of_the_company_is_refused() {
    let channel = channel(CORP);
    let message = events().remove(0).1;
    assert_eq!(
        sealed(message.as_bytes(), "ww1").refused(&*channel),
        "wrong_signature"
    );
    assert_eq!(
        sealed(message.as_bytes(), "").refused(&*channel),
        "wrong_signature"
    );
    for bad in [
        "",
        "text",
        "<xml/>",
        "<xml><MsgType/></xml>",
        "<!DOCTYPE x><xml/>",
    ] {
        assert_eq!(
            sealed(bad.as_bytes(), CORP).refused(&*channel),
            "malformed_event",
            "{bad}"
        );
    }
    let call = sealed(message.as_bytes(), CORP);
    let refused = |change: fn(&mut Call)| {
        let mut call = call.clone();
        change(&mut call);
        call.refused(&*channel)
    };
    assert_eq!(
        refused(|call| call.method = Method::PUT),
        "method_not_allowed"
    );
    assert_eq!(refused(|call| call.now += 601), "stale_signature");
    assert_eq!(refused(|call| call.now -= 301), "stale_signature");
    assert_eq!(refused(|call| call.query.clear()), "unsigned");
    assert_eq!(
        refused(|call| call.query.push(("nonce".to_owned(), "n2".to_owned()))),
        "unsigned"
    );
    assert_eq!(
        refused(|call| call.body = b"<xml><A/></xml>".to_vec()),
        "malformed_event"
    );
}

#[test]
fn token_and_key_go_together() {
    let base = json!({"corp_id": CORP, "corp_secret": "s", "agent_id": 218});
    assert!(WeComApp.open(&base).unwrap().inbound().is_none());
    for (name, value, code, field) in [
        ("token", TOKEN, "missing_field", "settings.encoding_aes_key"),
        ("encoding_aes_key", KEY, "missing_field", "settings.token"),
    ] {
        let mut settings = base.clone();
        settings[name] = value.into();
        let problem = WeComApp.open(&settings).err().unwrap();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    for bad in ["short", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2!"] {
        let mut settings = base.clone();
        settings["token"] = TOKEN.into();
        settings["encoding_aes_key"] = bad.into();
        let problem = WeComApp.open(&settings).err().unwrap();
        assert_eq!(problem.code, "invalid_secret");
        assert!(!problem.to_string().contains(bad));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A byte of the body outside of what is encrypted is not signed and may differ.
    #[test]
    fn no_mutation_of_a_signed_request_is_taken(choice: u64, part in 0_usize..4) {
        let channel = channel(CORP);
        let xml = events().remove(0).1;
        let mut call = sealed(xml.as_bytes(), CORP);
        match part {
            3 => {
                let body = String::from_utf8(call.body.clone()).unwrap();
                let (before, rest) = body.split_once("<Encrypt><![CDATA[").unwrap();
                let (encrypted, after) = rest.split_once("]]>").unwrap();
                let encrypted = mutated(encrypted.as_bytes(), choice);
                if encrypted.trim_ascii() == rest.split_once("]]>").unwrap().0.as_bytes() {
                    return Ok(());
                }
                call.body = [before.as_bytes(), b"<Encrypt><![CDATA[", &encrypted, b"]]>", after.as_bytes()].concat();
            }
            part => {
                let bytes = mutated(call.query[part].1.as_bytes(), choice);
                let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
                call.query[part].1 = text;
            }
        }
        prop_assert!(call.sent(&*channel).unwrap().is_err(), "{:?}", call);
    }

    #[test]
    fn what_is_mutated_anywhere_never_breaks_anything(choice: u64, which: usize) {
        let channel = channel(CORP);
        let all = events();
        let xml = mutated(all[which % all.len()].1.as_bytes(), choice);
        let mut call = sealed(&xml, CORP);
        if let Some(Ok(received)) = call.sent(&*channel) {
            for (_, message) in accepted(received, NOW) {
                if let Some(target) = target(&message) {
                    Target::parse("to", target).unwrap();
                }
            }
        }
        call.body = mutated(&call.body, choice);
        if let Some(Ok(received)) = call.sent(&*channel) {
            accepted(received, NOW);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(body: Vec<u8>, words: [String; 3]) {
        let channel = channel(CORP);
        let query = [("msg_signature", &*words[0]), ("timestamp", &*words[1]), ("nonce", &*words[2])];
        let mut call = Call::post(body, NOW).query(&query);
        prop_assert!(call.sent(&*channel).unwrap().is_err());
        call.method = Method::GET;
        prop_assert!(call.sent(&*channel).unwrap().is_err());
    }
}
