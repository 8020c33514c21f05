//! The plan against a store that is a list, under random interleavings of commits, connects, cuts, acknowledgements and
//! restarts; and what single rules promise.

mod questions;
mod world;

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::live::{Acknowledgements, CloseReason, Event, Position, Stream};
use proptest::prelude::*;

use super::*;
use world::{START, World};

#[derive(Debug, Clone)]
enum Step {
    Begin(u8),
    Commit(u8),
    Tell(u8),
    Connect(u8),
    Take(u8, u8),
    Load(u8),
    Ack(u8),
    AckOne(u8),
    Cut(u8),
    Settle,
    Wait(u8),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u8>().prop_map(Step::Begin),
        6 => any::<u8>().prop_map(Step::Commit),
        6 => any::<u8>().prop_map(Step::Tell),
        4 => any::<u8>().prop_map(Step::Connect),
        8 => (any::<u8>(), 1..6u8).prop_map(|(who, often)| Step::Take(who, often)),
        4 => any::<u8>().prop_map(Step::Load),
        4 => any::<u8>().prop_map(Step::Ack),
        3 => any::<u8>().prop_map(Step::AckOne),
        3 => any::<u8>().prop_map(Step::Cut),
        4 => Just(Step::Settle),
        4 => (1..9u8).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each device gets each message once and in order, its own and nobody else's, whatever happens on the way; nothing
    /// that was accepted stays behind.
    #[test]
    fn every_message_arrives_once_and_in_order(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Begin(to) => world.begin(to),
                Step::Commit(which) => world.commit(which),
                Step::Tell(which) => world.tell(which),
                Step::Connect(who) => world.connect(who),
                Step::Take(who, often) => world.take(who, often),
                Step::Load(who) => world.load(who),
                Step::Ack(who) => world.ack(who),
                Step::AckOne(who) => world.ack_one(who),
                Step::Cut(who) => world.cut(who),
                Step::Settle => world.settle(),
                Step::Wait(seconds) => world.wait(seconds),
                Step::Restart => world.restart(),
            }
            world.check();
        }
        world.finish();
    }
}

#[test]
fn a_session_that_acknowledges_nothing_is_paused_and_goes_on_where_it_was() {
    let mut world = World::new();
    world.connect(0);
    for _ in 0..WINDOW_MESSAGES + 40 {
        world.publish(0);
    }
    world.take_all(0);
    assert_eq!(world.received(0), WINDOW_MESSAGES);
    world.connect(1);
    world.publish(1);
    world.take_all(1);
    assert_eq!(world.received(1), 1, "others are not held up");
    world.ack(0);
    world.take_all(0);
    assert_eq!(world.received(0), WINDOW_MESSAGES + 40);
    world.check();
}

#[test]
fn an_offset_of_other_data_keeps_nothing_from_the_client() {
    let mut world = World::new();
    world.publish(0);
    world.connect_after(0, Offset::at(Num(1_000_000)));
    world.publish(0);
    world.take_all(0);
    assert_eq!(
        world.received(0),
        1,
        "what comes is later than any offset of before"
    );
}

#[test]
fn what_cannot_wait_in_the_store_closes_a_session_that_does_not_take_it() {
    let mut plan = plan();
    let now = START;
    admit(&mut plan, 1, "phone", now);
    let news = |text: String| {
        let payload = serde_json::value::to_raw_value(&text).unwrap();
        Event::Iq(anser_core::live::IqEvent {
            id: "1".to_owned(),
            r#type: anser_core::live::IqType::Get,
            from: "user:bob/x".to_owned(),
            payload: Some(payload),
        })
    };
    for _ in 0..17 {
        plan.push(1, news("x".repeat(64 * 1024)), now);
    }
    assert!(!plan.is_open(1));
    let Taken::Event(Event::Closed(closed)) = plan.take(1, now) else {
        panic!("the last event is the end");
    };
    assert_eq!(closed.reason, CloseReason::Slow);
    assert!(matches!(plan.take(1, now), Taken::Over));
}

