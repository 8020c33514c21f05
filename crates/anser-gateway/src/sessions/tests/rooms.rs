//! Rooms, with and without history, and messages that are not stored.

use anser_core::live::{Offset, Stream};
use anser_core::name::room_topic;
use serde_json::json;

use super::*;
use crate::config::{Room, Snapshot};
use crate::sessions::SessionQuery;

/// Puts a room into the configuration, with its topic.
fn room(fixture: &mut Fixture, name: &str, spec: Value) {
    let topic = fixture.topic(&room_topic(name), json!({}));
    set_room(&mut fixture.snapshot, name, spec, topic);
}

fn set_room(snapshot: &mut Snapshot, name: &str, spec: Value, topic: anser_core::id::ResourceId) {
    let mut meta = snapshot.topics_by_id[&topic].meta.clone();
    meta.name = name.to_owned();
    let room = Room {
        meta,
        spec: serde_json::from_value(spec).unwrap(),
        topic,
    };
    snapshot.rooms.insert(name.to_owned(), Arc::new(room));
}

fn live() -> Live {
    let mut fixture = Fixture::with_orders();
    room(&mut fixture, "dev", json!({"members": ["ann", "bob"]}));
    room(&mut fixture, "hall", json!({"open": true, "history": 0}));
    Live::of(fixture.put())
}

async fn guest(live: &Live, id: &str) -> (Session, Events) {
    live.open_as(user(id, Rights::none()), "phone", None)
        .await
        .unwrap()
}

async fn enter(session: &Session, events: &mut Events, room: &str) -> Value {
    let subscribed = ask(session, json!({"op": "subscribe", "room": room}))
        .await
        .unwrap();
    assert!(matches!(
        subscribed,
        Answer::Subscribed {
            stream: Stream::Room(_),
            ..
        }
    ));
    news(events).await
}

async fn news(events: &mut Events) -> Value {
    match next(events).await {
        Event::Ib(news) => json!({"kind": news.kind, "data": news.data}),
        other => panic!("no news: {}", String::from_utf8_lossy(&other.to_json())),
    }
}

fn say(room: &str, text: &str) -> Value {
    json!({"op": "publish", "to": [format!("room:{room}")], "message": {"body": {"data": text}}})
}

#[tokio::test(start_paused = true)]
async fn members_hear_each_other_and_who_comes_later_reads_what_was_said() {
    let live = live();
    let (ann, mut to_ann) = guest(&live, "ann").await;
    let (eve, _to_eve) = guest(&live, "eve").await;
    for frame in [
        json!({"op": "subscribe", "room": "dev"}),
        say("dev", "psst"),
    ] {
        let code = ask(&eve, frame).await.unwrap_err().code;
        assert!(
            ["room_not_allowed", "address_not_allowed"].contains(&code),
            "{code}"
        );
    }
    let there = enter(&ann, &mut to_ann, "DEV").await;
    assert_eq!(
        there["data"]["there"],
        json!([{"user": "ann", "resource": "phone"}])
    );
    ask(&ann, say("dev", "one")).await.unwrap();
    let one = next_message(&mut to_ann).await;
    assert_eq!(
        (text(&one).as_str(), one.stream.to_string().as_str()),
        ("one", "room:dev")
    );
    let (bob, mut to_bob) = guest(&live, "bob").await;
    let frame = json!({"op": "subscribe", "room": "dev", "after": Offset::START});
    ask(&bob, frame).await.unwrap();
    assert_eq!(news(&mut to_ann).await["kind"], "room.joined");
    assert_eq!(news(&mut to_bob).await["kind"], "room.joined.self");
    assert_eq!(next_text(&mut to_bob).await, "one");
    live.send(message("room:dev", "from the API"))
        .await
        .unwrap();
    assert_eq!(next_text(&mut to_ann).await, "from the API");
    assert_eq!(next_text(&mut to_bob).await, "from the API");
    drop(to_bob);
    let left = news(&mut to_ann).await;
    assert_eq!(
        (&left["kind"], &left["data"]["who"]["user"]),
        (&json!("room.left"), &json!("bob"))
    );
    let mixed = json!({"header": {"to": ["room:dev", "user:bob"]}, "body": {"data": 1}});
    assert_eq!(
        live.send(mixed.clone()).await.unwrap_err().code,
        "room_alone"
    );
    assert_eq!(
        live.fixture
            .refuse(mixed, PublishOptions::default())
            .await
            .code,
        "room_alone"
    );
    assert_eq!(
        live.send(message("room:none", "x")).await.unwrap_err().code,
        "unknown_room"
    );
}

