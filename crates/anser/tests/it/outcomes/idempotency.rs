//! Accepted once: dedupe keys, their scope, their window, and what outlives a restart.

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;
use crate::harness::{Receiver, ServerOptions, eventually};

const PATH: &str = "/v1/topics/shop/messages";
/// Key texts as the gateway makes them: `ak_` and 43 characters of base64url.
const ADMIN_KEY: &str = "ak_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn item(data: impl Into<Value>) -> Value {
    json!({"header": {"type": "order.paid"}, "body": {"data": data.into()}, "dedupe_key": "order-1"})
}

#[tokio::test]
async fn the_same_key_and_item_is_stored_once_and_answered_as_the_first_time() {
    let stage = Stage::with(json!({})).await;
    let (_, first) = stage.api.post(PATH, &item(1)).await;
    assert_eq!(first["duplicate"], false, "{first}");
    let (status, again) = stage.api.post(PATH, &item(1)).await;
    assert_eq!(
        (status, &again["duplicate"], &again["id"]),
        (202, &json!(true), &first["id"]),
        "{again}"
    );
    assert_eq!(
        (&again["seq"], &again["matched"]),
        (&first["seq"], &first["matched"])
    );
    // Members in another order are the same item; another value is another.
    let text = r#"{"dedupe_key":"order-1","body":{"data":1},"header":{"type":"order.paid"}}"#;
    let request = stage
        .api
        .request(Method::POST, PATH)
        .header("content-type", "application/json")
        .body(text);
    let (_, reordered) = stage.api.try_send(request).await.unwrap();
    assert_eq!(
        (&reordered["duplicate"], &reordered["id"]),
        (&json!(true), &first["id"]),
        "{reordered}"
    );
    let (status, problem) = stage.api.post(PATH, &item(2)).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("dedupe_conflict")),
        "{problem}"
    );
    stage
        .api
        .delivery_in(first["id"].as_str().unwrap(), "delivered")
        .await;
    let (_, page) = stage.api.get("/v1/messages?topic=shop").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(stage.receiver.received("/hook").len(), 1);
}

#[tokio::test]
async fn dedupe_outlives_restart_and_kill() {
    let stage = Stage::with(json!({})).await;
    let (_, first) = stage.api.post(PATH, &item(1)).await;
    let (_, options) = stage.server.stop().await;
    let server = options.start();
    let (_, again) = server.api().post(PATH, &item(1)).await;
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&json!(true), &first["id"]),
        "{again}"
    );
    let options = server.kill().await;
    let server = options.start();
    let (_, again) = server.api().post(PATH, &item(1)).await;
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&json!(true), &first["id"]),
        "{again}"
    );
    let (status, _) = server.api().post(PATH, &item(2)).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn the_header_does_the_same_for_a_single_item() {
    let stage = Stage::with(json!({})).await;
    let post = |path: &str, body: Value| {
        stage.api.try_send(
            stage
                .api
                .request(Method::POST, path)
                .header("idempotency-key", "once")
                .json(&body),
        )
    };
    let (_, first) = post(PATH, json!({"body": {"data": 1}})).await.unwrap();
    let (_, again) = post(PATH, json!({"body": {"data": 1}})).await.unwrap();
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&json!(true), &first["id"]),
        "{again}"
    );
    let (status, problem) = post(PATH, json!([{"body": {"data": 1}}])).await.unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("key_with_batch")),
        "{problem}"
    );
    let events = "/v1/topics/shop/events";
    let (_, first) = post(events, json!({"n": 1})).await.unwrap();
    assert_eq!(
        first["code"], "dedupe_conflict",
        "one scope for both doors: {first}"
    );
}

