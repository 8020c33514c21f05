//! `/in/{channel}`: what platforms send reaches its channel byte for byte, and only what is genuine reaches a topic.

use std::time::Duration;

use anser_core::inbound::INBOUND_BYTES_MAX;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::Reply;
use crate::harness::{Server, start};

const PROOF: (&str, &str) = ("x-proof", "right");

/// With a topic `talk` and a channel `bot` whose events go there.
async fn with_bot() -> Server {
    let server = start().await;
    server
        .call("PUT", "/v1/topics/talk", json!({}))
        .await
        .expect(201);
    let bot =
        json!({"kind": "test", "settings": {"secret": "right"}, "inbound": {"topic": "talk"}});
    server
        .call("PUT", "/v1/channels/bot", bot)
        .await
        .expect(201);
    server
}

async fn on_topic(server: &Server) -> Vec<Value> {
    let page = server
        .call("GET", "/v1/messages?topic=talk", Value::Null)
        .await;
    let items = page.expect(200)["items"].take();
    let data = |item: &Value| item["message"]["body"]["data"].clone();
    items.as_array().unwrap().iter().map(data).collect()
}

#[tokio::test]
async fn a_callback_needs_no_key_and_is_answered_as_its_platform_expects() {
    let server = with_bot().await;
    // By the name that the gateway has outside, from a browser too: the proof is what counts.
    let headers = [
        PROOF,
        ("host", "bots.example"),
        ("origin", "https://bots.example"),
    ];
    for _ in 0..2 {
        let reply = server
            .send("POST", "/in/bot?from=here", &headers, b"hello")
            .await;
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"taken"[..]));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
    }
    assert_eq!(
        on_topic(&server).await,
        ["hello"],
        "the repeat is not stored again"
    );
    let check = server
        .send("GET", "/in/BOT?challenge=a%20b", &[], b"")
        .await;
    assert_eq!(
        (check.status, check.body.as_slice()),
        (200, &b"challenge=a%20b"[..])
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_genuine_is_refused_and_stored_nowhere() {
    let server = with_bot().await;
    let large = vec![b'x'; INBOUND_BYTES_MAX + 1];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: [Case<'_>; 6] = [
        ("/in/bot", &[], b"hello", 401, "unsigned"),
        (
            "/in/bot",
            &[("x-proof", "guess")],
            b"hello",
            401,
            "wrong_signature",
        ),
        ("/in/bot", &[PROOF], &[0xFF], 400, "malformed_event"),
        ("/in/bot", &[PROOF], &large, 413, "body_too_large"),
        ("/in/nobody", &[PROOF], b"hello", 404, "callback_not_found"),
        ("/in/hook", &[PROOF], b"hello", 404, "callback_not_found"),
    ];
    server.with_hook("http://127.0.0.1:1/hook").await;
    for (target, headers, body, status, code) in cases {
        let reply = server.send("POST", target, headers, body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{target}"
        );
        // There is no key to ask a platform for.
        assert_eq!(reply.header("www-authenticate"), None, "{target}");
        if status == 401 {
            assert_eq!(reply.json()["title"], "Not verified");
        }
    }
    let put = server.send("PUT", "/in/bot", &[PROOF], b"hello").await;
    assert_eq!(put.status, 405);
    assert!(on_topic(&server).await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_before_the_platform_gives_up() {
    let server = with_bot().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /in/bot HTTP/1.1\r\nhost: a\r\nx-proof: right\r\ncontent-length: 5\r\n\r\nhe";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let answered = timeout(Duration::from_secs(3), stream.read(&mut answer)).await;
    let length = answered.expect("an answer within 3 s").unwrap();
    let reply = Reply::parse(&answer[..length]);
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (503, "callback_timeout")
    );
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn a_channel_lets_in_only_what_it_can_verify_and_put_somewhere() {
    let server = with_bot().await;
    for (spec, code, field) in [
        (
            json!({"kind": "test", "settings": {}, "inbound": {"topic": "talk"}}),
            "missing_secret",
            "settings",
        ),
        (
            json!({"kind": "test", "settings": {"secret": "s"}, "inbound": {"topic": "nowhere"}}),
            "unknown_topic",
            "inbound.topic",
        ),
        (
            json!({"kind": "test", "settings": {"secret": "s"}, "inbound": {"topic": "$ops"}}),
            "system_topic",
            "inbound.topic",
        ),
        (
            json!({"kind": "webhook", "settings": {"url": "http://127.0.0.1:1/"}, "inbound": {"topic": "talk"}}),
            "not_available",
            "inbound",
        ),
    ] {
        let reply = server.call("PUT", "/v1/channels/new", spec).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, code));
        assert_eq!(reply.json()["field"], field);
    }
    let deleted = server.call("DELETE", "/v1/topics/talk", Value::Null).await;
    assert_eq!((deleted.status, deleted.code().as_str()), (409, "in_use"));
    let shown = server
        .call("GET", "/v1/channels/bot", Value::Null)
        .await
        .expect(200);
    assert_eq!(shown["inbound"], json!({"topic": "talk"}));
    let closed = server
        .call("PATCH", "/v1/channels/bot", json!({"inbound": null}))
        .await;
    closed.expect(200);
    let reply = server.send("POST", "/in/bot", &[PROOF], b"hello").await;
    assert_eq!(reply.code(), "callback_not_found");
    server
        .call("DELETE", "/v1/topics/talk", Value::Null)
        .await
        .expect(204);
    server.stop().await;
}
