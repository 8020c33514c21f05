//! What every receiver must keep, whatever its platform sends: an event can be answered, a changed request is refused, and a
//! distorted event is one all the same. Tests only.

use anser_core::Message;
use anser_core::channel::{Channel, Context};
use serde_json::{Value, json};

use super::context;
use super::inbound::{Call, accepted, mutated, shown, target};

/// What can stand where an event has something else.
const DISTORTIONS: usize = 10;

/// The named events of a file.
pub(crate) fn events(file: &str) -> Vec<(String, Value)> {
    let rows: Vec<Value> = serde_json::from_str(file).unwrap();
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    rows.into_iter().map(|row| (name(&row), row)).collect()
}

/// A known answer.
pub(crate) fn vector(id: &str) -> Value {
    let vectors = include_str!("../../../fixtures/inbound/vectors-west.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut vectors = vectors["vectors"].as_array().unwrap().iter();
    vectors.find(|vector| vector["id"] == id).unwrap().clone()
}

/// What the named events bring, for a snapshot; each can be answered where it says where.
pub(crate) fn shown_all(
    channel: &dyn Channel,
    events: &[(String, Value)],
    signed: impl Fn(&Value) -> Call,
) -> Vec<Value> {
    let mut all = Vec::new();
    for (name, event) in events {
        let call = signed(event);
        let received = call.taken(channel);
        let answer = String::from_utf8(received.answer.body.to_vec()).unwrap();
        let reports: Vec<Value> = received
            .events
            .iter()
            .filter_map(|event| event.report.as_ref())
            .map(|report| format!("{report:?}").into())
            .collect();
        let messages = accepted(received, call.now);
        for (_, message) in &messages {
            check_answerable(channel, message);
        }
        let brings: Vec<Value> = messages.iter().map(shown).collect();
        all.push(json!({"event": name, "brings": brings, "reports": reports, "answered": answer}));
    }
    all
}

/// The channel sends an answer to what it received.
pub(crate) fn check_answerable(channel: &dyn Channel, received: &Message) {
    let Some(target) = target(received) else {
        return;
    };
    let header = &received.header;
    let origin = header.origin.as_ref().unwrap();
    let answer = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"},
                   "to": [header.conversation.as_ref().unwrap().id], "conversation": header.conversation,
                   "reply_to": origin.message_id},
        "body": {"segments": [{"type": "text", "text": "hi"}]}
    });
    let answer = Message::from_json(answer.to_string().as_bytes()).unwrap();
    let mut context = Context {
        target: Some(target),
        ..context(0)
    };
    let plan = channel.render(&answer, &context).unwrap();
    let given = vec![Some("1".to_owned()); plan.steps.len()];
    for (place, step) in plan.steps.iter().enumerate() {
        context.step = place;
        context.outputs = &given[..place];
        channel.request(step, &answer, &context).unwrap();
    }
}

/// A signed request of which one thing is changed is refused: the body, a header, or that it is there.
pub(crate) fn check_changed(channel: &dyn Channel, signed: &Call, choice: u64) {
    let mut changed = signed.clone();
    let place = usize::try_from(choice % 5).unwrap();
    match changed.headers.get_mut(place) {
        Some((_, value)) => {
            let bytes = mutated(value.as_bytes(), choice / 5);
            let Ok(text) = String::from_utf8(bytes) else {
                return;
            };
            // What HTTP takes from a value's ends, and does not let in, reaches nobody.
            if text.trim() == value.as_str() {
                return;
            }
            *value = text;
        }
        None => changed.body = mutated(&signed.body, choice / 5),
    }
    if let Some(verdict) = changed.sent(channel) {
        let refusal = verdict.expect_err(&format!("{changed:?}"));
        assert!(
            ["unsigned", "wrong_signature", "stale_signature"].contains(&refusal.kind.code()),
            "{refusal:?}"
        );
    }
}

/// Each header that must be there, once.
pub(crate) fn check_needed(channel: &dyn Channel, signed: &Call) {
    for place in 0..signed.headers.len() {
        let mut lacking = signed.clone();
        lacking.headers.remove(place);
        assert_eq!(lacking.refused(channel), "unsigned", "{place}");
        let mut doubled = signed.clone();
        doubled.headers.push(signed.headers[place].clone());
        assert_eq!(doubled.refused(channel), "unsigned", "{place}");
    }
}

/// The same JSON in other bytes.
pub(crate) fn re_encoded(body: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(body).unwrap();
    let other = serde_json::to_vec_pretty(&value).unwrap();
    assert_ne!(other, body);
    other
}

/// The value with one of its members, wherever, replaced by something that nobody expects there.
pub(crate) fn distorted(value: &Value, choice: u64) -> Value {
    let mut value = value.clone();
    let places = count(&value);
    let mut place = usize::try_from(choice >> 8).unwrap() % places;
    replace(
        &mut value,
        &mut place,
        usize::try_from(choice & 0xff).unwrap() % DISTORTIONS,
    );
    value
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum::<usize>(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn replace(value: &mut Value, place: &mut usize, by: usize) -> bool {
    if *place == 0 {
        *value = unexpected(by);
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|one| replace(one, place, by)),
        Value::Object(members) => members.values_mut().any(|one| replace(one, place, by)),
        _ => false,
    }
}

fn unexpected(by: usize) -> Value {
    match by {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(1e300),
        3 => json!(""),
        4 => json!("a\u{0}\n/../:<&|>"),
        5 => json!("長".repeat(30_000)),
        6 => json!([]),
        7 => json!([[{}], null, "x", 3]),
        8 => (0..110).fold(
            json!({"type": "text"}),
            |inner, _| json!({"elements": [inner]}),
        ),
        _ => json!(u64::MAX),
    }
}
