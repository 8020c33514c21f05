//! A bot on the Gateway: how a session begins, is kept and resumed, how far it may be passed, and what each end means.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use anser_core::inbound::Received;
use bytes::Bytes;
use proptest::prelude::*;

use super::super::DiscordBot;
use super::*;
use crate::kit::testing::connection::{Link, answer, live, lost, sent, taken, timers};
use crate::kit::testing::inbound::{accepted, mutated, shown};
use crate::kit::testing::receiver::{check_answerable, distorted, events};

const EVENTS: &str = include_str!("../../../fixtures/inbound/discord-gateway.json");
const INTERACTIONS: &str = include_str!("../../../fixtures/inbound/discord.json");
const TOKEN: &str = "MTIz.hidden.token";
const BOT: &str = "845027738276462000";
const APP: &str = "845027738276462632";

fn channel() -> Arc<dyn Channel> {
    DiscordBot.open(&json!({"token": TOKEN})).unwrap()
}

fn hello() -> Value {
    json!({"op": 10, "d": {"heartbeat_interval": 41_250}, "s": null, "t": null})
}

fn ready() -> Value {
    json!({"op": 0, "s": 1, "t": "READY", "d": {"v": 10, "session_id": "3f9a", "user": {"id": BOT, "bot": true},
        "resume_gateway_url": "wss://gateway-us-east1-b.discord.gg", "application": {"id": APP, "flags": 0},
        "guilds": [{"id": "41771983423143937", "unavailable": true}]}})
}

