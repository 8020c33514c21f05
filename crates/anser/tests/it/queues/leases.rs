//! One consumer at a time: what a lease gives, and when it ends.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{JOBS, ack, data, queue, receive, receive_one, send, send_with, state, tell, with};
use crate::harness::eventually;

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_message_is_received_once_and_gone_when_it_is_acknowledged() {
    let (_server, api) = with(json!({})).await;
    let id = send(&api, JOBS, json!({"n": 1.0})).await;
    let message = receive_one(&api, JOBS).await;
    assert_eq!(message["message"]["header"]["id"], id.as_str());
    assert_eq!(message["message"]["header"]["topic"], "$direct");
    assert_eq!(data(std::slice::from_ref(&message)), [json!({"n": 1.0})]);
    assert_eq!(message["receives"], 1);
    let length = time(&message["lease_until"]).since(time(&message["first_received_at"]));
    assert_eq!(length, Duration::from_secs(30), "the queue's lease");
    assert!(
        receive(&api, JOBS, json!({})).await.is_empty(),
        "it is leased"
    );
    assert_eq!(ack(&api, JOBS, &[&message, &message]).await, [true, false]);
    assert_eq!(ack(&api, JOBS, &[&message]).await, [false], "it is done");
    let deliveries = api.deliveries(&id).await;
    assert_eq!(deliveries[0]["state"], "delivered", "{deliveries:?}");
    let counts = state(&api, JOBS).await;
    assert_eq!(
        (&counts["active"], &counts["leased"]),
        (&json!(0), &json!(0)),
        "{counts}"
    );
}

#[tokio::test]
async fn what_is_given_back_comes_again_under_a_new_receipt() {
    let (_server, api) = with(json!({})).await;
    send(&api, JOBS, 1).await;
    let first = receive_one(&api, JOBS).await;
    assert_eq!(tell(&api, JOBS, "nack", &[&first], json!({})).await, [true]);
    let second = receive_one(&api, JOBS).await;
    assert_ne!(second["receipt"], first["receipt"]);
    assert_eq!(second["receives"], 2);
    assert_eq!(second["first_received_at"], first["first_received_at"]);
    assert_eq!(
        ack(&api, JOBS, &[&first]).await,
        [false],
        "its receipt is void"
    );
    let later = json!({"delay": 3_600});
    assert_eq!(tell(&api, JOBS, "nack", &[&second], later).await, [true]);
    assert!(
        receive(&api, JOBS, json!({})).await.is_empty(),
        "it is delayed"
    );
    assert_eq!(ack(&api, JOBS, &[&second]).await, [false], "it is nobody's");
    assert_eq!(state(&api, JOBS).await["delayed"], 1);
}

#[tokio::test]
async fn a_lease_that_ends_gives_the_message_to_the_next_and_one_that_is_extended_does_not() {
    let (_server, api) = with(json!({"lease": 1})).await;
    send(&api, JOBS, "kept").await;
    let kept = receive_one(&api, JOBS).await;
    let longer = json!({"lease": 600});
    assert_eq!(tell(&api, JOBS, "extend", &[&kept], longer).await, [true]);
    send(&api, JOBS, "lost").await;
    let lost = receive_one(&api, JOBS).await;
    let again = receive_one(&api, JOBS).await;
    assert_eq!(data(&[lost.clone(), again.clone()]), ["lost", "lost"]);
    assert_eq!(again["receives"], 2);
    let leased_again = time(&again["lease_until"]).since(time(&lost["lease_until"]));
    assert!(
        leased_again >= Duration::from_secs(1),
        "only once the first lease had ended"
    );
    assert_eq!(ack(&api, JOBS, &[&lost]).await, [false]);
    assert_eq!(ack(&api, JOBS, &[&again, &kept]).await, [true, true]);
}

#[tokio::test]
async fn a_receive_that_waits_is_answered_as_soon_as_there_is_a_message() {
    let (_server, api) = with(json!({"wait": 30})).await;
    let clock = SystemClock::new();
    let waiting = receive(&api, JOBS, json!({"max": 10}));
    let sending = async {
        // An answer from the same server, so that the receive has most likely begun to wait.
        state(&api, JOBS).await;
        send(&api, JOBS, 7).await
    };
    let (received, _) = tokio::join!(waiting, sending);
    assert_eq!(data(&received), [7]);
    assert!(
        clock.monotonic() < Duration::from_secs(20),
        "long before the wait was over"
    );
    let clock = SystemClock::new();
    assert!(receive(&api, JOBS, json!({"wait": 1})).await.is_empty());
    assert!(clock.monotonic() >= Duration::from_millis(900));
}

