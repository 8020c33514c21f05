//! Edit and recall with a webhook at the other end: it is told of what it has, and never gets what was replaced; also
//! around a kill.

use serde_json::{Value, json};

use super::{Stage, bodies, in_seconds};
use crate::harness::{Answer, Received, eventually};

fn results(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().expect("results");
    results
        .iter()
        .map(|each| each["result"].as_str().unwrap())
        .collect()
}

impl Stage {
    async fn edit(&self, id: &str, data: &str) -> Value {
        let body = json!({"body": {"data": data}});
        let (status, answer) = self.api.patch(&format!("/v1/messages/{id}"), &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn recall(&self, id: &str) -> Value {
        let (status, answer) = self.api.act(&format!("/v1/messages/{id}/recall")).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// What a request says of itself: its type, the message it is about, and its body.
fn said(request: &Received) -> (String, String, Value) {
    let message = request.json();
    let text = |field: &str| message["header"][field].as_str().unwrap_or("").to_owned();
    let headers = (
        request.header("anser-type"),
        request.header("anser-target-id"),
    );
    if !text("target_id").is_empty() {
        assert_eq!(headers, (&*text("type"), &*text("target_id")));
    }
    (
        text("type"),
        text("target_id"),
        message["body"]["data"].clone(),
    )
}

#[tokio::test]
async fn a_receiver_is_told_what_became_of_what_it_has() {
    let stage = Stage::with(json!({"ordering": "strict"})).await;
    let id = stage.plain("old").await;
    stage.api.delivery_in(&id, "delivered").await;
    let mut edits = Vec::new();
    for data in ["new", "newer"] {
        let edited = stage.edit(&id, data).await;
        assert_eq!(results(&edited), ["requested"]);
        let edit = edited["id"].as_str().unwrap().to_owned();
        stage.api.delivery_in(&edit, "delivered").await;
        edits.push(edit);
    }
    assert_eq!(results(&stage.recall(&id).await), ["requested"]);
    let received = stage.receiver.count("/hook", 4).await;
    let said: Vec<_> = received.iter().map(said).collect();
    let about = |kind: &str, data| (kind.to_owned(), id.clone(), data);
    assert_eq!(
        said,
        [
            ("message".to_owned(), String::new(), json!("old")),
            about("message.edited", json!("new")),
            about("message.edited", json!("newer")),
            about("message.recalled", json!({})),
        ]
    );
    let (_, shown) = stage.api.get(&format!("/v1/messages/{id}")).await;
    assert_eq!(shown["edits"], json!(edits));
    assert!(shown["recalled_at"].is_string(), "{shown}");
}

#[tokio::test]
async fn what_was_replaced_never_goes_out_and_keeps_its_time() {
    let stage = Stage::with(json!({})).await;
    let due = in_seconds(2.0);
    let item = json!({"header": {"not_before": due}, "body": {"data": "old"}});
    let id = stage.api.publish("shop", &item).await;
    let edited = stage.edit(&id, "new").await;
    assert_eq!(results(&edited), ["replaced"]);
    let edit = edited["id"].as_str().unwrap();
    let delivery = stage.api.deliveries(edit).await.remove(0);
    assert_eq!(delivery["next_attempt_at"], due.to_string());
    assert_eq!(delivery["id"], edited["results"][0]["by"]);
    stage.api.delivery_in(&id, "cancelled").await;
    stage.api.delivery_in(edit, "delivered").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), ["new"]);
}

#[tokio::test]
async fn formats_without_a_word_for_it_say_so() {
    let stage = Stage::with(json!({"format": "cmq-json"})).await;
    let id = stage.plain("old").await;
    stage.api.delivery_in(&id, "delivered").await;
    assert_eq!(results(&stage.edit(&id, "new").await), ["unsupported"]);
    assert_eq!(results(&stage.recall(&id).await), ["unsupported"]);
}

#[tokio::test]
async fn an_edit_of_one_in_flight_goes_out_when_it_fails() {
    let stage = Stage::with(json!({"retry": [0.01, 0.01]})).await;
    let timeout = json!({"timeout": 2});
    stage.api.patch("/v1/channels/hook", &timeout).await;
    stage.receiver.script("/hook", [Answer::Hang]);
    let id = stage.plain("old").await;
    stage.receiver.count("/hook", 1).await;
    let edited = stage.edit(&id, "new").await;
    assert_eq!(results(&edited), ["in_flight"]);
    let edit = edited["id"].as_str().unwrap();
    let delivery = stage.api.delivery_in(edit, "delivered").await;
    let attempts = delivery["attempt_log"].as_array().unwrap();
    assert_eq!(attempts.last().unwrap()["possible_duplicate"], "unknown");
    stage.api.delivery_in(&id, "cancelled").await;
    assert_eq!(bodies(&stage.receiver.received("/hook")), ["old", "new"]);
}

/// The process is killed while the original is under way, after the edit or recall was answered.
#[tokio::test]
async fn a_kill_changes_nothing_of_it() {
    for edited in [true, false] {
        let stage = Stage::with(json!({"ordering": "strict"})).await;
        stage.receiver.script("/hook", [Answer::Hang]);
        let id = stage.plain("old").await;
        stage.receiver.count("/hook", 1).await;
        let answer = if edited {
            stage.edit(&id, "new").await
        } else {
            stage.recall(&id).await
        };
        assert_eq!(results(&answer), ["in_flight"]);
        let linked = answer["id"].as_str().unwrap().to_owned();
        let Stage {
            server, receiver, ..
        } = stage;
        let server = server.kill().await.start();
        let stage = Stage {
            api: server.api(),
            server,
            receiver,
        };
        stage.api.delivery_in(&id, "cancelled").await;
        let wanted: &[&str] = if edited { &["old", "new"] } else { &["old"] };
        let ended = if edited { "delivered" } else { "cancelled" };
        stage.api.delivery_in(&linked, ended).await;
        assert_eq!(bodies(&stage.receiver.received("/hook")), wanted);
    }
}

/// The process is killed between an edit's answer and the delivery that carries it.
#[tokio::test]
async fn an_edit_that_was_answered_survives_a_kill() {
    let stage = Stage::with(json!({"retry": [0.2, 0.2, 0.2, 0.2, 0.2]})).await;
    let id = stage.plain("old").await;
    stage.api.delivery_in(&id, "delivered").await;
    stage.receiver.answer("/hook", Answer::Status(503));
    let edited = stage.edit(&id, "new").await;
    assert_eq!(results(&edited), ["requested"]);
    let edit = edited["id"].as_str().unwrap().to_owned();
    let Stage {
        server, receiver, ..
    } = stage;
    let options = server.kill().await;
    receiver.answer("/hook", Answer::Status(200));
    let server = options.start();
    let api = server.api();
    api.delivery_in(&edit, "delivered").await;
    let newest = || async {
        let received = receiver.received("/hook");
        (said(received.last()?).2 == "new").then_some(())
    };
    eventually("the receiver has the new content", newest).await;
}