fn address_told() -> Value {
    json!({"url": "wss://gateway.discord.gg", "shards": 1,
        "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}})
}

fn dispatched(number: u64, name: &str, data: &Value) -> Value {
    json!({"op": 0, "s": number, "t": name, "d": data})
}

fn message(number: u64, text: &str) -> Value {
    let id = (1_174_000_000_000_000_000 + number).to_string();
    let data = json!({"id": id, "channel_id": "290926798999357250", "guild_id": "41771983423143937", "type": 0,
        "content": text, "author": {"id": "53908099506183680", "username": "ann"}, "attachments": [], "embeds": []});
    dispatched(number, "MESSAGE_CREATE", &data)
}

/// A connection whose WebSocket is open and was greeted.
fn greeted(channel: &dyn Channel, resume: Option<&[u8]>) -> Link {
    let mut link = Link::new(channel, resume);
    link.told(Input::Begin);
    if resume.is_none() {
        link.answered(200, &address_told());
    }
    link.told(Input::Opened);
    link.text(&hello());
    link
}

/// A connection with a session.
fn began(channel: &dyn Channel) -> Link {
    let mut link = greeted(channel, None);
    link.text(&ready());
    link
}

/// The number up to which a session is kept.
fn kept(link: &Link) -> u64 {
    Session::read(link.kept.as_ref().unwrap()).unwrap().stored
}

#[test]
fn a_session_begins_with_who_we_are_and_what_we_want() {
    let channel = channel();
    let mut link = Link::new(&*channel, None);
    let begun = link.told(Input::Begin);
    let [Action::Ask { request, .. }] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    assert_eq!(
        request.url.as_str(),
        "https://discord.com/api/v10/gateway/bot"
    );
    assert_eq!(request.headers["authorization"], format!("Bot {TOKEN}"));
    let opened = link.answered(200, &address_told());
    let [Action::Open { url, .. }] = opened.as_slice() else {
        panic!("{opened:?}")
    };
    assert_eq!(url.as_str(), "wss://gateway.discord.gg/?v=10&encoding=json");
    link.told(Input::Opened);
    let actions = link.text(&hello());
    let identify = sent(&actions).remove(0);
    assert_eq!(
        (&identify["op"], &identify["d"]["token"]),
        (&json!(2), &json!(TOKEN))
    );
    let bits = 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15;
    assert_eq!(identify["d"]["intents"], bits);
    let first = timers(&actions)
        .into_iter()
        .find(|(number, _)| *number == HEARTBEAT);
    let (_, first) = first.unwrap();
    assert!(first > Duration::ZERO && first <= Duration::from_millis(41_250));
    let ready = link.text(&ready());
    assert_eq!(live(&ready), Some(Recovery::Missed));
    assert_eq!(kept(&link), 1);
    let text = String::from_utf8(link.kept.clone().unwrap()).unwrap();
    assert!(!text.contains(TOKEN));
}

#[test]
fn intents_are_as_the_settings_have_them() {
    let asked = |intents: Value| {
        let settings = json!({"token": TOKEN, "intents": intents});
        DiscordBot.open(&settings)
    };
    let channel = asked(json!(["guilds", "guild_members", "direct_message_polls"])).unwrap();
    let mut link = Link::new(&*channel, None);
    link.told(Input::Begin);
    link.answered(200, &address_told());
    link.told(Input::Opened);
    let identify = sent(&link.text(&hello())).remove(0);
    assert_eq!(identify["d"]["intents"], 1 | 2 | 1 << 25);
    for bad in [json!([]), json!(["messages"])] {
        let problem = asked(bad).err().unwrap();
        assert!(problem.field.unwrap().starts_with("settings"));
    }
}

#[test]
fn a_heart_that_is_not_answered_is_a_connection_that_is_deaf() {
    let channel = channel();
    let mut link = began(&*channel);
    let beat = link.told(Input::Timer(HEARTBEAT));
    assert_eq!(sent(&beat)[0], json!({"op": 1, "d": 1}));
    assert_eq!(timers(&beat), [(HEARTBEAT, Duration::from_millis(41_250))]);
    link.text(&json!({"op": 11}));
    // Discord may ask for one at any time.
    assert_eq!(sent(&link.text(&json!({"op": 1, "d": null})))[0]["op"], 1);
    link.told(Input::Timer(HEARTBEAT));
    let deaf = link.told(Input::Timer(HEARTBEAT));
    assert_eq!((lost(&deaf).0, lost(&deaf).1), (Loss::Deaf, Again::AtOnce));
    assert_eq!(kept(&link), 1, "it can be resumed");
}

#[test]
fn what_is_kept_and_what_a_heartbeat_tells_never_passes_what_is_not_stored() {
    let channel = channel();
    let mut link = began(&*channel);
    assert_eq!(taken(&link.text(&message(2, "two"))).len(), 1);
    link.text(&message(3, "three"));
    // Typing brings an event, too; what is behind waits for what is before it.
    link.text(&dispatched(
        4,
        "MESSAGE_CREATE",
        &json!({"author": {"id": BOT}}),
    ));
    assert_eq!(kept(&link), 1);
    assert_eq!(sent(&link.told(Input::Timer(HEARTBEAT)))[0]["d"], 1);
    link.stored();
    assert_eq!(kept(&link), 2);
    link.stored();
    assert_eq!(kept(&link), 4, "what the bot said itself is passed");
}

#[test]
fn what_could_not_be_stored_comes_again_by_a_resume() {
    let channel = channel();
    let mut link = began(&*channel);
    link.text(&message(2, "two"));
    link.text(&message(3, "three"));
    link.stored();
    let ended = link.not_stored();
    assert_eq!(
        (lost(&ended).0, lost(&ended).1),
        (Loss::Asked, Again::Backoff)
    );
    assert_eq!(kept(&link), 2);
    let resume = link.kept.unwrap();

    let mut link = Link::new(&*channel, Some(&resume));
    let begun = link.told(Input::Begin);
    let [Action::Open { url, .. }] = begun.as_slice() else {
        panic!("{begun:?}")
    };
    assert_eq!(url.host_str(), Some("gateway-us-east1-b.discord.gg"));
    link.told(Input::Opened);
    let resumed = sent(&link.text(&hello())).remove(0);
    assert_eq!(
        resumed,
        json!({"op": 6, "d": {"token": TOKEN, "session_id": "3f9a", "seq": 2}})
    );
    assert_eq!(sent(&link.told(Input::Timer(HEARTBEAT)))[0]["d"], 2);
    let again = link.text(&message(3, "three"));
    assert_eq!(live(&again), Some(Recovery::Resumed));
    assert_eq!(taken(&again)[0].dedupe_key, "message:1174000000000000003");
    let resumed = link.text(&dispatched(4, "RESUMED", &json!({})));
    assert_eq!(live(&resumed), None, "it was live with the first event");
    link.stored();
    assert_eq!(kept(&link), 4);
}

#[test]
fn a_session_that_is_no_more_is_forgotten() {
    let channel = channel();
    let resume = began(&*channel).kept.unwrap();
    let mut link = greeted(&*channel, Some(&resume));
    let invalid = link.text(&json!({"op": 9, "d": false}));
    let (loss, Again::After(pause), _) = lost(&invalid) else {
        panic!("{invalid:?}")
    };
    assert_eq!(loss, Loss::Asked);
    assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&pause));
    let kept = link.kept.unwrap();
    let mut link = Link::new(&*channel, Some(&kept));
    assert!(matches!(link.told(Input::Begin)[..], [Action::Ask { .. }]));
    for (frame, again) in [
        (json!({"op": 9, "d": true}), Again::AtOnce),
        (json!({"op": 7, "d": null}), Again::AtOnce),
    ] {
        let mut link = greeted(&*channel, Some(&resume));
        assert_eq!(lost(&link.text(&frame)).1, again);
        assert_eq!(link.kept, Some(resume.clone()), "{frame}");
    }
}

