//! Known answers of PyNaCl, every kind of interaction and its answer, and what no change of a request may do.

use std::sync::Arc;

use anser_core::Message;
use anser_core::channel::{Channel, ChannelKind as _, Context};
use aws_lc_rs::signature::Ed25519KeyPair;
use http::Method;
use proptest::prelude::*;
use serde_json::json;

use super::super::DiscordBot;
use super::*;
use crate::kit::arrival::hex;
use crate::kit::testing::context;
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{
    check_answerable, check_changed, check_needed, distorted, events, re_encoded, shown_all, vector,
};

const EVENTS: &str = include_str!("../../../fixtures/inbound/discord.json");
const PUBLIC_KEY: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
const NOW: i64 = 1_700_000_000;

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": "hidden", "public_key": PUBLIC_KEY});
    DiscordBot.open(&settings).unwrap()
}

/// As Discord posts it.
fn signed(body: impl Into<Vec<u8>>) -> Call {
    let call = Call::post(body, NOW);
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let signature = pair.sign(&[NOW.to_string().as_bytes(), &call.body].concat());
    call.headers(&[
        (TIMESTAMP, &NOW.to_string()),
        (SIGNATURE, &hex(signature.as_ref())),
    ])
}

/// What an interaction brings when it is posted.
pub(in super::super) fn posted(interaction: &Value) -> Vec<InboundEvent> {
    match signed(interaction.to_string()).sent(&*channel()).unwrap() {
        Ok(received) => received.events,
        Err(_) => Vec::new(),
    }
}

/// What it is answered then.
pub(in super::super) fn answered(interaction: &Value) -> Value {
    let received = signed(interaction.to_string()).taken(&*channel());
    serde_json::from_slice(&received.answer.body).unwrap()
}

fn interaction(event: &Value) -> Call {
    signed(event["json"].to_string())
}

#[test]
fn known_requests_have_the_known_verdict() {
    let verdict = |id: &str, signature: &Value| {
        let vector = vector(id);
        let input = |name: &str| vector["inputs"][name].as_str().unwrap().to_owned();
        assert_eq!(input("public_key_hex"), PUBLIC_KEY);
        let time = input("timestamp");
        let call = Call::post(input("raw_body"), time.parse().unwrap());
        call.headers(&[(TIMESTAMP, &time), (SIGNATURE, signature.as_str().unwrap())])
    };
    let good = vector("discord.interaction.ping");
    let signature = &good["expected"]["X-Signature-Ed25519"];
    let mut call = verdict("discord.interaction.ping", signature);
    let answer: Value = serde_json::from_slice(&call.taken(&*channel()).answer.body).unwrap();
    assert_eq!(answer, good["expected"]["answer_json"]);
    for (later, refused) in [(300, false), (301, true), (-300, false), (-301, true)] {
        call.now = NOW + later;
        let verdict = call.sent(&*channel()).unwrap();
        let code = verdict.err().map(|refusal| refusal.kind.code());
        assert_eq!(code, refused.then_some("stale_signature"), "{later}");
    }
    let bad = vector("discord.interaction.bad");
    let signature = &bad["inputs"]["X-Signature-Ed25519"];
    let call = verdict("discord.interaction.bad", signature);
    let refusal = call.sent(&*channel()).unwrap().unwrap_err();
    assert_eq!(refusal.kind.code(), "wrong_signature");
    let status = u64::from(refusal.kind.status().as_u16());
    assert_eq!(bad["expected"]["http_status"].as_u64(), Some(status));
}

#[test]
fn every_interaction_is_a_message_that_can_be_answered() {
    let shown = shown_all(&*channel(), &events(EVENTS), interaction);
    insta::assert_json_snapshot!(shown);
}

