//! An app in Socket Mode: how it is connected, what it acknowledges and when, and what it makes of every end.

use std::collections::BTreeSet;
use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use proptest::prelude::*;

use super::super::SlackApp;
use super::*;
use crate::kit::testing::connection::{Link, answer, live, lost, sent, taken, timers};
use crate::kit::testing::inbound::mutated;
use crate::kit::testing::receiver::{distorted, events};

const EVENTS: &str = include_str!("../../../fixtures/inbound/slack.json");
const APP_TOKEN: &str = "xapp-1-A1-2-hidden";
const TICKET: &str = "wss://wss-primary.slack.com/link/?ticket=hidden";

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": "xoxb-1-2-hidden", "app_token": APP_TOKEN});
    SlackApp.open(&settings).unwrap()
}

/// A connection whose WebSocket is open and was greeted.
fn greeted(channel: &dyn Channel) -> Link {
    let mut link = Link::new(channel, None);
    link.told(Input::Begin);
    link.answered(200, &json!({"ok": true, "url": TICKET}));
    link.told(Input::Opened);
    link.text(&hello());
    link
}

fn hello() -> Value {
    json!({"type": "hello", "num_connections": 1, "debug_info": {"host": "applink-1", "approximate_connection_time": 18_060},
        "connection_info": {"app_id": "A1"}})
}

fn message(id: &str, text: &str) -> Value {
    let event = json!({"type": "message", "channel": "C0123456789", "user": "U0123456789", "text": text,
        "ts": "1700000000.000100", "channel_type": "channel"});
    json!({"type": "events_api", "envelope_id": id, "accepts_response_payload": false, "retry_attempt": 0, "retry_reason": "",
        "payload": {"type": "event_callback", "api_app_id": "A1", "event_id": "Ev1", "event": event}})
}

/// The ids that are acknowledged.
fn acknowledged(actions: &[Action]) -> Vec<String> {
    let sent = sent(actions);
    let ids = sent
        .iter()
        .map(|said| said["envelope_id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn an_app_asks_for_an_address_and_is_live_once_it_is_greeted() {
    let channel = channel();
    let mut link = Link::new(&*channel, None);
    let begun = link.told(Input::Begin);
    let [Action::Ask { request, .. }] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    assert_eq!(
        request.url.as_str(),
        "https://slack.com/api/apps.connections.open"
    );
    assert_eq!(
        request.headers[AUTHORIZATION],
        format!("Bearer {APP_TOKEN}")
    );
    let opened = link.answered(200, &json!({"ok": true, "url": TICKET}));
    let [Action::Open { url, .. }] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_eq!(url.as_str(), TICKET);
    assert_eq!(live(&link.told(Input::Opened)), None);
    let greeted = link.text(&hello());
    assert_eq!(live(&greeted), Some(Recovery::Redelivered));
    let [Action::Live { session, .. }] = greeted.as_slice() else {
        panic!("{greeted:?}")
    };
    assert_eq!(session.as_deref(), Some("applink-1"));
    // The greeting was in time.
    assert!(link.told(Input::Timer(HELLO)).is_empty());
}

#[test]
fn a_token_is_what_the_settings_must_have_to_be_connected() {
    let without = SlackApp.open(&json!({"token": "xoxb-1-2"})).unwrap();
    assert!(without.connector().is_none());
    for bad in ["xoxb-1-2", "xapp-1 2", ""] {
        let settings = json!({"token": "xoxb-1-2", "app_token": bad});
        let problem = SlackApp.open(&settings).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some("settings.app_token"));
    }
}

#[test]
fn an_envelope_is_acknowledged_once_its_event_is_stored() {
    let channel = channel();
    let mut link = greeted(&*channel);
    let one = link.text(&message("e1", "one"));
    let two = link.text(&message("e2", "two"));
    assert_eq!((taken(&one).len(), taken(&two).len()), (1, 1));
    assert!(acknowledged(&one).is_empty() && acknowledged(&two).is_empty());
    assert!(
        acknowledged(&link.not_stored()).is_empty(),
        "Slack is to send it again"
    );
    assert_eq!(acknowledged(&link.stored()), ["e2"]);
}

#[test]
fn what_brings_nothing_is_acknowledged_at_once_and_what_cannot_be_read_is_noted() {
    let channel = channel();
    let mut link = greeted(&*channel);
    let mut own = message("e1", "own");
    own["payload"]["event"]["app_id"] = "A1".into();
    assert_eq!(acknowledged(&link.text(&own)), ["e1"]);
    let strange = json!({"type": "new_kind", "envelope_id": "e2", "payload": {}});
    let actions = link.text(&strange);
    assert!(matches!(actions[0], Action::Unread { .. }), "{actions:?}");
    assert_eq!(acknowledged(&actions), ["e2"]);
    for odd in [r#"{"type":"events_api"}"#, "{", "[]", "null"] {
        let actions = link.told(Input::Frame(Frame::Text(odd.to_owned())));
        assert!(matches!(actions[..], [Action::Unread { .. }]), "{odd}");
    }
}

#[test]
fn a_menu_that_asks_for_options_gets_none_where_the_envelope_takes_an_answer() {
    let channel = channel();
    for (accepts, payload) in [(true, json!({"options": []})), (false, Value::Null)] {
        let mut link = greeted(&*channel);
        link.text(&json!({"type": "interactive", "envelope_id": "e1", "accepts_response_payload": accepts,
            "payload": {"type": "block_suggestion", "user": {"id": "U0123456789"}, "action_id": "a", "value": "x"}}));
        assert_eq!(sent(&link.stored())[0]["payload"], payload);
    }
}

#[test]
fn a_connection_that_is_to_be_replaced_acknowledges_what_is_being_stored_first() {
    let channel = channel();
    for reason in ["warning", "refresh_requested"] {
        let disconnect =
            json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}});
        let mut link = greeted(&*channel);
        link.text(&message("e1", "one"));
        let told = link.text(&disconnect);
        assert!(!link.is_lost, "{told:?}");
        let stored = link.stored();
        assert_eq!(acknowledged(&stored), ["e1"]);
        assert_eq!(
            (lost(&stored).0, lost(&stored).1),
            (Loss::Asked, Again::AtOnce)
        );
        // It does not wait for ever.
        let mut link = greeted(&*channel);
        link.text(&message("e1", "one"));
        let waits = timers(&link.text(&disconnect));
        assert_eq!(lost(&link.told(Input::Timer(waits[0].0))).1, Again::AtOnce);
        // Where nothing is being stored it ends at once, and where Slack was faster too.
        assert_eq!(lost(&greeted(&*channel).text(&disconnect)).1, Again::AtOnce);
        let mut link = greeted(&*channel);
        link.text(&message("e1", "one"));
        link.text(&disconnect);
        let closed = link.told(Input::Closed {
            code: Some(1000),
            reason: String::new(),
        });
        assert_eq!(lost(&closed).1, Again::AtOnce);
    }
}

