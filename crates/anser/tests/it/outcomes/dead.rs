//! Exhausted deliveries: dead letters, what `$dead` tells, and the operator's retry.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Stage, attempts, bodies, time};
use crate::harness::Answer;

#[tokio::test]
async fn an_exhausted_delivery_is_dead_and_told_with_the_original() {
    let stage = Stage::with(json!({"retry": [0.01, 0.01]})).await;
    let operator = stage.receiver.url("/operator");
    stage
        .api
        .make(
            "/v1/channels",
            &json!({"name": "operator", "kind": "webhook", "settings": {"url": operator}}),
        )
        .await;
    stage
        .api
        .make(
            "/v1/topics/$dead/subscriptions",
            &json!({"name": "operator", "channel": "operator"}),
        )
        .await;
    stage.receiver.answer(
        "/hook",
        Answer::Full(500, vec![("x-why", "broken".to_owned())], b"no".to_vec()),
    );
    let id = stage
        .api
        .publish(
            "shop",
            &json!({"header": {"type": "order.paid"}, "body": {"data": {"n": 1.0}}}),
        )
        .await;
    let dead = stage.api.delivery_in(&id, "dead").await;
    assert_eq!(
        (&dead["attempts"], &dead["next_attempt_at"]),
        (&json!(3), &Value::Null)
    );
    let last = &attempts(&dead)[2];
    assert_eq!(
        (&last["status"], &last["response"]),
        (&json!(500), &json!("no"))
    );
    assert!(
        last["response_headers"].to_string().contains("broken"),
        "{last}"
    );
    assert!(
        last["request_headers"].to_string().contains("webhook-id"),
        "{last}"
    );
    assert_eq!(stage.receiver.received("/hook").len(), 3);

    let told = stage.receiver.count("/operator", 1).await;
    let told = told[0].json();
    assert_eq!(
        (&told["header"]["topic"], &told["header"]["type"]),
        (&json!("$dead"), &json!("delivery.dead"))
    );
    assert_eq!(told["header"]["from"]["kind"], "system");
    let data = &told["body"]["data"];
    assert_eq!(
        (&data["message_id"], &data["delivery_id"]),
        (&json!(id), &dead["id"])
    );
    assert_eq!(
        (&data["topic"], &data["subscription"], &data["attempts"]),
        (&json!("shop"), &json!("hook"), &json!(3))
    );
    assert_eq!(data["attempt"]["status"], 500);
    assert!(data["reason"].as_str().unwrap().contains("500"), "{data}");
    let (_, original) = stage.api.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(data["message"], original["message"]);
}

#[tokio::test]
async fn a_dead_operator_message_makes_no_other() {
    let stage = Stage::with(json!({"retry": []})).await;
    let operator = stage.receiver.url("/operator");
    stage
        .api
        .make(
            "/v1/channels",
            &json!({"name": "operator", "kind": "webhook", "settings": {"url": operator}}),
        )
        .await;
    let subscription = json!({"name": "operator", "channel": "operator", "retry": []});
    stage
        .api
        .make("/v1/topics/$dead/subscriptions", &subscription)
        .await;
    stage.receiver.answer("/hook", Answer::Status(500));
    stage.receiver.answer("/operator", Answer::Status(500));
    for n in 0..2 {
        let id = stage.plain(n).await;
        stage.api.delivery_in(&id, "dead").await;
    }
    stage.receiver.count("/operator", 2).await;
    let dead_twice = || async {
        let (_, page) = stage
            .api
            .get("/v1/deliveries?channel=operator&state=dead")
            .await;
        (page["items"].as_array()?.len() == 2).then_some(())
    };
    crate::harness::eventually("both reports are dead", dead_twice).await;
    let (_, page) = stage.api.get("/v1/messages?topic=$dead").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2, "{page}");
}

#[tokio::test]
async fn nothing_is_written_to_dead_when_nobody_subscribes() {
    let stage = Stage::with(json!({"retry": []})).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    let id = stage.plain("a").await;
    stage.api.delivery_in(&id, "dead").await;
    let (status, page) = stage.api.get("/v1/messages?topic=$dead").await;
    assert_eq!(
        (status, page["items"].as_array().unwrap().len()),
        (200, 0),
        "{page}"
    );
}

