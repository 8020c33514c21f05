//! The life of the process: ready, in use, stopped, killed, started wrongly.

use serde_json::json;

use crate::harness::{Answer, Receiver, Server, ServerOptions};

/// Enough letters for an admin key, and none of it a secret.
const ADMIN_KEY: &str = "ak_an-admin-key-that-only-these-tests-know";

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_one_line_and_ends_with_zero_on_sigterm() {
    let mut server = Server::start();
    assert_eq!(server.api().get("/healthz").await.0, 200);
    assert_eq!(server.api().get("/readyz").await.0, 200);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert_eq!(server.further_lines(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_by_a_stop() {
    let receiver = Receiver::start().await;
    receiver.answer("/hook", Answer::Status(503));
    let server = Server::start();
    let api = server.api();
    api.route(
        "orders",
        "shop",
        &receiver.url("/hook"),
        json!({"format": "data"}),
        json!({"ordering": "none"}),
    )
    .await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(
            api.publish("orders", &json!({"body": {"data": number}}))
                .await,
        );
    }
    receiver.count("/hook", 1).await;
    let (status, options) = server.stop().await;
    assert_eq!(status.code(), Some(0));
    receiver.answer("/hook", Answer::Status(204));
    let server = options.start();
    for id in &ids {
        server.api().delivery_in(id, "delivered").await;
    }
    let received = receiver.received("/hook");
    let unmarked = received
        .iter()
        .filter(|request| request.header("anser-possible-duplicate").is_empty());
    assert_eq!(
        unmarked.count(),
        received.len(),
        "a clean stop leaves no doubt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_attempts_under_way_finish() {
    let receiver = Receiver::start().await;
    receiver.answer("/hook", Answer::Hang);
    let options = ServerOptions::default().set("shutdown__limit_seconds", "1");
    let server = options.start();
    let api = server.api();
    api.route(
        "orders",
        "shop",
        &receiver.url("/hook"),
        json!({}),
        json!({}),
    )
    .await;
    let id = api.publish("orders", &json!({"body": {"data": 1}})).await;
    receiver.count("/hook", 1).await;
    let (status, options) = server.stop().await;
    assert_eq!(status.code(), Some(0));
    receiver.answer("/hook", Answer::Status(200));
    let server = options.start();
    server.api().delivery_in(&id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let receiver = Receiver::start().await;
    receiver.answer("/hook", Answer::Hang);
    let mut server = Server::start();
    let api = server.api();
    api.route(
        "orders",
        "shop",
        &receiver.url("/hook"),
        json!({}),
        json!({}),
    )
    .await;
    api.publish("orders", &json!({"body": {"data": 1}})).await;
    receiver.count("/hook", 1).await;
    server.signal(rustix::process::Signal::TERM);
    crate::harness::eventually("it is stopping", || async {
        server.log().contains("stopping").then_some(())
    })
    .await;
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(1), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_an_endpoint_is_kept_from_delivery_to_delivery() {
    let receiver = Receiver::start().await;
    let server = Server::start();
    let api = server.api();
    let strict = json!({"ordering": "strict"});
    api.route("orders", "shop", &receiver.url("/hook"), json!({}), strict)
        .await;
    for number in 0..5 {
        api.publish("orders", &json!({"body": {"data": number}}))
            .await;
    }
    let received = receiver.count("/hook", 5).await;
    assert!(received.iter().all(|request| request.connection == 0));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused() {
    let server = Server::start();
    let second = crate::harness::anser(&[
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--data",
        server.data().to_str().unwrap(),
    ]);
    assert_eq!(second.code, 1);
    assert_eq!(second.stdout, "");
    let told = second.stderr.lines().last().unwrap_or_default();
    assert!(
        told.contains("error:") && told.contains("in use by another process"),
        "{told}"
    );
    assert_eq!(server.api().get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_the_start_is_one_clear_line() {
    let taken = Receiver::start().await;
    let address = taken.url("").replace("http://", "");
    for (name, value, told) in [
        ("listen", address.as_str(), "cannot listen on"),
        (
            "lisen",
            "127.0.0.1:1",
            "there is no setting lisen (in the environment)",
        ),
        ("log__level", "loud=very", "log.level"),
        ("tls__certificate", "/nowhere.pem", "tls.key"),
        ("master_key", "short", "ANSER_MASTER_KEY"),
    ] {
        let mut options = ServerOptions::default().set(name, value);
        if name == "listen" {
            options = options.without_listen();
        }
        let ran = options.run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (1, ""),
            "{name}: {}",
            ran.stderr
        );
        let errors: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{name}: {}", ran.stderr);
        assert!(errors[0].contains(told), "{name}: {}", errors[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_key_comes_from_the_environment_or_a_private_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = ServerOptions::default().with_key(ADMIN_KEY).start();
    assert_eq!(server.api().get("/v1/topics").await.0, 200);
    assert_eq!(
        crate::harness::Api::new(server.base(), None)
            .get("/v1/topics")
            .await
            .0,
        401
    );
    assert!(!server.data().join("admin.key").exists());
    drop(server);

    let server = ServerOptions::default().with_key("").start();
    for file in ["admin.key", "master.key"] {
        let metadata = std::fs::metadata(server.data().join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
    let key = std::fs::read_to_string(server.data().join("admin.key")).unwrap();
    let api = crate::harness::Api::new(server.base(), Some(key.trim()));
    assert_eq!(api.get("/v1/topics").await.0, 200);
    assert!(!server.log().contains(key.trim()), "a key is never logged");
}
