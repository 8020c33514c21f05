//! Live sessions of the SDK.

use std::collections::BTreeSet;
use std::time::Duration;

use anser_client::live::Outcome;
use anser_client::{Credential, Error, Event, Live, Offset, Outgoing, PresenceUpdate, Show};
use anser_core::live::CloseReason;
use anser_core::name::UserId;
use futures_util::FutureExt as _;
use serde_json::json;

use super::{KEY, World, soon, source};

/// The number that a message holds.
async fn next_number(live: &mut Live) -> (u64, bool) {
    let message = soon("a message", live.next_message())
        .await
        .unwrap()
        .unwrap();
    let number = message.data().unwrap();
    message.ack();
    (number, message.duplicate.is_some())
}

/// Everything that a session is told until it has been told a message of this number.
async fn numbers_until(live: &mut Live, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        numbers.push(next_number(live).await.0);
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_kills_lose_nothing_double_nothing_and_confirm_everything_once() {
    const MESSAGES: u64 = 400;
    let mut world = World::start().await;
    let mut ann = world.user("ann").resource("phone").connect().await.unwrap();
    let mut bob = world.user("bob").connect().await.unwrap();
    let writer = bob.handle().clone();
    let (written, mut watch) = tokio::sync::watch::channel(0_u64);
    let publishing = async move {
        let mut ids = BTreeSet::new();
        for number in 1..=MESSAGES {
            let message = Outgoing::data(&number).unwrap().to("user:ann");
            let confirm = writer.publish(message).await.unwrap();
            assert!(confirm.durable);
            assert!(ids.insert(confirm.id), "{number} was confirmed as another");
            written.send_replace(number);
        }
    };
    let killing = async move {
        for kill in 1..=3 {
            watch
                .wait_for(|number| *number >= kill * 100)
                .await
                .unwrap();
            world = world.kill_and_restart().await;
        }
        world
    };
    let reading = numbers_until(&mut ann, MESSAGES);
    let all = async { tokio::join!(publishing, killing, reading) };
    let all = Box::pin(all);
    let ((), world, numbers) = soon("400 messages over three kills", all).await;
    assert_eq!(numbers, (1..=MESSAGES).collect::<Vec<_>>());
    // Who writes is the same session to others all the while.
    let mut resources = Vec::new();
    while let Some(Some(event)) = bob.next().now_or_never() {
        if let Event::Connected(welcome) = event.unwrap() {
            resources.push(welcome["resource"].clone());
        }
    }
    assert!(resources.len() >= 4, "{resources:?}");
    resources.dedup();
    assert_eq!(resources.len(), 1, "{resources:?}");
    // Another run of the program is given nothing of it: all of it was acknowledged before the session was closed.
    ann.close().await;
    bob.close().await;
    let mut again = world.user("ann").resource("phone").connect().await.unwrap();
    let last = Outgoing::data(&0).unwrap().to("user:ann");
    again.handle().publish(last).await.unwrap();
    assert_eq!(next_number(&mut again).await, (0, false));
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_acknowledged_comes_to_the_next_run_and_a_topic_goes_on_from_an_offset() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "orders"})).await;
    let key = world.client(Credential::key(KEY));
    let first = key.clone().topic("orders", None).connect().await;
    let mut first = first.unwrap();
    for number in 1..=5 {
        let message = Outgoing::data(&number).unwrap().topic("orders");
        first.handle().publish(message).await.unwrap();
    }
    let mut reached = None;
    for number in 1..=3 {
        let message = soon("a message", first.next_message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(message.data::<u64>().unwrap(), number);
        message.ack();
        reached = message.offset;
    }
    first.close().await;
    let mut second = key
        .clone()
        .topic("orders", reached)
        .connect()
        .await
        .unwrap();
    assert_eq!(numbers_until(&mut second, 5).await, [4, 5]);
    second.close().await;
    let mut whole = key.topic("orders", Some(Offset::START)).connect().await;
    let whole = whole.as_mut().unwrap();
    assert_eq!(numbers_until(whole, 5).await, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_so_at_once() {
    let world = World::start().await;
    let forged =
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhcHAiLCJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.AAAA";
    let refused = soon(
        "a refusal",
        world.client(Credential::token(forged)).connect(),
    )
    .await;
    let Err(Error::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.status, 401, "{refusal}");
    // A room that may not be joined, and an address where nothing listens.
    let rooms = world.user("ann").room("secret", None).connect();
    let refused = soon("a refusal", rooms).await.unwrap_err();
    assert!(
        refused.refusal().is_some() && !refused.may_pass(),
        "{refused}"
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let nobody = anser_client::LiveBuilder::new(nowhere).connect_within(Duration::from_secs(1));
    let unreachable = soon("no session", nobody.connect()).await.unwrap_err();
    assert!(
        matches!(unreachable, Error::Unreachable { .. }),
        "{unreachable}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_session_of_the_same_resource_ends_the_first_for_good() {
    let world = World::start().await;
    let mut first = world.user("ann").resource("tab").connect().await.unwrap();
    let second = world.user("ann").resource("tab").connect().await.unwrap();
    let ended = loop {
        match soon("the end", first.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("it ended without a word"),
        }
    };
    assert!(
        matches!(
            ended,
            Error::Ended {
                reason: CloseReason::Replaced,
                ..
            }
        ),
        "{ended}"
    );
    assert!(soon("nothing more", first.next()).await.is_none());
    let closed = first.handle().ping().await;
    assert!(matches!(closed, Err(Error::Closed)), "{closed:?}");
    assert!(second.handle().ping().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_its_tokens() {
    let world = World::start().await;
    let credential = source(&world.base, "ann", 2);
    let mut live = world.client(credential).connect().await.unwrap();
    // Three lives of a token: each is replaced on the same connection before it ends.
    let lived = async {
        let mut looks = tokio::time::interval(Duration::from_millis(500));
        for _ in 0..12 {
            looks.tick().await;
            live.handle().ping().await.unwrap();
        }
    };
    soon("six seconds", lived).await;
    let hello = Outgoing::data(&1).unwrap().to("user:ann");
    live.handle().publish(hello).await.unwrap();
    loop {
        match soon("a message", live.next()).await.unwrap().unwrap() {
            Event::Message(_) => break,
            Event::Disconnected(cause) => panic!("it was cut: {cause}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_has_one_outcome_answered_refused_or_lost_with_the_server() {
    const WITHIN: Duration = Duration::from_secs(40);
    let world = World::start().await;
    let ann = world.user("ann").connect().await.unwrap();
    let mut bob = world.user("bob").resource("desk").connect().await.unwrap();
    // Who is asked lets the asker know that somebody is there.
    let user = |id: &str| UserId::parse("user", id).unwrap();
    ann.handle().ask_presence(user("bob")).await.unwrap();
    bob.handle().approve_presence(user("ann")).await.unwrap();
    let asking = ann.handle().clone();
    let ask = |what: u64| {
        let asking = asking.clone();
        async move {
            asking
                .ask(Some("user:bob/desk"), &json!({"n": what}), WITHIN)
                .await
        }
    };
    let answering = async {
        loop {
            if let Event::Question(question) = bob.next().await.unwrap().unwrap() {
                return question;
            }
        }
    };
    let (outcome, ()) = soon("an answer", async {
        tokio::join!(ask(1), async {
            answering.await.answer(&json!({"n": 2})).await.unwrap();
        })
    })
    .await;
    let Ok(Outcome::Answered { from, payload }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (from.as_str(), payload.unwrap().get()),
        ("user:bob/desk", r#"{"n":2}"#)
    );
    // One that is under way when the server is killed ends with an error after the reconnect.
    let killed = async {
        let question = loop {
            if let Event::Question(question) = bob.next().await.unwrap().unwrap() {
                break question;
            }
        };
        let world = world.kill_and_restart().await;
        (question, world)
    };
    let both = async { tokio::join!(ask(3), killed) };
    let (outcome, (question, _world)) = soon("an outcome", both).await;
    assert!(
        matches!(&outcome, Ok(Outcome::Failed { code, .. }) if code == "service-unavailable"),
        "{outcome:?}"
    );
    // The answer to it is nobody's any more.
    assert!(soon("a reply", question.answer(&4)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_is_seen_by_those_allowed_and_survives_a_restart() {
    let world = World::start().await;
    let user = |id: &str| UserId::parse("user", id).unwrap();
    let ann = world.user("ann").connect().await.unwrap();
    let bob = world.user("bob").connect().await.unwrap();
    ann.handle().ask_presence(user("bob")).await.unwrap();
    bob.handle().approve_presence(user("ann")).await.unwrap();
    let away = PresenceUpdate {
        show: Show::Away,
        status: Some("lunch".to_owned()),
        priority: 3,
    };
    bob.handle().set_presence(away).await.unwrap();
    let seen = ann.handle().probe(user("bob")).await.unwrap();
    assert_eq!(
        (seen.presence.show, seen.presence.priority),
        (Show::Away, 3)
    );
    let world = world.kill_and_restart().await;
    // What bob said of himself is said again by his next session, without his doing.
    let back = crate::harness::eventually("bob is away again", || async {
        let seen = ann.handle().probe(user("bob")).await.unwrap();
        (seen.presence.show == Show::Away).then_some(seen)
    });
    assert_eq!(back.await.presence.status.as_deref(), Some("lunch"));
    assert_eq!(ann.handle().roster().await.unwrap().len(), 1);
    drop(world);
}
