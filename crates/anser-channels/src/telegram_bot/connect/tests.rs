//! A bot that polls: what it asks, in which order, what it confirms, and what it makes of refusals.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _, SendError, SendErrorKind};
use proptest::prelude::*;

use super::super::TelegramBot;
use super::*;
use crate::kit::testing::connection::{Link, answer, live, lost, taken, timers};
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{distorted, events};

const EVENTS: &str = include_str!("../../../fixtures/inbound/telegram.json");
const TOKEN: &str = "123456789:AAhidden_abcdefghijklmnopqrstuvwxyz";

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": TOKEN, "secret_token": "sec_TOKEN-1"});
    TelegramBot.open(&settings).unwrap()
}

fn message(number: i64) -> Value {
    json!({"update_id": number, "message": {"message_id": number, "date": 1_700_000_000, "text": "hi",
        "from": {"id": 7, "is_bot": false, "first_name": "Ann"}, "chat": {"id": 7, "type": "private"}}})
}

fn ok(updates: &[Value]) -> Value {
    json!({"ok": true, "result": updates})
}

/// The bodies of the requests in these actions, by the method's name.
fn asked(actions: &[Action]) -> Vec<(String, Value)> {
    let asked = actions.iter().filter_map(|action| match action {
        Action::Ask { request, .. } => {
            let method = request.url.path_segments().unwrap().next_back().unwrap();
            let body = serde_json::from_slice(&request.body).unwrap();
            Some((method.to_owned(), body))
        }
        _ => None,
    });
    asked.collect()
}

/// The offset of the only poll.
fn polled(actions: &[Action]) -> Value {
    let mut polls = asked(actions);
    polls.retain(|(method, _)| method == "getUpdates");
    assert_eq!(polls.len(), 1, "{actions:?}");
    polls[0].1["offset"].clone()
}

/// A connection that is live and polls.
fn polling(channel: &dyn Channel) -> Link {
    let mut link = Link::new(channel, None);
    link.told(Input::Begin);
    link.answered(200, &ok(&[]));
    link
}

#[test]
fn the_first_poll_waits_for_nothing_and_each_later_one_for_less_than_silence() {
    let channel = channel();
    let mut link = Link::new(&*channel, None);
    let begun = link.told(Input::Begin);
    let (method, body) = asked(&begun).remove(0);
    assert_eq!(method, "getUpdates");
    assert_eq!(
        (&body["timeout"], &body["offset"]),
        (&json!(0), &Value::Null)
    );
    for kind in ["message_reaction", "chat_member", "callback_query"] {
        let named = body["allowed_updates"].as_array().unwrap();
        assert!(named.contains(&kind.into()), "{kind} comes when named only");
    }
    let live_now = link.answered(200, &ok(&[]));
    assert_eq!(live(&live_now), Some(Recovery::Resumed));
    let (_, body) = asked(&live_now).remove(0);
    assert_eq!(body["timeout"], 50);
    let Some(Action::Ask { limit, .. }) = live_now.last() else {
        panic!("it polls on")
    };
    let silence = channel.connector().unwrap().silence_max();
    assert!(*limit > Duration::from_secs(50) && silence > *limit);
    // An answer of nothing is followed by the next poll, and being live is told once.
    let empty = link.answered(200, &ok(&[]));
    assert_eq!((live(&empty), asked(&empty).len()), (None, 1));
}

#[test]
fn what_is_stored_is_confirmed_by_the_next_poll_and_only_then() {
    let channel = channel();
    let mut link = polling(&*channel);
    let took = link.answered(200, &ok(&[message(41), message(42)]));
    assert_eq!(taken(&took).len(), 2);
    assert!(
        asked(&took).is_empty(),
        "nothing is asked before it is stored"
    );
    assert_eq!(polled(&link.stored()), 43);
    // A poll that was answered has confirmed; later polls need not repeat a number that grows old.
    assert_eq!(polled(&link.answered(200, &ok(&[]))), Value::Null);
}

