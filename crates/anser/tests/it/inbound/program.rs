//! A bot that is a program of three lines answers in the same thread, once for each event.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const ECHO: &str = r#"#!/bin/sh
text=$(sed 's/.*"type":"text","text":"\([^"]*\)".*/\1/')
printf '{"body": {"segments": [{"type": "text", "text": "you said %s"}]}}' "$text"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_bot_of_three_lines_answers_in_the_same_thread() {
    let programs = tempfile::tempdir().unwrap();
    let path = programs.path().join("echo");
    std::fs::write(&path, ECHO).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = programs.path().display().to_string();
    let server = ServerOptions::default().set("exec__dir", &dir).start();
    let stage = Stage::on(server, json!({})).await;
    let api = stage.api();
    let channel = json!({"name": "echo", "kind": "exec", "settings": {"program": "echo"}});
    api.make("/v1/channels", &channel).await;
    let subscription = json!({"name": "echo", "channel": "echo"});
    api.make("/v1/topics/talk/subscriptions", &subscription)
        .await;
    let event = said(1, "hello");
    for _ in 0..2 {
        assert_eq!(post(stage.server.base(), &event, SECRET).await, Some(200));
    }
    let answered = ("you said hello".to_owned(), Some(THREAD.to_owned()));
    assert_eq!(stage.shown(1).await, [answered]);
    assert_eq!(on_topic(&stage.api(), "talk").await, ["hello"]);
}
