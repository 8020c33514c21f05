//! Known answers, every type of message and event, and what no mutation of a request may do.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::channel::{Channel, ChannelKind as _};
use anser_core::inbound::InboundContext;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::DingTalkApp;
use crate::dingtalk_app::target::Target;
use crate::kit::envelope::{Envelope, settings};
use crate::kit::testing::inbound::{CHANNEL, Call, accepted, answer, mutated, shown, target};

const VECTORS: &str = include_str!("../../../fixtures/inbound/vectors-cn.json");
const MESSAGES: &str = include_str!("../../../fixtures/inbound/dingtalk-robot.json");
const PUSHES: &str = include_str!("../../../fixtures/inbound/dingtalk-push.json");
const SECRET: &str = "SECabc123";
const TOKEN: &str = "dd-token";
const KEY: &str = "4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij";
const OWNER: &str = "dingoqx7abcdefg";
const NOW: i64 = 1_700_000_000;

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"app_key": OWNER, "app_secret": SECRET, "aes_key": KEY, "token": TOKEN});
    DingTalkApp.open(&settings).unwrap()
}

fn vector(id: &str) -> Value {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut vectors = vectors["vectors"].as_array().unwrap().iter();
    vectors.find(|vector| vector["id"] == id).unwrap().clone()
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).unwrap().as_str().unwrap()
}

fn named(events: &str) -> Vec<(String, Value)> {
    let events: Vec<Value> = serde_json::from_str(events).unwrap();
    let events = events.iter();
    events
        .map(|event| (text(event, "/name").to_owned(), event["body"].clone()))
        .collect()
}

fn signed(body: impl Into<Vec<u8>>) -> Call {
    let stamp = (NOW * 1_000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let sign = hmac::sign(&key, format!("{stamp}\n{SECRET}").as_bytes());
    Call::post(body, NOW).headers(&[("timestamp", &stamp), ("sign", &BASE64.encode(sign))])
}

fn context() -> InboundContext<'static> {
    InboundContext {
        now: Timestamp::EPOCH,
        channel: CHANNEL,
        random: *b"0123456789abcdef",
    }
}

fn envelope() -> Envelope {
    let read = settings(("t", Some(TOKEN.to_owned())), ("k", Some(KEY.to_owned())));
    let (token, key) = read.unwrap().unwrap();
    Envelope::new(token, key, OWNER.to_owned())
}

fn pushed(plain: &[u8]) -> Call {
    let stamp = NOW.to_string();
    let sealed = envelope().seal(plain, &stamp, "nEXhMP4r", &context());
    Call::post(json!({"encrypt": sealed.encrypted}).to_string(), NOW).query(&[
        ("signature", &sealed.signature),
        ("timestamp", &stamp),
        ("nonce", "nEXhMP4r"),
    ])
}

#[test]
fn known_signatures_are_taken() {
    let body = &named(MESSAGES)[0].1;
    for id in ["1700000000000", "1577262236757"] {
        let vector = vector(&format!("dingtalk.webhook.sign/{id}"));
        let secret = text(&vector, "/inputs/secret");
        let settings = json!({"app_key": OWNER, "app_secret": secret});
        let channel = DingTalkApp.open(&settings).unwrap();
        let stamp = text(&vector, "/inputs/timestamp_ms");
        let mut call = Call::post(body.to_string(), stamp[..10].parse().unwrap()).headers(&[
            ("timestamp", stamp),
            ("sign", text(&vector, "/expected/sign_base64")),
        ]);
        let received = call.taken(&*channel);
        assert_eq!(accepted(received, NOW)[0].0, "msg1");
        for missing in 0..2 {
            let mut bad = call.clone();
            bad.headers.remove(missing);
            assert_eq!(bad.refused(&*channel), "unsigned");
        }
        call.now += 3_601;
        assert_eq!(call.refused(&*channel), "stale_signature");
        call.now -= 3_602 + 300;
        assert_eq!(call.refused(&*channel), "stale_signature");
    }
}

