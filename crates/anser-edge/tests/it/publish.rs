//! Publishing: one item, batches, what confirms it, what makes it idempotent.

use serde_json::{Value, json};

use crate::harness::{Server, start};

const MESSAGES: &str = "/v1/topics/orders/messages";

async fn with_topic() -> Server {
    let server = start().await;
    server
        .call("POST", "/v1/topics", json!({"name": "orders"}))
        .await
        .expect(201);
    server
}

fn item(n: u32) -> Value {
    json!({"header": {"type": "order.paid", "key": "42"}, "body": {"data": {"n": n}}})
}

#[tokio::test]
async fn a_single_item_is_answered_with_its_place() {
    let server = with_topic().await;
    let first = server.call("POST", MESSAGES, item(1)).await.expect(202);
    assert_eq!(
        (&first["topic"], &first["matched"], &first["duplicate"]),
        (&json!("orders"), &json!(0), &json!(false))
    );
    let second = server
        .call("POST", "/v1/topics/Orders/messages", item(2))
        .await
        .expect(202);
    assert!(second["seq"].as_u64() > first["seq"].as_u64());
    assert!(second["id"].as_str() > first["id"].as_str());
    let stored = server
        .call(
            "GET",
            &format!("/v1/messages/{}", first["id"].as_str().unwrap()),
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(stored["message"]["body"]["data"], json!({"n": 1}));
    assert_eq!(stored["message"]["header"]["from"]["kind"], "service");
    server.stop().await;
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item() {
    let server = with_topic().await;
    let batch = json!([item(1), {"body": {}}, 7, item(2), {"body": {"data": 1}, "colour": "red"}]);
    let answer = server
        .call("POST", MESSAGES, batch.clone())
        .await
        .expect(200);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<u64> = results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 422, 422, 202, 422]);
    assert_eq!(results[4]["field"], "colour", "{}", results[4]);
    let refused = server
        .call("POST", &format!("{MESSAGES}?atomic=true"), batch)
        .await;
    assert_eq!(refused.code(), "invalid_body");
    assert!(
        refused.json()["field"].as_str().unwrap().starts_with("[1]"),
        "{refused:?}"
    );
    let all = server
        .call("GET", "/v1/messages?topic=orders", Value::Null)
        .await
        .expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_key_makes_it_idempotent() {
    let server = with_topic().await;
    let key = [("idempotency-key", "k1")];
    let first = server
        .call_with("POST", MESSAGES, &key, item(1))
        .await
        .expect(202);
    let again = server
        .call_with("POST", MESSAGES, &key, item(1))
        .await
        .expect(202);
    assert_eq!(
        (&again["id"], &again["duplicate"]),
        (&first["id"], &json!(true))
    );
    assert_eq!(
        server
            .call_with("POST", MESSAGES, &key, item(2))
            .await
            .status,
        409
    );
    let mut named = item(1);
    named["dedupe_key"] = json!("k1");
    let by_body = server
        .call_with("POST", MESSAGES, &key, named.clone())
        .await
        .expect(202);
    assert_eq!(by_body["id"], first["id"]);
    named["dedupe_key"] = json!("k2");
    assert_eq!(
        server.call_with("POST", MESSAGES, &key, named).await.code(),
        "ambiguous_dedupe_key"
    );
    assert_eq!(
        server
            .call_with("POST", MESSAGES, &key, json!([item(1)]))
            .await
            .code(),
        "key_with_batch"
    );
    server.stop().await;
}

#[tokio::test]
async fn options_change_the_answer() {
    let server = with_topic().await;
    let refused = server
        .call("POST", &format!("{MESSAGES}?mandatory=true"), item(1))
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "unroutable")
    );
    let early = server
        .call("POST", &format!("{MESSAGES}?acks=none"), item(1))
        .await
        .expect(202);
    assert_eq!((&early["durable"], early.get("seq")), (&json!(false), None));
    let kept = server
        .call(
            "POST",
            &format!("{MESSAGES}?on_unroutable=keep&acks=stored"),
            item(1),
        )
        .await;
    assert_eq!(kept.status, 202);
    let waited = server
        .call("POST", &format!("{MESSAGES}?wait=delivered"), item(1))
        .await
        .expect(200);
    assert_eq!(waited["deliveries"], json!([]));
    for (query, code) in [
        ("wait_timeout=5", "invalid_parameter"),
        ("wait=delivered&wait_timeout=61", "invalid_parameter"),
        ("wait=delivered&wait_timeout=NaN", "invalid_parameter"),
        ("wait=done", "invalid_parameter"),
        ("acks=all", "invalid_parameter"),
        ("atomic", "invalid_parameter"),
        ("mandatroy=true", "unknown_parameter"),
    ] {
        assert_eq!(
            server
                .call("POST", &format!("{MESSAGES}?{query}"), item(1))
                .await
                .code(),
            code,
            "{query}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn waiting_answers_with_the_state_of_each_delivery() {
    let server = start().await;
    // Nobody listens there: the first attempt fails at once.
    server.with_hook("http://127.0.0.1:1/hook").await;
    let target = format!("{MESSAGES}?wait=delivered&wait_timeout=30");
    let answer = server.call("POST", &target, item(1)).await.expect(200);
    assert_eq!(
        (&answer["matched"], &answer["deliveries"][0]["state"]),
        (&json!(1), &json!("retrying")),
        "{answer}"
    );
    server.stop().await;
}

#[tokio::test]
async fn direct_messages_need_an_address() {
    let server = start().await;
    server.with_hook("http://127.0.0.1:1/hook").await;
    assert_eq!(
        server.call("POST", "/v1/messages", item(1)).await.code(),
        "missing_to"
    );
    let mut addressed = item(1);
    addressed["header"]["to"] = json!(["hook"]);
    let answer = server
        .call("POST", "/v1/messages", addressed)
        .await
        .expect(202);
    assert_eq!(
        (&answer["topic"], &answer["matched"]),
        (&json!("$direct"), &json!(1))
    );
    server.stop().await;
}
