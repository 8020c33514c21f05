//! A tour of the command line against a running server.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::harness::{DEADLINE, Receiver, Server, ServerOptions, anser};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_from_the_command_line_to_a_webhook() {
    let receiver = Receiver::start().await;
    let server = Server::start();
    let ok = |arguments: &[&str]| server.anser(arguments).ok();
    assert!(ok(&["topic", "create", "orders", "--retention", "3600"]).contains("created"));
    assert!(ok(&["topic", "create", "orders", "--retention", "3600"]).contains("unchanged"));
    ok(&[
        "channel",
        "create",
        "shop",
        "--url",
        &receiver.url("/hook"),
        "--set",
        "headers.X-Shop=cn-7",
    ]);
    ok(&[
        "subscription",
        "create",
        "orders",
        "all",
        "--channel",
        "shop",
        "--types",
        "message,order.#",
    ]);
    let told = ok(&[
        "send",
        "--topic",
        "orders",
        "--key-order",
        "order-42",
        "--tag",
        "vip",
        "hello",
    ]);
    assert!(told.contains("accepted, 1 delivery"), "{told}");
    let id = told.split(' ').next().unwrap();
    let received = receiver.count("/hook", 1).await;
    let message = received[0].json();
    assert_eq!(message["header"]["type"], "message");
    assert_eq!(message["header"]["key"], "order-42");
    assert_eq!(
        message["body"]["segments"],
        json!([{"type": "text", "text": "hello"}])
    );
    assert_eq!(received[0].header("x-shop"), "cn-7");
    assert_eq!(received[0].header("webhook-id"), id);

    server.api().delivery_in(id, "delivered").await;
    assert!(ok(&["message", "get", id]).contains("\"hello\""));
    assert!(ok(&["message", "list", "--topic", "orders"]).contains("order-42"));
    let deliveries = ok(&["message", "deliveries", id]);
    assert!(deliveries.contains("delivered"), "{deliveries}");
    let page = server
        .anser(&["delivery", "list", "--channel", "shop", "--output", "json"])
        .json();
    let delivery = page["items"][0]["id"].as_str().unwrap();
    assert!(ok(&["delivery", "get", delivery]).contains("delivered"));
    assert!(ok(&["delivery", "retry", delivery]).contains(delivery));
    let received = receiver.count("/hook", 2).await;
    assert_eq!(received[1].header("webhook-id"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_edited_and_taken_back_from_the_command_line() {
    let receiver = Receiver::start().await;
    let server = Server::start();
    let api = server.api();
    let url = receiver.url("/hook");
    api.route("orders", "shop", &url, json!({}), json!({}))
        .await;
    let id = api
        .publish("orders", &json!({"body": {"data": "one"}}))
        .await;
    api.delivery_in(&id, "delivered").await;
    let edited = server
        .anser(&["message", "edit", &id, "two", "--output", "json"])
        .json();
    assert_eq!(edited["results"][0]["result"], "requested", "{edited}");
    let edit = edited["id"].as_str().unwrap();
    api.delivery_in(edit, "delivered").await;
    let received = receiver.count("/hook", 2).await;
    assert_eq!(received[1].header("anser-target-id"), id);
    assert_eq!(
        received[1].json()["body"]["segments"],
        json!([{"type": "text", "text": "two"}])
    );
    let recalled = server
        .anser(&["message", "recall", &id, "--reason", "a typo"])
        .ok();
    assert!(recalled.contains("requested"), "{recalled}");
    let received = receiver.count("/hook", 3).await;
    let reason = &received[2].json()["body"]["data"];
    assert_eq!(*reason, json!({"reason": "a typo"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_sent_as_the_bytes_of_the_file() {
    let receiver = Receiver::start().await;
    let server = Server::start();
    server
        .api()
        .route(
            "orders",
            "shop",
            &receiver.url("/hook"),
            json!({"format": "data"}),
            json!({}),
        )
        .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.json");
    let data = "{\"z\": 1.0, \"a\": 12345678901234567890123}";
    std::fs::write(&file, data).unwrap();
    let file = file.to_str().unwrap();
    server
        .anser(&[
            "send",
            "--topic",
            "orders",
            "--type",
            "order.paid",
            "--json",
            file,
        ])
        .ok();
    let received = receiver.count("/hook", 1).await;
    assert_eq!(String::from_utf8_lossy(&received[0].body), data);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_changed_and_deleted() {
    let receiver = Receiver::start().await;
    let server = Server::start();
    let ok = |arguments: &[&str]| server.anser(arguments).ok();
    server
        .api()
        .route(
            "orders",
            "shop",
            &receiver.url("/hook"),
            json!({}),
            json!({}),
        )
        .await;
    for (list, name) in [
        (&["topic", "list"][..], "orders"),
        (&["channel", "list"], "shop"),
        (&["channel", "kinds"], "webhook"),
        (&["subscription", "list"], "orders"),
        (&["subscription", "list", "orders"], "shop"),
    ] {
        assert!(ok(list).contains(name), "{list:?}");
    }
    assert!(
        ok(&[
            "topic",
            "set",
            "orders",
            "retention=60",
            "max_bytes=1000000"
        ])
        .contains("1000000")
    );
    assert!(ok(&["topic", "set", "orders", "max_bytes=null"]).contains("60"));
    assert!(ok(&["channel", "set", "shop", "timeout=5"]).contains('5'));
    assert!(ok(&["channel", "pause", "shop"]).contains("paused"));
    assert!(ok(&["channel", "resume", "shop"]).contains("active"));
    assert!(ok(&["channel", "enable", "shop"]).contains("active"));
    assert!(ok(&["channel", "test", "shop"]).contains("delivered"));
    ok(&[
        "channel",
        "set",
        "shop",
        "settings.secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ]);
    assert!(!ok(&["channel", "get", "shop"]).contains("MfKQ"));
    assert!(ok(&["channel", "rotate", "shop", "--grace", "60"]).contains("whsec_"));
    assert!(ok(&["subscription", "set", "orders", "shop", "retry=patient"]).contains("patient"));
    assert!(ok(&["subscription", "pause", "orders", "shop"]).contains("true"));
    assert!(ok(&["subscription", "resume", "orders", "shop"]).contains("false"));
    let refused = server.anser(&["channel", "delete", "shop"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("in_use"), "{}", refused.stderr);
    ok(&["subscription", "delete", "orders", "shop"]);
    ok(&["channel", "delete", "shop"]);
    ok(&["topic", "delete", "orders"]);
    assert_eq!(server.anser(&["topic", "get", "orders"]).code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_published_once_however_often_it_is_tried() {
    let server = Server::start();
    server.anser(&["topic", "create", "orders"]).ok();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("messages.jsonl");
    let lines: String = (0..250)
        .map(|number| format!("{{\"body\":{{\"data\":{number}}}}}\n"))
        .collect();
    std::fs::write(&file, &lines).unwrap();
    let file = file.to_str().unwrap();
    let publish = [
        "publish", "--file", file, "--topic", "orders", "--batch", "100", "--output", "json",
    ];
    assert_eq!(
        server.anser(&publish).json(),
        json!({"accepted": 250, "duplicates": 0, "refused": 0, "skipped": 0})
    );
    assert_eq!(
        server.anser(&publish).json(),
        json!({"accepted": 0, "duplicates": 250, "refused": 0, "skipped": 0})
    );
    let rest = [&publish[..], &["--from-line", "201"]].concat();
    assert_eq!(
        server.anser(&rest).json(),
        json!({"accepted": 0, "duplicates": 50, "refused": 0, "skipped": 200})
    );
    let progress = std::path::Path::new(file).with_extension("jsonl.progress");
    assert!(!progress.exists(), "nothing is left to remember");

    std::fs::write(
        file,
        "{\"body\":{\"data\":1}}\n{\"body\":{}}\n{\"bodi\":1}\n",
    )
    .unwrap();
    let ran = server.anser(&["publish", "--file", file, "--topic", "orders"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("1 accepted, 2 refused"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("line 2:") && ran.stderr.contains("line 3:"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_is_published_and_ends_at_ctrl_c() {
    let server = Server::start();
    server.anser(&["topic", "create", "orders"]).ok();
    server.anser(&["topic", "create", "other"]).ok();
    let mut tail = server
        .client(&[
            "tail",
            "--topic",
            "orders",
            "--since",
            "2026-01-01T00:00:00Z",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    let stdout = tail.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            drop(send.send(line));
        }
    });
    server
        .anser(&["send", "--topic", "other", "not this one"])
        .ok();
    for text in ["first", "second"] {
        server.anser(&["send", "--topic", "orders", text]).ok();
        let line = lines.recv_timeout(DEADLINE).expect("a line");
        assert!(
            line.contains("orders  message") && line.ends_with(text),
            "{line}"
        );
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&tail),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_on_a_running_and_on_a_stopped_server() {
    const ADMIN_KEY: &str = "ak_an-admin-key-that-only-these-tests-know";
    let server = ServerOptions::default().with_key(ADMIN_KEY).start();
    let made = server
        .anser(&[
            "key", "create", "billing", "--scopes", "publish", "--topics", "orders",
        ])
        .ok();
    assert!(made.contains("ak_"), "{made}");
    assert!(server.anser(&["key", "list"]).ok().contains("billing"));
    assert!(
        !server
            .anser(&["key", "get", "billing"])
            .ok()
            .contains("ak_")
    );
    let data = server.data();
    let arguments = [
        "key",
        "create",
        "spare",
        "--scopes",
        "admin",
        "--data",
        data.to_str().unwrap(),
        "--output",
        "json",
    ];
    let running = anser(&arguments);
    assert_eq!(running.code, 1, "the data is in use: {}", running.stderr);
    let (_, options) = server.stop().await;
    let made = anser(&arguments).json();
    let key = made["key"].as_str().unwrap();
    assert_eq!(anser(&arguments).code, 3, "a name is taken once");
    let server = options.start();
    let api = crate::harness::Api::new(server.base(), Some(key));
    assert_eq!(api.get("/v1/keys").await.0, 200);
    server.anser(&["key", "delete", "billing"]).ok();
    assert!(!server.anser(&["key", "list"]).ok().contains("billing"));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    assert_eq!(anser(&["--help"]).code, 0);
    assert_eq!(anser(&["--version"]).code, 0);
    assert_eq!(anser(&["nonsense"]).code, 2);
    assert_eq!(anser(&["send", "text without a place"]).code, 2);
    assert_eq!(
        anser(&["--server", "ftp://127.0.0.1", "topic", "list"]).code,
        2
    );
    let lost = anser(&["--server", "http://127.0.0.1:1", "topic", "list"]);
    assert_eq!(lost.code, 4);
    assert!(
        lost.stderr.contains("cannot be reached") && lost.stderr.contains("anser serve"),
        "{}",
        lost.stderr
    );
    let lost = anser(&[
        "--server",
        "http://127.0.0.1:1",
        "--output",
        "json",
        "topic",
        "list",
    ]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&lost.stderr).unwrap()["exit_code"],
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_with_code_and_field() {
    let server = Server::start();
    let ran = server.anser(&["topic", "create", "orders", "--dedupe-window", "9999999"]);
    assert_eq!(ran.code, 3);
    for told in [
        "error: ",
        "field:    dedupe_window",
        "code:     out_of_range (HTTP 422)",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    let ran = server.anser(&["topic", "get", "none", "--output", "json"]);
    let problem: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &problem["code"]), (3, &json!("topic_not_found")));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = anser(&["completions", shell]).ok();
        for command in [
            "serve",
            "demo",
            "publish",
            "tail",
            "subscription",
            "delivery",
            "completions",
        ] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}
