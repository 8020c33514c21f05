//! What is sent to queues, straight or by a subscription, and when a queue takes no more.

use anser_core::delivery::DeliveryState;
use anser_core::id::{IdGenerator, ResourceId};
use anser_core::limits::MESSAGE_BYTES_MAX;
use anser_core::random::SeededRandom;
use anser_core::resource::Scope;
use anser_core::store::{Append, NewDelivery, NewMessage, Store as _};

use super::*;

/// A topic `orders` whose subscription fills the queue `jobs`.
fn with_jobs(spec: Value) -> (Fixture, ResourceId) {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({}));
    let jobs = fixture.queue("jobs", spec);
    fixture.subscription("orders", "work", json!({"queue": "jobs"}));
    fixture.reload();
    (fixture, jobs)
}

async fn send(fixture: &Fixture, header: Value) -> Result<Published, Problem> {
    let item = json!({"body": {"data": 1}, "header": header});
    let sent = fixture
        .gateway
        .publish_direct(anyone(), read(&[item]), options());
    sent.await.unwrap().remove(0)
}

#[tokio::test]
async fn a_queue_gets_messages_straight_and_by_a_subscription() {
    let (fixture, jobs) = with_jobs(json!({"ordering": "key"}));
    let later = START.plus(Duration::from_secs(60));
    let published = fixture.accept(data(json!(1))).await;
    assert_eq!(published.matched, Some(1));
    let header = json!({"to": ["queue:jobs", "queue:JOBS"], "key": "k", "not_before": later});
    assert_eq!(send(&fixture, header).await.unwrap().matched, Some(1));
    let stored = fixture.stored().await;
    let by_subscription = fixture.deliveries(&stored[0]).await.remove(0);
    let straight = fixture.deliveries(&stored[1]).await.remove(0);
    for row in [&by_subscription, &straight] {
        assert_eq!((row.group, row.channel), (jobs, jobs));
        assert_eq!(
            (row.target.as_deref(), row.state),
            (None, DeliveryState::Pending)
        );
    }
    assert_eq!((by_subscription.lane, by_subscription.due), (None, START));
    assert!(straight.lane.is_some() && straight.scheduled);
    assert_eq!(straight.due, later);
}

#[tokio::test]
async fn an_unordered_queue_has_no_lanes() {
    let (fixture, _) = with_jobs(json!({}));
    for _ in 0..2 {
        fixture
            .accept(json!({"body": {"data": 1}, "header": {"key": "k"}}))
            .await;
    }
    for message in fixture.stored().await {
        let row = fixture.deliveries(&message).await.remove(0);
        assert_eq!((row.state, row.lane), (DeliveryState::Pending, None));
    }
}

#[tokio::test]
async fn an_address_of_a_queue_is_known_and_within_the_keys_targets() {
    let (fixture, _) = with_jobs(json!({}));
    let problem = send(&fixture, json!({"to": ["queue:none"]})).await;
    let problem = problem.unwrap_err();
    assert_eq!(
        (
            problem.kind.status(),
            problem.code,
            problem.field.as_deref()
        ),
        (422, "unknown_queue", Some("header.to[0]"))
    );
    let item = json!({"body": {"data": 1}, "header": {"to": ["queue:Jobs"]}});
    for (targets, taken) in [(&["queue:jobs"], true), (&["queue:other"], false)] {
        let principal = key(&[Scope::Publish], None, Some(targets));
        let sent = fixture.gateway.publish_direct(
            &principal,
            read(std::slice::from_ref(&item)),
            options(),
        );
        assert_eq!(sent.await.unwrap()[0].is_ok(), taken, "{targets:?}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_what_is_sent_straight_to_it() {
    let (fixture, _) = with_jobs(json!({"max_messages": 2}));
    let item = json!({"body": {"data": 1}, "header": {"to": ["queue:jobs"]}});
    let items = read(&[item.clone(), item.clone(), item]);
    let results = fixture
        .gateway
        .publish_direct(anyone(), items, options())
        .await
        .unwrap();
    assert!(results[0].is_ok() && results[1].is_ok());
    let problem = results[2].as_ref().unwrap_err();
    assert_eq!((problem.kind.status(), problem.code), (429, "queue_full"));
    let again = send(&fixture, json!({"to": ["queue:jobs"]})).await;
    assert_eq!(again.unwrap_err().code, "queue_full");
    // What a topic has accepted is not held up by a queue.
    assert_eq!(fixture.accept(data(json!(1))).await.matched, Some(1));
}

#[tokio::test]
async fn a_queue_holds_a_bounded_number_of_delayed_messages() {
    let (fixture, jobs) = with_jobs(json!({}));
    let delayed = NewDelivery {
        group: jobs,
        channel: jobs,
        target: None,
        lane: None,
        due: START.plus(Duration::from_secs(3_600)),
        scheduled: true,
        expires_at: None,
    };
    let most = usize::try_from(QUEUE_DELAYED_MAX).unwrap();
    let message = NewMessage {
        id: IdGenerator::above(None).next(START, &SeededRandom::new(1)),
        topic: fixture.snapshot.topics["orders"].meta.id,
        time: START,
        document: "{}".into(),
        dedupe: None,
        blobs: Vec::new(),
        link: None,
        known_as: Vec::new(),
        delete_at: None,
        deliveries: vec![delayed; most],
    };
    let append = Append {
        messages: vec![message],
        atomic: true,
    };
    fixture.faults.append(append).await.unwrap();
    let later = START.plus(Duration::from_secs(60));
    let to = json!(["queue:jobs"]);
    let refused = send(&fixture, json!({"to": to, "not_before": later})).await;
    let problem = refused.unwrap_err();
    assert_eq!(
        (problem.kind.status(), problem.code),
        (429, "too_many_delayed")
    );
    send(&fixture, json!({"to": to})).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    let later = later.plus(Duration::from_secs(3_600));
    send(&fixture, json!({"to": to, "not_before": later}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_does_not_wait_for_what_is_in_a_queue() {
    let (fixture, _) = with_jobs(json!({}));
    let waiting = PublishOptions {
        wait: Some(Duration::from_secs(5)),
        ..options()
    };
    let item = json!({"body": {"data": 1}, "header": {"to": ["queue:jobs"]}});
    let published = fixture.publish(&[item], waiting).await.unwrap().remove(0);
    let published = published.unwrap();
    assert!(published.settled);
    let views = published.deliveries.unwrap();
    for view in &views {
        assert_eq!(
            (view.queue.as_deref(), view.channel.as_deref()),
            (Some("jobs"), None)
        );
    }
    assert_eq!(views.len(), 2);
}

#[tokio::test]
async fn a_door_may_take_a_body_that_grows_when_it_is_escaped() {
    let (fixture, _) = with_jobs(json!({}));
    let item = || data(json!("\u{1}".repeat(300_000)));
    let problem = fixture.refuse(item(), options()).await;
    assert_eq!((problem.kind.status(), problem.code), (413, "too_large"));
    let options = PublishOptions {
        document_bytes_max: Some(6 * MESSAGE_BYTES_MAX),
        ..options()
    };
    let results = fixture.publish(&[item()], options).await.unwrap();
    assert!(results[0].is_ok());
}
