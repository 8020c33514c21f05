//! Every kind of resource through its whole life.

use serde_json::{Value, json};

use crate::harness::{Server, start};

/// Creates, repeats, contradicts, shows, lists, replaces, changes and deletes `name` under `all`.
async fn life(server: &Server, all: &str, name: &str, spec: Value, other: Value) {
    let one = format!("{all}/{name}");
    let mut named = spec.clone();
    named["name"] = json!(name);
    let created = server.call("POST", all, named.clone()).await;
    assert_eq!(created.header("location"), Some(one.as_str()));
    let etag = created.header("etag").unwrap().to_owned();
    let view = created.expect(201);
    assert_eq!(etag, format!("\"{}\"", view["revision"]));
    assert_eq!(server.call("POST", all, named).await.expect(200), view);
    let mut contradicting = other.clone();
    contradicting["name"] = json!(name);
    assert_eq!(
        server.call("POST", all, contradicting).await.code(),
        "already_exists"
    );
    assert_eq!(
        server.call("GET", &one, Value::Null).await.expect(200),
        view
    );
    let upper = format!("{all}/{}", name.to_uppercase());
    assert_eq!(
        server.call("GET", &upper, Value::Null).await.expect(200),
        view
    );
    let listed = server
        .call("GET", &format!("{all}?limit=500"), Value::Null)
        .await
        .expect(200);
    assert!(
        listed["items"].as_array().unwrap().contains(&view),
        "{listed}"
    );

    let current = replacing(server, &one, &etag, other).await;
    changing(server, &one, &etag, &current).await;
}

/// Replaces what is there, given its revision only; answers with the new one.
async fn replacing(server: &Server, one: &str, etag: &str, other: Value) -> String {
    let wrong = [("if-match", "\"999999\"")];
    assert_eq!(
        server
            .call_with("PUT", one, &wrong, other.clone())
            .await
            .code(),
        "stale_revision"
    );
    for malformed in ["W/\"1\"", "1", "\"x\"", "\"+1\"", ""] {
        let reply = server
            .call_with("PUT", one, &[("if-match", malformed)], other.clone())
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "invalid_header"),
            "{malformed}"
        );
    }
    let replaced = server
        .call_with("PUT", one, &[("if-match", etag)], other)
        .await;
    let current = replaced.header("etag").unwrap().to_owned();
    assert_ne!(current, etag);
    replaced.expect(200);
    current
}

/// Changes and deletes, given the current revision only.
async fn changing(server: &Server, one: &str, old: &str, current: &str) {
    let patch = json!({"description": "changed"});
    assert_eq!(
        server
            .call_with("PATCH", one, &[("if-match", old)], patch.clone())
            .await
            .status,
        412
    );
    let changed = server
        .call_with("PATCH", one, &[("if-match", current)], patch)
        .await
        .expect(200);
    assert_eq!(changed["description"], "changed");
    assert_eq!(
        server.call("PATCH", one, json!([1])).await.code(),
        "invalid_patch"
    );

    assert_eq!(
        server
            .call_with("DELETE", one, &[("if-match", "\"999999\"")], Value::Null)
            .await
            .status,
        412
    );
    assert_eq!(
        server
            .call_with("DELETE", one, &[("if-match", "*")], Value::Null)
            .await
            .status,
        204
    );
    for method in ["GET", "DELETE"] {
        assert_eq!(
            server.call(method, one, Value::Null).await.status,
            404,
            "{method}"
        );
    }
}

#[tokio::test]
async fn topics() {
    let server = start().await;
    life(
        &server,
        "/v1/topics",
        "orders",
        json!({}),
        json!({"retention": 60}),
    )
    .await;
    let system = server
        .call("GET", "/v1/topics/$dead", Value::Null)
        .await
        .expect(200);
    assert_eq!(system["name"], "$dead");
    assert_eq!(
        server
            .call("PUT", "/v1/topics/$mine", json!({}))
            .await
            .code(),
        "system_topic"
    );
    server.stop().await;
}

