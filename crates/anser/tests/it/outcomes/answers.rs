//! What each answer of an endpoint, and each way not to answer, does to the delivery.

use serde_json::json;

use super::{Stage, attempts, bodies, outcomes, soon, time};
use crate::harness::{Answer, Receiver, Server};

#[tokio::test]
async fn any_2xx_is_delivered() {
    let stage = Stage::with(json!({})).await;
    stage
        .receiver
        .script("/hook", [Answer::Full(202, vec![], b"thanks".to_vec())]);
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(delivery["attempts"], 1, "{delivery}");
    assert_eq!(
        (&delivery["subscription"], &delivery["channel"]),
        (&json!("hook"), &json!("hook"))
    );
    time(&delivery["ended_at"]);
    let [attempt] = attempts(&delivery) else {
        panic!("{delivery}")
    };
    assert_eq!(
        (&attempt["status"], &attempt["outcome"]),
        (&json!(202), &json!("delivered"))
    );
    assert_eq!(attempt["response"], "thanks");
    assert!(
        attempt["timing"]["total_us"].as_u64().unwrap() > 0,
        "{attempt}"
    );
    let received = stage.receiver.received("/hook");
    let [request] = received.as_slice() else {
        panic!("{received:?}")
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("webhook-id"), id);
    assert_eq!(request.header("anser-attempt"), "1");
    assert_eq!(
        request.header("anser-delivery-id"),
        delivery["id"].as_str().unwrap()
    );
    assert_eq!(request.header("anser-possible-duplicate"), "");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    let to = |status| Answer::Full(status, vec![("location", "/elsewhere".to_owned())], vec![]);
    stage
        .receiver
        .script("/hook", [301, 302, 303, 307, 308].map(to));
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(
        outcomes(&delivery),
        ["retry", "retry", "retry", "retry", "retry", "delivered"]
    );
    let error = attempts(&delivery)[0]["error"].as_str().unwrap();
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(stage.receiver.received("/elsewhere").is_empty());
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id() {
    let stage = Stage::with(json!({"retry": soon(), "fail_fast_4xx": true})).await;
    let passing = [408, 425, 429, 500, 502, 503, 504];
    stage.receiver.script("/hook", passing.map(Answer::Status));
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    let statuses: Vec<_> = attempts(&delivery)
        .iter()
        .map(|attempt| attempt["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [408, 425, 429, 500, 502, 503, 504, 200]);
    assert_eq!(outcomes(&delivery)[..7], ["retry"; 7]);
    let received = stage.receiver.received("/hook");
    for (place, request) in received.iter().enumerate() {
        assert_eq!(request.header("webhook-id"), id);
        assert_eq!(request.header("anser-attempt"), (place + 1).to_string());
        assert_eq!(
            request.header("anser-possible-duplicate"),
            "",
            "an answer came: no doubt"
        );
        assert_eq!(
            request.header("anser-delivery-id"),
            received[0].header("anser-delivery-id")
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_gets_it_once_it_is_back() {
    let (server, reserved) = (Server::start(), Receiver::reserve());
    let api = server.api();
    api.route(
        "shop",
        "hook",
        &reserved.url("/hook"),
        json!({}),
        json!({"retry": soon()}),
    )
    .await;
    let id = api.publish("shop", &json!({"body": {"data": 1}})).await;
    let delivery = api.delivery_in(&id, "retrying").await;
    let error = attempts(&delivery)[0]["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    time(&delivery["next_attempt_at"]);
    let receiver = reserved.open();
    let received = receiver.count("/hook", 1).await;
    assert_eq!(
        received[0].header("anser-possible-duplicate"),
        "",
        "nothing was sent before"
    );
    api.delivery_in(&id, "delivered").await;
}

#[tokio::test]
async fn no_answer_in_time_is_unknown_and_the_next_attempt_says_so() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    stage
        .api
        .patch("/v1/channels/hook", &json!({"timeout": 1}))
        .await;
    stage.receiver.script(
        "/hook",
        [Answer::Hang, Answer::Status(500), Answer::Status(200)],
    );
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(outcomes(&delivery), ["unknown", "retry", "delivered"]);
    let log = attempts(&delivery);
    assert!(
        log[0]["error"].as_str().unwrap().contains("timed out"),
        "{}",
        log[0]
    );
    assert!(
        log[0]["timing"]["total_us"].as_u64().unwrap() >= 900_000,
        "{}",
        log[0]
    );
    assert_eq!(log[1]["possible_duplicate"], "unknown");
    let received = stage.receiver.received("/hook");
    assert_eq!(received[0].header("anser-possible-duplicate"), "");
    assert_eq!(received[1].header("anser-possible-duplicate"), "unknown");
    let last = received[2].header("anser-possible-duplicate");
    assert_eq!(last, "unknown", "the first may still have arrived");
    assert_eq!(received[1].header("webhook-id"), id);
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_apart_from_one_that_is_refused() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let nonsense = b"SMTP ready\r\n\r\n".to_vec();
    stage.receiver.script(
        "/hook",
        [
            Answer::Reset,
            Answer::Close,
            Answer::Raw(nonsense),
            Answer::Raw(half),
        ],
    );
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    let seen = outcomes(&delivery);
    assert_eq!(
        seen[..3],
        ["unknown"; 3],
        "sent, and no answer came: {delivery}"
    );
    let errors: Vec<_> = attempts(&delivery)
        .iter()
        .filter_map(|attempt| attempt["error"].as_str())
        .collect();
    assert!(errors[0].contains("reset"), "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| !error.contains("refused") && !error.contains("timed out")),
        "{errors:?}"
    );
    assert_eq!(
        stage.receiver.received("/hook")[1].header("anser-possible-duplicate"),
        "unknown"
    );
}

#[tokio::test]
async fn retry_after_pauses_the_endpoint_keeps_the_order_and_burns_no_attempt() {
    for status in [429, 503] {
        let stage = Stage::with(json!({"ordering": "strict", "retry": [0]})).await;
        let wait = Answer::Full(status, vec![("retry-after", "1".to_owned())], vec![]);
        stage.receiver.script("/hook", [wait.clone(), wait]);
        let first = stage.plain(1).await;
        stage.plain(2).await;
        let last = stage.plain(3).await;
        stage.api.delivery_in(&last, "delivered").await;
        let received = stage.receiver.received("/hook");
        assert_eq!(bodies(&received), [1, 1, 1, 2, 3]);
        for request in &received {
            assert_eq!(request.header("anser-attempt"), "1");
        }
        for pause in [
            received[1].at - received[0].at,
            received[2].at - received[1].at,
        ] {
            assert!(pause.as_millis() >= 950, "{pause:?}");
        }
        let delivery = stage.api.delivery_in(&first, "delivered").await;
        assert_eq!(delivery["attempts"], 1, "{delivery}");
        assert_eq!(outcomes(&delivery), ["limited", "limited", "delivered"]);
    }
}

#[tokio::test]
async fn other_4xx_are_tried_again_unless_the_subscription_fails_fast() {
    let stage = Stage::with(json!({"retry": soon()})).await;
    let url = stage.receiver.url("/fast");
    stage
        .api
        .route(
            "shop",
            "fast",
            &url,
            json!({}),
            json!({"retry": soon(), "fail_fast_4xx": true}),
        )
        .await;
    for path in ["/hook", "/fast"] {
        stage
            .receiver
            .script(path, [400, 401, 403, 404, 418, 422].map(Answer::Status));
    }
    let id = stage.plain("a").await;
    let delivered = stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(
        (&delivered["subscription"], &delivered["attempts"]),
        (&json!("hook"), &json!(7))
    );
    let dead = stage.api.delivery_in(&id, "dead").await;
    assert_eq!(
        (&dead["subscription"], &dead["attempts"]),
        (&json!("fast"), &json!(1))
    );
    assert_eq!(outcomes(&dead), ["rejected"]);
    assert_eq!(stage.receiver.received("/fast").len(), 1);
}

#[tokio::test]
async fn cmq_policies_know_success_and_failure_only() {
    let stage =
        Stage::with(json!({"retry": "cmq-decay", "format": "cmq-json", "fail_fast_4xx": true}))
            .await;
    let later = Answer::Full(429, vec![("retry-after", "600".to_owned())], vec![]);
    stage.receiver.script("/hook", [later, Answer::Status(410)]);
    let id = stage.plain("a").await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(outcomes(&delivery), ["retry", "retry", "delivered"]);
    let (_, channel) = stage.api.get("/v1/channels/hook").await;
    assert_eq!(channel["state"], "active");
}
