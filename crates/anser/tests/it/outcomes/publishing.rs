//! How a publish is confirmed or returned: `acks`, `wait`, `mandatory`, `on_unroutable`, `atomic`, direct addresses.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Stage, bodies};
use crate::harness::Answer;

async fn stored(stage: &Stage) -> usize {
    let (status, page) = stage.api.get("/v1/messages?topic=shop").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_answer_names_id_place_and_matches() {
    let stage = Stage::with(json!({"filter": {"tags": ["vip"]}})).await;
    let path = "/v1/topics/shop/messages";
    let mut before = 0;
    for (tag, matched) in [("vip", 1), ("other", 0)] {
        let (status, answer) = stage
            .api
            .post(
                path,
                &json!({"header": {"tags": [tag]}, "body": {"data": 1}}),
            )
            .await;
        assert_eq!(
            (status, &answer["matched"], &answer["duplicate"]),
            (202, &json!(matched), &json!(false)),
            "{answer}"
        );
        assert_eq!(answer["topic"], "shop");
        let seq = answer["seq"].as_u64().unwrap();
        assert!(seq > before, "{seq} is not above {before}");
        before = seq;
        let (_, message) = stage
            .api
            .get(&format!("/v1/messages/{}", answer["id"].as_str().unwrap()))
            .await;
        assert_eq!(
            (&message["seq"], &message["message"]["header"]["id"]),
            (&json!(seq), &answer["id"])
        );
    }
}

#[tokio::test]
async fn wait_answers_200_after_the_first_attempts_or_202_with_the_states_so_far() {
    let stage = Stage::with(json!({"retry": [600]})).await;
    let url = stage.receiver.url("/other");
    stage
        .api
        .route("shop", "other", &url, json!({}), json!({}))
        .await;
    stage
        .receiver
        .script("/hook", [Answer::Status(500), Answer::Hang]);
    let path = "/v1/topics/shop/messages?wait=delivered";
    let (status, answer) = stage.api.post(path, &json!({"body": {"data": 1}})).await;
    let states = |answer: &Value| -> Vec<String> {
        let deliveries = answer["deliveries"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        deliveries
            .iter()
            .map(|delivery| delivery["state"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (status, states(&answer)),
        (200, vec!["retrying".to_owned(), "delivered".to_owned()])
    );
    let (status, answer) = stage
        .api
        .post(
            &format!("{path}&wait_timeout=3"),
            &json!({"body": {"data": 2}}),
        )
        .await;
    assert_eq!(
        (status, states(&answer)),
        (202, vec!["pending".to_owned(), "delivered".to_owned()])
    );
    let (status, answer) = stage
        .api
        .post(
            &format!("{path}&wait_timeout=61"),
            &json!({"body": {"data": 2}}),
        )
        .await;
    assert_eq!(
        (status, &answer["field"]),
        (422, &json!("wait_timeout")),
        "{answer}"
    );
}

#[tokio::test]
async fn mandatory_without_a_match_is_returned_and_nothing_is_stored() {
    let stage = Stage::with(json!({"filter": {"types": ["order.*"]}})).await;
    let path = "/v1/topics/shop/messages?mandatory=true";
    let (status, problem) = stage
        .api
        .post(
            path,
            &json!({"header": {"type": "other"}, "body": {"data": 1}}),
        )
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("unroutable")),
        "{problem}"
    );
    assert_eq!(stored(&stage).await, 0);
    let (status, answer) = stage
        .api
        .post(
            path,
            &json!({"header": {"type": "order.paid"}, "body": {"data": 1}}),
        )
        .await;
    assert_eq!((status, &answer["matched"]), (202, &json!(1)));
}

#[tokio::test]
async fn what_nothing_takes_is_kept_and_reported_when_asked() {
    let stage = Stage::with(json!({"filter": {"types": ["order.*"]}})).await;
    let operator = stage.receiver.url("/operator");
    stage
        .api
        .make(
            "/v1/channels",
            &json!({"name": "operator", "kind": "webhook", "settings": {"url": operator}}),
        )
        .await;
    stage
        .api
        .make(
            "/v1/topics/$ops/subscriptions",
            &json!({"name": "operator", "channel": "operator"}),
        )
        .await;
    let path = "/v1/topics/shop/messages?on_unroutable=keep";
    let (status, answer) = stage
        .api
        .post(
            path,
            &json!({"header": {"type": "other"}, "body": {"data": 1}}),
        )
        .await;
    assert_eq!((status, &answer["matched"]), (202, &json!(0)), "{answer}");
    assert_eq!(stored(&stage).await, 1);
    let told = stage.receiver.count("/operator", 1).await[0].json();
    assert_eq!(
        (&told["header"]["topic"], &told["header"]["type"]),
        (&json!("$ops"), &json!("message.unroutable"))
    );
    assert_eq!(told["body"]["data"]["message_id"], answer["id"]);
}

#[tokio::test]
async fn acks_none_is_answered_at_once_and_comes_without_promises() {
    let stage = Stage::with(json!({})).await;
    let path = "/v1/topics/shop/messages?acks=none";
    let (status, answer) = stage
        .api
        .post(path, &json!({"body": {"data": "quick"}}))
        .await;
    assert_eq!(
        (status, &answer["durable"]),
        (202, &json!(false)),
        "{answer}"
    );
    assert!(answer.get("seq").is_none(), "{answer}");
    let received = stage.receiver.count("/hook", 1).await;
    assert_eq!(
        received[0].header("webhook-id"),
        answer["id"].as_str().unwrap()
    );
    for (query, item, field) in [
        (
            "",
            json!({"body": {"data": 1}, "dedupe_key": "d"}),
            "dedupe_key",
        ),
        ("&mandatory=true", json!({"body": {"data": 1}}), "mandatory"),
        ("&wait=delivered", json!({"body": {"data": 1}}), "wait"),
    ] {
        let (status, problem) = stage.api.post(&format!("{path}{query}"), &item).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (422, &json!("acks_none"), &json!(field)),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item_unless_it_is_atomic() {
    let stage = Stage::with(json!({"ordering": "strict"})).await;
    let items = json!([
        {"body": {"data": 1}},
        {"body": {"data": 2}, "header": {"tpye": "typo"}},
        {"body": {"data": 3}},
    ]);
    let path = "/v1/topics/shop/messages";
    let (status, problem) = stage.api.post(&format!("{path}?atomic=true"), &items).await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["field"].as_str().unwrap().starts_with("[1].header"),
        "{problem}"
    );
    assert_eq!(stored(&stage).await, 0);
    let (status, answer) = stage.api.post(path, &items).await;
    assert_eq!(status, 200, "{answer}");
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 422, 202], "{answer}");
    assert_eq!(answer["results"][1]["field"], "header.tpye", "{answer}");
    let received = stage.receiver.count("/hook", 2).await;
    assert_eq!(bodies(&received), [1, 3]);
}

#[tokio::test]
async fn direct_addresses_need_no_subscription() {
    let stage = Stage::set().await;
    for (name, path) in [("a", "/a"), ("b", "/b")] {
        let channel =
            json!({"name": name, "kind": "webhook", "settings": {"url": stage.receiver.url(path)}});
        stage.api.make("/v1/channels", &channel).await;
    }
    let item = json!({"header": {"to": ["a", "b", "a"]}, "body": {"data": "hello"}});
    let answer = stage.api.make("/v1/messages", &item).await;
    assert_eq!(
        (&answer["topic"], &answer["matched"]),
        (&json!("$direct"), &json!(2)),
        "{answer}"
    );
    stage.receiver.count("/a", 1).await;
    stage.receiver.count("/b", 1).await;
    for (item, code) in [
        (json!({"body": {"data": 1}}), "missing_to"),
        (
            json!({"header": {"to": ["nobody"]}, "body": {"data": 1}}),
            "unknown_channel",
        ),
        (
            json!({"header": {"to": ["user:a b"]}, "body": {"data": 1}}),
            "invalid_user",
        ),
        (
            json!({"header": {"to": ["room:dev"]}, "body": {"data": 1}}),
            "unknown_room",
        ),
        (
            json!({"header": {"to": ["queue:q"]}, "body": {"data": 1}}),
            "unknown_queue",
        ),
    ] {
        let (status, problem) = stage.api.post("/v1/messages", &item).await;
        assert_eq!((status, &problem["code"]), (422, &json!(code)), "{problem}");
    }
}

#[tokio::test]
async fn any_body_is_an_event() {
    let stage = Stage::with(json!({"format": "data"})).await;
    let post = |content_type: &str, body: &'static str| {
        stage
            .api
            .request(Method::POST, "/v1/topics/shop/events")
            .header("content-type", content_type)
            .body(body)
    };
    for request in [
        post("application/json", r#"{"b":1.0,"a":12345678901234567890}"#)
            .header("anser-type", "order.paid"),
        post("image/cbor", "\u{1}\u{2}").header("anser-key", "k"),
    ] {
        let (status, answer) = stage.api.try_send(request).await.unwrap();
        assert_eq!(status, 202, "{answer}");
    }
    let received = stage.receiver.count("/hook", 2).await;
    assert_eq!(
        received[0].body, br#"{"b":1.0,"a":12345678901234567890}"#,
        "byte for byte"
    );
    assert_eq!(received[0].header("content-type"), "application/json");
    assert_eq!(
        (
            received[1].body.as_slice(),
            received[1].header("content-type")
        ),
        (&[1u8, 2][..], "image/cbor")
    );
}
