//! Topics from an offset, and who may read and publish what.

use anser_core::live::Stream;
use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_topic_is_read_from_an_offset_without_gap_or_doubling() {
    let live = Live::new();
    let texts: Vec<String> = (0..100).map(|n| format!("old {n}")).collect();
    for text in &texts {
        live.fixture.accept(json!({"body": {"data": text}})).await;
    }
    let (session, mut events) = live.open("bob", "phone", None).await;
    let subscribed = ask(
        &session,
        json!({"op": "subscribe", "topic": "ORDERS", "after": "0"}),
    );
    let Answer::Subscribed { stream, .. } = subscribed.await.unwrap() else {
        panic!("not subscribed");
    };
    assert_eq!(stream, Stream::Topic("orders".to_owned()));
    let mut got = Vec::new();
    let mut last = None;
    for n in 0..100 {
        if n % 10 == 0 {
            live.fixture
                .accept(json!({"body": {"data": format!("new {n}")}}))
                .await;
        }
        let event = next_message(&mut events).await;
        last = event.offset;
        got.push(text(&event));
    }
    assert_eq!(got, texts);
    drop(events);
    let (session, mut events) = live.open("bob", "phone", None).await;
    let frame = json!({"op": "subscribe", "topic": "orders", "after": last});
    ask(&session, frame).await.unwrap();
    for n in 0..10 {
        assert_eq!(next_text(&mut events).await, format!("new {}", n * 10));
    }
    live.fixture.accept(json!({"body": {"data": "live"}})).await;
    assert_eq!(next_text(&mut events).await, "live");
    ask(&session, json!({"op": "unsubscribe", "topic": "orders"}))
        .await
        .unwrap();
    live.fixture
        .accept(json!({"body": {"data": "unheard"}}))
        .await;
    assert!(is_quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_an_offset_begins_now() {
    let live = Live::new();
    live.fixture
        .accept(json!({"body": {"data": "before"}}))
        .await;
    let (session, mut events) = live.open("bob", "phone", None).await;
    ask(&session, json!({"op": "subscribe", "topic": "orders"}))
        .await
        .unwrap();
    live.fixture
        .accept(json!({"body": {"data": "after"}}))
        .await;
    assert_eq!(next_text(&mut events).await, "after");
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_or_publishes_beyond_their_rights() {
    let live = Live::new();
    let rights = Rights {
        send: only(&["user:bob"]),
        read: only(&["*"]),
        ..Rights::none()
    };
    let (eve, _events) = live.open_as(user("eve", rights), "x", None).await.unwrap();
    for (frame, code) in [
        (
            json!({"op": "subscribe", "topic": "$direct"}),
            "topic_not_allowed",
        ),
        (
            json!({"op": "subscribe", "topic": "nothing"}),
            "topic_not_found",
        ),
        (
            json!({"op": "publish", "topic": "orders", "message": {"body": {"data": 1}}}),
            "topic_not_allowed",
        ),
        (
            json!({"op": "publish", "to": ["user:alice"], "message": {"body": {"data": 1}}}),
            "address_not_allowed",
        ),
        (
            json!({"op": "publish", "to": ["user:bob"], "message": {"header": {"from": {"kind": "user", "id": "bob"}}, "body": {"data": 1}}}),
            "stamped_field",
        ),
        (json!({"op": "dance"}), "unknown_op"),
        (json!({"op": "ack"}), "invalid_field"),
    ] {
        assert_eq!(
            ask(&eve, frame.clone()).await.unwrap_err().code,
            code,
            "{frame}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn from_is_stamped_and_an_answer_finds_its_way_back() {
    let live = Live::new();
    let to_bob = Rights {
        send: only(&["user:bob"]),
        ..Rights::none()
    };
    let (alice, mut to_alice) = live
        .open_as(user("alice", to_bob), "x", None)
        .await
        .unwrap();
    let (bob, mut to_bob) = live.open("bob", "phone", None).await;
    let frame =
        json!({"op": "publish", "to": ["user:bob"], "message": {"body": {"data": "hello"}}});
    ask(&alice, frame).await.unwrap();
    let hello = next_message(&mut to_bob).await;
    let document: Value = serde_json::from_slice(&hello.document).unwrap();
    assert_eq!(
        document["header"]["from"],
        json!({"kind": "user", "id": "alice"})
    );
    assert_eq!(
        document["header"]["conversation"],
        json!({"id": "user:alice", "type": "direct"})
    );
    let frame = json!({"op": "publish", "message": {"header": {"reply_to": hello.id}, "body": {"data": "hi"}}});
    ask(&bob, frame).await.unwrap();
    assert_eq!(next_text(&mut to_alice).await, "hi");
}
