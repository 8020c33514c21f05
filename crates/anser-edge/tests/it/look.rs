//! Looking at messages and deliveries, retrying and recalling.

use serde_json::{Value, json};

use crate::harness::{Server, start};

#[tokio::test]
async fn a_message_and_its_delivery_from_all_sides() {
    let server = start().await;
    server.with_hook("http://127.0.0.1:1/hook").await;
    let item = json!({"header": {"type": "order.paid", "tags": ["vip"]}, "body": {"data": 1}});
    let target = "/v1/topics/orders/messages?wait=delivered";
    let published = server.call("POST", target, item).await.expect(200);
    let (message, delivery) = (
        published["id"].as_str().unwrap(),
        published["deliveries"][0]["id"].as_str().unwrap(),
    );

    for query in [
        "topic=orders",
        "type=order.*",
        "tag=vip",
        "since=2026-01-01T00:00:00Z&limit=1",
        "follow=true&topic=orders",
    ] {
        let page = server
            .call("GET", &format!("/v1/messages?{query}"), Value::Null)
            .await
            .expect(200);
        assert_eq!(
            page["items"][0]["message"]["header"]["id"], message,
            "{query}"
        );
    }
    let none = server
        .call("GET", "/v1/messages?tag=other", Value::Null)
        .await
        .expect(200);
    assert_eq!(none["items"], json!([]));
    its_deliveries(&server, message, delivery).await;
    server.stop().await;
}

/// The delivery as the lists and its own page show it, and the operator's hand on it.
async fn its_deliveries(server: &Server, message: &str, delivery: &str) {
    let of_message = server
        .call(
            "GET",
            &format!("/v1/messages/{message}/deliveries"),
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(of_message["items"][0]["id"], delivery);
    for query in [
        "state=retrying",
        "subscription=orders/hook",
        "channel=hook",
        "limit=1",
    ] {
        let page = server
            .call("GET", &format!("/v1/deliveries?{query}"), Value::Null)
            .await
            .expect(200);
        assert_eq!(page["items"][0]["id"], delivery, "{query}");
    }
    let one = server
        .call("GET", &format!("/v1/deliveries/{delivery}"), Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&one["state"], &one["attempt_log"][0]["number"]),
        (&json!("retrying"), &json!(1)),
        "{one}"
    );

    let retried = server
        .call(
            "POST",
            &format!("/v1/deliveries/{delivery}/retry"),
            Value::Null,
        )
        .await
        .expect(202);
    assert_eq!(retried["id"], delivery);
    let recalled = server
        .call(
            "POST",
            &format!("/v1/messages/{message}/recall"),
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(recalled["results"][0]["delivery"], delivery);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = start().await;
    let uuid = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
    for (method, target, code) in [
        ("GET", format!("/v1/messages/{uuid}"), "message_not_found"),
        (
            "GET",
            format!("/v1/messages/{uuid}/deliveries"),
            "message_not_found",
        ),
        (
            "POST",
            format!("/v1/messages/{uuid}/recall"),
            "message_not_found",
        ),
        ("GET", "/v1/messages/1".to_owned(), "message_not_found"),
        (
            "GET",
            "/v1/deliveries/dlv_131072".to_owned(),
            "delivery_not_found",
        ),
        (
            "POST",
            "/v1/deliveries/dlv_131072/retry".to_owned(),
            "delivery_not_found",
        ),
        (
            "GET",
            "/v1/deliveries/131072".to_owned(),
            "delivery_not_found",
        ),
        ("GET", "/v1/topics/none".to_owned(), "topic_not_found"),
        (
            "GET",
            "/v1/topics/none/subscriptions/x".to_owned(),
            "topic_not_found",
        ),
        ("GET", "/v1/channels/none".to_owned(), "channel_not_found"),
        (
            "GET",
            "/v1/event-types/none".to_owned(),
            "event_type_not_found",
        ),
        ("GET", "/v1/keys/none".to_owned(), "key_not_found"),
        (
            "POST",
            "/v1/channels/none/test".to_owned(),
            "channel_not_found",
        ),
        (
            "POST",
            "/v1/channels/none/enable".to_owned(),
            "channel_not_found",
        ),
    ] {
        let reply = server.call(method, &target, Value::Null).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, code),
            "{method} {target}"
        );
    }
    server.stop().await;
}
