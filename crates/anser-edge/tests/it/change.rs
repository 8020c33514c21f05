//! Edit and recall over HTTP: what is answered, what is refused, and with which right.

use serde_json::{Value, json};

use crate::harness::{Server, start};

/// A message on `orders` that goes to a hook which is not there.
async fn message(server: &Server) -> String {
    server.with_hook("http://127.0.0.1:1/hook").await;
    let item = json!({"header": {"key": "k"}, "body": {"data": "old"}});
    let target = "/v1/topics/orders/messages?wait=delivered";
    let published = server.call("POST", target, item).await.expect(200);
    published["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_is_edited_and_recalled() {
    let server = start().await;
    let id = message(&server).await;
    let path = format!("/v1/messages/{id}");
    let edited = server
        .call("PATCH", &path, json!({"body": {"data": "new"}}))
        .await
        .expect(200);
    let edit = edited["id"].as_str().unwrap();
    let results = &edited["results"][0];
    assert_eq!(
        (&results["result"], &edited["duplicate"]),
        (&json!("replaced"), &json!(false)),
        "{edited}"
    );
    let deliveries = server
        .call(
            "GET",
            &format!("/v1/messages/{edit}/deliveries"),
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(results["by"], deliveries["items"][0]["id"]);
    let shown = server.call("GET", &path, Value::Null).await.expect(200);
    assert_eq!(shown["edits"], json!([edit]));

    let reason = json!({"reason": "a typo"});
    let recalled = server
        .call("POST", &format!("{path}/recall"), reason)
        .await
        .expect(200);
    assert_eq!(recalled["results"][0]["result"], "cancelled", "{recalled}");
    let recall = recalled["id"].as_str().unwrap();
    let target = format!("/v1/messages/{recall}");
    let shown = server.call("GET", &target, Value::Null).await.expect(200);
    let message = &shown["message"];
    assert_eq!(
        (
            &message["header"]["type"],
            &message["header"]["target_id"],
            &message["body"]["data"]
        ),
        (
            &json!("message.recalled"),
            &json!(id),
            &json!({"reason": "a typo"})
        )
    );
    // Without a body, and again.
    let again = server
        .call("POST", &format!("{path}/recall"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&again["id"], &again["duplicate"]),
        (&json!(recall), &json!(true))
    );
    server.stop().await;
}

/// Status, code and field of a refusal.
async fn refusal(server: &Server, method: &str, target: &str, body: Value) -> String {
    let reply = server.call(method, target, body).await;
    let problem = reply.json();
    let field = problem["field"].as_str().unwrap_or("-");
    format!("{} {} {field}", reply.status, reply.code())
}

#[tokio::test]
async fn what_is_no_edit_is_refused_with_its_field() {
    let server = start().await;
    let id = message(&server).await;
    let path = format!("/v1/messages/{id}");
    let unsourced = json!({"body": {"data": 1}, "attachments": [{"id": "a"}]});
    for (body, expected) in [
        (json!({}), "422 invalid_field body"),
        (json!({"body": {}}), "422 invalid_body body"),
        (
            json!({"body": {"data": 1}, "header": {}}),
            "422 invalid_field header",
        ),
        (
            json!({"body": {"data": 1, "dada": 1}}),
            "422 invalid_field body.dada",
        ),
        (
            json!({"body": {"segments": []}}),
            "422 invalid_body body.segments",
        ),
        (unsourced, "422 invalid_field attachments[0].source"),
    ] {
        let told = refusal(&server, "PATCH", &path, body.clone()).await;
        assert_eq!(told, expected, "{body}");
    }
    let absent = "/v1/messages/019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
    let body = json!({"body": {"data": 1}});
    let told = refusal(&server, "PATCH", absent, body.clone()).await;
    assert_eq!(told, "404 message_not_found -");
    let edited = server.call("PATCH", &path, body.clone()).await.expect(200);
    let linked = format!("/v1/messages/{}", edited["id"].as_str().unwrap());
    let told = refusal(&server, "PATCH", &linked, body.clone()).await;
    assert_eq!(told, "422 linked_message id");
    let recall = format!("{path}/recall");
    server.call("POST", &recall, Value::Null).await.expect(200);
    let told = refusal(&server, "PATCH", &path, body).await;
    assert_eq!(told, "409 recalled -");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_reason_is_refused_with_its_field() {
    let server = start().await;
    let recall = format!("/v1/messages/{}/recall", message(&server).await);
    for (body, expected) in [
        (json!({"reason": ""}), "422 invalid_text reason"),
        (
            json!({"reason": "x".repeat(257)}),
            "422 invalid_text reason",
        ),
        (json!({"why": "x"}), "422 invalid_field why"),
        (json!([]), "422 invalid_field -"),
    ] {
        let told = refusal(&server, "POST", &recall, body.clone()).await;
        assert_eq!(told, expected, "{body}");
    }
    server.stop().await;
}
