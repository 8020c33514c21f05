//! What protects endpoints and others from them: gone and disabled, the breaker, the address guard.

use serde_json::{Value, json};

use super::{Stage, attempts, outcomes, soon};
use crate::harness::{Answer, Receiver, Server, ServerOptions, eventually};

/// Subscribes the receiver's `/operator` to `$ops`.
async fn tell_operator(stage: &Stage) {
    let url = stage.receiver.url("/operator");
    stage
        .api
        .make(
            "/v1/channels",
            &json!({"name": "operator", "kind": "webhook", "settings": {"url": url}}),
        )
        .await;
    stage
        .api
        .make(
            "/v1/topics/$ops/subscriptions",
            &json!({"name": "operator", "channel": "operator"}),
        )
        .await;
}

/// Waits for an operator message of that type, and answers its data.
async fn told(stage: &Stage, r#type: &str) -> Value {
    let of_type = |request: &crate::harness::Received| request.json()["header"]["type"] == r#type;
    let received = stage
        .receiver
        .until(r#type, "/operator", |received| received.iter().any(of_type))
        .await;
    let found = received.iter().find(|request| of_type(request)).unwrap();
    found.json()["body"]["data"].clone()
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_holds_until_it_is_enabled() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    tell_operator(&stage).await;
    stage.receiver.answer("/hook", Answer::Status(410));
    let first = stage.plain(1).await;
    stage.api.delivery_in(&first, "held").await;
    let data = told(&stage, "endpoint.disabled").await;
    assert_eq!(data["channel"], "hook", "{data}");
    assert!(data["reason"].as_str().unwrap().contains("410"), "{data}");
    let (_, channel) = stage.api.get("/v1/channels/hook").await;
    assert_eq!(channel["state"], "disabled", "{channel}");
    assert!(
        channel["disabled_reason"].as_str().unwrap().contains("410"),
        "{channel}"
    );
    let second = stage.plain(2).await;
    let held = stage.api.delivery_in(&second, "held").await;
    assert_eq!(held["attempts"], 0, "{held}");

    let options = stage.server.kill().await;
    let server = options.start();
    let api = server.api();
    assert_eq!(
        api.get("/v1/channels/hook").await.1["state"],
        "disabled",
        "remembered across a restart"
    );
    stage.receiver.answer("/hook", Answer::Status(200));
    let (status, channel) = api.act("/v1/channels/hook/enable").await;
    assert_eq!(
        (status, &channel["state"]),
        (200, &json!("active")),
        "{channel}"
    );
    let delivery = api.delivery_in(&first, "delivered").await;
    assert_eq!(outcomes(&delivery).first(), Some(&"gone"), "{delivery}");
    api.delivery_in(&second, "delivered").await;
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_disabled_and_told_on_the_way() {
    let options = ServerOptions::default()
        .set("auto_disable__after_seconds", "1")
        .set("auto_disable__failures_min", "4");
    let server = options.start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    let stage = Stage {
        server,
        api,
        receiver,
    };
    let retry = json!({"first": 0.2, "factor": 1, "jitter": 0});
    let url = stage.receiver.url("/hook");
    stage
        .api
        .route(
            "shop",
            "hook",
            &url,
            json!({}),
            json!({"retry": retry, "ordering": "none"}),
        )
        .await;
    tell_operator(&stage).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    let id = stage.plain(1).await;
    let data = told(&stage, "endpoint.failing").await;
    assert_eq!(
        (&data["channel"], data["percent"].as_u64().unwrap() % 10),
        (&json!("hook"), 0),
        "{data}"
    );
    told(&stage, "endpoint.disabled").await;
    let delivery = stage.api.delivery_in(&id, "held").await;
    assert!(delivery["attempts"].as_u64().unwrap() >= 4, "{delivery}");
    stage.receiver.answer("/hook", Answer::Status(200));
    let (status, _) = stage
        .api
        .patch("/v1/channels/hook", &json!({"paused": false}))
        .await;
    assert_eq!(status, 200);
    stage.api.delivery_in(&id, "delivered").await;
}

#[tokio::test]
async fn the_breaker_opens_after_ten_failures() {
    let stage = Stage::with(json!({"retry": [600], "ordering": "none"})).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    for n in 0..10 {
        let id = stage.plain(n).await;
        stage.api.delivery_in(&id, "retrying").await;
    }
    let path = "/v1/topics/shop/messages?wait=delivered&wait_timeout=1";
    let (status, answer) = stage
        .api
        .post(path, &json!({"body": {"data": "more"}}))
        .await;
    assert_eq!(
        (status, &answer["deliveries"][0]["attempts"]),
        (202, &json!(0)),
        "{answer}"
    );
    assert_eq!(stage.receiver.received("/hook").len(), 10);
}

#[tokio::test]
async fn a_test_message_shows_the_attempt_and_is_stored_nowhere() {
    let stage = Stage::with(json!({})).await;
    stage.receiver.script(
        "/hook",
        [
            Answer::Full(500, vec![], b"broken".to_vec()),
            Answer::Status(200),
        ],
    );
    for (outcome, status) in [("retry", 500), ("delivered", 200)] {
        let (answered, attempt) = stage.api.act("/v1/channels/hook/test").await;
        assert_eq!(
            (answered, &attempt["outcome"], &attempt["status"]),
            (200, &json!(outcome), &json!(status)),
            "{attempt}"
        );
    }
    let (_, page) = stage.api.get("/v1/messages").await;
    assert_eq!(page["items"], json!([]), "{page}");
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_at_creation_naming_the_setting() {
    let mut options =
        ServerOptions::default().with_key("ak_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    options = options.set("guard__allow", "[]");
    let server = options.start();
    let api = server.api();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.1.2.3",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
    ] {
        let channel = json!({"name": "in", "kind": "webhook", "settings": {"url": format!("http://{host}:1/hook")}});
        let (status, problem) = api.post("/v1/channels", &channel).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (422, &json!("address_not_allowed"), &json!("settings.url")),
            "{host}: {problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains("guard.allow"),
            "{problem}"
        );
    }
    let channel =
        json!({"name": "out", "kind": "webhook", "settings": {"url": "https://example.com/hook"}});
    assert_eq!(api.post("/v1/channels", &channel).await.0, 201);
}

#[tokio::test]
async fn the_address_is_judged_again_at_every_connect() {
    let allowed =
        ServerOptions::default().with_key("ak_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let server = allowed.start();
    let receiver = Receiver::start().await;
    let api = server.api();
    api.route(
        "shop",
        "hook",
        &receiver.url("/hook"),
        json!({}),
        json!({"retry": [0.01]}),
    )
    .await;
    let id = api.publish("shop", &json!({"body": {"data": 1}})).await;
    api.delivery_in(&id, "delivered").await;
    let (_, options) = server.stop().await;
    let server = options.set("guard__allow", "[]").start();
    let api = server.api();
    let id = api.publish("shop", &json!({"body": {"data": 2}})).await;
    let delivery = api.delivery_in(&id, "dead").await;
    assert_eq!(outcomes(&delivery), ["retry", "retry"]);
    let error = attempts(&delivery)[0]["error"].as_str().unwrap();
    assert!(error.contains("guard.allow"), "{error}");
    assert_eq!(receiver.received("/hook").len(), 1);
}

#[tokio::test]
async fn readiness_and_health_are_told_without_a_key() {
    let options =
        ServerOptions::default().with_key("ak_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let server: Server = options.start();
    let nobody = crate::harness::Api::new(server.base(), None);
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        let ready = || async { (nobody.get(path).await.0 == 200).then_some(()) };
        eventually(path, ready).await;
    }
    for path in ["/metrics", "/v1/topics"] {
        let (status, problem) = nobody.get(path).await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("missing_key")),
            "{path}: {problem}"
        );
    }
}