#[tokio::test(start_paused = true)]
async fn a_room_without_history_stores_nothing() {
    let live = live();
    let (ann, mut to_ann) = guest(&live, "ann").await;
    let (bob, mut to_bob) = guest(&live, "bob").await;
    enter(&ann, &mut to_ann, "hall").await;
    enter(&bob, &mut to_bob, "hall").await;
    assert_eq!(news(&mut to_ann).await["kind"], "room.joined");
    let Answer::Published {
        durable, matched, ..
    } = ask(&ann, say("hall", "hello")).await.unwrap()
    else {
        panic!("not published");
    };
    assert_eq!((durable, matched), (false, 2));
    assert_eq!(next_text(&mut to_ann).await, "hello");
    let hello = next_message(&mut to_bob).await;
    assert!(hello.offset.is_none());
    assert!(live.fixture.stored().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn typing_reaches_who_is_there_and_is_forgotten() {
    let live = live();
    let (ann, mut to_ann) = live.open("ann", "phone", None).await;
    let (_bob, mut to_bob) = live.open("bob", "phone", None).await;
    let typing = |to: &str| {
        json!({"op": "publish", "to": [to], "transient": true,
            "message": {"header": {"type": "chat.typing"}, "body": {"data": true}}})
    };
    let Answer::Published {
        matched, durable, ..
    } = ask(&ann, typing("user:bob")).await.unwrap()
    else {
        panic!("not published");
    };
    assert_eq!((matched, durable), (1, false));
    let typed = next_message(&mut to_bob).await;
    let frame: Value = serde_json::from_slice(&typed.to_json()).unwrap();
    assert_eq!(
        (&frame["transient"], &frame["stream"]),
        (&json!(true), &json!("mailbox"))
    );
    assert_eq!(frame["message"]["header"]["from"]["id"], "ann");
    let Answer::Published { matched, .. } = ask(&ann, typing("user:carol")).await.unwrap() else {
        panic!("not published");
    };
    assert_eq!(matched, 1, "whether she is there is not told");
    enter(&ann, &mut to_ann, "dev").await;
    ask(&ann, typing("room:dev")).await.unwrap();
    assert!(is_quiet(&mut to_ann).await, "not back to who is typing");
    assert_eq!(
        ask(&ann, typing("shop")).await.unwrap_err().code,
        "transient"
    );
    assert!(live.fixture.stored().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_be_in_a_room_any_more_is_put_out() {
    let live = live();
    let (ann, mut to_ann) = guest(&live, "ann").await;
    let (bob, mut to_bob) = guest(&live, "bob").await;
    enter(&ann, &mut to_ann, "dev").await;
    enter(&bob, &mut to_bob, "dev").await;
    let (before, mut next) = (live.fixture.snapshot.clone(), live.fixture.snapshot.clone());
    let topic = before.rooms["dev"].topic;
    set_room(&mut next, "dev", json!({"members": ["ann"]}), topic);
    live.fixture.gateway.sessions.rooms_changed(&before, &next);
    let out = news(&mut to_bob).await;
    assert_eq!(
        (&out["kind"], &out["data"]["reason"]),
        (&json!("unsubscribed"), &json!("not_allowed"))
    );
    assert_eq!(news(&mut to_ann).await["kind"], "room.joined");
    assert_eq!(news(&mut to_ann).await["kind"], "room.left");
}

#[tokio::test(start_paused = true)]
async fn operators_see_sessions_and_end_them() {
    let live = live();
    let gateway = &live.fixture.gateway;
    let (ann, mut to_ann) = guest(&live, "ann").await;
    enter(&ann, &mut to_ann, "dev").await;
    live.say("user:ann", "waits").await;
    let query = SessionQuery {
        user: Some("ann".to_owned()),
        ..SessionQuery::default()
    };
    let page = gateway.list_sessions(anyone(), &query).unwrap();
    assert_eq!(page.items[0].subscriptions, ["room:dev"]);
    let id = UserId::parse("user", "ann").unwrap();
    let view = gateway.show_user(anyone(), &id).unwrap();
    assert_eq!((view.sessions, view.waiting), (1, 1));
    assert_eq!(
        gateway
            .end_sessions_of(anyone(), &id, Some("enough"))
            .unwrap(),
        1
    );
    let gone = gateway.end_session(anyone(), ann.id(), None).unwrap_err();
    assert_eq!(gone.code, "session_not_found");
}
