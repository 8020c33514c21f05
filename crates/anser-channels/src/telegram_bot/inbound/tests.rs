//! Every kind of update, and what no wrong secret may do.

use std::sync::Arc;

use anser_core::Message;
use anser_core::channel::{Channel, ChannelKind as _, Context};
use http::Method;
use proptest::prelude::*;
use serde_json::json;

use super::super::TelegramBot;
use super::*;
use crate::kit::testing::context;
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{
    check_answerable, check_changed, check_needed, distorted, events, shown_all, vector,
};

const EVENTS: &str = include_str!("../../../fixtures/inbound/telegram.json");
const TOKEN: &str = "123456789:AAhidden_abcdefghijklmnopqrstuvwxyz";
const TOKEN_OF_UPDATES: &str = "sec_TOKEN-1";

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": TOKEN, "secret_token": TOKEN_OF_UPDATES});
    TelegramBot.open(&settings).unwrap()
}

fn posted(body: impl Into<Vec<u8>>) -> Call {
    Call::post(body, 1_700_000_000).headers(&[(SECRET, TOKEN_OF_UPDATES)])
}

fn update(event: &Value) -> Call {
    posted(event["json"].to_string())
}

#[test]
fn the_secret_is_compared_as_it_is() {
    let vector = vector("telegram.secret_token");
    assert_eq!(vector["inputs"]["configured"], TOKEN_OF_UPDATES);
    let verdict = |secret: &Value| {
        let body = r#"{"update_id":1,"message":{}}"#;
        let secret = secret.as_str().unwrap();
        let call = Call::post(body, 0).headers(&[(SECRET, secret)]);
        call.sent(&*channel()).unwrap().is_ok()
    };
    let list = |name: &str| vector["expected"][name].as_array().unwrap().clone();
    assert!(list("accept").iter().all(verdict));
    assert!(!list("reject").iter().any(verdict));
    check_needed(&*channel(), &posted("{}"));
}

#[test]
fn every_update_is_a_message_that_can_be_answered() {
    let shown = shown_all(&*channel(), &events(EVENTS), update);
    insta::assert_json_snapshot!(shown);
}

#[test]
fn places_are_counted_in_utf_16() {
    let text = "😀 ab 😀";
    let bold = json!([{"type": "bold", "offset": 3, "length": 2}]);
    let body =
        json!({"update_id": 1, "message": {"message_id": 1, "text": text, "entities": bold}});
    let (_, message) = posted(body.to_string()).messages(&*channel()).remove(0);
    let segments = serde_json::to_value(&message.body).unwrap()["segments"].clone();
    let wanted = json!([
        {"type": "text", "text": "😀 "},
        {"type": "text", "text": "ab", "style": ["bold"]},
        {"type": "text", "text": " 😀"}
    ]);
    assert_eq!(segments, wanted);
}

#[test]
fn an_answer_goes_to_the_topic_of_the_conversation_there_only() {
    let channel = channel();
    let topic = |to: &str, id: &str| {
        let json = json!({"v": 1,
            "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                       "type": "message", "from": {"kind": "service", "id": "s"},
                       "conversation": {"id": id, "thread": "42"}},
            "body": {"segments": [{"type": "text", "text": "hi"}]}});
        let message = Message::from_json(json.to_string().as_bytes()).unwrap();
        let context = Context {
            target: Some(to),
            ..context(0)
        };
        let plan = channel.render(&message, &context).unwrap();
        let request = channel.request(&plan.steps[0], &message, &context).unwrap();
        let body: Value = serde_json::from_slice(&request.into_http().unwrap().body).unwrap();
        body["message_thread_id"].clone()
    };
    assert_eq!(topic("-100123", "tg/-100123"), 42);
    assert_eq!(topic("-100123/7", "tg/-100123"), 7);
    assert_eq!(topic("-100999", "tg/-100123"), Value::Null);
}

#[test]
fn what_is_no_update_is_refused() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"update_id":1}"#,
        r#"{"update_id":"1","message":{}}"#,
    ] {
        assert_eq!(
            posted(body).refused(&*channel()),
            "malformed_event",
            "{body}"
        );
    }
    let mut get = posted("{}");
    get.method = Method::GET;
    assert_eq!(get.refused(&*channel()), "method_not_allowed");
    assert!(
        TelegramBot
            .open(&json!({"token": TOKEN}))
            .unwrap()
            .inbound()
            .is_none()
    );
    for bad in ["", "a b", "ü", &"x".repeat(257)] {
        let settings = json!({"token": TOKEN, "secret_token": bad});
        let problem = TelegramBot.open(&settings).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some("settings.secret_token"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_changed_secret_is_refused(choice in any::<u64>()) {
        // Of the five places that can be changed, the first header's.
        check_changed(&*channel(), &posted("{}"), choice - choice % 5);
    }

    #[test]
    fn whatever_comes_is_a_message_or_refused(
        place in any::<prop::sample::Index>(), choice in any::<u64>(), bytes in any::<Vec<u8>>(),
    ) {
        let (events, channel) = (events(EVENTS), channel());
        let bent = update(&distorted(&events[place.index(events.len())].1, choice));
        for call in [&bent, &posted(mutated(&bent.body, choice)), &posted(bytes)] {
            if call.sent(&*channel).unwrap().is_ok() {
                for (_, message) in call.messages(&*channel) {
                    check_answerable(&*channel, &message);
                }
            }
        }
    }
}
