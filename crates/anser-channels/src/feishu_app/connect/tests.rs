//! The life of a connection, every order that matters, and that nothing is acknowledged before it is stored.

use anser_core::channel::{Channel, ChannelKind as _, SendError, SendErrorKind};
use anser_core::inbound::Received;
use proptest::prelude::*;
use std::sync::Arc;

use super::super::FeishuApp;
use super::*;
use crate::kit::testing::acted::{lost, response, sent, taken, timer, unread};
use crate::kit::testing::connection::Link;
use crate::kit::testing::inbound::{Call, accepted, shown};

const EVENTS: &str = include_str!("../../../fixtures/inbound/feishu.json");
const NOW: i64 = 1_700_000_100;
const TOKEN: &str = "anser-verify-token";

fn channel() -> Arc<dyn Channel> {
    let settings =
        json!({"app_id": "cli_anser0001", "app_secret": "s3cret", "verification_token": TOKEN});
    FeishuApp.open(&settings).unwrap()
}

fn address() -> Value {
    json!({"code": 0, "msg": "ok", "data": {
        "URL": "wss://ws.example/ws/v2?device_id=dev-7&service_id=33554678&ticket=tick3t",
        "ClientConfig": {"ReconnectCount": -1, "ReconnectInterval": 90, "ReconnectNonce": 25, "PingInterval": 100},
    }})
}

/// A connection that is live.
fn live() -> Link {
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &address());
    line.told(Input::Opened);
    line
}

