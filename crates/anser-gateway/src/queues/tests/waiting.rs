//! Receives that wait.

use std::collections::BTreeSet;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_receive_waits_for_nothing_at_no_cost() {
    let setup = Setup::new(&[("jobs", json!({"wait": 7}))]);
    let queue_says = Receive {
        wait: None,
        ..ask(1, 0)
    };
    assert!(
        setup
            .try_receive("jobs", queue_says)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(setup.elapsed(), seconds(7));
    assert_eq!(setup.fixture.faults.leases(), 1, "asked once");
    assert_eq!(setup.gateway().leasing.waiting(), 0);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_wakes_the_one_who_has_waited_longest() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let first = setup.waiting("jobs", 20);
    setup.rest().await;
    let second = setup.waiting("jobs", 20);
    setup.pass(seconds(5)).await;
    assert_eq!(setup.gateway().leasing.waiting(), 2);
    assert_eq!(setup.fixture.faults.leases(), 2);
    setup.send("jobs", json!(1)).await;
    assert_eq!(data(&first.await.unwrap()), ["1"]);
    assert_eq!(setup.elapsed(), seconds(5));
    assert_eq!(setup.fixture.faults.leases(), 3, "the other sleeps on");
    assert!(second.await.unwrap().is_empty());
    assert_eq!(setup.elapsed(), seconds(20));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_and_an_ended_lease_come_when_they_are_due() {
    let setup = Setup::new(&[("jobs", json!({"lease": 4}))]);
    let at = START.plus(Duration::from_millis(2_500)).to_string();
    let header = json!({"not_before": at});
    setup.send_with("jobs", json!(1), header.clone()).await;
    let received = setup.try_receive("jobs", ask(1, 10)).await.unwrap();
    assert_eq!(data(&received), ["1"]);
    assert_eq!(setup.elapsed().as_millis(), 2_500);
    let again = setup.try_receive("jobs", ask(1, 10)).await.unwrap();
    assert_eq!(data(&again), ["1"]);
    assert_eq!(setup.elapsed().as_millis(), 6_500);
    assert!(setup.ack("jobs", again[0].receipt).await);

    // Both while somebody waits already.
    let (first, second) = (setup.waiting("jobs", 20), setup.waiting("jobs", 20));
    setup.rest().await;
    let at = START.plus(seconds(9)).to_string();
    setup
        .send_with("jobs", json!(2), json!({"not_before": at}))
        .await;
    assert_eq!(data(&first.await.unwrap()), ["2"]);
    assert_eq!(setup.elapsed(), seconds(9));
    assert_eq!(data(&second.await.unwrap()), ["2"]);
    assert_eq!(setup.elapsed(), seconds(13));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_wake_a_thousand_receives() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let receives: Vec<_> = (0..1_000).map(|_| setup.waiting("jobs", 30)).collect();
    setup.pass(seconds(1)).await;
    assert_eq!(setup.gateway().leasing.waiting(), 1_000);
    let asked = setup.fixture.faults.leases();
    for start in (0..1_000).step_by(100) {
        let items: Vec<Value> = (start..start + 100)
            .map(|n| json!({"header": {"to": ["queue:jobs"]}, "body": {"data": n}}))
            .collect();
        let options = PublishOptions::default();
        let sent = setup
            .gateway()
            .publish_direct(anyone(), read(&items), options);
        assert!(sent.await.unwrap().iter().all(Result::is_ok));
    }
    let mut seen = BTreeSet::new();
    for receive in receives {
        let received = receive.await.unwrap();
        assert_eq!(received.len(), 1);
        assert!(seen.insert(received[0].num), "received twice");
    }
    assert_eq!(setup.elapsed(), seconds(1), "all at once");
    let asked = setup.fixture.faults.leases() - asked;
    assert!(asked <= 2_000, "{asked} leases for 1000 messages");
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn several_due_at_once_wake_several() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let header = json!({"not_before": START.plus(seconds(3)).to_string()});
    for n in 0..3 {
        setup.send_with("jobs", json!(n), header.clone()).await;
    }
    let receives: Vec<_> = (0..3).map(|_| setup.waiting("jobs", 20)).collect();
    for receive in receives {
        assert_eq!(receive.await.unwrap().len(), 1);
    }
    assert_eq!(setup.elapsed(), seconds(3));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_of_two_delayed_messages_comes_in_its_time() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    for at in [2, 3] {
        let header = json!({"not_before": START.plus(seconds(at)).to_string()});
        setup.send_with("jobs", json!(at), header).await;
    }
    for (at, receive) in [
        (2, setup.waiting("jobs", 20)),
        (3, setup.waiting("jobs", 20)),
    ] {
        assert_eq!(data(&receive.await.unwrap()), [at.to_string()]);
        assert_eq!(setup.elapsed(), seconds(at));
    }
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_leaves_its_message_to_the_next() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let (gone, next) = (setup.waiting("jobs", 20), setup.waiting("jobs", 20));
    setup.rest().await;
    let held = setup.fixture.faults.hold_leases().await;
    setup.send("jobs", json!(1)).await;
    setup.rest().await;
    // Its lease is committed, and nobody has been told.
    assert_eq!(setup.state("jobs").await.leased, 1);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(held);
    let received = next.await.unwrap();
    assert_eq!(
        (data(&received), received[0].row.attempts),
        (vec!["1".to_owned()], 2)
    );
    assert_eq!(setup.elapsed(), Duration::ZERO);

    // Nobody else waits: it is there for the next receive all the same.
    let gone = setup.waiting("jobs", 20);
    setup.rest().await;
    let held = setup.fixture.faults.hold_leases().await;
    setup.send("jobs", json!(2)).await;
    setup.rest().await;
    gone.abort();
    drop(held);
    setup.rest().await;
    assert_eq!(data(&setup.receive("jobs", 1).await), ["2"]);
    assert_eq!(setup.gateway().leasing.waiting(), 0);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stopping_gateway_ends_receives_at_once() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let receives = [setup.waiting("jobs", 20), setup.waiting("jobs", 20)];
    setup.pass(seconds(1)).await;
    setup.gateway().leasing.close();
    for receive in receives {
        assert!(receive.await.unwrap().is_empty());
    }
    assert!(
        setup
            .try_receive("jobs", ask(1, 20))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(setup.elapsed(), seconds(1));
    assert_eq!(setup.fixture.faults.leases(), 3);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_ends_its_receives_at_once() {
    let mut setup = Setup::new(&[("jobs", json!({}))]);
    let gateway = Arc::clone(setup.gateway());
    let receive = async { gateway.receive(anyone(), "jobs", ask(1, 20)).await };
    let delete = async {
        setup.rest().await;
        let queue = setup.fixture.snapshot.queues.remove("jobs").unwrap();
        setup.fixture.snapshot.queues_by_id.remove(&queue.meta.id);
        setup.fixture.reload();
    };
    let (received, ()) = tokio::join!(receive, delete);
    assert_eq!(received.unwrap_err().code, "queue_not_found");
    assert_eq!(setup.elapsed(), Duration::ZERO);
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_so_many_receives_may_wait() {
    let setup = Setup::new(&[("jobs", json!({}))]);
    let receives: Vec<_> = (0..RECEIVERS_MAX)
        .map(|_| setup.waiting("jobs", 20))
        .collect();
    setup.pass(seconds(1)).await;
    let refused = setup.try_receive("jobs", ask(1, 20)).await.unwrap_err();
    assert_eq!(
        (refused.kind.status(), refused.code),
        (429, "too_many_receives")
    );
    assert!(
        setup.receive("jobs", 1).await.is_empty(),
        "without waiting it is served"
    );
    let scrape = setup.gateway().metrics_text();
    assert!(scrape.contains(&format!("anser_receives_waiting {RECEIVERS_MAX}\n")));
    for receive in receives {
        receive.await.unwrap();
    }
    assert_eq!(setup.elapsed(), seconds(20));
    setup.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_fills_a_queue_and_no_publisher_waits_for_its_consumers() {
    let mut fixture = Fixture::new();
    fixture.queue("jobs", json!({}));
    fixture.topic("orders", json!({}));
    fixture.subscription("orders", "work", json!({"queue": "jobs"}));
    let setup = Setup::of(fixture.put());
    let receive = setup.waiting("jobs", 20);
    setup.rest().await;
    let options = PublishOptions {
        wait: Some(seconds(10)),
        ..PublishOptions::default()
    };
    let items = read(&[json!({"body": {"data": 1}})]);
    let published = setup.gateway().publish(anyone(), "orders", items, options);
    let published = published.await.unwrap().pop().unwrap().unwrap();
    assert!(published.settled);
    assert_eq!(setup.elapsed(), Duration::ZERO);
    assert_eq!(data(&receive.await.unwrap()), ["1"]);
    setup.stop().await;
}

/// In real parallel, where a wake that gets lost would leave a consumer waiting for the full time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn producers_and_consumers_side_by_side_lose_and_repeat_nothing() {
    const MESSAGES: usize = 2_000;
    let setup = Arc::new(Setup::new(&[("jobs", json!({"ordering": "key"}))]));
    let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for producer in 0..4 {
        let setup = Arc::clone(&setup);
        tasks.spawn(async move {
            for n in 0..MESSAGES / 4 {
                let key = json!({"key": format!("{producer}.{}", n % 3)});
                setup.send_with("jobs", json!(n), key).await;
                tokio::task::yield_now().await;
            }
        });
    }
    for max in [1, 1, 1, 1, 1, 1, 7, 16] {
        let (setup, seen) = (Arc::clone(&setup), Arc::clone(&seen));
        tasks.spawn(async move {
            while seen.lock().unwrap().len() < MESSAGES {
                // The last ones wait until the gateway stops.
                let received = setup.try_receive("jobs", ask(max, 30)).await.unwrap();
                for received in received {
                    assert!(seen.lock().unwrap().insert(received.num), "received twice");
                    assert!(setup.ack("jobs", received.receipt).await);
                }
                if seen.lock().unwrap().len() == MESSAGES {
                    setup.gateway().leasing.close();
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(setup.elapsed() < seconds(30), "somebody waited in vain");
}