#[tokio::test]
async fn a_dead_delivery_can_be_retried_by_hand_outside_its_order() {
    let stage = Stage::with(json!({"retry": [0.01], "ordering": "key"})).await;
    stage
        .receiver
        .script("/hook", [500, 500].map(Answer::Status));
    let first = stage.keyed(1, "k").await;
    let dead = stage.api.delivery_in(&first, "dead").await;
    assert_eq!(dead["ordered"], true);
    let second = stage.keyed(2, "k").await;
    stage.api.delivery_in(&second, "delivered").await;

    // The schedule starts anew: the first attempt by hand may fail, too.
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let path = format!("/v1/deliveries/{}/retry", dead["id"].as_str().unwrap());
    let (status, answer) = stage.api.act(&path).await;
    assert_eq!(
        (status, &answer["ordered"]),
        (202, &json!(false)),
        "{answer}"
    );
    let delivery = stage.api.delivery_in(&first, "delivered").await;
    assert_eq!(
        (&delivery["attempts"], &delivery["ordered"]),
        (&json!(4), &json!(false))
    );
    let received = stage.receiver.received("/hook");
    assert_eq!(bodies(&received), [1, 1, 2, 1, 1]);
    assert_eq!(received[4].header("anser-attempt"), "4");
    assert_eq!(received[4].header("webhook-id"), first);

    let (status, problem) = stage.api.act("/v1/deliveries/dlv_1234567/retry").await;
    assert_eq!(
        (status, &problem["code"]),
        (404, &json!("delivery_not_found"))
    );
}

#[tokio::test]
async fn an_exhausted_head_may_block_its_lane_instead() {
    let stage =
        Stage::with(json!({"retry": [0.01], "on_exhausted": "block", "ordering": "strict"})).await;
    stage
        .receiver
        .script("/hook", [500, 500].map(Answer::Status));
    let first = stage.plain(1).await;
    let second = stage.plain(2).await;
    stage.receiver.count("/hook", 2).await;
    let blocked = || async {
        let delivery = stage.api.deliveries(&first).await.remove(0);
        (delivery["attempts"] == 2).then_some(delivery)
    };
    let head = crate::harness::eventually("the schedule has run out", blocked).await;
    assert_eq!(head["state"], "retrying", "{head}");
    let next = time(&head["next_attempt_at"]).since(super::now());
    assert!(
        next > Duration::from_secs(60),
        "it is tried on, later: {next:?}"
    );
    stage.api.delivery_in(&second, "waiting").await;
    let (status, _) = stage.api.act(&format!("/v1/messages/{first}/recall")).await;
    assert_eq!(status, 200);
    stage.api.delivery_in(&second, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 1, 2]);
}

#[tokio::test]
async fn an_exhausted_head_goes_to_the_dead_letters_and_its_lane_goes_on() {
    let stage = Stage::with(json!({"retry": [0.01], "ordering": "strict"})).await;
    stage.receiver.rule("/hook", |request| {
        (request.json()["body"]["data"] == 1).then_some(Answer::Status(500))
    });
    let first = stage.plain(1).await;
    let second = stage.plain(2).await;
    stage.api.delivery_in(&second, "delivered").await;
    stage.api.delivery_in(&first, "dead").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), [1, 1, 2]);
}

#[tokio::test]
async fn a_growing_schedule_ends_by_attempts_or_age() {
    let retry = json!({"first": 0.02, "factor": 2, "jitter": 0, "max_attempts": 4});
    let stage = Stage::with(json!({"retry": retry})).await;
    let url = stage.receiver.url("/aged");
    let aged = json!({"retry": {"first": 0.1, "factor": 1, "jitter": 0, "max_age": 0.35}});
    stage.api.route("shop", "aged", &url, json!({}), aged).await;
    stage.receiver.answer("/hook", Answer::Status(500));
    stage.receiver.answer("/aged", Answer::Status(500));
    let id = stage.plain("a").await;
    let both = || async {
        let deliveries = stage.api.deliveries(&id).await;
        deliveries
            .iter()
            .all(|delivery| delivery["state"] == "dead")
            .then_some(deliveries)
    };
    let deliveries = crate::harness::eventually("both are dead", both).await;
    assert_eq!(deliveries[0]["attempts"], 4, "{deliveries:?}");
    let aged = deliveries[1]["attempts"].as_u64().unwrap();
    assert!((1..=4).contains(&aged), "{deliveries:?}");
    let received = stage.receiver.received("/hook");
    let gaps: Vec<_> = received
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .collect();
    for (gap, least) in gaps.iter().zip([20, 40, 80]) {
        assert!(gap.as_millis() + 5 >= least, "{gaps:?}");
    }
    let (_, problem) = stage
        .api
        .post(
            "/v1/topics/shop/subscriptions",
            &json!({"name": "x", "channel": "hook", "retry": {"first": -1}}),
        )
        .await;
    assert_eq!(problem["code"], "invalid_retry", "{problem}");
}
