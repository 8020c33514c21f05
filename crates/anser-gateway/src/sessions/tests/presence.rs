//! Presence is the best of a user's sessions, shown to those who were approved, and silent over a short cut.

use anser_core::live::{CloseReason, PresenceEvent, PresenceType, Show, Subscription};
use serde_json::json;

use super::*;
use crate::sessions::GRACE;

/// A user who may talk to everybody, and sees nobody without being approved.
async fn open(live: &Live, id: &str, resource: &str) -> (Session, Events) {
    let rights = Rights {
        send: only(&["user:*"]),
        ..Rights::none()
    };
    live.open_as(user(id, rights), resource, None)
        .await
        .unwrap()
}

async fn next_presence(events: &mut Events) -> Arc<PresenceEvent> {
    match next(events).await {
        Event::Presence(presence) => presence,
        other => panic!("no presence: {}", String::from_utf8_lossy(&other.to_json())),
    }
}

async fn next_show(events: &mut Events) -> Show {
    let event = next_presence(events).await;
    assert_eq!(
        (event.user.as_str(), event.r#type),
        ("alice", PresenceType::Presence)
    );
    event.presence.as_ref().unwrap().show
}

async fn befriend(bob: &Session, to_alice: &mut Events, alice: &Session, to_bob: &mut Events) {
    ask(
        bob,
        json!({"op": "presence.subscribe", "principal": "alice"}),
    )
    .await
    .unwrap();
    let asked = next_presence(to_alice).await;
    assert_eq!(
        (asked.user.as_str(), asked.r#type),
        ("bob", PresenceType::Subscribe)
    );
    ask(
        alice,
        json!({"op": "presence.approve", "principal": "user:bob"}),
    )
    .await
    .unwrap();
    let approved = next_presence(to_bob).await;
    assert_eq!(approved.r#type, PresenceType::Subscribed);
    assert_eq!(approved.subscription, Some(Subscription::To));
    assert_eq!(next_show(to_bob).await, Show::Online);
}

#[tokio::test(start_paused = true)]
async fn presence_is_shown_to_those_who_were_approved_and_to_nobody_else() {
    let live = Live::new();
    let (alice, mut to_alice) = open(&live, "alice", "phone").await;
    let (bob, mut to_bob) = open(&live, "bob", "phone").await;
    let (eve, mut to_eve) = open(&live, "eve", "phone").await;
    let probe = json!({"op": "presence.probe", "principal": "alice"});
    assert_eq!(
        ask(&bob, probe.clone()).await.unwrap_err().code,
        "presence_not_allowed"
    );
    befriend(&bob, &mut to_alice, &alice, &mut to_bob).await;
    ask(
        &alice,
        json!({"op": "presence", "show": "away", "status": "lunch"}),
    )
    .await
    .unwrap();
    let away = next_presence(&mut to_bob).await;
    assert_eq!(
        away.presence.as_ref().unwrap().status.as_deref(),
        Some("lunch")
    );
    let Answer::Presence {
        presence,
        subscription,
        ..
    } = ask(&bob, probe.clone()).await.unwrap()
    else {
        panic!("no presence");
    };
    assert_eq!(
        (presence.show, subscription),
        (Show::Away, Subscription::To)
    );
    assert_eq!(
        ask(&eve, probe.clone()).await.unwrap_err().code,
        "presence_not_allowed"
    );
    ask(&alice, json!({"op": "presence.refuse", "principal": "bob"}))
        .await
        .unwrap();
    assert_eq!(
        next_presence(&mut to_bob).await.r#type,
        PresenceType::Unsubscribed
    );
    ask(&alice, json!({"op": "presence", "show": "chat"}))
        .await
        .unwrap();
    assert!(is_quiet(&mut to_bob).await && is_quiet(&mut to_eve).await);
    assert_eq!(
        ask(&bob, probe).await.unwrap_err().code,
        "presence_not_allowed"
    );
}

#[tokio::test(start_paused = true)]
async fn the_best_session_counts_and_a_short_cut_is_silent() {
    let live = Live::new();
    let (alice, mut to_alice) = open(&live, "alice", "phone").await;
    let (bob, mut to_bob) = open(&live, "bob", "phone").await;
    befriend(&bob, &mut to_alice, &alice, &mut to_bob).await;
    let (desk, to_desk) = open(&live, "alice", "desk").await;
    assert!(is_quiet(&mut to_bob).await, "online as before");
    ask(&desk, json!({"op": "presence", "show": "dnd"}))
        .await
        .unwrap();
    assert!(is_quiet(&mut to_bob).await, "the phone is more available");
    ask(&desk, json!({"op": "presence", "show": "chat"}))
        .await
        .unwrap();
    assert_eq!(next_show(&mut to_bob).await, Show::Chat);
    // Cut, and back in time.
    drop(to_desk);
    assert!(is_quiet(&mut to_bob).await);
    let (desk, to_desk) = open(&live, "alice", "desk").await;
    assert_eq!(
        next_show(&mut to_bob).await,
        Show::Online,
        "it is back, and says less"
    );
    desk.close(CloseReason::Goodbye);
    drop(to_desk);
    drop(to_alice);
    assert!(is_quiet(&mut to_bob).await);
    live.fixture.clock.advance(GRACE);
    live.fixture.gateway.tick_sessions();
    assert_eq!(next_show(&mut to_bob).await, Show::Offline);
    let (alice, _to_alice) = open(&live, "alice", "phone").await;
    assert_eq!(next_show(&mut to_bob).await, Show::Online);
    alice.close(CloseReason::Goodbye);
    assert_eq!(
        next_show(&mut to_bob).await,
        Show::Offline,
        "who says goodbye is gone at once"
    );
}

#[tokio::test(start_paused = true)]
async fn the_roster_survives_a_restart_and_requests_wait_for_their_user() {
    let live = Live::new();
    let (bob, mut to_bob) = open(&live, "bob", "phone").await;
    for who in ["alice", "carol"] {
        ask(&bob, json!({"op": "presence.subscribe", "principal": who}))
            .await
            .unwrap();
    }
    let (alice, mut to_alice) = open(&live, "alice", "phone").await;
    let asked = next_presence(&mut to_alice).await;
    assert_eq!(
        (asked.user.as_str(), asked.r#type),
        ("bob", PresenceType::Subscribe)
    );
    ask(
        &alice,
        json!({"op": "presence.approve", "principal": "bob"}),
    )
    .await
    .unwrap();
    assert_eq!(
        next_presence(&mut to_bob).await.r#type,
        PresenceType::Subscribed
    );
    let stranger = json!({"op": "presence.approve", "principal": "eve"});
    assert_eq!(ask(&alice, stranger).await.unwrap_err().code, "not_asked");

    let rows = live.fixture.gateway.store.config_list().await.unwrap();
    let again = Live::new();
    again.fixture.gateway.sessions.load_roster(&rows);
    let (_alice, _to_alice) = open(&again, "alice", "phone").await;
    let (bob, mut to_bob) = open(&again, "bob", "phone").await;
    assert_eq!(next_show(&mut to_bob).await, Show::Online);
    let Answer::Roster { roster } = ask(&bob, json!({"op": "presence.probe"})).await.unwrap()
    else {
        panic!("no roster");
    };
    let roster: Vec<_> = roster
        .iter()
        .map(|contact| (contact.user.as_str(), contact.subscription, contact.asked))
        .collect();
    assert_eq!(
        roster,
        [
            ("alice", Subscription::To, false),
            ("carol", Subscription::None, true)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_may_let_a_session_see_users_without_asking() {
    let live = Live::new();
    let rights = Rights {
        see: only(&["al*"]),
        ..Rights::none()
    };
    let (boss, mut to_boss) = live.open_as(user("boss", rights), "x", None).await.unwrap();
    let watch = json!({"op": "presence.subscribe", "principal": "alice"});
    let Answer::Presence { presence, .. } = ask(&boss, watch).await.unwrap() else {
        panic!("no presence");
    };
    assert_eq!(presence.show, Show::Offline);
    let (_alice, _to_alice) = open(&live, "alice", "phone").await;
    assert_eq!(next_show(&mut to_boss).await, Show::Online);
    let stranger = json!({"op": "presence.subscribe", "principal": "bob"});
    assert_eq!(
        ask(&boss, stranger).await.unwrap_err().code,
        "address_not_allowed"
    );
    ask(
        &boss,
        json!({"op": "presence.unsubscribe", "principal": "alice"}),
    )
    .await
    .unwrap();
    assert!(is_quiet(&mut to_boss).await);
}

#[tokio::test(start_paused = true)]
async fn changes_are_messages_on_the_systems_topic_when_somebody_reads_it() {
    let mut fixture = Fixture::with_orders();
    fixture.topic("$presence", json!({}));
    let mut live = Live::of(fixture.put());
    let (_bob, to_bob) = open(&live, "bob", "phone").await;
    live.keep().await;
    assert!(live.fixture.stored().await.is_empty(), "nobody reads it");
    drop(to_bob);
    let (ops, mut to_ops) = live.open("ops", "desk", None).await;
    live.keep().await;
    ask(&ops, json!({"op": "subscribe", "topic": "$presence"}))
        .await
        .unwrap();
    let (_alice, _to_alice) = open(&live, "alice", "phone").await;
    live.keep().await;
    let event = next_message(&mut to_ops).await;
    let document: Value = serde_json::from_slice(&event.document).unwrap();
    let data = &document["body"]["data"];
    assert_eq!(
        (data["user"].as_str(), data["show"].as_str()),
        (Some("alice"), Some("online"))
    );
}