#[test]
fn each_end_says_what_it_is_and_what_to_do() {
    let channel = channel();
    let disconnected =
        |reason: &str| greeted(&*channel).text(&json!({"type": "disconnect", "reason": reason}));
    for (reason, loss, again, says) in [
        ("link_disabled", Loss::Refused, Again::Rarely, "turn it on"),
        (
            "too_many_websockets",
            Loss::Replaced,
            Again::Backoff,
            "ten connections",
        ),
        ("another", Loss::Asked, Again::Backoff, "another"),
    ] {
        let actions = disconnected(reason);
        let (is, next, detail) = lost(&actions);
        assert_eq!((is, next), (loss, again), "{reason}");
        assert!(detail.contains(says), "{detail}");
    }
    for (code, loss) in [(Some(1_001), Loss::Asked), (None, Loss::Network)] {
        let closed = greeted(&*channel).told(Input::Closed {
            code,
            reason: String::new(),
        });
        assert_eq!(lost(&closed).0, loss);
    }
    let mut silent = Link::new(&*channel, None);
    silent.told(Input::Begin);
    silent.answered(200, &json!({"ok": true, "url": TICKET}));
    let set = timers(&silent.told(Input::Opened));
    let hello = set.iter().find(|(number, _)| *number == HELLO).unwrap();
    assert!(hello.1 < channel.connector().unwrap().silence_max());
    assert_eq!(lost(&silent.told(Input::Timer(HELLO))).0, Loss::Protocol);
}

#[test]
fn each_refusal_of_the_address_says_what_to_do() {
    let channel = channel();
    let asked = |status: u16, body: Value| {
        let mut link = Link::new(&*channel, None);
        link.told(Input::Begin);
        link.answered(status, &body)
    };
    let word = |word: &str| json!({"ok": false, "error": word});
    for (status, body, loss, again, says) in [
        (
            200,
            word("invalid_auth"),
            Loss::Refused,
            Again::Rarely,
            "settings.app_token",
        ),
        (
            200,
            json!({"ok": false, "error": "missing_scope", "needed": "connections:write"}),
            Loss::Refused,
            Again::Rarely,
            "connections:write",
        ),
        (
            200,
            word("forbidden_team"),
            Loss::Refused,
            Again::Rarely,
            "Socket Mode",
        ),
        (
            429,
            word("ratelimited"),
            Loss::Limited,
            Again::After(PAUSE_DEFAULT),
            "429",
        ),
        (
            200,
            word("internal_error"),
            Loss::Network,
            Again::Backoff,
            "internal_error",
        ),
        (503, json!({}), Loss::Network, Again::Backoff, "503"),
        (200, json!({}), Loss::Protocol, Again::Backoff, "ok"),
        (
            200,
            json!({"ok": true, "url": "ws://127.0.0.1/?ticket=hidden"}),
            Loss::Protocol,
            Again::Backoff,
            "TLS",
        ),
    ] {
        let actions = asked(status, body.clone());
        let (is, next, detail) = lost(&actions);
        assert_eq!((is, next), (loss, again), "{body}");
        assert!(
            detail.contains(says) && !detail.contains("hidden"),
            "{detail}"
        );
    }
}

