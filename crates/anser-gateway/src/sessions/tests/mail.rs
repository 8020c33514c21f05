//! The mailbox: what is addressed to a user comes once, in order, and waits as long as nobody takes it.

use anser_core::delivery::DeliveryState;
use anser_core::live::{CloseReason, Event, Stream};
use serde_json::json;

use super::*;
use crate::mailbox::MAILBOX_MESSAGES_MAX;

async fn states(live: &Live) -> Vec<DeliveryState> {
    let mut states = Vec::new();
    for message in live.fixture.stored().await {
        let rows = live.fixture.deliveries(&message).await;
        states.extend(rows.iter().map(|row| row.state));
    }
    states
}

#[tokio::test(start_paused = true)]
async fn mail_waits_for_its_user_and_comes_in_order() {
    let mut live = Live::new();
    for text in ["one", "two", "three"] {
        live.say("user:bob", text).await;
    }
    live.say("user:alice", "not for bob").await;
    let (session, mut events) = live.open("bob", "phone", None).await;
    let first = next_message(&mut events).await;
    assert_eq!(
        (text(&first).as_str(), &first.stream),
        ("one", &Stream::Mailbox)
    );
    assert_eq!(next_text(&mut events).await, "two");
    let third = next_message(&mut events).await;
    live.say("user:bob", "four").await;
    assert_eq!(
        next_text(&mut events).await,
        "four",
        "straight from its commit"
    );
    ask(&session, json!({"op": "ack", "up_to": third.offset}))
        .await
        .unwrap();
    live.keep().await;
    use DeliveryState::{Delivered, Pending};
    assert_eq!(
        states(&live).await,
        [Delivered, Delivered, Delivered, Pending, Pending]
    );
    drop(events);
    let (_, mut events) = live.open("bob", "phone", None).await;
    let again = next_message(&mut events).await;
    assert_eq!(text(&again), "four");
    assert!(
        again.possible_duplicate.is_some(),
        "the session that had it ended without a word"
    );
    assert!(is_quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn every_session_gets_it_and_one_acknowledgement_is_enough() {
    let mut live = Live::new();
    let (phone, mut on_phone) = live.open("bob", "phone", None).await;
    let (_tablet, mut on_tablet) = live.open("bob", "tablet", None).await;
    let published = live.say("user:bob", "both").await;
    live.say("user:bob/tablet", "one").await;
    assert_eq!(next_text(&mut on_phone).await, "both");
    assert_eq!(next_text(&mut on_tablet).await, "both");
    assert_eq!(next_text(&mut on_tablet).await, "one");
    ask(&phone, json!({"op": "ack", "id": published.id}))
        .await
        .unwrap();
    live.keep().await;
    drop(on_tablet);
    let (_, mut on_tablet) = live.open("bob", "tablet", None).await;
    let again = next_message(&mut on_tablet).await;
    assert_eq!(text(&again), "one");
    assert!(
        again.possible_duplicate.is_some(),
        "the session that had it ended without a word"
    );
    assert!(is_quiet(&mut on_phone).await, "it is for the tablet alone");
}

#[tokio::test(start_paused = true)]
async fn the_offset_given_at_the_connect_acknowledges() {
    let mut live = Live::new();
    for text in ["one", "two"] {
        live.say("user:bob", text).await;
    }
    let (_, mut events) = live.open("bob", "phone", None).await;
    let first = next_message(&mut events).await;
    drop(events);
    let (_, mut events) = live.open("bob", "phone", first.offset).await;
    assert_eq!(next_text(&mut events).await, "two");
    assert!(is_quiet(&mut events).await);
    live.keep().await;
    assert_eq!(
        states(&live).await,
        [DeliveryState::Delivered, DeliveryState::Pending]
    );
}

#[tokio::test(start_paused = true)]
async fn scheduled_mail_comes_when_it_is_due_and_expired_mail_does_not() {
    let mut live = Live::new();
    let at = |seconds| crate::fixture::START.plus(Duration::from_secs(seconds));
    for (text, header) in [
        ("later", json!({"to": ["user:bob"], "not_before": at(60)})),
        ("short", json!({"to": ["user:bob"], "expires_at": at(30)})),
        ("now", json!({"to": ["user:bob"]})),
    ] {
        live.send(json!({"header": header, "body": {"data": text}}))
            .await
            .unwrap();
    }
    live.fixture.clock.advance(Duration::from_secs(31));
    let (session, mut events) = live.open("bob", "phone", None).await;
    let now = next_message(&mut events).await;
    assert_eq!(text(&now), "now");
    assert!(is_quiet(&mut events).await);
    live.fixture.clock.advance(Duration::from_secs(30));
    live.keep().await;
    let later = next_message(&mut events).await;
    assert_eq!(text(&later), "later");
    assert!(
        later.offset > now.offset,
        "it is behind what was given before it"
    );
    ask(&session, json!({"op": "ack", "up_to": later.offset}))
        .await
        .unwrap();
    live.keep().await;
    use DeliveryState::{Delivered, Expired};
    assert_eq!(states(&live).await, [Delivered, Expired, Delivered]);
}

#[tokio::test(start_paused = true)]
async fn mail_that_nobody_comes_for_ends_as_expired() {
    let live = Live::new();
    let at = crate::fixture::START.plus(Duration::from_secs(60));
    let header = json!({"to": ["user:bob"], "expires_at": at});
    live.send(json!({"header": header, "body": {"data": 1}}))
        .await
        .unwrap();
    live.say("user:bob", "stays").await;
    live.fixture.clock.advance(Duration::from_secs(7200));
    live.fixture.gateway.sweep_mail().await;
    use DeliveryState::{Expired, Pending};
    assert_eq!(states(&live).await, [Expired, Pending]);
    live.fixture.clock.advance(crate::mailbox::MAIL_AGE_MAX);
    live.fixture.gateway.sweep_mail().await;
    assert_eq!(
        states(&live).await,
        [Expired, Expired],
        "nothing waits for ever"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_and_others_do_not_notice() {
    let live = Live::new();
    for _ in 0..MAILBOX_MESSAGES_MAX / 1_000 {
        let items: Vec<Value> = (0..1_000).map(|_| message("user:bob", "x")).collect();
        let items = crate::fixture::read(&items);
        let options = PublishOptions::default();
        let published = live
            .fixture
            .gateway
            .publish_direct(anyone(), items, options);
        assert!(published.await.unwrap().iter().all(Result::is_ok));
    }
    let refused = live
        .send(message("user:bob", "one too many"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "mailbox_full");
    live.say("user:alice", "fine").await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_and_a_stop_end_sessions_with_a_reason() {
    let live = Live::new();
    let gateway = &live.fixture.gateway;
    let (phone, mut on_phone) = live.open("bob", "phone", None).await;
    let (_tablet, mut on_tablet) = live.open("bob", "tablet", None).await;
    assert_eq!(gateway.sessions(Some("bob")).len(), 2);
    assert!(gateway.kick_session(phone.id(), Some("enough".to_owned())));
    let Event::Closed(closed) = next(&mut on_phone).await else {
        panic!("the last event says why");
    };
    assert_eq!(
        (closed.reason, closed.detail.as_deref()),
        (CloseReason::Kicked, Some("enough"))
    );
    assert!(on_phone.next().await.is_none());
    let refused = ask(&phone, json!({"op": "ping"})).await.unwrap_err();
    assert_eq!(refused.code, "session_closed");
    gateway.sessions.close();
    let Event::Closed(closed) = next(&mut on_tablet).await else {
        panic!("the last event says why");
    };
    assert_eq!(closed.reason, CloseReason::ServerStopping);
    let again = live.open_as(user("eve", Rights::none()), "x", None).await;
    assert_eq!(again.err().map(|problem| problem.code), Some("stopping"));
}

#[tokio::test(start_paused = true)]
async fn what_was_given_and_not_acknowledged_is_marked_however_its_session_ended() {
    let mut live = Live::new();
    let (session, mut events) = live.open("alice", "phone", None).await;
    live.say("user:alice", "one").await;
    assert_eq!(next_text(&mut events).await, "one");
    // Nobody is there for a moment while one session takes the place of the other.
    let (again, mut events) = live.open("alice", "phone", None).await;
    let one = next_message(&mut events).await;
    assert!(text(&one) == "one" && one.possible_duplicate.is_some());
    drop(session);
    again.close(CloseReason::Goodbye);
    drop((again, events));
    live.keep().await;
    live.say("user:alice", "two").await;
    let (session, mut events) = live.open("alice", "phone", None).await;
    let (one, two) = (
        next_message(&mut events).await,
        next_message(&mut events).await,
    );
    assert!(text(&one) == "one" && one.possible_duplicate.is_some());
    assert!(text(&two) == "two" && two.possible_duplicate.is_none());
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn mail_that_is_stamped_later_than_the_clock_says_waits_for_nobody() {
    let live = Live::new();
    let clock = &live.fixture.clock;
    let now = live.fixture.gateway.now();
    // As a commit that is stamped while the mailbox is being read, or a clock that is set back.
    clock.set(now.plus(Duration::from_secs(5)));
    live.say("user:alice", "one").await;
    clock.set(now);
    live.say("user:alice", "two").await;
    let later = now.plus(Duration::from_secs(20)).to_string();
    let mut scheduled = message("user:alice", "three");
    scheduled["header"]["not_before"] = json!(later);
    live.send(scheduled).await.unwrap();
    let (_session, mut events) = live.open("alice", "phone", None).await;
    assert_eq!(next_text(&mut events).await, "one");
    assert_eq!(next_text(&mut events).await, "two");
    assert!(is_quiet(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn scheduled_mail_comes_in_the_order_of_its_times_whatever_its_numbers() {
    let mut live = Live::new();
    let at = |seconds| crate::fixture::START.plus(Duration::from_secs(seconds));
    let (session, mut events) = live.open("bob", "phone", None).await;
    for (text, due) in [("second", 60), ("first", 30)] {
        let header = json!({"to": ["user:bob"], "not_before": at(due)});
        live.send(json!({"header": header, "body": {"data": text}}))
            .await
            .unwrap();
    }
    let mut last = None;
    for expected in ["first", "second"] {
        live.fixture.clock.advance(Duration::from_secs(30));
        live.keep().await;
        let event = next_message(&mut events).await;
        assert_eq!(text(&event), expected);
        assert!(event.offset > last);
        last = event.offset;
    }
    ask(&session, json!({"op": "ack", "up_to": last}))
        .await
        .unwrap();
    live.keep().await;
    assert_eq!(states(&live).await, [DeliveryState::Delivered; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_before_a_clean_stop_is_marked_in_the_next_run_and_nothing_else() {
    let mut live = Live::new();
    let (session, mut events) = live.open("alice", "phone", None).await;
    live.say("user:alice", "given").await;
    live.say("user:alice", "acknowledged").await;
    assert_eq!(next_text(&mut events).await, "given");
    let second = next_message(&mut events).await;
    ask(&session, json!({"op": "ack", "id": second.id}))
        .await
        .unwrap();
    let gateway = live.fixture.gateway.clone();
    gateway.sessions.close();
    live.keep().await;
    live.say("user:alice", "new").await;
    live.say("user:bob", "his").await;
    gateway.store_departed().await;
    let again = Live::of(live.fixture.restarted().await);
    for (user, expected) in [
        ("alice", &[("given", true), ("new", false)][..]),
        ("bob", &[("his", false)]),
    ] {
        let (_session, mut events) = again.open(user, "phone", None).await;
        for (said, marked) in expected {
            let event = next_message(&mut events).await;
            assert_eq!(
                (text(&event).as_str(), event.possible_duplicate.is_some()),
                (*said, *marked)
            );
        }
        assert!(is_quiet(&mut events).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_may_have_given_is_marked_also_after_a_clean_one() {
    let live = Live::new();
    live.say("user:alice", "old").await;
    let mut info = live.fixture.gateway.store.info();
    (info.clean, info.highest_num) = (false, live.fixture.stored().await[0].num);
    // The run after the kill, in which nobody connects, and which ends properly.
    live.fixture.gateway.sessions.load_departed(&[], &info);
    live.fixture.gateway.store_departed().await;
    live.say("user:alice", "new").await;
    let again = Live::of(live.fixture.restarted().await);
    let (_session, mut events) = again.open("alice", "phone", None).await;
    let (old, new) = (
        next_message(&mut events).await,
        next_message(&mut events).await,
    );
    assert!(text(&old) == "old" && old.possible_duplicate.is_some());
    assert!(text(&new) == "new" && new.possible_duplicate.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_welcome_counts_what_waits_and_not_what_is_acknowledged_with_it() {
    let live = Live::new();
    for to in ["user:bob", "user:bob", "user:bob/desk"] {
        live.say(to, "x").await;
    }
    let waiting = async |resource: &str, after: Option<Offset>| {
        let bob = UserId::parse("user", "bob").unwrap();
        let opening = Opening {
            identity: Identity::of_key(anyone().clone(), Some(bob)).unwrap(),
            transport: "test",
            peer: None,
            resource: Some(resource.to_owned()),
            after,
            presence: PresenceUpdate::default(),
            acks: Acknowledgements::Explicit,
            questions: Vec::new(),
        };
        let gateway = &live.fixture.gateway;
        let (session, mut events) = gateway.open_session(opening).await.unwrap();
        let Event::Ib(welcome) = next(&mut events).await else {
            panic!("no welcome");
        };
        let first = next_message(&mut events).await.offset;
        session.close(CloseReason::Goodbye);
        (welcome.data["waiting"].as_u64().unwrap(), first)
    };
    let (count, first) = waiting("phone", None).await;
    assert_eq!(count, 2, "one is for the desk alone");
    assert_eq!(waiting("desk", first).await.0, 2);
}
