//! Changes under way: pausing, deleting, and new settings that apply from the next attempt, without a restart.

use serde_json::json;

use super::{Stage, bodies, in_seconds, soon};
use crate::harness::{Answer, eventually};

const SUBSCRIPTION: &str = "/v1/topics/shop/subscriptions/hook";
const CHANNEL: &str = "/v1/channels/hook";

#[tokio::test]
async fn a_paused_subscription_or_channel_holds_and_resumes_in_order() {
    for path in [SUBSCRIPTION, CHANNEL] {
        let stage = Stage::with(json!({"ordering": "strict"})).await;
        let url = stage.receiver.url("/other");
        stage
            .api
            .route("shop", "other", &url, json!({}), json!({}))
            .await;
        let (status, answer) = stage.api.patch(path, &json!({"paused": true})).await;
        assert_eq!(status, 200, "{answer}");
        let mut ids = Vec::new();
        for n in 1..=3 {
            ids.push(stage.plain(n).await);
        }
        stage.receiver.count("/other", 3).await;
        for id in &ids {
            let delivery = stage.api.deliveries(id).await.remove(0);
            assert_eq!(
                (&delivery["subscription"], &delivery["state"]),
                (&json!("hook"), &json!("held")),
                "{delivery}"
            );
        }
        assert!(stage.receiver.received("/hook").is_empty());
        stage.api.patch(path, &json!({"paused": false})).await;
        assert_eq!(bodies(&stage.receiver.count("/hook", 3).await), [1, 2, 3]);
    }
}

#[tokio::test]
async fn what_is_held_survives_a_restart() {
    let stage = Stage::with(json!({"paused": true})).await;
    let id = stage.plain(1).await;
    let options = stage.server.kill().await;
    let server = options.start();
    let api = server.api();
    api.delivery_in(&id, "held").await;
    api.patch(SUBSCRIPTION, &json!({"paused": false})).await;
    api.delivery_in(&id, "delivered").await;
}

#[tokio::test]
async fn age_stands_still_while_held() {
    let retry = json!({"first": 0.05, "factor": 1, "jitter": 0, "max_age": 3});
    let stage = Stage::with(json!({"retry": retry})).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    let id = stage.plain(1).await;
    stage.receiver.count("/hook", 2).await;
    stage
        .api
        .patch(SUBSCRIPTION, &json!({"paused": true}))
        .await;
    let resume = in_seconds(4.0);
    eventually("longer than its greatest age", || async {
        (super::now() >= resume).then_some(())
    })
    .await;
    let before = stage.receiver.received("/hook").len();
    stage
        .api
        .patch(SUBSCRIPTION, &json!({"paused": false}))
        .await;
    // Had its age run on, the next failure would be the last.
    stage.receiver.count("/hook", before + 2).await;
    stage.api.delivery_in(&id, "dead").await;
}

#[tokio::test]
async fn deleting_a_subscription_cancels_its_deliveries_and_a_new_one_adopts_nothing() {
    let stage = Stage::with(json!({"retry": [600], "ordering": "strict"})).await;
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let head = stage.plain(1).await;
    stage.api.delivery_in(&head, "retrying").await;
    let behind = stage.plain(2).await;
    let (status, _) = stage.api.delete(SUBSCRIPTION).await;
    assert_eq!(status, 204);
    for id in [&head, &behind] {
        let delivery = stage.api.delivery_in(id, "cancelled").await;
        assert_eq!(delivery["subscription"], json!(null), "{delivery}");
    }
    stage
        .api
        .make(
            "/v1/topics/shop/subscriptions",
            &json!({"name": "hook", "channel": "hook"}),
        )
        .await;
    let new = stage.plain(3).await;
    stage.api.delivery_in(&new, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 3]);
    let id = stage.api.deliveries(&head).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, problem) = stage.api.act(&format!("/v1/deliveries/{id}/retry")).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("destination_gone")),
        "{problem}"
    );
}

