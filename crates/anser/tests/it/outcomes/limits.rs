//! Bounds: the rate of a channel, a topic's backlog, retention; and that the metrics move with what happens.

use std::time::Duration;

use serde_json::json;

use super::{Stage, bodies, in_seconds, now, soon};
use crate::harness::{Answer, eventually};

#[tokio::test]
async fn a_rate_spaces_deliveries_and_keeps_their_order() {
    let stage = Stage::with(json!({"ordering": "strict"})).await;
    let (status, answer) = stage
        .api
        .patch(
            "/v1/channels/hook",
            &json!({"rate": {"per_second": 10, "burst": 2}}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    let before = now();
    let items: Vec<_> = (0..8).map(|n| json!({"body": {"data": n}})).collect();
    stage
        .api
        .make("/v1/topics/shop/messages", &json!(items))
        .await;
    let received = stage.receiver.count("/hook", 8).await;
    assert_eq!(bodies(&received), (0..8).collect::<Vec<_>>());
    let took = now().since(before);
    assert!(
        took >= Duration::from_millis(590),
        "six of them wait a tenth of a second each: {took:?}"
    );
}

#[tokio::test]
async fn a_full_topic_refuses_and_drops_nothing() {
    let stage = Stage::with(json!({"paused": true})).await;
    stage
        .api
        .patch("/v1/topics/shop", &json!({"max_bytes": 20_000}))
        .await;
    let item = json!({"body": {"data": "x".repeat(6_000)}});
    let mut accepted = 0;
    let refused = loop {
        let (status, answer) = stage.api.post("/v1/topics/shop/messages", &item).await;
        match status {
            202 => accepted += 1,
            _ => break (status, answer),
        }
        assert!(accepted < 10, "never full");
    };
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (429, &json!("topic_full")),
        "{}",
        refused.1
    );
    assert_eq!(accepted, 3);
    stage
        .api
        .patch(
            "/v1/topics/shop/subscriptions/hook",
            &json!({"paused": false}),
        )
        .await;
    stage.receiver.count("/hook", accepted).await;
    let room = || async {
        (stage.api.post("/v1/topics/shop/messages", &item).await.0 == 202).then_some(())
    };
    eventually("there is room again", room).await;
}

#[tokio::test]
async fn a_schema_is_enforced() {
    let stage = Stage::with(json!({})).await;
    let schema =
        json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let (status, answer) = stage
        .api
        .patch("/v1/topics/shop", &json!({"schema": schema}))
        .await;
    assert_eq!(status, 200, "{answer}");
    for (data, accepted) in [
        (json!({"n": 1}), true),
        (json!({"n": "1"}), false),
        (json!({}), false),
        (json!("n"), false),
    ] {
        let (status, answer) = stage
            .api
            .post("/v1/topics/shop/messages", &json!({"body": {"data": data}}))
            .await;
        assert_eq!(status == 202, accepted, "{data}: {answer}");
        if !accepted {
            assert!(
                answer["field"].as_str().unwrap().starts_with("body.data"),
                "{answer}"
            );
        }
    }
    let remote = json!({"$ref": "https://example.com/schema.json"});
    let (status, problem) = stage
        .api
        .patch("/v1/topics/shop", &json!({"schema": remote}))
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("invalid_schema")),
        "{problem}"
    );
}

/// A pass of retention comes once a minute; this one test waits for it.
#[tokio::test]
async fn retention_removes_what_is_final_and_only_that() {
    let stage = Stage::with(json!({"retry": [600]})).await;
    stage
        .api
        .patch("/v1/topics/shop", &json!({"retention": 0}))
        .await;
    stage.receiver.rule("/hook", |request| {
        (request.json()["body"]["data"] != "done").then_some(Answer::Status(500))
    });
    let done = stage.plain("done").await;
    stage.api.delivery_in(&done, "delivered").await;
    let unfinished = stage.plain("unfinished").await;
    stage.api.delivery_in(&unfinished, "retrying").await;
    let item = json!({"header": {"delete_at": in_seconds(1.0)}, "body": {"data": "deleted"}});
    let deleted = stage.api.publish("shop", &item).await;
    let give_up = now().plus(Duration::from_secs(45));
    eventually("most of the minute", || async {
        (now() >= give_up).then_some(())
    })
    .await;
    for id in [&done, &deleted] {
        let removed = || async {
            (stage.api.get(&format!("/v1/messages/{id}")).await.0 == 404).then_some(())
        };
        eventually("it is removed", removed).await;
    }
    let (status, message) = stage.api.get(&format!("/v1/messages/{unfinished}")).await;
    assert_eq!(status, 200, "{message}");
    assert_eq!(
        stage.api.deliveries(&unfinished).await[0]["state"],
        "retrying"
    );
}

/// The value of a line of the metrics whose name and labels contain all of these.
fn metric(text: &str, parts: &[&str]) -> f64 {
    let line = text
        .lines()
        .find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

#[tokio::test]
async fn the_metrics_move() {
    let stage = Stage::with(json!({"retry": soon(), "fail_fast_4xx": true})).await;
    let url = stage.receiver.url("/held");
    stage
        .api
        .route("shop", "held", &url, json!({}), json!({"paused": true}))
        .await;
    stage.receiver.script(
        "/hook",
        [
            Answer::Status(500),
            Answer::Status(200),
            Answer::Status(404),
        ],
    );
    let id = stage.plain(1).await;
    stage.api.delivery_in(&id, "delivered").await;
    let id = stage.plain(2).await;
    stage.api.delivery_in(&id, "dead").await;
    let (status, text) = stage.api.get("/metrics").await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 200);
    let hook = ["topic=\"shop\"", "channel=\"hook\""];
    for (name, labels, value) in [
        ("anser_accepted_total", &hook[..1], 2.0),
        ("anser_delivered_total", &hook, 1.0),
        ("anser_retried_total", &hook, 1.0),
        ("anser_dead_total", &hook, 1.0),
        (
            "anser_attempts_total",
            &["channel=\"hook\"", "outcome=\"rejected\""],
            1.0,
        ),
        ("anser_queue_depth", &["channel=\"held\""], 2.0),
        ("anser_delivery_latency_seconds_count", &[], 1.0),
    ] {
        let parts = [&[name], labels].concat();
        assert_eq!(metric(text, &parts), value, "{parts:?} in {text}");
    }
    for name in [
        "anser_commit_seconds_count",
        "anser_commit_operations_count",
        "anser_queue_bytes",
        "anser_accepted_bytes_total",
    ] {
        assert!(metric(text, &[name]) > 0.0, "{name} in {text}");
    }
    // The oldest are looked for every few seconds.
    let age = || async {
        let (_, text) = stage.api.get("/metrics").await;
        (metric(
            text.as_str()?,
            &["anser_queue_age_seconds", "channel=\"held\""],
        ) > 0.0)
            .then_some(())
    };
    eventually("the age of what is held shows", age).await;
}