#[test]
fn the_known_check_of_the_url_is_answered_with_the_known_envelope() {
    let vector = vector("dingtalk.event_push");
    let stamp = text(&vector, "/inputs/timestamp");
    let body = json!({"encrypt": vector["expected"]["encrypt"]}).to_string();
    for name in ["signature", "msg_signature"] {
        let call = Call::post(&*body, stamp.parse().unwrap()).query(&[
            (name, text(&vector, "/expected/msg_signature")),
            ("timestamp", stamp),
            ("nonce", text(&vector, "/inputs/nonce")),
        ]);
        let received = call.taken(&*channel());
        let answer: Value = serde_json::from_slice(&received.answer.body).unwrap();
        assert_eq!(answer, vector["expected"]["reply_json"]);
        assert!(received.events.is_empty());
    }
}

#[test]
fn the_demo_of_dingtalk_gets_its_word_back() {
    let vector = vector("dingtalk.event_push/demo");
    let input = |name: &str| text(&vector, &format!("/inputs/{name}")).to_owned();
    let settings = json!({"app_key": "dingx", "app_secret": "s", "aes_key": input("aes_key"), "token": input("token"),
                          "owner_key": input("owner_key")});
    let channel = DingTalkApp.open(&settings).unwrap();
    let stamp = input("timestamp");
    let body = json!({"encrypt": input("encrypt")}).to_string();
    let call = Call::post(body, stamp[..10].parse().unwrap()).query(&[
        ("signature", text(&vector, "/expected/msg_signature")),
        ("timestamp", &stamp),
        ("nonce", &input("nonce")),
    ]);
    let answer: Value = serde_json::from_slice(&call.taken(&*channel).answer.body).unwrap();
    // Opened again, as DingTalk does.
    let again = Call::post(json!({"encrypt": answer["encrypt"]}).to_string(), call.now);
    let again = again.query(&[
        ("signature", text(&answer, "/msg_signature")),
        ("timestamp", text(&answer, "/timeStamp")),
        ("nonce", text(&answer, "/nonce")),
    ]);
    assert_eq!(
        again.refused(&*channel),
        "malformed_event",
        "LPIdSnlF is no event"
    );
}

#[test]
fn every_type_of_message_is_normalised() {
    let channel = channel();
    let mut all = Vec::new();
    for (name, body) in named(MESSAGES) {
        let received = signed(body.to_string()).taken(&*channel);
        assert_eq!(received.answer.body, "{}");
        let messages = accepted(received, NOW);
        assert_eq!(messages.len(), 1, "{name}");
        check_answerable(&messages[0].1);
        let shown = shown(&messages[0]);
        assert!(!shown.to_string().contains("SESSION"), "{name}");
        all.push(json!({"event": name, "message": shown}));
    }
    insta::assert_snapshot!(
        "dingtalk-robot",
        serde_json::to_string_pretty(&all).unwrap()
    );
}

#[test]
fn every_pushed_event_is_normalised_and_answered_with_an_encrypted_success() {
    let channel = channel();
    let mut all = Vec::new();
    for (name, body) in named(PUSHES) {
        let received = pushed(body.to_string().as_bytes()).taken(&*channel);
        let answer: Value = serde_json::from_slice(&received.answer.body).unwrap();
        let sealed = envelope().seal(b"success", &NOW.to_string(), "nEXhMP4r", &context());
        assert_eq!(text(&answer, "/encrypt"), sealed.encrypted);
        assert_eq!(text(&answer, "/msg_signature"), sealed.signature);
        let messages = accepted(received, NOW);
        assert_eq!(messages.len(), 1, "{name}");
        check_answerable(&messages[0].1);
        all.push(json!({"event": name, "message": shown(&messages[0])}));
    }
    insta::assert_snapshot!("dingtalk-push", serde_json::to_string_pretty(&all).unwrap());
}

fn check_answerable(message: &anser_core::Message) {
    if let Some(target) = target(message) {
        Target::parse("to", target).unwrap();
    }
}

