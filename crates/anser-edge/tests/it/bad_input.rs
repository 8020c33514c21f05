//! Bad input, as a table: refused with a stable code, nothing accepted, nothing crashed.

use anser_edge::EdgeOptions;
use anser_gateway::GatewayOptions;
use serde_json::{Value, json};

use crate::client;
use crate::harness::{KEY, Server, start, start_with};

const MESSAGES: &str = "/v1/topics/orders/messages";

/// Method, target, content type, body; status, code, field.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a [u8],
    u16,
    &'a str,
    Option<&'a str>,
);

const JSON: &str = "application/json";

const BODIES: &[Case<'_>] = &[
    ("POST", MESSAGES, JSON, b"", 400, "malformed_json", None),
    ("POST", MESSAGES, JSON, b"{", 400, "malformed_json", None),
    (
        "POST",
        MESSAGES,
        JSON,
        b"{\"body\":{\"data\":1}} {}",
        400,
        "malformed_json",
        None,
    ),
    ("POST", MESSAGES, JSON, b"\xff", 400, "malformed_json", None),
    (
        "POST",
        MESSAGES,
        JSON,
        b"[{\"body\":{\"data\":1}},]",
        400,
        "malformed_json",
        None,
    ),
    ("POST", MESSAGES, JSON, b"[]", 422, "empty_batch", None),
    ("POST", MESSAGES, JSON, b"7", 422, "invalid_field", None),
    (
        "POST",
        MESSAGES,
        JSON,
        b"{}",
        422,
        "invalid_field",
        Some("body"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{}}"#,
        422,
        "invalid_body",
        Some("body"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"x":1}"#,
        422,
        "invalid_field",
        Some("x"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"tags":7}}"#,
        422,
        "invalid_field",
        Some("header.tags"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"typ":"x"}}"#,
        422,
        "invalid_field",
        Some("header.typ"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"id":"x"}}"#,
        422,
        "stamped_field",
        Some("header.id"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"from":{}}}"#,
        422,
        "stamped_field",
        Some("header.from"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"to":["/x"]}}"#,
        422,
        "invalid_address",
        Some("header.to[0]"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"data":1},"header":{"to":["queue:q"]}}"#,
        422,
        "unknown_queue",
        Some("header.to[0]"),
    ),
    (
        "POST",
        MESSAGES,
        JSON,
        br#"{"body":{"template":{}}}"#,
        422,
        "not_available",
        Some("body.template"),
    ),
    (
        "POST",
        MESSAGES,
        "text/plain",
        br#"{"body":{"data":1}}"#,
        415,
        "unsupported_media_type",
        None,
    ),
    (
        "POST",
        MESSAGES,
        "application/x-www-form-urlencoded",
        b"a=b",
        415,
        "unsupported_media_type",
        None,
    ),
    (
        "POST",
        "/v1/topics/none/messages",
        JSON,
        br#"{"body":{"data":1}}"#,
        404,
        "topic_not_found",
        None,
    ),
    (
        "POST",
        "/v1/topics/%ff/messages",
        JSON,
        br#"{"body":{"data":1}}"#,
        400,
        "malformed_path",
        Some("topic"),
    ),
    (
        "POST",
        "/v1/topics/$ops/messages",
        JSON,
        br#"{"body":{"data":1}}"#,
        422,
        "system_topic",
        Some("topic"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        b"{}",
        422,
        "invalid_field",
        Some("name"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":7}"#,
        422,
        "invalid_field",
        Some("name"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"a b"}"#,
        422,
        "invalid_name",
        Some("name"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"$x"}"#,
        422,
        "system_topic",
        Some("name"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"a","retention":-1}"#,
        422,
        "invalid_field",
        Some("retention"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"a","retention":400000000}"#,
        422,
        "out_of_range",
        Some("retention"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"a","retentoin":1}"#,
        422,
        "invalid_field",
        Some("retentoin"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        br#"{"name":"a","schema":{"type":"nonsense"}}"#,
        422,
        "invalid_schema",
        Some("schema"),
    ),
    (
        "POST",
        "/v1/topics",
        JSON,
        b"[]",
        422,
        "invalid_field",
        None,
    ),
    (
        "PUT",
        "/v1/topics/a%20b",
        JSON,
        b"{}",
        422,
        "invalid_name",
        Some("name"),
    ),
    (
        "PUT",
        "/v1/topics/%00",
        JSON,
        b"{}",
        422,
        "invalid_name",
        Some("name"),
    ),
    (
        "PUT",
        "/v1/channels/c",
        JSON,
        br#"{"kind":"pigeon","settings":{}}"#,
        422,
        "unknown_kind",
        Some("kind"),
    ),
    (
        "PUT",
        "/v1/channels/c",
        JSON,
        br#"{"kind":"webhook"}"#,
        422,
        "invalid_field",
        Some("settings"),
    ),
    (
        "PUT",
        "/v1/channels/c",
        JSON,
        br#"{"kind":"webhook","settings":{}}"#,
        422,
        "invalid_field",
        Some("settings.url"),
    ),
    (
        "PUT",
        "/v1/topics/orders/subscriptions/s",
        JSON,
        br#"{"channel":"none"}"#,
        422,
        "unknown_channel",
        Some("channel"),
    ),
    (
        "PUT",
        "/v1/topics/orders/subscriptions/s",
        JSON,
        br#"{"channel":"c","queue":"q"}"#,
        422,
        "invalid_destination",
        Some("queue"),
    ),
    (
        "POST",
        "/v1/keys",
        JSON,
        br#"{"name":"k","scopes":["root"]}"#,
        422,
        "invalid_field",
        Some("scopes[0]"),
    ),
    (
        "POST",
        "/v1/keys",
        JSON,
        br#"{"name":"k","scopes":[]}"#,
        422,
        "invalid_scopes",
        Some("scopes"),
    ),
    (
        "PATCH",
        "/v1/topics/orders",
        JSON,
        br#"{"retention":"x"}"#,
        422,
        "invalid_field",
        Some("retention"),
    ),
    (
        "GET",
        "/v1/topics?limit=a",
        "",
        b"",
        422,
        "invalid_parameter",
        Some("limit"),
    ),
    (
        "GET",
        "/v1/topics?colour=red",
        "",
        b"",
        422,
        "unknown_parameter",
        Some("colour"),
    ),
    (
        "GET",
        "/v1/topics/orders?x=1",
        "",
        b"",
        422,
        "unknown_parameter",
        Some("x"),
    ),
    (
        "GET",
        "/v1/deliveries?state=lost",
        "",
        b"",
        422,
        "invalid_parameter",
        Some("state"),
    ),
    (
        "GET",
        "/v1/messages?since=yesterday",
        "",
        b"",
        422,
        "invalid_parameter",
        Some("since"),
    ),
    ("GET", "/nowhere", "", b"", 404, "no_such_route", None),
    ("GET", "/v1/topics/", "", b"", 404, "no_such_route", None),
    (
        "POST",
        "/v2/topics",
        JSON,
        b"{}",
        404,
        "no_such_route",
        None,
    ),
    (
        "PUT",
        "/v1/topics",
        JSON,
        b"{}",
        405,
        "method_not_allowed",
        None,
    ),
    (
        "TRACE",
        "/healthz",
        "",
        b"",
        405,
        "method_not_allowed",
        None,
    ),
    (
        "BREW",
        "/v1/topics",
        "",
        b"",
        405,
        "method_not_allowed",
        None,
    ),
];

async fn with_topic(server: Server) -> Server {
    server
        .call("PUT", "/v1/topics/orders", json!({}))
        .await
        .expect(201);
    server
}

#[tokio::test]
async fn bad_bodies_names_and_parameters() {
    let server = with_topic(start().await).await;
    let bearer = format!("Bearer {KEY}");
    let mut wrong = Vec::new();
    for (method, target, content_type, body, status, code, field) in BODIES {
        let mut headers = vec![("authorization", bearer.as_str())];
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        let reply = server.send(method, target, &headers, body).await;
        let problem = reply.json();
        let got = (reply.status, reply.code(), problem["field"].as_str());
        if got != (*status, (*code).to_owned(), *field) {
            wrong.push(format!(
                "{method} {target} {}: {problem}",
                String::from_utf8_lossy(body)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let stored = server
        .call("GET", "/v1/messages", Value::Null)
        .await
        .expect(200);
    assert_eq!(stored["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_method_that_is_not_taken_names_those_that_are() {
    let server = start().await;
    let reply = client::send(server.address, "DELETE", "/v1/topics", &[], b"").await;
    let mut allowed: Vec<&str> = reply
        .header("allow")
        .unwrap()
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    server.stop().await;
}

#[tokio::test]
async fn wrong_keys() {
    let server = with_topic(start().await).await;
    let item = br#"{"body":{"data":1}}"#;
    let long = format!("Bearer {}", "x".repeat(2_000));
    let twice = format!("Bearer {KEY}x");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "missing_key"),
        (&[("authorization", "Bearer wrong")], "unknown_key"),
        (&[("authorization", &long)], "unknown_key"),
        (&[("authorization", &twice)], "unknown_key"),
        (
            &[("authorization", "Basic YTpi")],
            "malformed_authorization",
        ),
        (&[("authorization", "Bearer")], "malformed_authorization"),
        (&[("authorization", "Bearer ")], "malformed_authorization"),
        (&[("authorization", "")], "malformed_authorization"),
        (
            &[("authorization", "Bearer \u{e9}")],
            "malformed_authorization",
        ),
    ];
    for (headers, code) in cases {
        let mut all = headers.to_vec();
        all.push(("content-type", "application/json"));
        let reply = server.send("POST", MESSAGES, &all, item).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, *code),
            "{headers:?}"
        );
        assert!(reply.header("www-authenticate").is_some());
    }
    server.stop().await;
}

#[tokio::test]
async fn without_keys_only_this_machine_may_call() {
    let options = GatewayOptions {
        dev: true,
        ..GatewayOptions::default()
    };
    let edge = EdgeOptions {
        trusted_hosts: vec!["gateway.test".to_owned()],
        ..EdgeOptions::default()
    };
    let server = start_with(options, edge).await;
    let bearer = format!("Bearer {KEY}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[], 200),
        (&[("host", "gateway.test")], 200),
        (&[("host", "evil.example")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("host", "evil.example"), ("authorization", &bearer)], 200),
        (&[("authorization", "Bearer wrong")], 401),
    ];
    for (headers, status) in cases {
        let reply = server.send("GET", "/v1/topics", headers, b"").await;
        assert_eq!(reply.status, *status, "{headers:?}");
    }
    let reply = server
        .send("GET", "/healthz", &[("host", "10.0.0.1")], b"")
        .await;
    assert_eq!(reply.status, 200, "a load balancer may ask");
    server.stop().await;
}

#[tokio::test]
async fn oversized_bodies_are_refused_before_and_while_they_come() {
    let server = with_topic(start().await).await;
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let most = anser_core::limits::BATCH_BYTES_MAX;
    let reply = server
        .send("POST", MESSAGES, &headers, &vec![b' '; most + 1])
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (413, "body_too_large")
    );
    let reply = server
        .send(
            "PUT",
            "/v1/topics/x",
            &headers,
            &vec![b' '; 1024 * 1024 + 1],
        )
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (413, "body_too_large")
    );

    let mut chunked = format!(
        "POST {MESSAGES} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..=most / 65_536 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b' '; 65_536]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let reply = client::Reply::parse(&client::raw(server.address, &chunked).await);
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (413, "body_too_large")
    );

    let text = "x".repeat(anser_core::limits::MESSAGE_BYTES_MAX);
    let reply = server
        .call("POST", MESSAGES, json!({"body": {"data": text}}))
        .await;
    assert_eq!(reply.status, 413);
    let many: Vec<Value> = (0..1_001).map(|n| json!({"body": {"data": n}})).collect();
    let reply = server.call("POST", MESSAGES, Value::Array(many)).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (413, "too_many_messages")
    );
    let deep = format!(
        r#"{{"body":{{"data":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let reply = server
        .send("POST", MESSAGES, &headers, deep.as_bytes())
        .await;
    assert!([400, 422].contains(&reply.status), "{reply:?}");
    server.stop().await;
}
