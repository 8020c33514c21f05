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

#[tokio::test]
async fn what_is_no_edit_is_refused_with_its_field() {
    let server = start().await;
    let id = message(&server).await;
    let path = format!("/v1/messages/{id}");
    let absent = "/v1/messages/019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10".to_owned();
    let recall = format!("{path}/recall");
    for (method, target, body, status, code, field) in [
        ("PATCH", &path, json!({}), 422, "invalid_field", "body"),
        (
            "PATCH",
            &path,
            json!({"body": {}}),
            422,
            "invalid_body",
            "body",
        ),
        (
            "PATCH",
            &path,
            json!({"body": {"data": 1}, "header": {}}),
            422,
            "invalid_field",
            "header",
        ),
        (
            "PATCH",
            &path,
            json!({"body": {"data": 1, "dada": 1}}),
            422,
            "invalid_field",
            "body.dada",
        ),
        (
            "PATCH",
            &path,
            json!({"body": {"segments": []}}),
            422,
            "invalid_body",
            "body.segments",
        ),
        (
            "PATCH",
            &path,
            json!({"body": {"data": 1}, "attachments": [{"id": "a"}]}),
            422,
            "invalid_field",
            "attachments[0].source",
        ),
        (
            "PATCH",
            &absent,
            json!({"body": {"data": 1}}),
            404,
            "message_not_found",
            "",
        ),
        (
            "POST",
            &recall,
            json!({"reason": ""}),
            422,
            "invalid_text",
            "reason",
        ),
        (
            "POST",
            &recall,
            json!({"reason": "x".repeat(257)}),
            422,
            "invalid_text",
            "reason",
        ),
        (
            "POST",
            &recall,
            json!({"why": "x"}),
            422,
            "invalid_field",
            "why",
        ),
        ("POST", &recall, json!([]), 422, "invalid_field", ""),
    ] {
        let reply = server.call(method, target, body.clone()).await;
        let problem = reply.json();
        assert_eq!(
            (
                reply.status,
                problem["code"].as_str(),
                problem["field"].as_str().unwrap_or("")
            ),
            (status, Some(code), field),
            "{method} {target} {body}: {problem}"
        );
    }
    let edited = server
        .call("PATCH", &path, json!({"body": {"data": 1}}))
        .await
        .expect(200);
    let linked = format!("/v1/messages/{}", edited["id"].as_str().unwrap());
    let reply = server
        .call("PATCH", &linked, json!({"body": {"data": 1}}))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (422, "linked_message")
    );
    server.call("POST", &recall, Value::Null).await.expect(200);
    let reply = server
        .call("PATCH", &path, json!({"body": {"data": 1}}))
        .await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "recalled"));
    server.stop().await;
}