#[tokio::test]
async fn a_refused_publish_uses_no_key_up() {
    let stage = Stage::with(json!({"filter": {"types": ["order.*"]}})).await;
    let mut other = item(1);
    other["header"]["type"] = "other".into();
    let (status, _) = stage
        .api
        .post(&format!("{PATH}?mandatory=true"), &other)
        .await;
    assert_eq!(status, 422);
    let batch = json!([item(7), {"body": {}}]);
    let (status, _) = stage.api.post(&format!("{PATH}?atomic=true"), &batch).await;
    assert_eq!(status, 422);
    let (status, answer) = stage.api.post(PATH, &item(1)).await;
    assert_eq!(
        (status, &answer["duplicate"]),
        (202, &json!(false)),
        "{answer}"
    );
}

#[tokio::test]
async fn in_a_batch_each_item_has_its_own_key() {
    let stage = Stage::with(json!({})).await;
    let (_, first) = stage.api.post(PATH, &item(1)).await;
    let mut other = item(2);
    other["dedupe_key"] = "order-2".into();
    let batch = json!([item(1), other.clone(), other, item(9)]);
    let (status, answer) = stage.api.post(PATH, &batch).await;
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|each| each["status"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (status, statuses),
        (200, vec![202, 202, 202, 409]),
        "{answer}"
    );
    assert_eq!(
        (&results[0]["id"], &results[0]["duplicate"]),
        (&first["id"], &json!(true))
    );
    assert_eq!(
        (&results[1]["duplicate"], &results[2]["duplicate"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(results[1]["id"], results[2]["id"]);
    let conflict = json!([{"body": {"data": "new"}}, item(9)]);
    let (status, problem) = stage
        .api
        .post(&format!("{PATH}?atomic=true"), &conflict)
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("dedupe_conflict")),
        "{problem}"
    );
    let (_, page) = stage.api.get("/v1/messages?topic=shop").await;
    assert_eq!(
        page["items"].as_array().unwrap().len(),
        2,
        "the atomic batch left nothing: {page}"
    );
}

#[tokio::test]
async fn the_window_ends_and_each_topic_has_its_own() {
    let stage = Stage::with(json!({})).await;
    for (name, window) in [("short", 1), ("off", 0)] {
        stage
            .api
            .make(
                "/v1/topics",
                &json!({"name": name, "dedupe_window": window}),
            )
            .await;
    }
    let (_, elsewhere) = stage.api.post(PATH, &item(1)).await;
    let (_, first) = stage.api.post("/v1/topics/short/messages", &item(1)).await;
    assert_eq!(
        first["duplicate"], false,
        "another topic, another scope: {elsewhere}"
    );
    let forgotten = || async {
        let (_, answer) = stage.api.post("/v1/topics/short/messages", &item(2)).await;
        (answer["duplicate"] == false).then_some(())
    };
    eventually("the window of one second ends", forgotten).await;
    for _ in 0..2 {
        let (status, answer) = stage.api.post("/v1/topics/off/messages", &item(1)).await;
        assert_eq!(
            (status, &answer["duplicate"]),
            (202, &json!(false)),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_scope_is_the_keys_lineage() {
    let server = ServerOptions::default().with_key(ADMIN_KEY).start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    api.route("shop", "hook", &receiver.url("/hook"), json!({}), json!({}))
        .await;
    let key = |body: Value| {
        let (api, base) = (&api, server.base());
        async move {
            let created = api.make("/v1/keys", &body).await;
            crate::harness::Api::new(base, created["key"].as_str())
        }
    };
    let one = key(json!({"name": "one", "scopes": ["publish"]})).await;
    let two = key(json!({"name": "two", "scopes": ["publish"]})).await;
    let heir = key(json!({"name": "heir", "scopes": ["publish"], "replaces": "one"})).await;
    let (_, first) = one.post(PATH, &item(1)).await;
    let (_, other) = two.post(PATH, &item(1)).await;
    assert_eq!(
        other["duplicate"], false,
        "another caller's keys are its own: {other}"
    );
    let (_, again) = heir.post(PATH, &item(1)).await;
    assert_eq!(
        (&again["duplicate"], &again["id"]),
        (&json!(true), &first["id"]),
        "{again}"
    );
    let (status, _) = one.get("/v1/messages?topic=shop").await;
    assert_eq!(status, 403, "a key to publish reads nothing");
}
