//! Stock clients of Socket.IO, unchanged, against the real binary: npm `socket.io-client` by polling only, by WebSocket only
//! and with an upgrade, and PyPI `python-socketio`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::sdk::{folder, run};
use super::{python, script};
use crate::harness::{Server, ServerOptions};

/// The first admin key of these servers.
const KEY: &str = "live-tests-0123456789abcdef0123456789abcdef";

/// A server with an application that mints tokens; what a client is told of it.
async fn world(transports: &[&str]) -> (Server, Value) {
    let server = ServerOptions::default().with_key(KEY).start();
    let api = server.api();
    let app = json!({"name": "app", "rights": {"see": ["*"]}});
    api.make("/v1/issuers", &app).await;
    let mut asked =
        json!({"base_url": server.base(), "key": KEY, "bob_id": "bob", "transports": transports});
    for user in ["ann", "bob"] {
        let minted = api
            .make("/v1/issuers/app/tokens", &json!({"user": user}))
            .await;
        asked[user] = minted["token"].clone();
    }
    (server, asked)
}

fn texts(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["message"]["body"]["data"]["text"].as_str().unwrap())
        .collect()
}

async fn node(transports: &[&str]) -> Value {
    let (_server, asked) = world(transports).await;
    let packages = folder("ANSER_EXTERNAL_NODE");
    tokio::task::spawn_blocking(move || {
        run(
            Command::new("node")
                .arg(script("live_socket_io.mjs"))
                .arg(packages),
            &asked,
        )
    })
    .await
    .unwrap()
}

fn judge_node(told: &Value) {
    for confirm in told["confirms"].as_array().unwrap() {
        assert_eq!(confirm["op"], "ok", "{confirm}");
        assert_eq!(confirm["durable"], true, "{confirm}");
    }
    assert_eq!(texts(&told["heard"]), ["one", "two", "three"]);
    for event in told["heard"].as_array().unwrap() {
        assert_eq!(event["message"]["header"]["from"]["id"], "ann");
        assert_eq!(event["possible_duplicate"], Value::Null);
    }
    assert_eq!(told["spoofed"]["op"], "error", "{}", told["spoofed"]);
    assert_eq!(texts(&told["again"]), ["three", "four"]);
    // Whether a session that did not acknowledge has ended with a word depends on the transport; what is new is never marked.
    assert_eq!(told["again"][1]["possible_duplicate"], Value::Null);
    assert_eq!(texts(&told["resumed"]), ["five"]);
    assert_eq!(told["many"], 600);
    assert_eq!(told["asked"]["op"], "ok", "{}", told["asked"]);
    let outcome = &told["outcome"];
    assert_eq!(
        (&outcome["id"], &outcome["type"]),
        (&json!("q1"), &json!("result"))
    );
    assert_eq!(outcome["payload"], json!({"sum": 3}));
    assert_eq!(told["unknown"]["code"], "unknown_op");
    assert_eq!(
        (&told["error"]["op"], &told["error"]["field"]),
        (&json!("error"), &json!("topic"))
    );
    assert_eq!(told["binary"]["op"], "error", "{}", told["binary"]);
    for refused in told["refused"].as_array().unwrap() {
        let words = refused.as_str().unwrap();
        assert!(words.contains(": "), "a code, then what to do: {words}");
    }
    assert_eq!(told["closed"]["reason"], "replaced");
    assert_eq!(told["gone"], "io server disconnect");
}

#[tokio::test]
async fn socket_io_client_talks_by_polling_only() {
    let told = node(&["polling"]).await;
    assert_eq!(told["transport"], "polling");
    judge_node(&told);
}

#[tokio::test]
async fn socket_io_client_talks_by_websocket_only() {
    let told = node(&["websocket"]).await;
    assert_eq!(told["transport"], "websocket");
    judge_node(&told);
}

#[tokio::test]
async fn socket_io_client_talks_while_it_upgrades() {
    let told = node(&["polling", "websocket"]).await;
    assert_eq!(told["transport"], "websocket");
    judge_node(&told);
}

#[tokio::test]
async fn python_socketio_talks_by_polling_and_by_websocket() {
    for transport in ["polling", "websocket"] {
        let (_server, asked) = world(&[transport]).await;
        let packages = folder("ANSER_EXTERNAL_LIVE");
        let told = tokio::task::spawn_blocking(move || judged_python(&packages, &asked))
            .await
            .unwrap();
        assert_eq!(told["transport"], transport);
        assert_eq!(told["confirms"], json!([true, true]));
        assert_eq!(told["heard"], json!(["one", "two"]));
        assert_eq!(
            (&told["resumed"], &told["left"]),
            (&json!("three"), &json!(0))
        );
        assert_ne!(told["refused"], "", "{told}");
    }
}

fn judged_python(packages: &Path, asked: &Value) -> Value {
    let mut command = Command::new(python());
    command
        .arg(script("live_socket_io.py"))
        .env("PYTHONPATH", packages);
    run(&mut command, asked)
}