#[test]
fn where_a_session_cannot_be_resumed_at_all_a_new_one_begins_in_the_end() {
    let channel = channel();
    let mut kept = began(&*channel).kept.unwrap();
    for tries in 1.. {
        let mut link = Link::new(&*channel, Some(&kept));
        if matches!(link.told(Input::Begin)[..], [Action::Ask { .. }]) {
            assert!((4..10).contains(&tries), "{tries}");
            break;
        }
        let closed = link.told(Input::Closed {
            code: None,
            reason: "name not resolved".to_owned(),
        });
        assert_eq!(lost(&closed).0, Loss::Network);
        kept = link.kept.unwrap();
    }
    // A session that went on for a while is kept whatever breaks it.
    let mut link = began(&*channel);
    let before = link.kept.clone();
    link.told(Input::Closed {
        code: None,
        reason: String::new(),
    });
    assert_eq!(link.kept, before);
}

#[test]
fn each_code_of_closing_says_what_it_is_and_what_to_do() {
    let channel = channel();
    for (code, loss, again, is_kept, says) in [
        (4004, Loss::Refused, Again::Rarely, false, "the token"),
        (
            4014,
            Loss::Refused,
            Again::Rarely,
            false,
            "Message Content Intent",
        ),
        (
            4013,
            Loss::Refused,
            Again::Rarely,
            false,
            "settings.intents",
        ),
        (4011, Loss::Refused, Again::Rarely, false, "2,500"),
        (4012, Loss::Refused, Again::Rarely, false, "4012"),
        (4007, Loss::Asked, Again::Backoff, false, "4007"),
        (4009, Loss::Asked, Again::Backoff, false, "4009"),
        (
            4008,
            Loss::Limited,
            Again::After(Duration::from_secs(60)),
            true,
            "4008",
        ),
        (4002, Loss::Protocol, Again::Backoff, true, "4002"),
        (4000, Loss::Asked, Again::Backoff, true, "4000"),
        (1001, Loss::Asked, Again::Backoff, true, "1001"),
    ] {
        let mut link = began(&*channel);
        let closed = link.told(Input::Closed {
            code: Some(code),
            reason: String::new(),
        });
        let (is, next, detail) = lost(&closed);
        assert_eq!((is, next), (loss, again), "{code}");
        assert!(detail.contains(says), "{detail}");
        assert_eq!(!link.kept.unwrap().is_empty(), is_kept, "{code}");
    }
}

