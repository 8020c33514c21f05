//! Times a publisher sets, and what it takes back: `not_before`, `expires_at`, a topic's `max_age`, recall.

use serde_json::json;

use super::{Stage, bodies, in_seconds, outcomes, time};
use crate::harness::{Answer, eventually};

#[tokio::test]
async fn not_before_is_kept_and_the_lane_does_not_wait_for_it() {
    let stage = Stage::with(json!({"ordering": "key"})).await;
    let due = in_seconds(2.0);
    let item = json!({"header": {"key": "k", "not_before": due}, "body": {"data": "later"}});
    let later = stage.api.publish("shop", &item).await;
    let delivery = stage.api.deliveries(&later).await.remove(0);
    assert_eq!(
        (&delivery["state"], time(&delivery["next_attempt_at"])),
        (&json!("pending"), due)
    );
    let now = stage.keyed("now", "k").await;
    stage.api.delivery_in(&now, "delivered").await;
    let delivery = stage.api.delivery_in(&later, "delivered").await;
    let started = time(&delivery["attempt_log"][0]["started"]);
    assert!(started >= due, "{started} is before {due}");
    assert_eq!(bodies(&stage.receiver.received("/hook")), ["now", "later"]);
}

#[tokio::test]
async fn a_scheduled_delivery_survives_a_restart() {
    let stage = Stage::with(json!({})).await;
    let item = json!({"header": {"not_before": in_seconds(1.5)}, "body": {"data": "later"}});
    let id = stage.api.publish("shop", &item).await;
    let options = stage.server.kill().await;
    let server = options.start();
    server.api().delivery_in(&id, "delivered").await;
    let received = stage.receiver.received("/hook");
    assert_eq!(bodies(&received), ["later"]);
    assert_eq!(
        received[0].header("anser-possible-duplicate"),
        "",
        "it cannot have been in flight"
    );
}

#[tokio::test]
async fn more_than_seventy_days_ahead_is_refused() {
    let stage = Stage::with(json!({})).await;
    let day = 24.0 * 3600.0;
    for (days, accepted) in [(69.9, true), (70.1, false)] {
        let item = json!({"header": {"not_before": in_seconds(days * day)}, "body": {"data": 1}});
        let (status, answer) = stage.api.post("/v1/topics/shop/messages", &item).await;
        assert_eq!(status == 202, accepted, "{days} days: {answer}");
        if !accepted {
            assert_eq!(
                (status, &answer["field"]),
                (422, &json!("header.not_before")),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn past_its_expiry_an_undelivered_one_ends_as_expired() {
    let stage = Stage::with(json!({"retry": [600]})).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    let expiry = in_seconds(2.0);
    let item = json!({"header": {"key": "k", "expires_at": expiry}, "body": {"data": 1}});
    let head = stage.api.publish("shop", &item).await;
    let behind = stage.api.publish("shop", &item).await;
    for id in [&head, &behind] {
        let delivery = stage.api.delivery_in(id, "expired").await;
        assert_eq!(time(&delivery["expires_at"]), expiry);
        assert!(time(&delivery["ended_at"]) >= expiry, "{delivery}");
    }
    assert_eq!(
        stage.receiver.received("/hook").len(),
        1,
        "the second waited behind the first until both expired"
    );

    let (status, problem) = stage
        .api
        .act(&format!(
            "/v1/deliveries/{}/retry",
            stage.api.deliveries(&head).await[0]["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("message_expired")));
}

#[tokio::test]
async fn an_expired_head_releases_its_lane() {
    let stage = Stage::with(json!({"retry": [600]})).await;
    stage.receiver.rule("/hook", |request| {
        (request.json()["body"]["data"] == 1).then_some(Answer::Status(500))
    });
    let item = json!({"header": {"key": "k", "expires_at": in_seconds(2.0)}, "body": {"data": 1}});
    let head = stage.api.publish("shop", &item).await;
    let behind = stage.keyed(2, "k").await;
    stage.api.delivery_in(&behind, "delivered").await;
    stage.api.delivery_in(&head, "expired").await;
}

#[tokio::test]
async fn a_topics_max_age_ends_what_is_not_delivered_by_then() {
    let stage = Stage::with(json!({"retry": [600]})).await;
    let (status, _) = stage
        .api
        .patch("/v1/topics/shop", &json!({"max_age": 1}))
        .await;
    assert_eq!(status, 200);
    stage.receiver.answer("/hook", Answer::Status(500));
    let id = stage.plain("a").await;
    stage.api.delivery_in(&id, "expired").await;
}

#[tokio::test]
async fn recall_cancels_what_waits_and_says_what_is_delivered() {
    let stage = Stage::with(json!({"retry": [600], "ordering": "strict"})).await;
    let url = stage.receiver.url("/well");
    stage
        .api
        .route("shop", "well", &url, json!({}), json!({}))
        .await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let head = stage.plain(1).await;
    stage.api.delivery_in(&head, "retrying").await;
    let behind = stage.plain(2).await;
    let last = stage.plain(3).await;
    stage.receiver.count("/well", 3).await;
    for id in [&head, &behind, &last] {
        stage.api.delivery_in(id, "delivered").await;
    }
    for id in [&behind, &head, &head] {
        let (status, answer) = stage.api.act(&format!("/v1/messages/{id}/recall")).await;
        let results: Vec<_> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| &each["result"])
            .collect();
        assert_eq!(
            (status, results),
            (200, vec![&json!("cancelled"), &json!("requested")]),
            "{answer}"
        );
        stage.api.delivery_in(id, "cancelled").await;
    }
    let both = || async {
        let deliveries = stage.api.deliveries(&last).await;
        deliveries
            .iter()
            .all(|delivery| delivery["state"] == "delivered")
            .then_some(())
    };
    eventually("the lane goes on behind what was recalled", both).await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 3]);
}

#[tokio::test]
async fn recall_of_one_in_flight_is_acted_on_when_it_ends() {
    let stage = Stage::with(json!({"retry": [0.01, 0.01]})).await;
    stage
        .api
        .patch("/v1/channels/hook", &json!({"timeout": 3}))
        .await;
    stage.receiver.answer("/hook", Answer::Hang);
    let id = stage.plain(1).await;
    stage.receiver.count("/hook", 1).await;
    let (status, answer) = stage.api.act(&format!("/v1/messages/{id}/recall")).await;
    assert_eq!(
        (status, &answer["results"][0]["result"]),
        (200, &json!("in_flight")),
        "{answer}"
    );
    let delivery = stage.api.delivery_in(&id, "cancelled").await;
    assert_eq!(outcomes(&delivery), ["unknown"]);
    assert_eq!(stage.receiver.received("/hook").len(), 1);
}