#[test]
fn what_could_not_be_stored_comes_again_after_a_pause() {
    let channel = channel();
    let mut link = polling(&*channel);
    link.answered(200, &ok(&[message(41)]));
    let refused = link.not_stored();
    assert!(asked(&refused).is_empty());
    let [(timer, pause)] = timers(&refused)[..] else {
        panic!("it waits: {refused:?}")
    };
    assert!(pause > Duration::ZERO);
    assert_eq!(polled(&link.told(Input::Timer(timer))), Value::Null);
    // The timer of another time asks nothing twice.
    assert!(link.told(Input::Timer(timer)).is_empty());
}

#[test]
fn what_the_bot_said_itself_is_confirmed_without_being_stored() {
    let channel = channel();
    let mut link = polling(&*channel);
    let mut own = message(41);
    own["message"]["from"]["id"] = 123_456_789.into();
    assert_eq!(polled(&link.answered(200, &ok(&[own]))), 42);
}

#[test]
fn a_pressed_button_is_answered_once_it_is_stored() {
    let channel = channel();
    let mut link = polling(&*channel);
    let press = json!({"update_id": 41, "callback_query": {"id": "4382", "data": "yes",
        "from": {"id": 7, "first_name": "Ann"}}});
    assert!(asked(&link.answered(200, &ok(&[press]))).is_empty());
    let stored = link.stored();
    let asks = asked(&stored);
    assert_eq!(
        asks[0],
        (
            "answerCallbackQuery".to_owned(),
            json!({"callback_query_id": "4382"})
        )
    );
    assert_eq!(polled(&stored), 42);
    // What became of it changes nothing: a button can be too old.
    let tag = *link.asked.keys().next_back().unwrap();
    assert!(link.told(answer(tag, 400, "{}")).is_empty());
}

#[test]
fn many_events_are_stored_in_several_batches_and_confirmed_in_order() {
    let channel = channel();
    let mut link = polling(&*channel);
    let many: Vec<Value> = (0..600)
        .map(|number| json!({"type": "custom_emoji", "custom_emoji_id": number.to_string()}))
        .collect();
    let reaction = |number: i64| {
        json!({"update_id": number, "message_reaction": {"chat": {"id": 7, "type": "private"}, "message_id": 1,
            "date": 1_700_000_000, "old_reaction": [], "new_reaction": many}})
    };
    let took = link.answered(200, &ok(&[reaction(1), reaction(2), reaction(3)]));
    assert_eq!(link.unstored.len(), 3, "{}", took.len());
    assert!(link.stored().is_empty());
    assert!(link.not_stored().is_empty());
    // The third must not be confirmed, as that would confirm the second.
    assert!(asked(&link.stored()).is_empty());
    assert_eq!(polled(&link.told(Input::Timer(AGAIN))), 2);
}

#[test]
fn an_update_that_cannot_be_read_is_noted_and_passed() {
    let channel = channel();
    let mut link = polling(&*channel);
    let actions = link.answered(200, &ok(&[json!({"update_id": 41}), message(42)]));
    assert!(matches!(actions[0], Action::Unread { .. }), "{actions:?}");
    assert_eq!(polled(&link.stored()), 43);
    // What has no number can never be confirmed.
    let mut link = polling(&*channel);
    let nameless = link.answered(200, &ok(&[json!({"message": {}})]));
    assert_eq!(lost(&nameless).0, Loss::Protocol);
}