#[test]
fn it_asks_whether_anybody_is_there_more_often_than_silence_may_last() {
    let channel = channel();
    let mut link = greeted(&*channel);
    let actions = link.told(Input::Timer(PING));
    assert!(matches!(actions[0], Action::Send(Frame::Ping(_))));
    let [(PING, after)] = timers(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert!(2 * after < channel.connector().unwrap().silence_max());
    assert!(
        link.told(Input::Frame(Frame::Pong(Bytes::new())))
            .is_empty()
    );
}

/// An event of the file in its envelope.
fn enveloped(event: &Value, id: &str) -> Value {
    let (kind, payload) = if let Some(form) = event["form"].as_str() {
        let fields = url::form_urlencoded::parse(form.as_bytes()).into_owned();
        let fields = fields.map(|(name, value)| (name, value.into()));
        ("slash_commands", Value::Object(fields.collect()))
    } else if event["payload"].is_object() {
        ("interactive", event["payload"].clone())
    } else {
        ("events_api", event["json"].clone())
    };
    json!({"type": kind, "envelope_id": id, "payload": payload})
}

#[test]
fn an_envelope_brings_what_the_callback_brings() {
    let connected = channel();
    let settings = json!({"token": "xoxb-1-2-hidden", "signing_secret": "hidden"});
    let called = SlackApp.open(&settings).unwrap();
    for (name, event) in events(EVENTS) {
        let posted = super::super::inbound::tests::posted_with("hidden", &event);
        let posted = posted.taken(&*called).events;
        let actions = greeted(&*connected).text(&enveloped(&event, "e1"));
        let shown = |events: &[anser_core::inbound::InboundEvent]| {
            let events = events.iter().map(|event| {
                // What has no id of its own is known by its bytes, which differ.
                let key = event.dedupe_key.len() < 64;
                let key = key.then_some(&event.dedupe_key);
                format!("{key:?} {:?} {:?}", event.from, event.item)
            });
            events.collect::<Vec<String>>()
        };
        let came: Vec<String> = match posted.as_slice() {
            [] => Vec::new(),
            _ => shown(taken(&actions)),
        };
        assert_eq!(came, shown(&posted), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_acknowledged_before_it_is_stored(choices in prop::collection::vec(any::<u64>(), 1..80)) {
        let (events, channel) = (events(EVENTS), channel());
        let mut link = greeted(&*channel);
        let mut number = 0_u64;
        // Envelopes whose events are being stored.
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        let mut batches = BTreeMap::new();
        for choice in choices {
            if link.is_lost {
                break;
            }
            let mut fed = None;
            let input = link.next(choice, &mut |some| {
                if some.is_multiple_of(40) {
                    return Input::Frame(Frame::Text(r#"{"type":"disconnect","reason":"warning"}"#.to_owned()));
                }
                let place = usize::try_from(some).unwrap_or_default() % events.len();
                number += 1;
                let id = format!("e{number}");
                let mut envelope = enveloped(&events[place].1, &id);
                envelope["payload"] = distorted(&envelope["payload"], some >> 3);
                let text = envelope.to_string();
                fed = Some(id);
                if some.is_multiple_of(7) {
                    let bytes = mutated(text.as_bytes(), some);
                    return Input::Frame(Frame::Text(String::from_utf8_lossy(&bytes).into_owned()));
                }
                Input::Frame(Frame::Text(text))
            });
            if let Input::Stored { batch } = &input
                && let Some(id) = batches.remove(batch)
            {
                waiting.remove(&id);
            }
            let actions = link.told(input);
            for action in &actions {
                if let (Action::Take { batch, .. }, Some(id)) = (action, &fed) {
                    batches.insert(*batch, id.clone());
                    waiting.insert(id.clone());
                }
            }
            for id in acknowledged(&actions) {
                prop_assert!(!waiting.contains(&id), "{id}");
            }
        }
    }

    #[test]
    fn whatever_comes_is_read_noted_or_ends_it(bytes in any::<Vec<u8>>(), is_text in any::<bool>()) {
        let channel = channel();
        let mut link = greeted(&*channel);
        let frame = if is_text {
            Frame::Text(String::from_utf8_lossy(&bytes).into_owned())
        } else {
            Frame::Binary(bytes.clone().into())
        };
        link.told(Input::Frame(frame));
        let mut asked = Link::new(&*channel, None);
        asked.told(Input::Begin);
        asked.told(answer(0, 200, bytes));
    }
}
