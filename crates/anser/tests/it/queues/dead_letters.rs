//! Messages that nobody manages to do: where they go, what they say of their past, and the way back.

use serde_json::json;

use super::{JOBS, ack, data, queue, receive, receive_one, send, state, tell};
use crate::harness::{Api, Server, eventually};

const DEAD: &str = "dead-jobs";

/// A server with the queue [`JOBS`], whose dead letters go to [`DEAD`] by this rule.
async fn with(mut rule: serde_json::Value) -> (Server, Api) {
    let server = Server::start();
    let api = server.api();
    queue(&api, DEAD, json!({})).await;
    rule["queue"] = DEAD.into();
    queue(&api, JOBS, json!({"dead_letter": rule})).await;
    (server, api)
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter_and_can_go_back() {
    let (_server, api) = with(json!({"max_receives": 2})).await;
    let id = send(&api, JOBS, "hard").await;
    send(&api, JOBS, "easy").await;
    for _ in 0..2 {
        let received = receive(&api, JOBS, json!({"max": 10})).await;
        let (hard, easy): (Vec<_>, Vec<_>) = received
            .iter()
            .partition(|message| message["message"]["header"]["id"] == id.as_str());
        assert_eq!(tell(&api, JOBS, "nack", &hard, json!({})).await, [true]);
        if !easy.is_empty() {
            ack(&api, JOBS, &easy).await;
        }
    }
    assert!(receive(&api, JOBS, json!({})).await.is_empty());
    let letter = receive_one(&api, DEAD).await;
    assert_eq!(letter["message"]["header"]["id"], id.as_str());
    assert_eq!(letter["receives"], 1, "{letter}");
    assert_eq!(letter["dead_letter"]["queue"], JOBS, "{letter}");
    assert_eq!(letter["dead_letter"]["receives"], 2, "{letter}");
    let states: Vec<_> = api.deliveries(&id).await;
    assert!(
        states.iter().any(|delivery| delivery["state"] == "dead"),
        "{states:?}"
    );

    tell(&api, DEAD, "nack", &[&letter], json!({})).await;
    let redrive = format!("/v1/queues/{DEAD}/redrive");
    assert_eq!(api.make(&redrive, &json!({})).await["count"], 1);
    assert!(receive(&api, DEAD, json!({})).await.is_empty());
    let back = receive_one(&api, JOBS).await;
    assert_eq!(data(std::slice::from_ref(&back)), ["hard"]);
    assert_eq!(back["receives"], 1, "it has its chances again");
    assert_eq!(ack(&api, JOBS, &[&back]).await, [true]);
}

#[tokio::test]
async fn a_message_that_waits_too_long_becomes_a_dead_letter() {
    let (_server, api) = with(json!({"max_age": 1})).await;
    let id = send(&api, JOBS, "late").await;
    eventually("the message is a dead letter", || async {
        let left = receive(&api, JOBS, json!({"lease": 1})).await;
        for message in left {
            tell(&api, JOBS, "nack", &[&message], json!({})).await;
        }
        (state(&api, DEAD).await["active"] == 1).then_some(())
    })
    .await;
    let letter = receive_one(&api, DEAD).await;
    assert_eq!(letter["message"]["header"]["id"], id.as_str());
    assert_eq!(letter["dead_letter"]["queue"], JOBS);
}

#[tokio::test]
async fn a_dead_letter_queue_is_held_by_those_that_use_it() {
    let (_server, api) = with(json!({"max_receives": 1})).await;
    let (status, problem) = api.delete(&format!("/v1/queues/{DEAD}")).await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("in_use")),
        "{problem}"
    );
    let (_, dead) = api.get(&format!("/v1/queues/{DEAD}")).await;
    assert_eq!(dead["dead_letter_sources"], json!([JOBS]), "{dead}");
    let nested = json!({"dead_letter": {"queue": JOBS, "max_receives": 1}});
    let (status, problem) = api.patch(&format!("/v1/queues/{DEAD}"), &nested).await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("nested_dead_letter")),
        "{problem}"
    );
    let none = json!({"dead_letter": null});
    let (status, _) = api.patch(&format!("/v1/queues/{JOBS}"), &none).await;
    assert_eq!(status, 200);
    assert_eq!(api.delete(&format!("/v1/queues/{DEAD}")).await.0, 204);
}
