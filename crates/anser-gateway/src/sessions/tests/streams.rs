//! Topics from an offset, and who may read and publish what.

use anser_core::id::{MessageId, Num, ResourceId};
use anser_core::live::Stream;
use anser_core::store::{Append, Link, LinkKind, NewMessage};
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

/// Publishes to the topic, to be shown so many seconds after the fixture's clock began.
async fn later(live: &Live, text: &str, seconds: u64, more: Value) -> Published {
    let at = crate::fixture::START.plus(Duration::from_secs(seconds));
    let mut header = json!({"not_before": at});
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    live.fixture
        .accept(json!({"header": header, "body": {"data": text}}))
        .await
}

async fn read_orders(session: &Session, after: Option<Offset>) {
    let mut frame = json!({"op": "subscribe", "topic": "orders"});
    if let Some(after) = after {
        frame["after"] = json!(after);
    }
    ask(session, frame).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_shown_what_was_scheduled_when_it_is_due_and_goes_on_behind_it() {
    let mut live = Live::new();
    later(&live, "before anybody reads", 20, json!({})).await;
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, None).await;
    later(&live, "later", 60, json!({})).await;
    later(&live, "sooner", 40, json!({})).await;
    live.fixture.accept(json!({"body": {"data": "now"}})).await;
    let mut last = None;
    for (advance, texts) in [
        (0, &["now"][..]),
        (20, &["before anybody reads"]),
        (20, &["sooner"]),
        (20, &["later"]),
    ] {
        live.fixture.clock.advance(Duration::from_secs(advance));
        live.keep().await;
        for expected in texts {
            let event = next_message(&mut events).await;
            assert_eq!(
                (text(&event).as_str(), event.possible_duplicate),
                (*expected, None)
            );
            assert!(event.offset > last, "{last:?}");
            last = event.offset;
        }
        assert!(is_quiet(&mut events).await);
    }
    live.fixture
        .accept(json!({"body": {"data": "after"}}))
        .await;
    assert_eq!(next_text(&mut events).await, "after");
    drop(events);
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, last).await;
    assert_eq!(next_text(&mut events).await, "after");
    assert!(
        is_quiet(&mut events).await,
        "nothing that was scheduled comes twice"
    );
}

#[tokio::test(start_paused = true)]
async fn who_was_away_when_a_scheduled_message_came_due_is_shown_it_on_the_next_connect() {
    let mut live = Live::new();
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, None).await;
    live.fixture.accept(json!({"body": {"data": "one"}})).await;
    later(&live, "scheduled", 60, json!({})).await;
    let one = next_message(&mut events).await.offset;
    drop(events);
    live.fixture.clock.advance(Duration::from_secs(90));
    live.keep().await;
    live.fixture.accept(json!({"body": {"data": "two"}})).await;
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, one).await;
    let mut last = None;
    for expected in ["scheduled", "two"] {
        let event = next_message(&mut events).await;
        assert_eq!(
            (text(&event).as_str(), event.possible_duplicate),
            (expected, None)
        );
        last = event.offset;
    }
    assert!(is_quiet(&mut events).await);
    // Who reads from the beginning has it where its time came.
    let (session, mut from_start) = live.open("ann", "phone", None).await;
    read_orders(&session, Some(Offset::START)).await;
    for expected in ["one", "scheduled", "two"] {
        assert_eq!(next_text(&mut from_start).await, expected);
    }
    live.fixture.clock.advance(Duration::from_secs(60));
    drop(events);
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, last).await;
    assert!(is_quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn what_came_due_about_when_the_client_was_cut_comes_again_marked_rather_than_never() {
    let mut live = Live::new();
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, None).await;
    later(&live, "scheduled", 58, json!({})).await;
    live.fixture.clock.advance(Duration::from_secs(60));
    live.keep().await;
    assert_eq!(next_text(&mut events).await, "scheduled");
    live.fixture.accept(json!({"body": {"data": "one"}})).await;
    let one = next_message(&mut events).await.offset;
    drop(events);
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, one).await;
    let again = next_message(&mut events).await;
    assert!(text(&again) == "scheduled" && again.possible_duplicate.is_some());
    assert!(is_quiet(&mut events).await);
}

/// What a recall leaves in the store.
async fn recall(live: &Live, message: u64) {
    let gateway = &live.fixture.gateway;
    let now = gateway.now();
    let recall = NewMessage {
        id: MessageId::lowest_at(now),
        topic: ResourceId(u64::MAX >> 8),
        time: now,
        document: bytes::Bytes::from_static(b"{}"),
        dedupe: None,
        delete_at: None,
        blobs: Vec::new(),
        link: Some(Link {
            target: Num(message),
            kind: LinkKind::Recalled,
        }),
        known_as: Vec::new(),
        deliveries: Vec::new(),
    };
    let append = Append {
        messages: vec![recall],
        atomic: false,
    };
    gateway.store.append(append).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_or_is_over_before_its_time_is_not_shown() {
    let mut live = Live::new();
    let (session, mut events) = live.open("bob", "phone", None).await;
    read_orders(&session, None).await;
    let taken_back = later(&live, "taken back", 60, json!({})).await;
    later(&live, "stays", 61, json!({})).await;
    let at = crate::fixture::START.plus(Duration::from_secs(64));
    later(&live, "short", 62, json!({"expires_at": at})).await;
    recall(&live, taken_back.seq.unwrap()).await;
    live.fixture.clock.advance(Duration::from_secs(90));
    live.keep().await;
    assert_eq!(next_text(&mut events).await, "stays");
    assert!(is_quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_gone_on_with_though_the_offset_is_of_other_data() {
    let live = Live::new();
    live.fixture.accept(json!({"body": {"data": "one"}})).await;
    let (session, mut events) = live.open("bob", "phone", None).await;
    let frame = json!({"op": "subscribe", "topic": "orders", "after": "1000000"});
    ask(&session, frame).await.unwrap();
    live.fixture.accept(json!({"body": {"data": "two"}})).await;
    assert_eq!(next_text(&mut events).await, "two");
}
