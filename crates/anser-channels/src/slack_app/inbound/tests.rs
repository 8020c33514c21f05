//! Known answers of Slack's own verifier, every kind of event, and what no change of a request may do.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use http::Method;
use proptest::prelude::*;
use serde_json::json;

use super::super::SlackApp;
use super::*;
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{
    check_answerable, check_changed, check_needed, distorted, events, re_encoded, shown_all, vector,
};

const EVENTS: &str = include_str!("../../../fixtures/inbound/slack.json");
const TOKEN: &str = "xoxb-1-2-hidden";
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const NOW: i64 = 1_700_000_000;

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": TOKEN, "signing_secret": SECRET});
    SlackApp.open(&settings).unwrap()
}

/// As Slack posts it.
fn signed(body: impl Into<Vec<u8>>) -> Call {
    signed_with(SECRET, body)
}

fn signed_with(secret: &str, body: impl Into<Vec<u8>>) -> Call {
    let call = Call::post(body, NOW);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(
        &key,
        &[format!("v0:{NOW}:").as_bytes(), &call.body].concat(),
    );
    let signature = format!("v0={}", hex(tag.as_ref()));
    call.headers(&[(TIMESTAMP, &NOW.to_string()), (SIGNATURE, &signature)])
}

/// An event of the file: JSON, a form, or JSON in a form.
fn posted(event: &Value) -> Call {
    posted_with(SECRET, event)
}

pub(in super::super) fn posted_with(secret: &str, event: &Value) -> Call {
    if let Some(form) = event["form"].as_str() {
        return signed_with(secret, form);
    }
    if event["payload"].is_object() {
        let payload = event["payload"].to_string();
        let mut form = form_urlencoded::Serializer::new(String::new());
        return signed_with(secret, form.append_pair("payload", &payload).finish());
    }
    signed_with(secret, event["json"].to_string())
}

#[test]
fn known_requests_are_taken() {
    for (id, answer) in [
        ("slack.v0/doc", ""),
        (
            "slack.v0/url_verification",
            r#"{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#,
        ),
        ("slack.v0/utf8", ""),
    ] {
        let vector = vector(id);
        let input = |name: &str| vector["inputs"][name].as_str().unwrap();
        assert_eq!(input("signing_secret"), SECRET);
        let time = input("timestamp");
        let mut call = Call::post(input("raw_body"), time.parse().unwrap()).headers(&[
            (TIMESTAMP, time),
            (
                SIGNATURE,
                vector["expected"]["x-slack-signature"].as_str().unwrap(),
            ),
        ]);
        assert_eq!(call.taken(&*channel()).answer.body, answer, "{id}");
        let other = json!({"token": TOKEN, "signing_secret": "another"});
        let other = SlackApp.open(&other).unwrap();
        assert_eq!(call.refused(&*other), "wrong_signature", "{id}");
        for (later, refused) in [(300, false), (301, true), (-300, false), (-301, true)] {
            call.now = time.parse::<i64>().unwrap() + later;
            let verdict = call.sent(&*channel()).unwrap();
            let code = verdict.err().map(|refusal| refusal.kind.code());
            assert_eq!(code, refused.then_some("stale_signature"), "{later}");
        }
    }
}

#[test]
fn every_event_is_a_message_that_can_be_answered() {
    let shown = shown_all(&*channel(), &events(EVENTS), posted);
    insta::assert_json_snapshot!(shown);
}

#[test]
fn one_message_that_comes_as_two_events_is_one() {
    let message = json!({"type": "message", "channel": "C0123456789", "user": "U1", "text": "<@U0BOT> hi", "ts": "1700000000.000100"});
    let mut mention = message.clone();
    mention["type"] = "app_mention".into();
    let key = |event: &Value, id: &str| {
        let body = json!({"type": "event_callback", "event_id": id, "event": event});
        signed(body.to_string()).messages(&*channel())[0].0.clone()
    };
    assert_eq!(key(&message, "Ev1"), key(&mention, "Ev2"));
    assert_eq!(key(&message, "Ev1"), "C0123456789:1700000000.000100");
}

#[test]
fn the_verification_token_goes_nowhere() {
    for (name, event) in events(EVENTS) {
        for (_, message) in posted(&event).messages(&*channel()) {
            let json = String::from_utf8(message.to_json()).unwrap();
            assert!(!json.contains("\"token\""), "{name}: {json}");
        }
    }
}

#[test]
fn what_is_no_request_of_slack_is_refused() {
    let body = events(EVENTS)[0].1["json"].to_string();
    let call = signed(body.clone());
    check_needed(&*channel(), &call);
    let mut other = call.clone();
    other.body = re_encoded(body.as_bytes());
    assert_eq!(other.refused(&*channel()), "wrong_signature");
    let mut get = call;
    get.method = Method::GET;
    assert_eq!(get.refused(&*channel()), "method_not_allowed");
    for body in [
        "",
        "{",
        "[]",
        "null",
        "a=b",
        "{}",
        "payload=%7B",
        r#"{"type":"url_verification"}"#,
    ] {
        assert_eq!(
            signed(body).refused(&*channel()),
            "malformed_event",
            "{body}"
        );
    }
    assert!(signed("ssl_check=1").taken(&*channel()).events.is_empty());
    let without = SlackApp.open(&json!({"token": TOKEN})).unwrap();
    assert!(without.inbound().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_changed_request_is_refused(place in any::<prop::sample::Index>(), choice in any::<u64>()) {
        let events = events(EVENTS);
        check_changed(&*channel(), &posted(&events[place.index(events.len())].1), choice);
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_is_a_message_or_refused(
        place in any::<prop::sample::Index>(), choice in any::<u64>(), bytes in any::<Vec<u8>>(),
    ) {
        let (events, channel) = (events(EVENTS), channel());
        let event = &events[place.index(events.len())].1;
        let mut bent = posted(&distorted(event, choice));
        for call in [&bent, &signed(mutated(&bent.body, choice)), &signed(bytes)] {
            if call.sent(&*channel).unwrap().is_ok() {
                for (_, message) in call.messages(&*channel) {
                    check_answerable(&*channel, &message);
                }
            }
        }
        bent.headers.clear();
        prop_assert_eq!(bent.refused(&*channel), "unsigned");
    }
}