#[tokio::test]
async fn deleting_a_subscription_cancels_the_one_in_flight_when_it_ends() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    stage.api.patch(CHANNEL, &json!({"timeout": 3})).await;
    stage.receiver.answer("/hook", Answer::Hang);
    let id = stage.plain(1).await;
    stage.receiver.count("/hook", 1).await;
    stage.api.delete(SUBSCRIPTION).await;
    stage.api.delivery_in(&id, "cancelled").await;
    assert_eq!(stage.receiver.received("/hook").len(), 1);
}

#[tokio::test]
async fn what_is_in_use_is_deleted_with_its_users_only() {
    let stage = Stage::with(json!({})).await;
    let (status, problem) = stage.api.delete(CHANNEL).await;
    assert_eq!((status, &problem["code"]), (409, &json!("in_use")));
    assert!(
        problem["detail"].as_str().unwrap().contains("shop/hook"),
        "it names the users: {problem}"
    );
    let (status, problem) = stage.api.delete("/v1/topics/shop").await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("in_use")),
        "{problem}"
    );
    let (status, _) = stage.api.delete(&format!("{CHANNEL}?cascade=true")).await;
    assert_eq!(status, 204);
    assert_eq!(stage.api.get(SUBSCRIPTION).await.0, 404);
    let (status, _) = stage.api.delete("/v1/topics/shop").await;
    assert_eq!(status, 204);
    assert_eq!(stage.api.get("/v1/topics/shop").await.0, 404);
}

#[tokio::test]
async fn a_new_url_and_format_apply_from_the_next_attempt() {
    let stage = Stage::with(json!({"retry": [0.3, 0.3, 0.3, 0.3, 0.3, 0.3]})).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    let id = stage.plain(json!({"n": 1})).await;
    stage.receiver.count("/hook", 1).await;
    let settings = json!({"settings": {"url": stage.receiver.url("/new"), "format": "data"}});
    let (status, answer) = stage.api.patch(CHANNEL, &settings).await;
    assert_eq!(status, 200, "{answer}");
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    let received = stage.receiver.received("/new");
    assert_eq!(received[0].body, br#"{"n":1}"#);
    assert_eq!(received[0].header("webhook-id"), id);
    let attempts = delivery["attempts"].as_u64().unwrap() as usize;
    assert_eq!(
        stage.receiver.received("/hook").len() + 1,
        attempts,
        "{delivery}"
    );
}

#[tokio::test]
async fn a_new_retry_schedule_applies_from_the_next_attempt() {
    let stage = Stage::with(json!({"retry": [600, 600]})).await;
    stage
        .receiver
        .script("/hook", [500, 500].map(Answer::Status));
    let id = stage.plain(1).await;
    let delivery = stage.api.delivery_in(&id, "retrying").await;
    let (status, answer) = stage
        .api
        .patch(SUBSCRIPTION, &json!({"retry": soon()}))
        .await;
    assert_eq!(status, 200, "{answer}");
    // The time of the second attempt is set already; by hand it comes at once, and what follows is the new schedule's.
    let (status, answer) = stage
        .api
        .act(&format!(
            "/v1/deliveries/{}/retry",
            delivery["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(status, 202, "{answer}");
    stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(stage.receiver.received("/hook").len(), 3);
}

#[tokio::test]
async fn a_change_from_an_old_revision_is_refused() {
    let stage = Stage::with(json!({})).await;
    let (_, channel) = stage.api.get(CHANNEL).await;
    let revision = format!("\"{}\"", channel["revision"]);
    let change = |timeout: u64| {
        let request = stage
            .api
            .request(reqwest::Method::PATCH, CHANNEL)
            .header("if-match", &revision);
        stage
            .api
            .try_send(request.json(&json!({"timeout": timeout})))
    };
    let (status, answer) = change(20).await.unwrap();
    assert_eq!((status, &answer["timeout"]), (200, &json!(20)), "{answer}");
    let (status, problem) = change(30).await.unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (412, &json!("stale_revision")),
        "{problem}"
    );
}