#[test]
fn who_takes_nothing_for_long_is_closed_and_who_has_nothing_to_take_is_not() {
    let mut plan = plan();
    admit(&mut plan, 1, "phone", START);
    admit(&mut plan, 2, "tablet", START);
    while !matches!(plan.take(2, START), Taken::Nothing) {}
    let mut now = START;
    while plan.is_open(1) {
        now = plan.next_alarm().expect("somebody looks after sessions");
        plan.tick(now);
    }
    assert!(
        now.since(START) >= STALL_MAX && now.since(START) < STALL_MAX + Duration::from_secs(30)
    );
    assert!(plan.is_open(2));
}

#[test]
fn a_resource_is_one_session_and_a_token_ends() {
    let mut plan = plan();
    admit(&mut plan, 1, "phone", START);
    let mut admission = admission(2, "phone");
    let ends = START.plus(Duration::from_secs(60));
    admission.expires_at = Some(ends);
    plan.admit(admission, START).unwrap();
    assert!(!plan.is_open(1) && plan.is_open(2));
    plan.tick(ends);
    assert!(!plan.is_open(2));
}

#[test]
fn sessions_are_bounded_in_all_and_for_a_user() {
    let mut plan = plan();
    for number in 1..=4 {
        let admitted = plan.admit(admission(number, &number.to_string()), START);
        assert_eq!(admitted.is_ok(), number <= 3, "{number}");
    }
    let mut other = admission(5, "x");
    other.user = None;
    assert!(plan.admit(other, START).is_ok());
    plan.close(1, CloseReason::Goodbye, None, START);
    assert!(plan.admit(admission(6, "6"), START).is_ok());
}

#[test]
fn what_is_read_before_it_is_told_of_comes_once_also_when_the_connection_is_cut() {
    let mut world = World::new();
    world.publish(world::TOPIC);
    world.connect(0);
    world.cut(0);
    world.begin(world::TOPIC);
    world.commit(0);
    world.connect(0);
    world.take_all(0);
    assert_eq!(world.received(0), 1, "from the store, and nobody was told");
    world.cut(0);
    world.connect(0);
    world.take_all(0);
    world.tell(0);
    world.take_all(0);
    assert_eq!(world.received(0), 1);
    world.check();
}

#[test]
fn a_topic_is_left_and_what_waits_of_it_is_not_sent() {
    let mut world = World::new();
    world.connect(0);
    world.publish(world::TOPIC);
    let stream = Stream::Topic("news".to_owned());
    let number = world.number(0);
    assert!(
        world
            .plan
            .stop_following(number, &Stream::Topic("NEWS".to_owned()), START)
    );
    assert!(!world.plan.stop_following(number, &stream, START));
    world.take_all(0);
    assert_eq!(world.received(0), 0);
    assert!(!world.plan.acknowledge(
        number,
        &Position::UpTo {
            stream,
            offset: Offset::at(Num(9))
        }
    ));
}

fn plan() -> Plan {
    let bounds = Bounds {
        sessions: 5,
        of_user: 3,
        subscriptions: 2,
    };
    Plan::new(bounds, Num(0))
}

fn admission(number: u64, resource: &str) -> Admission {
    Admission {
        number,
        user: Some(UserId::parse("user", "alice").unwrap()),
        resource: resource.to_owned(),
        acks: Acknowledgements::Explicit,
        expires_at: None,
        presence: PresenceUpdate::default(),
    }
}

fn admit(plan: &mut Plan, number: u64, resource: &str, now: Timestamp) {
    plan.admit(admission(number, resource), now).unwrap();
    let welcome = Event::Ib(std::sync::Arc::new(anser_core::live::IbEvent {
        kind: "welcome".to_owned(),
        data: serde_json::Value::Null,
    }));
    plan.begin(number, None, welcome, now);
}
