//! The life of a stream, every order that matters, and that nothing is acknowledged before it is stored.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::channel::{Channel, ChannelKind as _};
use anser_core::inbound::Received;
use proptest::prelude::*;

use super::super::DingTalkApp;
use super::*;
use crate::kit::testing::acted::{lost, response, sent, taken, timer, unread};
use crate::kit::testing::connection::Link;
use crate::kit::testing::inbound::{CHANNEL, accepted, shown, target};

const MESSAGES: &str = include_str!("../../../fixtures/inbound/dingtalk-robot.json");
const PUSHES: &str = include_str!("../../../fixtures/inbound/dingtalk-push.json");
const NOW: i64 = 1_700_000_000;

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"app_key": "dingoqx7abcdefg", "app_secret": "s3cret"});
    DingTalkApp.open(&settings).unwrap()
}

fn gateway() -> Value {
    json!({"endpoint": "wss://wss.example:443/connect", "ticket": "tick+3t="})
}

/// A connection that is live.
fn live() -> Link {
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &gateway());
    line.told(Input::Opened);
    line
}

fn frame(of: &str, topic: &str, headers: Value, data: &str) -> Input {
    let mut all =
        json!({"topic": topic, "messageId": "m-1", "contentType": "application/json", "time": "1"});
    for (name, value) in headers.as_object().unwrap() {
        all[name.as_str()] = value.clone();
    }
    let frame = json!({"specVersion": "1.0", "type": of, "headers": all, "data": data});
    Input::Frame(Frame::Text(frame.to_string()))
}

fn said(body: &Value) -> Input {
    frame("CALLBACK", gateway::ROBOT, json!({}), &body.to_string())
}

fn event(body: &Value) -> Input {
    frame("EVENT", "*", json!({}), &body.to_string())
}

fn named(events: &str) -> Vec<Value> {
    serde_json::from_str(events).unwrap()
}

fn message() -> Value {
    named(MESSAGES)[0]["body"].clone()
}

/// The one frame that is sent.
fn reply(actions: &[Action]) -> Value {
    let [Frame::Text(text)] = &sent(actions)[..] else {
        panic!("{actions:?}")
    };
    serde_json::from_str(text).unwrap()
}

#[test]
fn it_asks_for_a_ticket_opens_the_stream_and_pings() {
    let mut line = Link::new(&*channel(), None);
    let [Action::Ask { request, .. }] = &line.told(Input::Begin)[..] else {
        panic!("it asks")
    };
    assert_eq!(
        request.url.as_str(),
        "https://api.dingtalk.com/v1.0/gateway/connections/open"
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        (&body["clientId"], &body["clientSecret"]),
        (&json!("dingoqx7abcdefg"), &json!("s3cret"))
    );
    let topics: Vec<&Value> = (0..3).map(|n| &body["subscriptions"][n]["topic"]).collect();
    assert_eq!(topics, ["*", gateway::ROBOT, gateway::CARD]);
    let [Action::Open { url, .. }] = &line.answered(200, &gateway())[..] else {
        panic!("it opens")
    };
    assert_eq!(
        url.as_str(),
        "wss://wss.example/connect?ticket=tick%2B3t%3D"
    );
    let opened = line.told(Input::Opened);
    let Action::Live { recovery, .. } = &opened[0] else {
        panic!("{opened:?}")
    };
    assert_eq!(*recovery, Recovery::Redelivered);
    assert_eq!(timer(&opened, PING), Some(PING_EVERY));
    let pinged = line.told(Input::Timer(PING));
    assert_eq!(sent(&pinged), [Frame::Ping(Bytes::new())]);
    assert_eq!(timer(&pinged, PING), Some(PING_EVERY));
    assert!(SILENCE_MAX > PING_EVERY);
    assert!(
        line.told(Input::Frame(Frame::Pong(Bytes::new())))
            .is_empty()
    );
}

