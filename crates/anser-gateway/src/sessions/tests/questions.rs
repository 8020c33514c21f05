//! Questions through the gateway: who is asked, what the server answers, and that there is one outcome.

use anser_core::live::{IqEvent, IqType};
use serde_json::json;

use super::*;
use crate::sessions::ANSWER_WITHIN;

async fn next_iq(events: &mut Events) -> IqEvent {
    loop {
        match next(events).await {
            Event::Iq(iq) => return iq,
            Event::Presence(_) => {}
            other => panic!("no iq: {}", String::from_utf8_lossy(&other.to_json())),
        }
    }
}

fn payload(iq: &IqEvent) -> Value {
    serde_json::from_str(iq.payload.as_ref().unwrap().get()).unwrap()
}

fn get(id: &str, to: &str, payload: Value) -> Value {
    json!({"op": "iq", "id": id, "to": to, "type": "get", "payload": payload})
}

#[tokio::test(start_paused = true)]
async fn the_session_with_the_highest_priority_answers_once() {
    let live = Live::new();
    let (alice, mut to_alice) = live.open("alice", "phone", None).await;
    let (phone, mut on_phone) = live.open("bob", "phone", None).await;
    let (desk, mut on_desk) = live.open("bob", "desk", None).await;
    ask(&desk, json!({"op": "presence", "priority": 5}))
        .await
        .unwrap();
    let question = get("1", "user:bob", json!({"battery": true}));
    ask(&alice, question.clone()).await.unwrap();
    assert_eq!(
        ask(&alice, question).await.unwrap_err().code,
        "question_open"
    );
    let asked = next_iq(&mut on_desk).await;
    assert_eq!(
        (asked.r#type, asked.from.as_str()),
        (IqType::Get, "user:alice/phone")
    );
    let result = json!({"op": "iq", "id": asked.id, "type": "result", "payload": {"percent": 80}});
    assert_eq!(
        ask(&phone, result.clone()).await.unwrap_err().code,
        "unknown_question"
    );
    ask(&desk, result.clone()).await.unwrap();
    let outcome = next_iq(&mut to_alice).await;
    assert_eq!((outcome.id.as_str(), outcome.r#type), ("1", IqType::Result));
    assert_eq!(outcome.from, "user:bob/desk");
    assert_eq!(payload(&outcome), json!({"percent": 80}));
    assert_eq!(
        ask(&desk, result).await.unwrap_err().code,
        "unknown_question",
        "twice"
    );
    ask(&alice, get("2", "user:bob/phone", json!({})))
        .await
        .unwrap();
    assert_eq!(next_iq(&mut on_phone).await.r#type, IqType::Get);
    drop(on_phone);
    let outcome = next_iq(&mut to_alice).await;
    assert_eq!(
        (outcome.id.as_str(), payload(&outcome)["code"].as_str()),
        ("2", Some("service-unavailable"))
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends_as_a_timeout_and_what_comes_late_is_nobodys() {
    let live = Live::new();
    let (alice, mut to_alice) = live.open("alice", "phone", None).await;
    let (bob, mut to_bob) = live.open("bob", "phone", None).await;
    ask(&alice, get("1", "user:bob", json!({}))).await.unwrap();
    let asked = next_iq(&mut to_bob).await;
    live.fixture.clock.advance(ANSWER_WITHIN);
    live.fixture.gateway.tick_sessions();
    assert_eq!(payload(&next_iq(&mut to_alice).await)["code"], "timeout");
    let late = json!({"op": "iq", "id": asked.id, "type": "result"});
    assert_eq!(ask(&bob, late).await.unwrap_err().code, "unknown_question");
    assert!(is_quiet(&mut to_alice).await);
}

#[tokio::test(start_paused = true)]
async fn the_server_answers_what_it_knows_and_says_what_it_does_not() {
    let live = Live::new();
    let (alice, mut to_alice) = live.open("alice", "phone", None).await;
    for (id, to, query) in [("1", "server", "version"), ("2", "user:nobody", "ping")] {
        ask(&alice, get(id, to, json!({"query": query})))
            .await
            .unwrap();
        let outcome = next_iq(&mut to_alice).await;
        assert_eq!(
            (outcome.id.as_str(), outcome.r#type, outcome.from.as_str()),
            (id, IqType::Result, "server")
        );
    }
    for (id, to) in [("3", "server"), ("4", "user:nobody")] {
        ask(&alice, get(id, to, json!({"query": "weather"})))
            .await
            .unwrap();
        let outcome = next_iq(&mut to_alice).await;
        assert_eq!((outcome.id.as_str(), outcome.r#type), (id, IqType::Error));
        assert_eq!(payload(&outcome)["code"], "service-unavailable");
    }
    // Whether somebody is there, and whatever there is to know, is told to nobody who may not see it.
    let writes = Rights {
        send: only(&["user:*"]),
        ..Rights::none()
    };
    let (mallory, mut to_mallory) = live
        .open_as(user("mallory", writes), "x", None)
        .await
        .unwrap();
    for to in ["user:alice", "user:alice/phone", "user:nobody"] {
        let refused = ask(&mallory, get("1", to, json!({}))).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            ("presence_not_allowed", Some("to"))
        );
    }
    ask(&mallory, get("2", "user:alice", json!({"query": "ping"})))
        .await
        .unwrap();
    assert_eq!(next_iq(&mut to_mallory).await.r#type, IqType::Result);
    let rights = Rights::none();
    let (eve, _to_eve) = live.open_as(user("eve", rights), "x", None).await.unwrap();
    let refused = ask(&eve, get("1", "user:alice", json!({})))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "address_not_allowed");
}

#[tokio::test(start_paused = true)]
async fn who_reconnects_learns_that_its_questions_ended() {
    let live = Live::new();
    let id = UserId::parse("user", "alice").unwrap();
    let opening = Opening {
        identity: Identity::of_key(anyone().clone(), Some(id)).unwrap(),
        transport: "test",
        peer: None,
        resource: None,
        after: None,
        presence: PresenceUpdate::default(),
        acks: Acknowledgements::Explicit,
        questions: vec!["7".to_owned()],
    };
    let (_session, mut events) = live.fixture.gateway.open_session(opening).await.unwrap();
    assert_eq!(next(&mut events).await.name(), "ib");
    let outcome = next_iq(&mut events).await;
    assert_eq!((outcome.id.as_str(), outcome.r#type), ("7", IqType::Error));
}
