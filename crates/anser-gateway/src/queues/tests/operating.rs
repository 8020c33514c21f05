//! Rewind, purge, redrive, and the operator's hand on single messages.

use super::*;
use crate::fixture::key as principal;
use anser_core::resource::Scope;

#[tokio::test(start_paused = true)]
async fn acknowledged_messages_come_again_in_the_order_of_acceptance() {
    let setup = Setup::new(&[("jobs", json!({"rewind": 100, "retention": 100}))]);
    let mut sent = Vec::new();
    for n in 0..4 {
        sent.push(setup.send("jobs", json!(n)).await);
        setup.pass(seconds(1)).await;
    }
    let mut received = setup.receive("jobs", 10).await;
    received.reverse();
    for received in received {
        assert!(setup.ack("jobs", received.receipt).await);
    }
    let state = setup.state("jobs").await;
    assert_eq!((state.active, state.rewindable, state.oldest), (0, 4, None));
    let waiting = setup.waiting("jobs", 20);
    setup.rest().await;
    let rewound = setup
        .gateway()
        .rewind(anyone(), "jobs", START.plus(seconds(1)));
    assert_eq!(rewound.await.unwrap(), 3);
    let first = waiting.await.unwrap();
    assert_eq!(data(&first), ["1"]);
    let row = &first[0].row;
    assert_eq!(row.attempts - row.attempts_before, 1, "counted anew");
    assert_eq!(data(&setup.receive("jobs", 10).await), ["2", "3"]);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rewind_goes_as_far_as_the_queue_keeps_and_no_further_than_what_is_left() {
    let setup = Setup::new(&[
        ("off", json!({})),
        ("jobs", json!({"rewind": 10, "retention": 1_000})),
    ]);
    let rewind = async |queue: &str, at: u64| {
        let at = START.plus(seconds(at));
        setup.gateway().rewind(anyone(), queue, at).await
    };
    let off = rewind("off", 0).await.unwrap_err();
    assert_eq!((off.kind.status(), off.code), (409, "rewind_off"));
    setup.pass(Duration::from_millis(20_500)).await;
    let early = rewind("jobs", 9).await.unwrap_err();
    assert_eq!(
        (early.kind.status(), early.code),
        (422, "invalid_rewind_time")
    );
    assert_eq!(early.field.as_deref(), Some("from"));
    for at in [10, 20] {
        assert_eq!(rewind("jobs", at).await.unwrap(), 0);
    }
    assert_eq!(
        rewind("jobs", 21).await.unwrap_err().code,
        "invalid_rewind_time"
    );
    // With a message left, its acceptance is the latest.
    setup.send("jobs", json!(1)).await;
    setup.pass(seconds(5)).await;
    assert_eq!(rewind("jobs", 20).await.unwrap(), 0);
    assert_eq!(
        rewind("jobs", 21).await.unwrap_err().code,
        "invalid_rewind_time"
    );
    // What was acknowledged too long ago is gone.
    let receipt = setup.receive("jobs", 1).await[0].receipt;
    assert!(setup.ack("jobs", receipt).await);
    assert_eq!(setup.state("jobs").await.rewindable, 1);
    setup.pass(seconds(11)).await;
    assert_eq!(setup.state("jobs").await.rewindable, 0);
    assert_eq!(rewind("jobs", 30).await.unwrap(), 0);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_purge_ends_what_is_there() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let sent = setup.send("jobs", json!(1)).await;
    setup.send("jobs", json!(2)).await;
    let held = setup.receive("jobs", 1).await[0].receipt;
    assert_eq!(setup.gateway().purge(anyone(), "jobs").await.unwrap(), 2);
    assert_eq!(setup.history(&sent).await, ["jobs cancelled"]);
    assert!(!setup.ack("jobs", held).await);
    assert!(setup.receive("jobs", 5).await.is_empty());
    assert_eq!(setup.gateway().purge(anyone(), "jobs").await.unwrap(), 0);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_go_back_to_where_they_came_from() {
    let rule =
        |queue: &str| json!({"dead_letter": {"queue": queue, "max_receives": 1}, "lease": 5});
    let mut fixture = Fixture::new();
    fixture.queue("dead", json!({}));
    for name in ["jobs", "bills", "gone"] {
        fixture.queue(name, rule("dead"));
    }
    let mut setup = Setup::of(fixture.put());
    let mut sent = Vec::new();
    for name in ["jobs", "bills", "gone"] {
        sent.push(setup.send(name, json!(name)).await);
        setup.receive(name, 1).await;
    }
    setup.pass(seconds(5)).await;
    assert_eq!(setup.state("dead").await.active, 3);
    let queue = setup.fixture.snapshot.queues.remove("gone").unwrap();
    setup.fixture.snapshot.queues_by_id.remove(&queue.meta.id);
    setup.fixture.reload();

    let waiting = setup.waiting("bills", 10);
    setup.rest().await;
    let gateway = setup.gateway();
    assert_eq!(gateway.redrive(anyone(), "dead", 1).await.unwrap(), 1);
    assert_eq!(gateway.redrive(anyone(), "dead", 10).await.unwrap(), 1);
    assert_eq!(gateway.redrive(anyone(), "dead", 10).await.unwrap(), 0);
    let bills = waiting.await.unwrap();
    assert_eq!(data(&bills), ["\"bills\""]);
    assert_eq!(
        (bills[0].row.attempts, bills[0].dead_letter.is_none()),
        (1, true)
    );
    assert_eq!(
        setup.history(&sent[0]).await,
        ["jobs dead", "dead dead", "jobs pending"]
    );
    assert_eq!(setup.state("dead").await.active, 1, "its queue is gone");
    // And it may die again.
    assert_eq!(setup.receive("jobs", 1).await.len(), 1);
    setup.pass(seconds(5)).await;
    let dead = setup.receive("dead", 5).await;
    let origins: Vec<_> = dead.iter().map(|dead| dead.dead_letter.is_some()).collect();
    assert_eq!(dead.len(), 3);
    assert_eq!(origins.iter().filter(|known| **known).count(), 2);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_by_hand_wakes_who_waits() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let header = json!({"not_before": START.plus(seconds(500)).to_string()});
    let sent = setup.send_with("jobs", json!(1), header).await;
    let waiting = setup.waiting("jobs", 20);
    setup.rest().await;
    let row = setup
        .fixture
        .faults
        .message(sent.id)
        .await
        .unwrap()
        .unwrap();
    let delivery = setup.fixture.deliveries(&row).await[0].id;
    let admin = principal(&[Scope::Admin], None, None);
    setup
        .gateway()
        .retry_delivery(&admin, delivery)
        .await
        .unwrap();
    assert_eq!(data(&waiting.await.unwrap()), ["1"]);
    assert_eq!(setup.elapsed(), Duration::ZERO);
    setup.stop().await;
}