#[tokio::test]
async fn event_types() {
    let server = start().await;
    life(
        &server,
        "/v1/event-types",
        "order.paid",
        json!({}),
        json!({"example": {"n": 1}}),
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn queues() {
    let server = start().await;
    life(
        &server,
        "/v1/queues",
        "jobs",
        json!({}),
        json!({"lease": 60}),
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn channels_and_subscriptions() {
    let server = start().await;
    server
        .call("PUT", "/v1/topics/orders", json!({}))
        .await
        .expect(201);
    let hook = |path: &str| json!({"kind": "webhook", "settings": {"url": format!("http://127.0.0.1:1/{path}")}});
    life(&server, "/v1/channels", "hook", hook("a"), hook("b")).await;
    server
        .call("PUT", "/v1/channels/hook", hook("c"))
        .await
        .expect(201);
    let all = "/v1/topics/orders/subscriptions";
    life(
        &server,
        all,
        "paid",
        json!({"channel": "hook"}),
        json!({"channel": "hook", "retry": "patient"}),
    )
    .await;

    server.with_hook("http://127.0.0.1:1/d").await;
    let every = server
        .call("GET", "/v1/subscriptions", Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&every["items"][0]["topic"], &every["items"][0]["name"]),
        (&json!("orders"), &json!("hook"))
    );
    for one in ["/v1/channels/hook", "/v1/topics/orders"] {
        assert_eq!(
            server.call("DELETE", one, Value::Null).await.code(),
            "in_use",
            "{one}"
        );
    }
    assert_eq!(
        server
            .call("DELETE", "/v1/topics/orders?cascade=true", Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        server.call("GET", all, Value::Null).await.code(),
        "topic_not_found"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_a_channel_can_do_besides() {
    let server = start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let spec =
        json!({"kind": "webhook", "settings": {"url": "http://127.0.0.1:1/", "secret": secret}});
    server
        .call("PUT", "/v1/channels/hook", spec)
        .await
        .expect(201);
    let shown = server.call("GET", "/v1/channels/hook", Value::Null).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains(secret));
    let kinds = server
        .call("GET", "/v1/channel-kinds", Value::Null)
        .await
        .expect(200);
    let mut kinds = kinds["items"].as_array().unwrap().iter();
    assert!(kinds.any(|kind| kind["kind"] == "webhook"));
    let attempt = server
        .call("POST", "/v1/channels/hook/test", Value::Null)
        .await
        .expect(200);
    assert_eq!(
        (&attempt["number"], &attempt["outcome"]),
        (&json!(1), &json!("retry")),
        "{attempt}"
    );
    let rotated = server
        .call(
            "POST",
            "/v1/channels/hook/secrets/rotate",
            json!({"kind": "v1", "grace": 60}),
        )
        .await
        .expect(200);
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    let refused = server
        .call(
            "POST",
            "/v1/channels/hook/secrets/rotate",
            json!({"kind": "v1", "grace": 9_999_999}),
        )
        .await;
    assert_eq!(refused.status, 422);
    let enabled = server
        .call("POST", "/v1/channels/hook/enable", Value::Null)
        .await
        .expect(200);
    assert_eq!(enabled["state"], "active");
    server.stop().await;
}

#[tokio::test]
async fn keys_are_shown_once_and_do_what_they_say() {
    let server = start().await;
    server
        .call("PUT", "/v1/topics/orders", json!({}))
        .await
        .expect(201);
    let spec = json!({"name": "shop", "scopes": ["publish"], "topics": ["ord*"]});
    let created = server.call("POST", "/v1/keys", spec.clone()).await;
    assert_eq!(created.header("location"), Some("/v1/keys/shop"));
    let key = created.expect(201)["key"].as_str().unwrap().to_owned();
    assert_eq!(
        server
            .call("POST", "/v1/keys", spec)
            .await
            .expect(200)
            .get("key"),
        None
    );
    assert_eq!(
        server
            .call("GET", "/v1/keys/shop", Value::Null)
            .await
            .expect(200)
            .get("key"),
        None
    );
    let names = server
        .call("GET", "/v1/keys", Value::Null)
        .await
        .expect(200);
    assert_eq!(names["items"].as_array().unwrap().len(), 2);

    limited_to_publishing(&server, &key).await;
    server.stop().await;
}

/// The key publishes to its topic, does nothing else, and nothing at all once it is deleted.
async fn limited_to_publishing(server: &Server, key: &str) {
    let bearer = format!("bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let item = json!({"body": {"data": 1}}).to_string();
    let publish = "/v1/topics/orders/messages";
    assert_eq!(
        server
            .send("POST", publish, &headers, item.as_bytes())
            .await
            .status,
        202
    );
    for (method, target) in [
        ("GET", "/v1/topics"),
        ("DELETE", "/v1/topics/orders"),
        ("GET", "/v1/keys"),
        ("GET", "/metrics"),
    ] {
        let reply = server.send(method, target, &headers, b"").await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "missing_scope"),
            "{method} {target}"
        );
    }
    let elsewhere = server
        .send(
            "POST",
            "/v1/topics/other/messages",
            &headers,
            item.as_bytes(),
        )
        .await;
    assert_eq!(elsewhere.status, 403);
    let addressed = json!({"header": {"to": ["hook"]}, "body": {"data": 1}}).to_string();
    assert_eq!(
        server
            .send("POST", publish, &headers, addressed.as_bytes())
            .await
            .status,
        403
    );

    assert_eq!(
        server
            .call("DELETE", "/v1/keys/shop", Value::Null)
            .await
            .status,
        204
    );
    let gone = server
        .send("POST", publish, &headers, item.as_bytes())
        .await;
    assert_eq!((gone.status, gone.code().as_str()), (401, "unknown_key"));
    assert_eq!(
        gone.header("www-authenticate"),
        Some("Bearer realm=\"anser\"")
    );
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let server = start().await;
    for n in 0..5 {
        server
            .call("PUT", &format!("/v1/topics/t{n}"), json!({}))
            .await
            .expect(201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server
            .call("GET", &format!("/v1/topics?limit=3{cursor}"), Value::Null)
            .await
            .expect(200);
        names.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|topic| topic["name"].as_str().unwrap().to_owned()),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(
        names,
        [
            "$dead",
            "$direct",
            "$ops",
            "$presence",
            "t0",
            "t1",
            "t2",
            "t3",
            "t4"
        ]
    );
    for (query, code) in [
        ("limit=0", "out_of_range"),
        ("limit=501", "out_of_range"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=", "invalid_cursor"),
    ] {
        assert_eq!(
            server
                .call("GET", &format!("/v1/topics?{query}"), Value::Null)
                .await
                .code(),
            code,
            "{query}"
        );
    }
    server.stop().await;
}