#[test]
fn an_answer_continues_the_interaction() {
    let channel = channel();
    let (_, received) = interaction(&events(EVENTS)[0].1)
        .messages(&*channel)
        .remove(0);
    let origin = received.header.origin.unwrap();
    let conversation = received.header.conversation.unwrap();
    let made = |to: &str, reply_to: Option<&str>| {
        let json = json!({"v": 1,
            "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                       "type": "message", "from": {"kind": "service", "id": "s"},
                       "conversation": conversation, "reply_to": reply_to},
            "body": {"segments": [{"type": "text", "text": "hi"}]}});
        let message = Message::from_json(json.to_string().as_bytes()).unwrap();
        let context = Context {
            target: Some(to),
            ..context(0)
        };
        let plan = channel.render(&message, &context).unwrap();
        let request = channel.request(&plan.steps[0], &message, &context).unwrap();
        request.into_http().unwrap()
    };
    let token = events(EVENTS)[0].1["json"]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = made("772904309264089089", origin.message_id.as_deref());
    assert_eq!(
        request.url.as_str(),
        format!("https://discord.com/api/v10/webhooks/845027738276462632/{token}")
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["content"], "hi");
    assert!(body["nonce"].is_null(), "webhooks know none");
    // Elsewhere, or without it, a message is one like others.
    for request in [
        made("1", origin.message_id.as_deref()),
        made("772904309264089089", None),
    ] {
        assert!(request.url.path().ends_with("/messages"), "{}", request.url);
    }
}

#[test]
fn the_token_of_an_interaction_stands_where_answers_need_it_only() {
    for (name, event) in events(EVENTS) {
        let token = event["json"]["token"].as_str().unwrap();
        for (_, message) in interaction(&event).messages(&*channel()) {
            let id = message
                .header
                .origin
                .as_ref()
                .unwrap()
                .message_id
                .as_deref();
            assert!(id.unwrap().ends_with(token));
            let json = String::from_utf8(message.to_json()).unwrap();
            assert_eq!(json.matches(token).count(), 1, "{name}: {json}");
        }
    }
}

#[test]
fn what_is_no_interaction_is_refused() {
    let body = events(EVENTS)[0].1["json"].to_string();
    let call = signed(body.clone());
    check_needed(&*channel(), &call);
    let mut other = call.clone();
    other.body = re_encoded(body.as_bytes());
    assert_eq!(other.refused(&*channel()), "wrong_signature");
    let mut get = call;
    get.method = Method::GET;
    assert_eq!(get.refused(&*channel()), "method_not_allowed");
    for body in ["", "{", "null", "{}", r#"{"type":99}"#, r#"{"type":2}"#] {
        assert_eq!(
            signed(body).refused(&*channel()),
            "malformed_event",
            "{body}"
        );
    }
    for bad in ["", "00", "g0", &"0".repeat(63), &"z".repeat(64)] {
        let settings = json!({"token": "hidden", "public_key": bad});
        let problem = DiscordBot.open(&settings).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some("settings.public_key"));
    }
    let without = DiscordBot.open(&json!({"token": "hidden"})).unwrap();
    assert!(without.inbound().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_changed_request_is_refused(place in any::<prop::sample::Index>(), choice in any::<u64>()) {
        let events = events(EVENTS);
        let signed = interaction(&events[place.index(events.len())].1);
        // A digit in upper case is the same digit.
        if choice % 5 < 2 && choice / 5 % 3 == 0 && ((choice / 5) >> 8) & 0xff == 0x20 {
            return Ok(());
        }
        check_changed(&*channel(), &signed, choice);
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_is_a_message_or_refused(
        place in any::<prop::sample::Index>(), choice in any::<u64>(), bytes in any::<Vec<u8>>(),
    ) {
        let (events, channel) = (events(EVENTS), channel());
        let bent = interaction(&distorted(&events[place.index(events.len())].1, choice));
        for call in [&bent, &signed(mutated(&bent.body, choice)), &signed(bytes)] {
            if call.sent(&*channel).unwrap().is_ok() {
                for (_, message) in call.messages(&*channel) {
                    check_answerable(&*channel, &message);
                }
            }
        }
    }
}