#[tokio::test]
async fn a_message_for_later_is_not_received_before() {
    let (_server, api) = with(json!({})).await;
    let soon = SystemClock::new().now().plus(Duration::from_secs(1));
    send_with(&api, JOBS, "later", json!({"not_before": soon})).await;
    let message = receive_one(&api, JOBS).await;
    assert!(time(&message["first_received_at"]) >= soon);
}

#[tokio::test]
async fn messages_with_a_key_come_one_after_the_other() {
    let (_server, api) = with(json!({"ordering": "key"})).await;
    for (n, key) in [(1, "a"), (2, "a"), (3, "b"), (4, "a")] {
        send_with(&api, JOBS, n, json!({"key": key})).await;
    }
    let all = json!({"max": 10});
    let heads = receive(&api, JOBS, all.clone()).await;
    assert_eq!(data(&heads), [1, 3]);
    assert_eq!(
        tell(&api, JOBS, "nack", &[&heads[0]], json!({})).await,
        [true]
    );
    let again = receive(&api, JOBS, all.clone()).await;
    assert_eq!(
        data(&again),
        [1],
        "what was given back is before what follows it"
    );
    ack(&api, JOBS, &[&again[0]]).await;
    let next = receive(&api, JOBS, all.clone()).await;
    assert_eq!(data(&next), [2]);
    ack(&api, JOBS, &[&next[0]]).await;
    assert_eq!(data(&receive(&api, JOBS, all).await), [4]);
}

#[tokio::test]
async fn a_subscription_delivers_into_a_queue_and_what_is_in_it_stays() {
    let (_server, api) = with(json!({})).await;
    api.make("/v1/topics", &json!({"name": "orders"})).await;
    let spec = json!({"name": "jobs", "queue": JOBS, "filter": {"types": ["order.paid"]}});
    let subscriptions = "/v1/topics/orders/subscriptions";
    api.make(subscriptions, &spec).await;
    let item = |kind: &str| json!({"header": {"type": kind}, "body": {"data": kind}});
    let id = api.publish("orders", &item("order.paid")).await;
    api.publish("orders", &item("order.lost")).await;
    let (status, _) = api.delete(&format!("{subscriptions}/jobs")).await;
    assert_eq!(status, 204);
    let message = receive_one(&api, JOBS).await;
    assert_eq!(message["message"]["header"]["id"], id.as_str());
    assert_eq!(message["message"]["header"]["topic"], "orders");
    assert!(receive(&api, JOBS, json!({})).await.is_empty());
}

#[tokio::test]
async fn a_queue_is_rewound_to_a_time() {
    let (_server, api) = with(json!({"rewind": 3_600})).await;
    let before = SystemClock::new().now();
    for n in 0..3 {
        send(&api, JOBS, n).await;
    }
    let received = receive(&api, JOBS, json!({"max": 10})).await;
    ack(&api, JOBS, &[&received[0], &received[1]]).await;
    assert_eq!(state(&api, JOBS).await["rewindable"], 2);
    let rewind = format!("/v1/queues/{JOBS}/rewind");
    let answer = api.make(&rewind, &json!({"from": before})).await;
    assert_eq!(answer["count"], 2, "what is leased still is");
    let again = receive(&api, JOBS, json!({"max": 10})).await;
    assert_eq!(data(&again), [0, 1]);
    assert_eq!(again[0]["receives"], 1, "counted anew");

    queue(&api, "plain", json!({})).await;
    let (status, problem) = api
        .post("/v1/queues/plain/rewind", &json!({"from": before}))
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("rewind_off")),
        "{problem}"
    );
}

#[tokio::test]
async fn what_is_not_acknowledged_expires_and_what_is_purged_is_cancelled() {
    let (_server, api) = with(json!({})).await;
    let past = SystemClock::new().now().plus(Duration::from_secs(1));
    let expired = send_with(&api, JOBS, 1, json!({"expires_at": past})).await;
    let what = "the message has expired";
    eventually(what, || async {
        let received = receive(&api, JOBS, json!({"lease": 1, "wait": 1})).await;
        let deliveries = api.deliveries(&expired).await;
        (received.is_empty() && deliveries[0]["state"] == "expired").then_some(())
    })
    .await;
    let purged = send(&api, JOBS, 2).await;
    let answer = api.act(&format!("/v1/queues/{JOBS}/purge")).await;
    assert_eq!(answer, (200, json!({"count": 1})));
    assert_eq!(api.deliveries(&purged).await[0]["state"], "cancelled");
    assert!(receive(&api, JOBS, json!({})).await.is_empty());
}