/// A frame of data with these headers beside the usual ones.
fn frame(payload: &[u8], headers: &[(&str, &str)]) -> Frame {
    let bytes = [
        &[0x08, 7, 0x10, 11, 0x18, 1, 0x20, 1][..],
        &[0x42],
        &varint(payload.len()),
        payload,
    ]
    .concat();
    let mut frame = Frame::read(bytes.into()).unwrap();
    let usual = [("message_id", "msg-1"), ("sum", "1"), ("seq", "0")];
    let usual = usual
        .iter()
        .filter(|(key, _)| !headers.iter().any(|(own, _)| own == key));
    for (key, value) in headers.iter().chain(usual) {
        frame.add_header(key, *value);
    }
    frame
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn came(frame: &Frame) -> Input {
    Input::Frame(Wire::Binary(frame.encoded()))
}

fn event(payload: &Value) -> Input {
    came(&frame(payload.to_string().as_bytes(), &[("type", "event")]))
}

fn events() -> Vec<Value> {
    serde_json::from_str(EVENTS).unwrap()
}

fn message() -> Value {
    events()[0]["body"].clone()
}

/// The one frame that is sent, and its payload.
fn reply(actions: &[Action]) -> (Frame, Value) {
    let [Wire::Binary(bytes)] = &sent(actions)[..] else {
        panic!("{actions:?}")
    };
    let mut frame = Frame::read(bytes.clone()).unwrap();
    let payload = frame.take_payload();
    (frame, serde_json::from_slice(&payload).unwrap())
}

#[test]
fn it_asks_for_an_address_opens_it_and_pings() {
    let mut line = Link::new(&*channel(), None);
    let [Action::Ask { tag, request, .. }] = &line.told(Input::Begin)[..] else {
        panic!("it asks")
    };
    assert_eq!(*tag, ADDRESS);
    assert_eq!(
        request.url.as_str(),
        "https://open.feishu.cn/callback/ws/endpoint"
    );
    assert_eq!(request.headers["locale"], "zh");
    assert_eq!(
        request.body,
        r#"{"AppID":"cli_anser0001","AppSecret":"s3cret"}"#
    );
    let [Action::Open { url, .. }] = &line.answered(200, &address())[..] else {
        panic!("it opens")
    };
    assert_eq!(url.host_str(), Some("ws.example"));
    let opened = line.told(Input::Opened);
    let Action::Live { session, recovery } = &opened[0] else {
        panic!("{opened:?}")
    };
    assert_eq!(
        (session.as_deref(), *recovery),
        (Some("dev-7"), Recovery::Redelivered)
    );
    let ping = Wire::Binary(Frame::ping(33_554_678).encoded());
    assert_eq!(sent(&opened), std::slice::from_ref(&ping));
    assert_eq!(timer(&opened, PING), Some(Duration::from_secs(100)));
    // A pong, and with it another interval.
    let mut pong = Frame::default();
    pong.add_header("type", "pong");
    assert!(line.told(came(&pong)).is_empty());
    pong.set_payload(r#"{"PingInterval": 60}"#.into());
    let told = line.told(came(&pong));
    assert_eq!(timer(&told, PING), Some(Duration::from_secs(60)));
    let pinged = line.told(Input::Timer(PING));
    assert_eq!(sent(&pinged), [ping]);
    assert_eq!(timer(&pinged, PING), Some(Duration::from_secs(60)));
    // Nothing came since.
    let (loss, again, _) = lost(line.told(Input::Timer(PING)));
    assert_eq!((loss, again), (Loss::Deaf, Again::Backoff));
}

#[test]
fn an_event_is_answered_once_it_is_stored() {
    let mut line = live();
    let (batch, events) = taken(line.told(event(&message())));
    assert_eq!(events[0].dedupe_key, "om_m1");
    line.now += 34;
    let (frame, payload) = reply(&line.told(Input::Stored { batch }));
    assert_eq!(payload, json!({"code": 200}));
    assert_eq!(frame.header("biz_rt"), Some("34"));
    assert_eq!(frame.header("message_id"), Some("msg-1"));
    assert!(
        frame
            .encoded()
            .starts_with(&[0x08, 7, 0x10, 11, 0x18, 1, 0x20, 1])
    );
    assert!(line.told(Input::Stored { batch }).is_empty(), "only once");
    let (again, _) = taken(line.told(event(&message())));
    assert!(again > batch);
    let (frame, payload) = reply(&line.told(Input::NotStored { batch: again }));
    assert_eq!(payload, json!({"code": 500}));
    assert_eq!(frame.header("biz_rt"), None);
}

/// Whatever comes by callback comes by connection as the same event.
#[test]
fn every_event_is_the_one_of_the_callback() {
    let channel = channel();
    for event_of in events() {
        let body = &event_of["body"];
        let called = Call::post(body.to_string(), NOW).taken(&*channel);
        let mut line = live();
        let actions = line.told(event(body));
        let came = match &actions[..] {
            [Action::Take { .. }] => taken(actions).1,
            _ => {
                assert_eq!(reply(&actions).1["code"], 200, "{actions:?}");
                Vec::new()
            }
        };
        let received = Received {
            events: came,
            answer: called.answer.clone(),
        };
        let by = |received| -> Vec<Value> { accepted(received, NOW).iter().map(shown).collect() };
        assert_eq!(by(received), by(called), "{}", event_of["name"]);
    }
}

#[test]
fn a_click_on_a_card_is_answered_that_the_card_stays() {
    let mut line = live();
    let old = json!({"open_id": "ou_u1", "user_id": "u1", "open_message_id": "om_1", "open_chat_id": "oc_c1",
        "tenant_key": "t", "token": "c-1", "action": {"value": {"a": 1}, "tag": "button"}});
    let new = events().into_iter().find(|event| event["name"] == "button");
    let new = new.unwrap()["body"].clone();
    for (kind, card) in [("card", &old), ("card", &new), ("event", &new)] {
        let came = came(&frame(card.to_string().as_bytes(), &[("type", kind)]));
        let (batch, events) = taken(line.told(came));
        let of = events[0].item.header.r#type.as_deref();
        assert_eq!(of, Some("chat.button"));
        let (_, payload) = reply(&line.told(Input::Stored { batch }));
        assert_eq!(payload, json!({"code": 200, "data": BASE64.encode("{}")}));
    }
}

#[test]
fn an_event_in_parts_is_answered_by_its_last_part() {
    let mut line = live();
    let text = message().to_string();
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    let part = |seq: &str, payload| {
        let headers = [("type", "event"), ("sum", "2"), ("seq", seq)];
        came(&frame(payload, &headers))
    };
    assert!(line.told(part("1", second)).is_empty());
    let (batch, events) = taken(line.told(part("0", first)));
    assert_eq!(events[0].dedupe_key, "om_m1");
    let (frame, _) = reply(&line.told(Input::Stored { batch }));
    assert_eq!(frame.header("seq"), Some("0"));
    // Too late, it is not whole, and is not answered.
    assert!(line.told(part("1", second)).is_empty());
    line.now += 5_000;
    assert!(line.told(part("0", first)).is_empty());
}

#[test]
fn what_cannot_be_read_is_noted_and_not_taken() {
    let mut line = live();
    let headers = [("type", "event")];
    for payload in ["", "{", "[]", r#"{"schema":"2.0","header":{}}"#] {
        let actions = line.told(came(&frame(payload.as_bytes(), &headers)));
        assert_eq!(unread(&actions), 1, "{payload}");
        assert_eq!(reply(&actions).1, json!({"code": 500}));
    }
    let large = vec![b' '; INBOUND_BYTES_MAX + 1];
    assert_eq!(unread(&line.told(came(&frame(&large, &headers)))), 1);
    let mut strange = frame(b"{}", &[("type", "audio")]);
    assert_eq!(unread(&line.told(came(&strange))), 1);
    strange.add_header("sum", "2");
    for input in [
        Input::Frame(Wire::Text("{}".to_owned())),
        Input::Frame(Wire::Binary(Bytes::from_static(&[0xff]))),
        Input::Frame(Wire::Binary(Bytes::from_static(&[0x20, 9]))),
    ] {
        let actions = line.told(input);
        assert_eq!((unread(&actions), actions.len()), (1, 1), "{actions:?}");
    }
    let ping = Input::Frame(Wire::Ping(Bytes::new()));
    assert!(line.told(ping).is_empty());
}

/// What an answer instead of an address means.
fn refused(status: u16, body: &Value) -> (Loss, Again) {
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    let (loss, again, detail) = lost(line.answered(status, body));
    assert!(!detail.contains("s3cret"), "{detail}");
    (loss, again)
}

#[test]
fn a_code_says_what_it_means_and_when_to_come_again() {
    let interval = Again::After(Duration::from_secs(120));
    for (status, code, loss, again) in [
        (200, 1, Loss::Network, interval),
        (200, 1_000_040_343, Loss::Network, interval),
        (200, 1_000_040_350, Loss::Replaced, interval),
        (400, 99_991_400, Loss::Limited, interval),
        (200, 403, Loss::Refused, Again::Rarely),
        (200, 514, Loss::Refused, Again::Rarely),
        (400, 10_014, Loss::Refused, Again::Rarely),
    ] {
        let body = json!({"code": code, "msg": "no"});
        assert_eq!(refused(status, &body), (loss, again), "{code}");
    }
}

#[test]
fn what_is_no_address_is_not_opened() {
    let url = |url: &str| json!({"code": 0, "data": {"URL": url}});
    for (status, body, loss) in [
        (503, json!({}), Loss::Network),
        (404, json!("nothing"), Loss::Protocol),
        (200, json!({"msg": "ok"}), Loss::Protocol),
        (200, json!({"code": 0, "data": {}}), Loss::Protocol),
        (200, url("wss://ws.example/?device_id=x"), Loss::Protocol),
        (200, url("ws://ws.example/?service_id=1"), Loss::Protocol),
    ] {
        assert_eq!(refused(status, &body), (loss, Again::Backoff), "{body}");
    }
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    let error = SendError {
        kind: SendErrorKind::Refused,
        sent: false,
        detail: "nobody".to_owned(),
    };
    let none = Input::Answered {
        tag: ADDRESS,
        exchange: Err(error),
    };
    let (loss, again, _) = lost(line.told(none));
    assert_eq!((loss, again), (Loss::Network, Again::Backoff));
}

#[test]
fn a_handshake_that_fails_says_why() {
    let interval = Again::After(Duration::from_secs(90));
    for (status, headers, loss, again) in [
        (
            400,
            &[
                ("handshake-status", "514"),
                ("handshake-autherrcode", "1000040350"),
                ("handshake-msg", "exceed"),
            ][..],
            Loss::Replaced,
            interval,
        ),
        (400, &[("handshake-status", "514")], Loss::Refused, interval),
        (
            400,
            &[("handshake-status", "403")],
            Loss::Refused,
            Again::Rarely,
        ),
        (403, &[], Loss::Refused, Again::Rarely),
        (502, &[], Loss::Network, interval),
    ] {
        let mut line = Link::new(&*channel(), None);
        line.told(Input::Begin);
        line.answered(200, &address());
        let response = response(status, headers, "");
        let (found, when, detail) = lost(line.told(Input::NotOpened { response }));
        assert_eq!((found, when), (loss, again), "{detail}");
        assert!(!detail.contains("tick3t"), "{detail}");
    }
}

#[test]
fn a_loss_is_followed_by_a_random_wait_and_then_by_the_interval() {
    let closed = |code| Input::Closed {
        code,
        reason: "bye".to_owned(),
    };
    for (code, loss) in [
        (Some(1000), Loss::Asked),
        (Some(1006), Loss::Network),
        (None, Loss::Network),
    ] {
        let (found, again, detail) = lost(live().told(closed(code)));
        assert_eq!(found, loss, "{detail}");
        let Again::After(wait) = again else {
            panic!("{again:?}")
        };
        assert!(wait <= Duration::from_secs(25), "{wait:?}");
    }
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &address());
    let (_, again, _) = lost(line.told(closed(None)));
    assert_eq!(again, Again::After(Duration::from_secs(90)));
    let mut at_once = address();
    at_once["data"]["ClientConfig"]["ReconnectNonce"] = 0.into();
    let mut line = Link::new(&*channel(), None);
    line.told(Input::Begin);
    line.answered(200, &at_once);
    line.told(Input::Opened);
    assert_eq!(lost(line.told(closed(None))).1, Again::AtOnce);
}

#[test]
fn intervals_are_taken_as_far_as_they_can_be() {
    let told = json!({"PingInterval": 0, "ReconnectInterval": 100_000, "ReconnectNonce": -1});
    let config = Config::default().with(&told);
    assert_eq!(config.ping, Duration::from_secs(1));
    assert_eq!(config.interval, Duration::from_secs(600));
    assert!((0..=255).all(|byte| config.jitter([byte; 16]) <= Duration::from_secs(30)));
    assert_eq!(config.jitter([255; 16]), Duration::from_secs(30));
    assert!(SILENCE_MAX > Config::default().with(&json!({"PingInterval": 900})).ping);
}

/// What may happen, in any order.
fn inputs() -> impl Strategy<Value = Input> {
    let good = message().to_string();
    let payload = prop_oneof![
        Just(good.clone().into_bytes()),
        Just(good.into_bytes()[..40].to_vec()),
        prop::collection::vec(any::<u8>(), 0..60),
    ];
    let header = prop_oneof![Just("event"), Just("card"), Just("pong"), Just("x")];
    let framed = (payload, header, 0..3_u8, 0..3_u8).prop_map(|(payload, of, seq, sum)| {
        let headers = [
            ("type", of),
            ("seq", &*seq.to_string()),
            ("sum", &*sum.to_string()),
        ];
        came(&frame(&payload, &headers))
    });
    prop_oneof![
        4 => framed,
        2 => prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| Input::Frame(Wire::Binary(bytes.into()))),
        1 => ".{0,20}".prop_map(|text| Input::Frame(Wire::Text(text))),
        2 => (0..6_u64).prop_map(|batch| Input::Stored { batch }),
        1 => (0..6_u64).prop_map(|batch| Input::NotStored { batch }),
        1 => (0..4_u8).prop_map(Input::Timer),
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
                    Action::Send(Wire::Binary(bytes)) => {
                        let frame = Frame::read(bytes).unwrap();
                        if frame.kind() == Some(Method::Data) {
                            let payload: Value = serde_json::from_slice(frame.payload()).unwrap();
                            acknowledged += usize::from(payload["code"] == 200);
                        }
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(acknowledged, usize::from(stored));
        }
    }
}