#[test]
fn an_answer_goes_to_the_same_chat() {
    let channel = channel();
    let bodies = named(MESSAGES);
    let answered = |at: usize| {
        let (_, message) = signed(bodies[at].1.to_string())
            .messages(&*channel)
            .remove(0);
        answer(&*channel, &message)
    };
    let (url, body) = answered(0);
    assert!(url.ends_with("/v1.0/robot/groupMessages/send"), "{url}");
    assert_eq!(body["openConversationId"], "cidAbC+/12==");
    let (url, body) = answered(1);
    assert!(url.ends_with("/v1.0/robot/oToMessages/batchSend"), "{url}");
    assert_eq!(body["userIds"], json!(["ann"]));
}

#[test]
fn what_is_signed_but_cannot_be_read_is_refused() {
    let channel = channel();
    for bad in ["", "7", "{}", "{\"msgId\":\"\"}", "{\"msgId\":\"a\\nb\"}"] {
        assert_eq!(signed(bad).refused(&*channel), "malformed_event", "{bad}");
    }
    assert_eq!(pushed(b"no json").refused(&*channel), "malformed_event");
    let mut call = signed("{}");
    call.method = Method::GET;
    assert_eq!(call.refused(&*channel), "method_not_allowed");
    let without = DingTalkApp
        .open(&json!({"app_key": OWNER, "app_secret": SECRET}))
        .unwrap();
    assert_eq!(pushed(b"{}").refused(&*without), "unsigned");
    let another =
        json!({"app_key": "dingother", "app_secret": SECRET, "aes_key": KEY, "token": TOKEN});
    let another = DingTalkApp.open(&another).unwrap();
    assert_eq!(
        pushed(b"{}").refused(&*another),
        "wrong_signature",
        "for another app"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_mutation_of_what_signs_a_message_is_taken(choice: u64, part in 0_usize..2) {
        let mut call = signed(named(MESSAGES)[0].1.to_string());
        let bytes = mutated(call.headers[part].1.as_bytes(), choice);
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        call.headers[part].1 = text;
        if let Some(sent) = call.sent(&*channel()) {
            prop_assert!(sent.is_err(), "{call:?}");
        }
    }

    #[test]
    fn no_mutation_of_a_pushed_event_is_taken(choice: u64, part in 0_usize..4) {
        let mut call = pushed(named(PUSHES)[0].1.to_string().as_bytes());
        match part {
            3 => call.body = mutated(&call.body, choice),
            part => {
                let bytes = mutated(call.query[part].1.as_bytes(), choice);
                let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
                call.query[part].1 = text;
            }
        }
        // Blanks between the tokens of JSON change neither what it says nor what is signed.
        let blanks = part == 3 && serde_json::from_slice::<Value>(&call.body).is_ok_and(|body| {
            body == serde_json::from_slice::<Value>(&pushed(named(PUSHES)[0].1.to_string().as_bytes()).body).unwrap()
        });
        if !blanks {
            prop_assert!(call.sent(&*channel()).unwrap().is_err(), "{:?}", call);
        }
    }

    #[test]
    fn what_is_mutated_before_it_is_signed_never_breaks_anything(choice: u64, which: usize) {
        let (messages, pushes) = (named(MESSAGES), named(PUSHES));
        let message = mutated(messages[which % messages.len()].1.to_string().as_bytes(), choice);
        let push = mutated(pushes[which % pushes.len()].1.to_string().as_bytes(), choice);
        for call in [signed(message), pushed(&push)] {
            if let Some(Ok(received)) = call.sent(&*channel()) {
                for (_, message) in accepted(received, NOW) {
                    check_answerable(&message);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(body: Vec<u8>, words: [String; 3]) {
        let channel = channel();
        let query = [("signature", &*words[0]), ("timestamp", &*words[1]), ("nonce", &*words[2])];
        prop_assert!(Call::post(body.clone(), NOW).query(&query).sent(&*channel).unwrap().is_err());
        let headers = [("timestamp", &*words[0]), ("sign", &*words[1])];
        if let Some(sent) = Call::post(body, NOW).headers(&headers).sent(&*channel) {
            prop_assert!(sent.is_err());
        }
    }
}