#[test]
fn each_refusal_says_what_it_is_and_what_to_do() {
    let channel = channel();
    let refused = |code: u16, text: &str, more: Value| {
        let body =
            json!({"ok": false, "error_code": code, "description": text, "parameters": more});
        polling(&*channel).answered(code, &body)
    };
    for (code, text, more, loss, again, says) in [
        (
            409,
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            json!(null),
            Loss::Refused,
            Again::Rarely,
            "deleteWebhook",
        ),
        (
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            json!(null),
            Loss::Replaced,
            Again::Backoff,
            "the same token",
        ),
        (
            401,
            "Unauthorized",
            json!(null),
            Loss::Refused,
            Again::Rarely,
            "@BotFather",
        ),
        (
            429,
            "Too Many Requests: retry after 7",
            json!({"retry_after": 7}),
            Loss::Limited,
            Again::After(Duration::from_secs(7)),
            "429",
        ),
        (
            500,
            "Internal Server Error",
            json!(null),
            Loss::Network,
            Again::Backoff,
            "500",
        ),
        (
            400,
            "Bad Request",
            json!(null),
            Loss::Refused,
            Again::Rarely,
            "Bad Request",
        ),
    ] {
        let actions = refused(code, text, more);
        let (is, next, detail) = lost(&actions);
        assert_eq!((is, next), (loss, again), "{text}");
        assert!(detail.contains(says), "{detail}");
        assert!(!detail.contains("AAhidden"));
    }
}

#[test]
fn no_answer_and_no_json_end_the_connection() {
    let channel = channel();
    let error = SendError {
        kind: SendErrorKind::TimedOut,
        sent: true,
        detail: "no answer".to_owned(),
    };
    let mut link = polling(&*channel);
    let actions = link.told(Input::Answered {
        tag: POLL,
        exchange: Err(error),
    });
    assert_eq!(lost(&actions).0, Loss::Network);
    for (status, body, loss) in [
        (502, "<html>", Loss::Network),
        (200, "<html>", Loss::Protocol),
        (200, "{}", Loss::Protocol),
        (200, r#"{"ok":true}"#, Loss::Protocol),
    ] {
        let actions = polling(&*channel).told(answer(POLL, status, body));
        assert_eq!(lost(&actions).0, loss, "{status} {body}");
    }
}

#[test]
fn a_poll_brings_what_the_callback_brings() {
    let channel = channel();
    for (name, event) in events(EVENTS) {
        let body = event["json"].to_string();
        let posted = Call::post(body, 1_700_000_000)
            .headers(&[("x-telegram-bot-api-secret-token", "sec_TOKEN-1")]);
        let posted = posted.taken(&*channel).events;
        let mut link = polling(&*channel);
        let actions = link.answered(200, &ok(&[event["json"].clone()]));
        let polled = match posted.as_slice() {
            [] => &[],
            _ => taken(&actions),
        };
        assert_eq!(format!("{polled:?}"), format!("{posted:?}"), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_confirmed_before_it_is_stored(choices in prop::collection::vec(any::<u64>(), 1..60)) {
        let (events, channel) = (events(EVENTS), channel());
        let mut link = Link::new(&*channel, None);
        link.told(Input::Begin);
        // Updates are numbered as they come; a batch is one answer here.
        let mut number = 0_i64;
        let mut safe = 0_i64;
        for choice in choices {
            if link.is_lost {
                break;
            }
            let input = link.next(choice, &mut |some| {
                let place = usize::try_from(some).unwrap_or_default() % events.len();
                let mut update = distorted(&events[place].1["json"], some >> 3);
                if !update.is_object() {
                    update = json!({"message": update});
                }
                number += 1;
                update["update_id"] = number.into();
                let body = ok(&[update]).to_string().into_bytes();
                let body = if some.is_multiple_of(5) { mutated(&body, some) } else { body };
                answer(POLL, 200, body)
            });
            let before = link.unstored.front().copied();
            let is_stored = matches!(&input, Input::Stored { batch } if Some(*batch) == before);
            let actions = link.told(input);
            if is_stored || link.unstored.is_empty() {
                safe = number + 1;
            }
            for (method, body) in asked(&actions) {
                prop_assert!(link.unstored.is_empty(), "it polls with a batch unstored");
                if let Some(offset) = body["offset"].as_i64().filter(|_| method == "getUpdates") {
                    prop_assert!(offset <= safe, "{offset} {safe}");
                }
            }
        }
    }

    #[test]
    fn whatever_is_answered_is_read_or_ends_it(bytes in any::<Vec<u8>>(), status in 200_u16..600) {
        let channel = channel();
        polling(&*channel).told(answer(POLL, status, bytes));
    }
}
