//! Secrets can be written, never read: not through the API, not in attempts, logs or metrics, not in the data folder.

use std::path::Path;

use serde_json::json;

use super::Stage;
use crate::harness::{Answer, Receiver, ServerOptions};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "token-5f0d3c1b7a";
const HEADER: &str = "header-91be44d20c";
const KEY: &str = "ak_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

/// Files below a folder that contain these bytes.
fn files_with(folder: &Path, secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, secret));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn secrets_show_up_nowhere() {
    let server = ServerOptions::default()
        .with_key(KEY)
        .set("log__level", "debug")
        .start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    let stage = Stage {
        server,
        api,
        receiver,
    };
    let settings = json!({"secret": SECRET, "headers": {"x-api": HEADER}, "auth": {"bearer": {"token": TOKEN}}});
    let url = stage.receiver.url("/hook");
    stage
        .api
        .route(
            "shop",
            "hook",
            &url,
            settings,
            json!({"retry": [0.01], "attempt_log": "full"}),
        )
        .await;
    let (_, created) = stage
        .api
        .post("/v1/keys", &json!({"name": "reader", "scopes": ["read"]}))
        .await;
    let reader = created["key"].as_str().unwrap().to_owned();
    let (_, rotated) = stage
        .api
        .post("/v1/channels/hook/secrets/rotate", &json!({"kind": "v1"}))
        .await;
    let rotated = rotated["secret"].as_str().unwrap().to_owned();
    stage.receiver.script("/hook", [Answer::Status(500)]);
    let id = stage.plain(1).await;
    let delivery = stage.api.delivery_in(&id, "delivered").await;
    let sent = stage.receiver.received("/hook").remove(0);
    assert_eq!(
        (sent.header("x-api"), sent.header("authorization")),
        (HEADER, &*format!("Bearer {TOKEN}")),
        "they are used"
    );
    let mut shown = everything_shown(&stage).await;
    shown.push(delivery.to_string());
    let data = stage.server.data();
    let secrets = [SECRET, TOKEN, HEADER, KEY, &reader, &rotated];
    for secret in secrets {
        for text in &shown {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        let none: Vec<String> = Vec::new();
        assert_eq!(files_with(&data, secret), none, "{secret}");
    }
    let stopped = stage.server.stop().await.1;
    for secret in secrets {
        assert!(files_with(&stopped.data(), secret).is_empty(), "{secret}");
    }
}

/// What the gateway answers and logs about the channel `hook`.
async fn everything_shown(stage: &Stage) -> Vec<String> {
    let mut shown = Vec::new();
    for path in [
        "/v1/channels",
        "/v1/channels/hook",
        "/v1/keys",
        "/v1/keys/reader",
        "/v1/subscriptions",
        "/metrics",
        "/v1/messages",
    ] {
        let (status, answer) = stage.api.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        shown.push(answer.to_string());
    }
    assert!(
        shown[1].contains("********"),
        "masked, not left out: {}",
        shown[1]
    );
    shown.push(stage.api.act("/v1/channels/hook/test").await.1.to_string());
    // Refused, one for its name and one for its secret.
    for (name, secret) in [("hook", SECRET.to_owned()), ("bad", format!("{SECRET}!"))] {
        let settings = json!({"url": stage.receiver.url("/hook"), "secret": secret});
        let channel = json!({"name": name, "kind": "webhook", "settings": settings});
        let (status, problem) = stage.api.post("/v1/channels", &channel).await;
        assert!([409, 422].contains(&status), "{problem}");
        shown.push(problem.to_string());
    }
    shown.push(stage.server.log());
    shown
}

#[tokio::test]
async fn a_masked_or_absent_secret_keeps_the_one_that_is_there() {
    let stage = Stage::set().await;
    let url = stage.receiver.url("/hook");
    stage
        .api
        .route(
            "shop",
            "hook",
            &url,
            json!({"secret": SECRET, "headers": {"x-api": HEADER}}),
            json!({}),
        )
        .await;
    let put = json!({"kind": "webhook", "timeout": 20, "settings": {"url": url, "headers": {"x-api": "********"}}});
    let (status, answer) = stage.api.put("/v1/channels/hook", &put).await;
    assert_eq!(status, 200, "{answer}");
    let id = stage.plain(1).await;
    stage.api.delivery_in(&id, "delivered").await;
    let sent = stage.receiver.received("/hook").remove(0);
    assert!(
        sent.header("webhook-signature").starts_with("v1,"),
        "{sent:?}"
    );
    assert_eq!(sent.header("x-api"), HEADER);
}

#[tokio::test]
async fn files_with_keys_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let stage = Stage::with(json!({})).await;
    let (status, options) = stage.server.stop().await;
    assert!(status.success(), "{status}");
    let master = std::fs::metadata(options.data().join("master.key")).unwrap();
    let mode = master.permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
