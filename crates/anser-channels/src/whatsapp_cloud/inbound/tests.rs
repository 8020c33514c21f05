//! Known answers, every type of message and status, and what no change of a request may do.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use anser_core::inbound::ReportedState;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::WhatsAppCloud;
use super::*;
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{
    check_answerable, check_changed, check_needed, distorted, events, re_encoded, shown_all, vector,
};

const EVENTS: &str = include_str!("../../../fixtures/inbound/whatsapp.json");
const SECRET: &str = "wa-app-secret";

fn settings() -> Value {
    json!({"phone_number_id": "106540352242922", "access_token": "hidden", "app_secret": SECRET, "verify_token": "vt"})
}

fn channel() -> Arc<dyn Channel> {
    WhatsAppCloud.open(&settings()).unwrap()
}

/// As Meta posts it.
fn signed(body: impl Into<Vec<u8>>) -> Call {
    let call = Call::post(body, 1_700_000_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hex(hmac::sign(&key, &call.body).as_ref());
    call.headers(&[(SIGNATURE, &format!("sha256={signature}"))])
}

fn posted(event: &Value) -> Call {
    signed(event["json"].to_string())
}

#[test]
fn a_known_request_is_taken() {
    let vector = vector("whatsapp.x-hub-256");
    assert_eq!(vector["inputs"]["app_secret"], SECRET);
    let signature = vector["expected"]["X-Hub-Signature-256"].as_str().unwrap();
    let body = vector["inputs"]["raw_body"].as_str().unwrap();
    let call = Call::post(body, 0).headers(&[(SIGNATURE, signature)]);
    assert!(call.taken(&*channel()).events.is_empty());
}

#[test]
fn the_url_is_checked_by_a_token() {
    let vector = vector("whatsapp.get_verify");
    assert_eq!(vector["inputs"]["verify_token"], "vt");
    let checked = |query: &[(&str, &str)]| {
        let mut call = Call::post("", 0).query(query);
        call.method = Method::GET;
        call
    };
    let challenge = ("hub.challenge", "1158201444");
    let good = [
        ("hub.mode", "subscribe"),
        ("hub.verify_token", "vt"),
        challenge,
    ];
    let received = checked(&good).taken(&*channel());
    assert_eq!(
        received.answer.body,
        vector["expected"]["http_body"].as_str().unwrap()
    );
    for (query, code) in [
        (&[("hub.mode", "subscribe"), challenge][..], "unsigned"),
        (&[("hub.verify_token", "vT"), challenge], "wrong_signature"),
        (&[("hub.verify_token", ""), challenge], "wrong_signature"),
        (&[("hub.verify_token", "vt"), challenge], "malformed_event"),
        (&good[..2], "malformed_event"),
        (&[], "unsigned"),
    ] {
        assert_eq!(checked(query).refused(&*channel()), code, "{query:?}");
    }
}

#[test]
fn every_event_is_a_message_that_can_be_answered() {
    let shown = shown_all(&*channel(), &events(EVENTS), posted);
    insta::assert_json_snapshot!(shown);
}

#[test]
fn a_status_of_our_delivery_reports_it() {
    let events = events(EVENTS);
    let report = |name: &str| {
        let (_, event) = events.iter().find(|(of, _)| of == name).unwrap();
        posted(event).taken(&*channel()).events.remove(0).report
    };
    let states = ["sent", "delivered", "read", "failed"].map(|name| report(name).unwrap().state);
    assert!(states.is_sorted(), "a later one replaces an earlier one");
    assert_eq!(states[3], ReportedState::Failed);
    let failed = report("failed").unwrap();
    assert_eq!(failed.delivery.to_string(), "dlv_917504");
    assert!(failed.reason.unwrap().starts_with("131047 Message failed"));
    assert!(report("not ours").is_none() && report("a new status").is_none());
}

#[test]
fn what_is_of_another_number_cannot_be_answered_from_ours() {
    let events = events(EVENTS);
    for name in ["of another number", "of a group"] {
        let (_, event) = events.iter().find(|(of, _)| of == name).unwrap();
        let (_, message) = posted(event).messages(&*channel()).remove(0);
        assert!(message.header.conversation.is_none(), "{name}");
    }
}

#[test]
fn what_is_no_request_of_meta_is_refused() {
    let body = events(EVENTS)[0].1["json"].to_string();
    let call = signed(body.clone());
    check_needed(&*channel(), &call);
    let mut other = call.clone();
    other.body = re_encoded(body.as_bytes());
    assert_eq!(other.refused(&*channel()), "wrong_signature");
    let mut put = call;
    put.method = Method::PUT;
    assert_eq!(put.refused(&*channel()), "method_not_allowed");
    for body in ["", "{", "null", "{}", r#"{"object":"page"}"#] {
        assert_eq!(
            signed(body).refused(&*channel()),
            "malformed_event",
            "{body}"
        );
    }
    let message = json!({"from": "16505551234", "type": "text", "text": {"body": "x"}});
    let messages: Vec<Value> = (0..=INBOUND_EVENTS_MAX)
        .map(|n| {
            let mut one = message.clone();
            one["id"] = format!("wamid.{n}").into();
            one
        })
        .collect();
    let many = json!({"object": "whatsapp_business_account",
        "entry": [{"changes": [{"field": "messages", "value": {"messages": messages}}]}]});
    assert_eq!(
        signed(many.to_string()).refused(&*channel()),
        "malformed_event"
    );
}

#[test]
fn to_receive_needs_both_secrets() {
    for missing in ["app_secret", "verify_token"] {
        let mut settings = settings();
        settings.as_object_mut().unwrap().shift_remove(missing);
        let problem = WhatsAppCloud.open(&settings).err().unwrap();
        assert_eq!(
            problem.field.as_deref(),
            Some(format!("settings.{missing}").as_str())
        );
    }
    let settings = json!({"phone_number_id": "106540352242922", "access_token": "hidden"});
    assert!(WhatsAppCloud.open(&settings).unwrap().inbound().is_none());
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
        let bent = posted(&distorted(&events[place.index(events.len())].1, choice));
        for call in [&bent, &signed(mutated(&bent.body, choice)), &signed(bytes)] {
            if call.sent(&*channel).unwrap().is_ok() {
                for (_, message) in call.messages(&*channel) {
                    check_answerable(&*channel, &message);
                }
            }
        }
    }
}