#[test]
fn each_refusal_of_the_address_says_what_to_do() {
    let channel = channel();
    let mut spent = address_told();
    spent["session_start_limit"]["remaining"] = 0.into();
    let wait = Again::After(Duration::from_millis(14_400_000));
    for (status, body, loss, again, says) in [
        (
            401,
            json!({"message": "401: Unauthorized", "code": 0}),
            Loss::Refused,
            Again::Rarely,
            "the token",
        ),
        (200, spent, Loss::Limited, wait, "no more sessions"),
        (
            429,
            json!({"retry_after": 0.65}),
            Loss::Limited,
            Again::After(Duration::from_millis(650)),
            "429",
        ),
        (502, json!({}), Loss::Network, Again::Backoff, "502"),
        (200, json!({}), Loss::Protocol, Again::Backoff, "address"),
        (
            200,
            json!({"url": "ws://gateway.discord.gg"}),
            Loss::Protocol,
            Again::Backoff,
            "TLS",
        ),
    ] {
        let mut link = Link::new(&*channel, None);
        link.told(Input::Begin);
        let actions = link.answered(status, &body);
        let (is, next, detail) = lost(&actions);
        assert_eq!((is, next), (loss, again), "{body}");
        assert!(detail.contains(says), "{detail}");
    }
}

#[test]
fn a_greeting_and_a_session_come_in_time_and_whole() {
    let channel = channel();
    let mut link = Link::new(&*channel, None);
    link.told(Input::Begin);
    link.answered(200, &address_told());
    let set = timers(&link.told(Input::Opened));
    assert_eq!(set[0].0, HELLO);
    assert_eq!(lost(&link.told(Input::Timer(HELLO))).0, Loss::Protocol);
    let mut link = began(&*channel);
    assert!(link.told(Input::Timer(HELLO)).is_empty());
    for interval in [json!(null), json!(0), json!(u64::MAX)] {
        let mut link = Link::new(&*channel, None);
        link.told(Input::Begin);
        link.answered(200, &address_told());
        link.told(Input::Opened);
        let hello = json!({"op": 10, "d": {"heartbeat_interval": interval}});
        assert_eq!(lost(&link.text(&hello)).0, Loss::Protocol);
    }
    let nameless = json!({"op": 0, "s": 1, "t": "READY", "d": {"session_id": "3f9a"}});
    assert_eq!(
        lost(&greeted(&*channel, None).text(&nameless)).0,
        Loss::Protocol
    );
}

#[test]
fn all_that_happens_is_a_message_that_can_be_answered() {
    let channel = channel();
    let shown_of = |event: &Value| {
        let mut link = began(&*channel);
        let actions = link.text(&dispatched(2, event["t"].as_str().unwrap(), &event["d"]));
        if link.unstored.is_empty() {
            return Vec::new();
        }
        let events = taken(&actions).to_vec();
        let answer = anser_core::inbound::answer("text/plain", "");
        let messages = accepted(Received { events, answer }, 1_700_000_000);
        for (_, message) in &messages {
            check_answerable(&*channel, message);
        }
        messages.iter().map(shown).collect()
    };
    let events = events(EVENTS);
    let all: Vec<Value> = events
        .iter()
        .map(|(name, event)| json!({"event": name, "brings": shown_of(event)}))
        .collect();
    insta::assert_json_snapshot!(all);
}

#[test]
fn an_interaction_is_answered_by_a_request_once_it_is_stored() {
    let channel = channel();
    for (name, event) in events(INTERACTIONS) {
        let interaction = &event["json"];
        let is_known = (2..=5).contains(&interaction["type"].as_u64().unwrap());
        if !is_known {
            continue;
        }
        let mut link = began(&*channel);
        let mut actions = link.text(&dispatched(2, "INTERACTION_CREATE", interaction));
        if !link.unstored.is_empty() {
            assert!(link.asked.is_empty(), "{name}");
            actions = link.stored();
        }
        let asked = actions.iter().find_map(|action| match action {
            Action::Ask { request, .. } => Some(request),
            _ => None,
        });
        let asked = asked.unwrap_or_else(|| panic!("{name}: {actions:?}"));
        let (id, token) = (&interaction["id"], &interaction["token"]);
        let path = format!(
            "/api/v10/interactions/{}/{}/callback",
            id.as_str().unwrap(),
            token.as_str().unwrap()
        );
        assert_eq!(asked.url.path(), path, "{name}");
        assert!(asked.headers.get("authorization").is_none());
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let by_callback = super::super::inbound::tests::answered(interaction);
        assert_eq!(body, by_callback, "{name}");
        // What became of it changes nothing.
        let tag = *link.asked.keys().next().unwrap();
        assert!(link.told(answer(tag, 404, "{}")).is_empty());
    }
}

