//! Order: what waits for what, in each ordering, while deliveries fail, end and are taken back.

use serde_json::{Value, json};

use super::{Stage, bodies, soon};
use crate::harness::{Answer, Received};

/// What the messages with an ordering key carried, in the order in which they came.
fn bodies_of(received: &[Received], key: &str) -> Vec<Value> {
    let of_key = |request: &&Received| request.json()["header"]["key"] == key;
    let mine: Vec<Received> = received.iter().filter(of_key).cloned().collect();
    bodies(&mine)
}

#[tokio::test]
async fn a_key_keeps_its_order_across_failures_and_holds_up_no_other() {
    let stage = Stage::with(json!({"retry": [1, 1, 1]})).await;
    let mut failures = 2;
    stage.receiver.rule("/hook", move |request| {
        let fails = request.json()["body"]["data"] == "a1" && failures > 0;
        fails.then(|| {
            failures -= 1;
            Answer::Status(500)
        })
    });
    let mut last = String::new();
    for n in 1..=3 {
        last = stage.keyed(format!("a{n}"), "a").await;
        stage.keyed(format!("b{n}"), "b").await;
        stage.plain(format!("c{n}")).await;
    }
    let waiting = stage.api.deliveries(&last).await.remove(0);
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    stage.api.delivery_in(&last, "delivered").await;
    let received = stage.receiver.count("/hook", 11).await;
    assert_eq!(bodies_of(&received, "a"), ["a1", "a1", "a1", "a2", "a3"]);
    assert_eq!(bodies_of(&received, "b"), ["b1", "b2", "b3"]);
    let seen = bodies(&received);
    let place = |what: &str| seen.iter().position(|data| data == what).unwrap();
    for other in ["b3", "c1", "c2", "c3"] {
        assert!(place(other) < place("a2"), "{other} did not wait: {seen:?}");
    }
}

#[tokio::test]
async fn many_keys_at_once_are_each_in_order() {
    const KEYS: usize = 20;
    const EACH: usize = 15;
    let stage = Stage::with(json!({"retry": soon()})).await;
    let mut count = 0;
    stage.receiver.rule("/hook", move |_| {
        count += 1;
        (count % 7 == 0).then_some(Answer::Status(500))
    });
    let items: Vec<Value> = (0..KEYS * EACH)
        .map(|n| json!({"header": {"key": format!("k{}", n % KEYS)}, "body": {"data": n / KEYS}}))
        .collect();
    let answer = stage
        .api
        .make("/v1/topics/shop/messages", &json!(items))
        .await;
    let last = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .take(KEYS);
    for result in last {
        stage
            .api
            .delivery_in(result["id"].as_str().unwrap(), "delivered")
            .await;
    }
    let received = stage.receiver.received("/hook");
    for key in 0..KEYS {
        let mut seen = bodies_of(&received, &format!("k{key}"));
        seen.dedup();
        assert_eq!(
            seen,
            (0..EACH).map(Value::from).collect::<Vec<_>>(),
            "key {key}"
        );
    }
}

#[tokio::test]
async fn strict_is_one_at_a_time_whatever_the_key() {
    let stage = Stage::with(json!({"ordering": "strict", "retry": [0.2, 0.2]})).await;
    stage
        .receiver
        .script("/hook", [500, 500].map(Answer::Status));
    for n in 1..=3 {
        stage.keyed(n, &format!("k{n}")).await;
    }
    let last = stage.plain(4).await;
    stage.api.delivery_in(&last, "delivered").await;
    assert_eq!(
        bodies(&stage.receiver.received("/hook")),
        [1, 1, 1, 2, 3, 4]
    );
}

#[tokio::test]
async fn none_is_no_order_even_with_a_key() {
    let stage = Stage::with(json!({"ordering": "none", "retry": [600]})).await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let first = stage.keyed(1, "k").await;
    stage.api.delivery_in(&first, "retrying").await;
    let second = stage.keyed(2, "k").await;
    stage.api.delivery_in(&second, "delivered").await;
}

#[tokio::test]
async fn a_gate_is_open_until_one_fails_and_shut_until_that_one_ends() {
    let stage = Stage::with(json!({"ordering": "gate", "retry": [1, 1]})).await;
    let mut failures = 2;
    stage.receiver.rule("/hook", move |request| {
        let fails = request.json()["body"]["data"] == 1 && failures > 0;
        fails.then(|| {
            failures -= 1;
            Answer::Status(500)
        })
    });
    let first = stage.plain(1).await;
    stage.api.delivery_in(&first, "retrying").await;
    for n in 2..=4 {
        stage.keyed(n, &format!("k{n}")).await;
    }
    let last = stage.plain(5).await;
    stage.api.delivery_in(&last, "delivered").await;
    let received = stage.receiver.count("/hook", 7).await;
    let seen = bodies(&received);
    assert_eq!(
        seen[..3],
        [1, 1, 1],
        "nothing behind it started before it ended: {seen:?}"
    );
}

#[tokio::test]
async fn a_gate_stays_shut_across_a_restart() {
    let stage = Stage::with(json!({"ordering": "gate", "retry": [2, 0.1]})).await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let first = stage.plain(1).await;
    stage.api.delivery_in(&first, "retrying").await;
    let second = stage.plain(2).await;
    let (status, options) = stage.server.stop().await;
    assert!(status.success(), "{status}");
    let server = options.start();
    server.api().delivery_in(&second, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 1, 2]);
}

#[tokio::test]
async fn cmq_policies_order_by_gate_unless_told_otherwise() {
    let stage = Stage::with(json!({"retry": "cmq-decay"})).await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let first = stage.plain(1).await;
    stage.api.delivery_in(&first, "retrying").await;
    let second = stage.plain(2).await;
    stage.api.delivery_in(&second, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 1, 2]);
}

#[tokio::test]
async fn order_is_kept_across_a_restart() {
    let stage = Stage::with(json!({"retry": [1, 0.1]})).await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let first = stage.keyed(1, "k").await;
    stage.api.delivery_in(&first, "retrying").await;
    stage.keyed(2, "k").await;
    let options = stage.server.kill().await;
    let server = options.start();
    let api = server.api();
    let last = api
        .publish(
            "shop",
            &json!({"header": {"key": "k"}, "body": {"data": 3}}),
        )
        .await;
    api.delivery_in(&last, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 1, 2, 3]);
}

#[tokio::test]
async fn a_hanging_endpoint_slows_nobody_else() {
    let stage = Stage::with(json!({"ordering": "none"})).await;
    let url = stage.receiver.url("/well");
    stage
        .api
        .route("shop", "well", &url, json!({}), json!({}))
        .await;
    stage.receiver.answer("/hook", Answer::Hang);
    let items: Vec<Value> = (0..200).map(|n| json!({"body": {"data": n}})).collect();
    stage
        .api
        .make("/v1/topics/shop/messages", &json!(items))
        .await;
    let received = stage.receiver.count("/well", 200).await;
    let took = received.iter().map(|request| request.at).max().unwrap() - received[0].at;
    assert!(
        took.as_secs() < 15,
        "within one time-out of the hanging one: {took:?}"
    );
    let hanging = stage.receiver.received("/hook").len();
    assert!(
        hanging <= 4,
        "an endpoint begins with four at a time, {hanging} were sent"
    );
}
