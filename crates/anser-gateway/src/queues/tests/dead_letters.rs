//! What becomes of messages that nobody acknowledges.

use super::*;

/// `dead` is the dead-letter queue of `jobs`, by this rule.
fn with_rule(mut rule: Value) -> Setup {
    rule["queue"] = json!("dead");
    Setup::new(&[
        ("dead", json!({"ordering": "key"})),
        (
            "jobs",
            json!({"lease": 5, "retention": 600, "dead_letter": rule}),
        ),
    ])
}

#[tokio::test(start_paused = true)]
async fn a_message_received_too_often_moves_when_it_would_come_again() {
    let setup = with_rule(json!({"max_receives": 2}));
    let sent = setup.send_with("jobs", json!(1), json!({"key": "a"})).await;
    setup.pass(seconds(1)).await;
    setup.receive("jobs", 1).await;
    setup.pass(seconds(5)).await;
    assert_eq!(setup.receive("jobs", 1).await.len(), 1);
    // Nobody receives from `jobs` any more, somebody from the dead-letter queue.
    let received = setup.try_receive("dead", ask(1, 30)).await.unwrap();
    assert_eq!(setup.elapsed(), seconds(11));
    let origin = DeadLetterOrigin {
        queue: "jobs".to_owned(),
        accepted: START,
        receives: 2,
    };
    assert_eq!(received[0].dead_letter, Some(origin));
    assert_eq!(received[0].message.header.id, sent.id);
    assert_eq!(received[0].row.attempts, 1);
    assert!(
        received[0].row.lane.is_some(),
        "by the dead-letter queue's ordering"
    );
    assert_eq!(setup.history(&sent).await, ["jobs dead", "dead retrying"]);
    let scrape = setup.gateway().metrics_text();
    for line in [
        "anser_queue_dead_lettered_total{queue=\"jobs\"} 1",
        "anser_queue_received_total{queue=\"jobs\"} 2",
        "anser_queue_received_total{queue=\"dead\"} 1",
    ] {
        assert!(scrape.contains(line), "{line}\n{scrape}");
    }
    assert_eq!(
        setup.fixture.stored().await.len(),
        1,
        "and nothing on $dead"
    );
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_given_back_too_often_moves_as_well() {
    let setup = with_rule(json!({"max_receives": 1}));
    let sent = setup.send("jobs", json!(1)).await;
    let receipt = setup.receive("jobs", 1).await[0].receipt;
    let release = setup
        .gateway()
        .release(anyone(), "jobs", vec![receipt], Duration::ZERO);
    assert_eq!(release.await.unwrap(), [true]);
    // The next receive finds it, and gets what is behind it.
    setup.send("jobs", json!(2)).await;
    assert_eq!(data(&setup.receive("jobs", 5).await), ["2"]);
    assert_eq!(setup.history(&sent).await, ["jobs dead", "dead pending"]);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_leased_before_a_restart_moves_too() {
    let setup = with_rule(json!({"max_receives": 1}));
    let sent = setup.send("jobs", json!(1)).await;
    setup.receive("jobs", 1).await;
    let Setup {
        fixture, keeper, ..
    } = setup;
    fixture.gateway.leasing.close();
    keeper.await.unwrap();
    let clock_stands_at = fixture.gateway.clock.now();
    let next = Setup::of(fixture);
    assert_eq!(next.gateway().clock.now(), clock_stands_at);
    next.pass(seconds(7)).await;
    assert_eq!(next.history(&sent).await, ["jobs dead", "dead pending"]);
    next.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_too_old_by_the_rule_moves_in_the_sweep_or_the_next_receive() {
    let setup = with_rule(json!({"max_age": 60}));
    let swept = setup.send("jobs", json!(1)).await;
    setup.pass(seconds(61)).await;
    assert_eq!(setup.history(&swept).await, ["jobs pending"]);
    setup.gateway().leasing.sweep().await;
    assert_eq!(setup.history(&swept).await, ["jobs dead", "dead pending"]);
    let found = setup.send("jobs", json!(2)).await;
    setup.pass(seconds(61)).await;
    assert!(setup.receive("jobs", 1).await.is_empty());
    assert_eq!(setup.history(&found).await, ["jobs dead", "dead pending"]);
    let dead = setup.receive("dead", 5).await;
    assert_eq!(dead[0].dead_letter.as_ref().unwrap().receives, 0);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_rule_a_message_ends_with_the_queues_retention_or_its_own_time() {
    let setup = Setup::new(&[("jobs", json!({"retention": 60, "ordering": "key"}))]);
    let aged = setup.send_with("jobs", json!(1), json!({"key": "a"})).await;
    let behind = setup.send_with("jobs", json!(2), json!({"key": "a"})).await;
    let header = json!({"expires_at": START.plus(seconds(10)).to_string()});
    let expiring = setup.send_with("jobs", json!(3), header).await;
    setup.pass(seconds(11)).await;
    setup.gateway().leasing.sweep().await;
    assert_eq!(setup.history(&expiring).await, ["jobs expired"]);
    assert_eq!(setup.history(&aged).await, ["jobs pending"]);
    let receive = setup.waiting("jobs", 20);
    let received = receive.await.unwrap();
    assert_eq!(data(&received), ["1"]);
    setup.pass(seconds(50)).await;
    assert!(setup.receive("jobs", 5).await.is_empty());
    assert_eq!(setup.history(&aged).await, ["jobs expired"]);
    assert_eq!(setup.history(&behind).await, ["jobs expired"]);
    let scrape = setup.gateway().metrics_text();
    assert!(scrape.contains("anser_queue_expired_total{queue=\"jobs\"} 3"));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_whose_own_time_is_up_ends() {
    let setup = with_rule(json!({"max_receives": 1}));
    let header = json!({"expires_at": START.plus(seconds(3)).to_string()});
    let sent = setup.send_with("jobs", json!(1), header).await;
    setup.receive("jobs", 1).await;
    setup.pass(seconds(6)).await;
    assert_eq!(setup.history(&sent).await, ["jobs expired"]);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_goes_on_behind_a_dead_letter() {
    let mut fixture = Fixture::new();
    fixture.queue("dead", json!({}));
    let rule = json!({"queue": "dead", "max_receives": 1});
    fixture.queue(
        "jobs",
        json!({"lease": 5, "ordering": "key", "dead_letter": rule}),
    );
    let setup = Setup::of(fixture.put());
    for n in 1..=2 {
        setup.send_with("jobs", json!(n), json!({"key": "a"})).await;
    }
    setup.receive("jobs", 1).await;
    let received = setup.try_receive("jobs", ask(1, 20)).await.unwrap();
    assert_eq!(
        (data(&received), setup.elapsed()),
        (vec!["2".to_owned()], seconds(5))
    );
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_spent_messages_do_not_hide_the_next_good_one() {
    let setup = with_rule(json!({"max_age": 60}));
    for _ in 0..12 {
        let items: Vec<Value> = (0..100)
            .map(|n| json!({"header": {"to": ["queue:jobs"]}, "body": {"data": n}}))
            .collect();
        let options = PublishOptions::default();
        let sent = setup
            .gateway()
            .publish_direct(anyone(), read(&items), options);
        sent.await.unwrap();
    }
    setup.pass(seconds(61)).await;
    setup.send("jobs", json!("good")).await;
    assert_eq!(data(&setup.receive("jobs", 1).await), ["\"good\""]);
    assert_eq!(setup.state("dead").await.active, 1_200);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_given_up() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let sent = setup.send("jobs", json!(1)).await;
    let queue = setup.fixture.snapshot.queues["jobs"].meta.id;
    let direct = setup.fixture.snapshot.topics["$direct"].meta.id;
    let new = anser_core::store::NewMessage {
        id: anser_core::id::MessageId::lowest_at(START.plus(seconds(9))),
        topic: direct,
        time: START,
        document: Bytes::from_static(b"{}"),
        dedupe: None,
        blobs: Vec::new(),
        link: None,
        known_as: Vec::new(),
        delete_at: None,
        deliveries: vec![anser_core::store::NewDelivery {
            group: queue,
            channel: queue,
            target: None,
            lane: None,
            due: START,
            scheduled: false,
            expires_at: None,
        }],
    };
    let damaged = new.id;
    let append = anser_core::store::Append {
        messages: vec![new],
        atomic: false,
    };
    setup.fixture.faults.append(append).await.unwrap();
    assert_eq!(setup.receive("jobs", 5).await.len(), 1);
    let published = Published {
        id: damaged,
        ..sent.clone()
    };
    assert_eq!(setup.history(&published).await, ["jobs dead"]);
    assert_eq!(setup.history(&sent).await, ["jobs retrying"]);
    setup.stop().await;
}