#[test]
fn an_interaction_brings_what_the_callback_brings() {
    let channel = channel();
    for (name, event) in events(INTERACTIONS) {
        let posted = super::super::inbound::tests::posted(&event["json"]);
        let mut link = began(&*channel);
        let actions = link.text(&dispatched(2, "INTERACTION_CREATE", &event["json"]));
        let came = match posted.as_slice() {
            [] => &[],
            _ => taken(&actions),
        };
        assert_eq!(format!("{came:?}"), format!("{posted:?}"), "{name}");
    }
}

#[test]
fn what_is_no_frame_is_noted() {
    let channel = channel();
    for odd in ["{", "[]", "null", r#"{"op":99}"#, r#"{"op":0,"t":"X"}"#] {
        let mut link = began(&*channel);
        let actions = link.told(Input::Frame(Frame::Text(odd.to_owned())));
        assert!(matches!(actions[..], [Action::Unread { .. }]), "{odd}");
    }
    let mut link = began(&*channel);
    let actions = link.text(&dispatched(2, "INTERACTION_CREATE", &json!({"type": 2})));
    assert!(matches!(actions[0], Action::Unread { .. }), "{actions:?}");
    assert_eq!(kept(&link), 2, "it would come again and again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_number_passes_what_is_not_stored(choices in prop::collection::vec(any::<u64>(), 1..80)) {
        let (events, channel) = (events(EVENTS), channel());
        let mut link = began(&*channel);
        let mut number = 1_u64;
        // The numbers of what is being stored, by their batches.
        let mut waiting = BTreeMap::new();
        for choice in choices {
            if link.is_lost {
                break;
            }
            let input = link.next(choice, &mut |some| {
                let place = usize::try_from(some).unwrap_or_default() % events.len();
                let event = &events[place].1;
                number += 1;
                let data = distorted(&event["d"], some >> 3);
                let text = dispatched(number, event["t"].as_str().unwrap(), &data).to_string();
                if some.is_multiple_of(7) {
                    let bytes = mutated(text.as_bytes(), some);
                    return Input::Frame(Frame::Text(String::from_utf8_lossy(&bytes).into_owned()));
                }
                Input::Frame(Frame::Text(text))
            });
            let stored = match &input {
                Input::Stored { batch } => Some(*batch),
                _ => None,
            };
            let actions = link.told(input);
            waiting.retain(|batch, _| Some(*batch) != stored);
            for action in &actions {
                if let Action::Take { batch, .. } = action {
                    waiting.insert(*batch, number);
                }
            }
            let least = waiting.values().min().copied().unwrap_or(u64::MAX);
            if link.kept.as_ref().is_some_and(|kept| !kept.is_empty()) {
                prop_assert!(kept(&link) < least);
            }
            for beat in sent(&actions).iter().filter(|frame| frame["op"] == 1) {
                prop_assert!(beat["d"].as_u64().unwrap_or_default() < least);
            }
        }
    }

    #[test]
    fn whatever_comes_is_read_noted_or_ends_it(bytes in any::<Vec<u8>>(), op in 0_u64..12) {
        let channel = channel();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let frames = [
            Frame::Text(text.clone()),
            Frame::Binary(Bytes::from(bytes.clone())),
            Frame::Text(json!({"op": op, "d": text, "s": 2, "t": text}).to_string()),
        ];
        for frame in frames {
            began(&*channel).told(Input::Frame(frame.clone()));
        }
        // What was kept by another version.
        drop(greeted(&*channel, Some(&bytes)));
        let mut asked = Link::new(&*channel, None);
        asked.told(Input::Begin);
        asked.told(answer(0, 200, bytes));
    }
}
