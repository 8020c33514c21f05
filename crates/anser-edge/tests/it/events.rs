//! Events: any body, and CloudEvents in their three modes.

use serde_json::{Value, json};

use crate::client::Reply;
use crate::harness::{KEY, Server, start};

const EVENTS: &str = "/v1/topics/orders/events";

async fn with_topic() -> Server {
    let server = start().await;
    server
        .call("PUT", "/v1/topics/orders", json!({}))
        .await
        .expect(201);
    server
}

async fn post(server: &Server, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let key = format!("Bearer {KEY}");
    let mut all = vec![("authorization", key.as_str())];
    all.extend(headers);
    server.send("POST", EVENTS, &all, body).await
}

/// The message as stored, as text: the bytes of `data` count.
async fn stored(server: &Server, reply: Reply) -> (Value, String) {
    let answer = reply.expect(202);
    let path = format!("/v1/messages/{}", answer["id"].as_str().unwrap());
    let reply = server.call("GET", &path, Value::Null).await;
    let text = String::from_utf8(reply.body.clone()).unwrap();
    (reply.expect(200)["message"].clone(), text)
}

#[tokio::test]
async fn json_keeps_its_bytes_and_anything_else_its_media_type() {
    let server = with_topic().await;
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("anser-type", "order.paid"),
        ("anser-key", "42"),
        ("anser-tags", "vip, new"),
        ("anser-tags", "eu"),
    ];
    let reply = post(
        &server,
        &headers,
        br#" {"b": 1.0, "a":10000000000000000000000}"#,
    )
    .await;
    let (message, text) = stored(&server, reply).await;
    assert!(
        text.contains(r#""data":{"b": 1.0, "a":10000000000000000000000}"#),
        "{text}"
    );
    let header = &message["header"];
    assert_eq!(
        (&header["type"], &header["key"]),
        (&json!("order.paid"), &json!("42"))
    );
    assert_eq!(header["tags"], json!(["vip", "new", "eu"]));

    let reply = post(&server, &[("content-type", "text/csv")], b"a,b\n\xff").await;
    let (message, _) = stored(&server, reply).await;
    assert_eq!(
        message["body"],
        json!({"bytes": "YSxiCv8=", "media_type": "text/csv"})
    );
    let reply = post(&server, &[], b"x").await;
    let (message, _) = stored(&server, reply).await;
    assert_eq!(
        message["body"],
        json!({"bytes": "eA==", "media_type": "application/octet-stream"})
    );
    server.stop().await;
}

#[tokio::test]
async fn cloud_events_in_binary_mode() {
    let server = with_topic().await;
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "e1"),
        ("ce-source", "/shop"),
        ("ce-type", "order.paid"),
        ("ce-time", "2026-11-23T01:00:00Z"),
        ("ce-subject", "Euro%20%E2%82%AC"),
        ("ce-partitionkey", "42"),
    ];
    let first = post(&server, &headers, b"{\"n\":1}").await.expect(202);
    let again = post(&server, &headers, b"{\"n\":1}").await;
    let (message, _) = stored(&server, again).await;
    let header = &message["header"];
    assert_eq!(
        header["id"], first["id"],
        "source and id make it idempotent"
    );
    assert_eq!(
        (&header["type"], &header["key"]),
        (&json!("order.paid"), &json!("42"))
    );
    assert_eq!(header["occurred_at"], "2026-11-23T01:00:00.000Z");
    assert_eq!(
        header["ext"]["cloudevents"],
        json!({"id": "e1", "source": "/shop", "subject": "Euro €"})
    );
    server.stop().await;
}

#[tokio::test]
async fn cloud_events_in_structured_mode_and_as_a_batch() {
    let server = with_topic().await;
    let event = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.paid", "data": {"n": 1}});
    let structured = [(
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    )];
    let reply = post(&server, &structured, event("e1").to_string().as_bytes()).await;
    let (message, _) = stored(&server, reply).await;
    assert_eq!(message["body"]["data"], json!({"n": 1}));

    let batch = [("content-type", "application/cloudevents-batch+json")];
    let body = json!([event("e1"), {"specversion": "1.0"}, event("e2")]).to_string();
    let answer = post(&server, &batch, body.as_bytes()).await.expect(200);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [202, 422, 202]);
    assert_eq!(
        (&results[0]["duplicate"], &results[2]["duplicate"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        post(&server, &batch, event("e1").to_string().as_bytes())
            .await
            .code(),
        "invalid_cloudevent"
    );
    server.stop().await;
}

/// Headers and body of a request, and the status and code of its refusal.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

#[tokio::test]
async fn bad_events_are_refused() {
    let server = with_topic().await;
    let cases: &[Case<'_>] = &[
        (
            &[("content-type", "application/json")],
            b"{",
            400,
            "malformed_json",
        ),
        (
            &[("content-type", "application/json")],
            b"",
            400,
            "malformed_json",
        ),
        (
            &[("content-type", "application/cloudevents+json")],
            b"{}",
            422,
            "invalid_cloudevent",
        ),
        (
            &[("content-type", "application/cloudevents+avro")],
            b"x",
            415,
            "unsupported_media_type",
        ),
        (
            &[("content-type", "nonsense")],
            b"x",
            422,
            "invalid_media_type",
        ),
        (
            &[("ce-specversion", "0.3")],
            b"x",
            422,
            "invalid_cloudevent",
        ),
        (
            &[("ce-specversion", "1.0"), ("ce-id", "%ff")],
            b"x",
            400,
            "invalid_header",
        ),
        (&[("anser-type", "a b")], b"x", 422, "invalid_type"),
        (&[("anser-key", "")], b"x", 422, "invalid_text"),
        (
            &[("anser-type", "a"), ("anser-type", "b")],
            b"x",
            400,
            "invalid_header",
        ),
        (
            &[("content-encoding", "gzip")],
            b"x",
            415,
            "unsupported_encoding",
        ),
    ];
    for (headers, body, status, code) in cases {
        let reply = post(&server, headers, body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (*status, *code),
            "{headers:?}"
        );
    }
    server.stop().await;
}
