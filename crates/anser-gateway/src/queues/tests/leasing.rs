//! What a consumer holds, and for how long.

use super::*;
use anser_core::resource::Scope;

#[tokio::test(start_paused = true)]
async fn a_message_is_received_once_and_acknowledged_once() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let sent = setup.send("jobs", json!(1)).await;
    setup.send("jobs", json!(2)).await;
    let received = setup.receive("jobs", 10).await;
    assert_eq!(data(&received), ["1", "2"]);
    assert_eq!(received[0].message.header.id, sent.id);
    assert_eq!(Some(received[0].num.0), sent.seq);
    assert_eq!(received[0].row.due, START.plus(seconds(30)));
    assert_eq!(received[0].row.attempts, 1);
    assert!(setup.receive("JOBS", 10).await.is_empty());
    let state = setup.state("jobs").await;
    assert_eq!(
        (state.active, state.leased, state.oldest),
        (0, 2, Some(START))
    );

    let receipts = vec![
        received[0].receipt,
        received[1].receipt,
        received[0].receipt,
    ];
    let done = setup
        .gateway()
        .acknowledge(anyone(), "jobs", receipts)
        .await;
    assert_eq!(done.unwrap(), [true, true, false]);
    let state = setup.state("jobs").await;
    assert_eq!((state.leased, state.rewindable, state.bytes), (0, 0, 0));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_its_lease_a_message_is_received_again_under_another_receipt() {
    let setup = Setup::new(&[("jobs", json!({"lease": 5}))]);
    setup.send("jobs", json!(1)).await;
    let first = setup.receive("jobs", 1).await[0].clone();
    setup.pass(seconds(5)).await;
    assert!(
        !setup.ack("jobs", first.receipt).await,
        "its lease has ended"
    );
    let second = setup.receive("jobs", 1).await[0].clone();
    assert_ne!(first.receipt, second.receipt);
    assert_eq!(
        (second.row.attempts, second.row.first_attempt),
        (2, Some(START))
    );
    assert!(!setup.ack("jobs", first.receipt).await);
    assert!(setup.ack("jobs", second.receipt).await);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_given_back_or_kept_for_longer() {
    let setup = Setup::new(&[("jobs", json!({"lease": 5}))]);
    setup.send("jobs", json!(1)).await;
    let gateway = setup.gateway();
    let mut held = setup.receive("jobs", 1).await[0].receipt;
    for (delay, again_after) in [(0, 0), (3, 3)] {
        let release = gateway.release(anyone(), "jobs", vec![held], seconds(delay));
        assert_eq!(release.await.unwrap(), [true]);
        assert!(!setup.ack("jobs", held).await, "it was given back");
        assert_eq!(setup.state("jobs").await.delayed, u64::from(delay > 0));
        let before = setup.elapsed();
        let received = setup.try_receive("jobs", ask(1, 10)).await.unwrap();
        assert_eq!((setup.elapsed() - before).as_secs(), again_after);
        held = received[0].receipt;
    }
    for lease in [Some(seconds(20)), None] {
        let extend = gateway.extend(anyone(), "jobs", vec![held], lease);
        assert_eq!(extend.await.unwrap(), [true]);
    }
    setup.pass(seconds(4)).await;
    assert!(setup.receive("jobs", 1).await.is_empty());
    assert!(
        setup.ack("jobs", held).await,
        "the queue's 5 s from the second extend"
    );
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_with_the_same_key_come_one_after_another() {
    let setup = Setup::new(&[("jobs", json!({"ordering": "key"}))]);
    for n in 1..=2 {
        setup.send_with("jobs", json!(n), json!({"key": "a"})).await;
    }
    setup.send_with("jobs", json!(3), json!({"key": "b"})).await;
    let received = setup.receive("jobs", 10).await;
    assert_eq!(data(&received), ["1", "3"]);
    let second = setup.waiting("jobs", 10);
    setup.rest().await;
    let asked = setup.fixture.faults.leases();
    assert!(setup.ack("jobs", received[1].receipt).await);
    setup.rest().await;
    assert_eq!(setup.fixture.faults.leases(), asked, "nothing is behind it");
    assert!(setup.ack("jobs", received[0].receipt).await);
    assert_eq!(data(&second.await.unwrap()), ["2"]);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_do_what_is_checked() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let gateway = setup.gateway();
    let consumer = key(&[Scope::Consume], None, Some(&["queue:jobs"]));
    let reader = key(&[Scope::Read], None, None);
    let elsewhere = key(&[Scope::Admin], None, Some(&["queue:other"]));
    assert!(gateway.receive(&consumer, "Jobs", ask(1, 0)).await.is_ok());
    assert!(gateway.queue_state(&consumer, "jobs").await.is_ok());
    assert!(gateway.queue_state(&reader, "jobs").await.is_ok());
    let code = |result: Result<Vec<Received>, Problem>| result.unwrap_err().code;
    for (principal, queue, expected) in [
        (&reader, "jobs", "missing_scope"),
        (&elsewhere, "jobs", "address_not_allowed"),
        (&consumer, "other", "address_not_allowed"),
        (anyone(), "none", "queue_not_found"),
    ] {
        let refused = gateway.receive(principal, queue, ask(1, 0)).await;
        assert_eq!(code(refused), expected);
    }
    for refused in [
        gateway.purge(&consumer, "jobs").await,
        gateway.rewind(&consumer, "jobs", START).await,
        gateway.redrive(&consumer, "jobs", 1).await,
    ] {
        assert_eq!(refused.unwrap_err().code, "missing_scope");
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_has_bounds() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let gateway = setup.gateway();
    let lease = |lease| Receive {
        lease: Some(lease),
        ..ask(1, 0)
    };
    for (asked, field) in [
        (ask(0, 0), "max"),
        (ask(101, 0), "max"),
        (ask(1, 31), "wait"),
        (lease(Duration::ZERO), "lease"),
        (lease(seconds(LEASE_MAX + 1)), "lease"),
    ] {
        let problem = setup.try_receive("jobs", asked).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("out_of_range", Some(field))
        );
    }
    setup.send("jobs", json!(1)).await;
    let receipt = setup.receive("jobs", 1).await[0].receipt;
    let many = gateway
        .acknowledge(anyone(), "jobs", vec![receipt; 101])
        .await;
    assert_eq!(many.unwrap_err().code, "too_many");
    let none = gateway.acknowledge(anyone(), "jobs", Vec::new()).await;
    assert!(none.unwrap().is_empty());
    let late = gateway.release(anyone(), "jobs", vec![receipt], seconds(LEASE_MAX + 1));
    assert_eq!(late.await.unwrap_err().field.as_deref(), Some("delay"));
    let redrive = gateway.redrive(anyone(), "jobs", 0).await.unwrap_err();
    assert_eq!(redrive.field.as_deref(), Some("limit"));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_too_many_leased_messages_gives_no_more() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let id = setup.fixture.snapshot.queues["jobs"].meta.id;
    let faults = &setup.fixture.faults;
    faults.say(id, LEASED_MAX, LEASED_MAX);
    let refused = setup.try_receive("jobs", ask(1, 0)).await.unwrap_err();
    assert_eq!(
        (refused.kind.status(), refused.code),
        (429, "too_many_leased")
    );
    // Many were received, but their leases have ended.
    faults.say(id, LEASED_MAX, LEASED_MAX - 1);
    setup.send("jobs", json!(1)).await;
    assert_eq!(setup.receive("jobs", 1).await.len(), 1);
    faults.say(id, LEASED_MAX, LEASED_MAX);
    let refused = setup.try_receive("jobs", ask(1, 0)).await.unwrap_err();
    assert_eq!(refused.code, "too_many_leased");
    setup.stop().await;
}
