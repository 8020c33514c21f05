//! The `http` channel end to end: made on the command line, sent by the real binary to a receiver that answers as an API
//! with codes of its own does. What the settings can say is tested in the channels crate.

use serde_json::{Value, json};

use crate::harness::{Answer, Received, Receiver, Server};

const SECRET: &str = "tk-5f3c9a";
const HOSTILE: &str = "\"}, {{ secrets.token }}\r\nX-Evil: 1 &=é";

/// A service that always answers 200, and says in the body whether it took the message.
fn service(receiver: &Receiver, path: &str) {
    receiver.rule(path, |request: &Received| {
        let answer = match request.json()["text"].as_str() {
            Some("refuse") => json!({"ok": false, "error": "no_such_room"}),
            _ => json!({"ok": true, "id": "m-1"}),
        };
        let body = answer.to_string().into_bytes();
        Some(Answer::Full(200, Vec::new(), body))
    });
}

/// Makes the channel `rooms` on the command line.
fn create(server: &Server, receiver: &Receiver) {
    let url = format!("--url={}", receiver.url("/rooms/{{ target }}/send"));
    let token = format!("secrets.token={SECRET}");
    let create = [
        "channel",
        "create",
        "rooms",
        "--kind",
        "http",
        &url,
        "--set",
        "query.v=\"2\"",
        "--set",
        "headers.authorization=Bearer {{ secrets.token }}",
        "--set",
        "headers.x-fixed={{ secrets.fixed }}",
        "--set",
        "secrets.fixed=fixed1",
        "--set",
        "json.text={{ text }}",
        "--set",
        "json.urgent={{ 'urgent' in header.tags | default([]) }}",
        "--set",
        &token,
        "--set",
        "per_target=true",
        "--set",
        "success=json.ok",
        "--set",
        "rejected=json.error == 'no_such_room'",
        "--set",
        "reason=json.error",
        "--set",
        "platform_id=json.id",
    ];
    server.anser(&create).ok();
}

#[tokio::test]
async fn a_service_in_a_few_lines_of_settings() {
    let (server, receiver) = (Server::start(), Receiver::start().await);
    let api = server.api();
    let path = "/rooms/room%201/send?v=2";
    service(&receiver, path);
    create(&server, &receiver);
    let shown = server.anser(&["channel", "get", "rooms"]).ok();
    assert!(!shown.contains(SECRET), "{shown}");

    let to = json!({"to": ["rooms/room 1"]});
    let publish = |text: &str| {
        let item = json!({"header": to, "body": {"data": text}});
        let api = api.clone();
        async move {
            let answer = api.make("/v1/messages", &item).await;
            answer["id"].as_str().unwrap().to_owned()
        }
    };
    let taken = api.delivery_in(&publish(HOSTILE).await, "delivered").await;
    let request = receiver.count(path, 1).await.remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("authorization"), format!("Bearer {SECRET}"));
    assert_eq!(request.json(), json!({"text": HOSTILE, "urgent": false}));
    assert_eq!(attempt(&taken)["platform_ids"], json!(["m-1"]), "{taken}");

    // One secret of a set is replaced, and the others stay.
    server
        .anser(&["channel", "set", "rooms", "settings.secrets.token=other"])
        .ok();
    let refused = api.delivery_in(&publish("refuse").await, "dead").await;
    let attempt = attempt(&refused);
    assert_eq!(attempt["outcome"], "rejected");
    assert_eq!(attempt["error"], "200: HTTP 200: no_such_room");
    let request = receiver.count(path, 2).await.remove(1);
    assert_eq!(request.header("authorization"), "Bearer other");
    assert_eq!(request.header("x-fixed"), "fixed1");
    assert!(!refused.to_string().contains("Bearer"), "{refused}");

    let without = json!({"header": {"to": ["rooms"]}, "body": {"data": "x"}});
    let answer = api.make("/v1/messages", &without).await;
    let dead = api
        .delivery_in(answer["id"].as_str().unwrap(), "dead")
        .await;
    assert!(dead.to_string().contains("target"), "{dead}");
    assert_eq!(receiver.received(path).len(), 2);
}

fn attempt(delivery: &Value) -> &Value {
    &delivery["attempt_log"][0]
}

#[tokio::test]
async fn wrong_settings_are_refused_with_the_place() {
    let server = Server::start();
    let create = |more: &[&str]| {
        let mut all = vec!["channel", "create", "c", "--kind", "http"];
        all.extend(more);
        let ran = server.anser(&all);
        assert_ne!(ran.code, 0, "{}", ran.stdout);
        ran.stderr
    };
    let refused = create(&["--url=https://a.example/", "--set", "json.text={{ txet }}"]);
    assert!(
        refused.contains("settings.json.text") && refused.contains("txet"),
        "{refused}"
    );
    let refused = create(&["--url=https://{{ data.host }}/"]);
    assert!(refused.contains("host_of_message"), "{refused}");
    let refused = create(&[
        "--url=https://a.example/{{ text",
        "--set",
        "success=status ==",
    ]);
    assert!(refused.contains("settings.success"), "{refused}");
    // What every channel may not reach, this one may not either, also where a secret names it.
    let refused = create(&[
        "--url={{ secrets.url }}",
        "--set",
        "secrets.url=http://169.254.169.254/latest",
    ]);
    assert!(refused.contains("settings.url"), "{refused}");
}