#[test]
fn what_is_said_is_answered_once_it_is_stored() {
    let mut line = live();
    let (batch, events) = taken(line.told(said(&message())));
    assert_eq!(events[0].dedupe_key, "msg1");
    let answer = reply(&line.told(Input::Stored { batch }));
    assert_eq!(
        answer,
        json!({"code": 200, "headers": {"messageId": "m-1", "contentType": "application/json"}, "message": "OK",
               "data": "{\"response\":{}}"})
    );
    assert!(line.told(Input::Stored { batch }).is_empty(), "only once");
    // Without an answer it comes again.
    let (batch, _) = taken(line.told(said(&message())));
    assert!(line.told(Input::NotStored { batch }).is_empty());
    let push = named(PUSHES)[0]["body"].clone();
    let (batch, _) = taken(line.told(event(&push)));
    let answer = reply(&line.told(Input::Stored { batch }));
    assert_eq!(
        answer["data"],
        r#"{"status":"SUCCESS","message":"success"}"#
    );
    let (batch, _) = taken(line.told(event(&push)));
    let answer = reply(&line.told(Input::NotStored { batch }));
    assert_eq!(answer["code"], 500);
    assert_eq!(answer["data"], r#"{"status":"LATER","message":"later"}"#);
}

/// Whatever comes by callback comes by stream as the same event.
#[test]
fn every_event_is_the_one_of_the_callback() {
    let context = InboundContext {
        now: Timestamp::from_millis(NOW * 1_000),
        channel: CHANNEL,
        random: *b"0123456789abcdef",
    };
    let by = |event: InboundEvent| -> Vec<Value> {
        let received = Received {
            events: vec![event],
            answer: response(200, &[], ""),
        };
        accepted(received, NOW).iter().map(shown).collect()
    };
    for of in named(MESSAGES) {
        let called = robot::normalised(&of["body"], &context).unwrap();
        let (_, mut came) = taken(live().told(said(&of["body"])));
        assert_eq!(by(came.remove(0)), by(called), "{}", of["name"]);
    }
    for of in named(PUSHES) {
        let called = push::normalised(&of["body"], &context);
        let (_, mut came) = taken(live().told(event(&of["body"])));
        assert_eq!(by(came.remove(0)), by(called), "{}", of["name"]);
    }
}

#[test]
fn headers_say_what_the_data_of_an_event_does_not() {
    let headers = json!({"eventType": "chat_update_title", "eventId": "ev-1", "eventBornTime": "1690362102194"});
    let data = json!({"title": "New", "openConversationId": "cidAbC==", "operator": "boss"});
    let input = frame("EVENT", "*", headers, &data.to_string());
    let (_, events) = taken(live().told(input));
    let event = &events[0];
    assert_eq!(event.dedupe_key, "ev-1");
    assert_eq!(event.item.header.r#type.as_deref(), Some("chat.updated"));
    assert_eq!(event.from.id, "boss");
    let time = event.item.header.occurred_at.unwrap();
    assert_eq!(time.millis(), 1_690_362_102_194);
    let data: Value = serde_json::from_str(event.item.body.data.as_ref().unwrap().get()).unwrap();
    assert_eq!(data["after"]["name"], "New");
    // A check of the URL is none of the company's events.
    let check = frame("EVENT", "*", json!({"eventType": "check_url"}), "{}");
    assert_eq!(reply(&live().told(check))["code"], 200);
}

#[test]
fn a_click_on_a_card_is_a_button_in_its_chat() {
    let pressed =
        json!({"cardPrivateData": {"actionIds": ["approve"], "params": {"order": 7}}}).to_string();
    let click = |space: &str, id: &str| {
        json!({"type": "actionCallback", "outTrackId": "track-1", "corpId": "corp1", "userId": "ann", "userIdType": 1,
            "content": pressed, "extension": "{}", "spaceType": space, "spaceId": id})
    };
    for (space, id, chat) in [
        ("IM_GROUP", "cidAbC==", "chat/cidAbC=="),
        ("IM_GROUP", "dtv1.card//IM_GROUP.cidAbC==", "chat/cidAbC=="),
        ("IM_ROBOT", "", "user/ann"),
    ] {
        let data = click(space, id).to_string();
        let mut line = live();
        let came = frame("CALLBACK", gateway::CARD, json!({}), &data);
        let (batch, events) = taken(line.told(came));
        let received = Received {
            events,
            answer: response(200, &[], ""),
        };
        let (key, message) = accepted(received, NOW).remove(0);
        assert_eq!(key, "card:m-1");
        assert_eq!(target(&message), Some(chat), "{space}");
        assert_eq!(message.header.r#type, "chat.button");
        let data = serde_json::to_value(&message).unwrap()["body"]["data"].take();
        assert_eq!(
            (&data["message_id"], &data["id"], &data["value"]["order"]),
            (&json!("track-1"), &json!("approve"), &json!(7))
        );
        assert_eq!(reply(&line.told(Input::Stored { batch }))["code"], 200);
    }
}

#[test]
fn a_ping_of_the_platform_gets_its_data_back() {
    let mut line = live();
    let answer = reply(&line.told(frame("SYSTEM", "ping", json!({}), r#"{"opaque":"x"}"#)));
    assert_eq!(
        (&answer["code"], &answer["data"]),
        (&json!(200), &json!(r#"{"opaque":"x"}"#))
    );
    assert_eq!(answer["headers"]["messageId"], "m-1");
    // Whatever else it tells of the connection is heard.
    let told = line.told(frame("SYSTEM", "REGISTERED", json!({}), "{}"));
    assert_eq!((told.len(), &reply(&told)["code"]), (1, &json!(200)));
}

#[test]
fn a_disconnect_is_followed_at_once_when_all_is_answered() {
    let disconnect = || frame("SYSTEM", "disconnect", json!({}), r#"{"reason":"expired"}"#);
    let mut line = live();
    let mut told = line.told(disconnect());
    assert_eq!(reply(&told)["code"], 200);
    let (loss, again, _) = lost(told.split_off(1));
    assert_eq!((loss, again), (Loss::Asked, Again::AtOnce));
    // With something being stored it waits for that, but not for long.
    let mut line = live();
    let (batch, _) = taken(line.told(said(&message())));
    let told = line.told(disconnect());
    assert_eq!(timer(&told, LEAVE), Some(LEAVE_MAX));
    assert_eq!(timer(&line.told(disconnect()), LEAVE), None);
    let mut stored = line.told(Input::Stored { batch });
    assert_eq!(reply(&stored)["code"], 200);
    assert_eq!(lost(stored.split_off(1)).0, Loss::Asked);
    let mut line = live();
    taken(line.told(said(&message())));
    line.told(disconnect());
    assert_eq!(lost(line.told(Input::Timer(LEAVE))).0, Loss::Asked);
}

#[test]
fn a_closed_stream_is_opened_anew_at_once_or_after_a_while() {
    let closed = |code| Input::Closed {
        code,
        reason: String::new(),
    };
    for (code, loss, again) in [
        (Some(1000), Loss::Asked, Again::AtOnce),
        (Some(1001), Loss::Asked, Again::AtOnce),
        (Some(1006), Loss::Network, Again::Backoff),
        (None, Loss::Network, Again::Backoff),
    ] {
        let (found, when, _) = lost(live().told(closed(code)));
        assert_eq!((found, when), (loss, again), "{code:?}");
    }
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &gateway());
    let (loss, again, _) = lost(line.told(closed(Some(1000))));
    assert_eq!((loss, again), (Loss::Network, Again::Backoff));
}

#[test]
fn a_refusal_says_what_it_means_and_when_to_come_again() {
    let code = |code: &str| json!({"code": code, "message": "鉴权失败", "requestid": "r"});
    for (status, body, loss, again) in [
        (401, code("authFailed"), Loss::Refused, Again::Rarely),
        (
            400,
            code("invalidClientIdOrSecret"),
            Loss::Refused,
            Again::Rarely,
        ),
        (
            403,
            code("Forbidden.AccessDenied.QpsLimitForApi"),
            Loss::Limited,
            Again::After(Duration::from_secs(10)),
        ),
        (
            503,
            code("ServiceUnavailable"),
            Loss::Network,
            Again::Backoff,
        ),
        (200, json!({}), Loss::Protocol, Again::Backoff),
        (
            200,
            json!({"endpoint": "https://x.example", "ticket": "t"}),
            Loss::Protocol,
            Again::Backoff,
        ),
        (
            200,
            json!({"endpoint": "ws://x.example", "ticket": "t"}),
            Loss::Protocol,
            Again::Backoff,
        ),
    ] {
        let mut line = Link::new(&*channel(), None);
        line.told(Input::Begin);
        let (found, when, detail) = lost(line.answered(status, &body));
        assert_eq!((found, when), (loss, again), "{body}");
        assert!(!detail.contains("s3cret"), "{detail}");
    }
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &gateway());
    let response = response(401, &[], "");
    let (loss, _, detail) = lost(line.told(Input::NotOpened { response }));
    assert_eq!(loss, Loss::Network);
    assert!(
        detail.contains("401") && !detail.contains("tick"),
        "{detail}"
    );
}

#[test]
fn what_cannot_be_read_is_noted_and_not_taken() {
    let mut line = live();
    for (input, code) in [
        (frame("CALLBACK", gateway::ROBOT, json!({}), "{"), 400),
        (frame("CALLBACK", gateway::ROBOT, json!({}), "{}"), 400),
        (frame("EVENT", "*", json!({}), "7"), 400),
        (
            frame("CALLBACK", "/v1.0/graph/api/invoke", json!({}), "{}"),
            404,
        ),
    ] {
        let actions = line.told(input);
        assert_eq!(unread(&actions), 1, "{actions:?}");
        assert_eq!(reply(&actions)["code"], code);
    }
    for input in [
        Input::Frame(Frame::Text("{".to_owned())),
        Input::Frame(Frame::Text(r#"{"type":"OTHER"}"#.to_owned())),
        Input::Frame(Frame::Binary(Bytes::new())),
        frame("SYSTEM", "ping", json!({"messageId": null}), "{}"),
    ] {
        let actions = line.told(input);
        assert_eq!((unread(&actions), actions.len()), (1, 1), "{actions:?}");
    }
}

/// What may happen, in any order.
fn inputs() -> impl Strategy<Value = Input> {
    let good = message().to_string();
    let data = prop_oneof![Just(good.clone()), Just(good[..40].to_owned()), ".{0,20}"];
    let kind = prop_oneof![Just("SYSTEM"), Just("EVENT"), Just("CALLBACK"), Just("X")];
    let topic = prop_oneof![
        Just(gateway::ROBOT),
        Just(gateway::CARD),
        Just("*"),
        Just("ping"),
    ];
    let framed =
        (kind, topic, data).prop_map(|(kind, topic, data)| frame(kind, topic, json!({}), &data));
    prop_oneof![
        4 => framed,
        1 => ".{0,40}".prop_map(|text| Input::Frame(Frame::Text(text))),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Input::Frame(Frame::Binary(bytes.into()))),
        2 => (0..6_u64).prop_map(|batch| Input::Stored { batch }),
        1 => (0..6_u64).prop_map(|batch| Input::NotStored { batch }),
        1 => Just(Input::Timer(PING)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_acknowledged_before_it_is_stored(inputs in prop::collection::vec(inputs(), 1..40)) {
        let mut line = live();
        let mut waiting = std::collections::BTreeSet::new();
        let mut highest = 0;
        for input in inputs {
            if line.is_lost {
                break;
            }
            let is_system = matches!(&input, Input::Frame(Frame::Text(text)) if text.contains(r#""SYSTEM""#));
            let stored = match input {
                Input::Stored { batch } => waiting.remove(&batch),
                Input::NotStored { batch } => { waiting.remove(&batch); false }
                _ => false,
            };
            let mut acknowledged = 0;
            for action in line.told(input) {
                match action {
                    Action::Take { batch, events } => {
                        prop_assert!(batch > highest && events.len() == 1);
                        highest = batch;
                        waiting.insert(batch);
                    }
                    Action::Send(Frame::Text(text)) if !is_system => {
                        let answer: Value = serde_json::from_str(&text).unwrap();
                        acknowledged += usize::from(answer["code"] == 200);
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(acknowledged, usize::from(stored));
        }
    }
}
