//! What other people's programs say of us: signatures judged by PyPI `standardwebhooks` and PyNaCl, CloudEvents read by
//! PyPI `cloudevents`, the API exercised by `schemathesis` from its own description; CMQ programs and chat bots on
//! their SDKs; a real Alertmanager. `cargo xtask ci` brings Python's packages and Node's, and Debian's.

mod alertmanager;
mod browser;
mod browser_live;
mod called;
mod cmq;
mod connected;
mod connected_west;
mod curl;
mod dingtalk_stream;
mod discord_py;
mod mail;
mod sdk;
mod slack_sdk;
mod socket_io;
mod verifiers_cn;
mod verifiers_west;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::harness::{Api, Received, Receiver, Server, ServerOptions};

/// Which Python has the packages.
const PYTHON: &str = "ANSER_EXTERNAL_PYTHON";
const KEY: &str = "ak_CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA";

fn python() -> PathBuf {
    std::env::var_os(PYTHON)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{PYTHON} is not set: run `cargo xtask ci`"))
}

/// A file of `tests/external`.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/external")
        .join(name)
}

/// Has a script judge something; answers what it printed.
fn judge(name: &str, input: &Value) -> String {
    let mut child = Command::new(python())
        .arg(script(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{name}: {}\nabout {input}",
        shown(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// A request as the scripts read it.
fn as_input(request: &Received) -> Map<String, Value> {
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let body = BASE64.encode(&request.body);
    Map::from_iter([
        ("headers".to_owned(), headers.into()),
        ("body".to_owned(), body.into()),
    ])
}

const FORMATS: [&str; 6] = [
    "anser",
    "data",
    "cmq-json",
    "cmq-simplified",
    "cloudevents-binary",
    "cloudevents-structured",
];

/// A server that sends what is published to `orders` in every format.
async fn sender() -> (Server, Api, Receiver) {
    let server = Server::start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    for format in FORMATS {
        let url = receiver.url(&format!("/{format}"));
        api.route("orders", format, &url, json!({}), json!({"format": format}))
            .await;
    }
    (server, api, receiver)
}

#[tokio::test]
async fn standardwebhooks_verifies_v1_in_every_format() {
    let (_server, api, receiver) = sender().await;
    let mut secrets = Vec::new();
    for format in FORMATS {
        let made = api
            .make(
                &format!("/v1/channels/{format}/secrets/rotate"),
                &json!({"kind": "v1"}),
            )
            .await;
        secrets.push(made["secret"].as_str().unwrap().to_owned());
    }
    api.publish(
        "orders",
        &json!({"header": {"key": "k"}, "body": {"data": {"text": "päid €", "n": 1.0}}}),
    )
    .await;
    for (format, secret) in FORMATS.into_iter().zip(&secrets) {
        let request = receiver.count(&format!("/{format}"), 1).await.remove(0);
        let mut input = as_input(&request);
        input.insert("secret".to_owned(), json!(secret));
        judge("standard_webhook.py", &input.into());
    }
    // While a secret is rotated, receivers with the old one and with the new one both verify.
    let made = api
        .make("/v1/channels/anser/secrets/rotate", &json!({"kind": "v1"}))
        .await;
    api.publish("orders", &json!({"body": {"data": 2}})).await;
    let request = receiver.count("/anser", 2).await.remove(1);
    for secret in [&made["secret"], &json!(secrets[0])] {
        let mut input = as_input(&request);
        input.insert("secret".to_owned(), secret.clone());
        judge("standard_webhook.py", &input.into());
    }
}

#[tokio::test]
async fn pynacl_verifies_v1a_over_id_timestamp_and_body() {
    let (_server, api, receiver) = sender().await;
    for format in FORMATS {
        let made = api
            .make(
                &format!("/v1/channels/{format}/secrets/rotate"),
                &json!({"kind": "v1a"}),
            )
            .await;
        let public = made["secret"]
            .as_str()
            .unwrap()
            .split_once(' ')
            .unwrap()
            .1
            .to_owned();
        let path = format!("/{format}");
        let before = receiver.received(&path).len();
        api.publish(
            "orders",
            &json!({"body": {"bytes": "AAH/", "media_type": "image/cbor"}}),
        )
        .await;
        let request = receiver.count(&path, before + 1).await.remove(before);
        let mut input = as_input(&request);
        input.insert("public".to_owned(), json!(public));
        judge("ed25519.py", &input.into());
    }
}

#[tokio::test]
async fn cloudevents_reads_both_modes() {
    let (_server, api, receiver) = sender().await;
    let header = json!({
        "type": "order.paid", "key": "order-42", "tags": ["vip"], "occurred_at": "2026-11-22T23:59:59.500Z",
    });
    let data = json!({"n": 1, "nested": {"list": [true, null, "€"]}});
    let first = api
        .publish("orders", &json!({"header": header, "body": {"data": data}}))
        .await;
    api.publish(
        "orders",
        &json!({"header": header, "body": {"bytes": "AAH/", "media_type": "image/cbor"}}),
    )
    .await;
    api.publish(
        "orders",
        &json!({"header": header, "body": {"data": "only text"}}),
    )
    .await;
    for mode in ["cloudevents-binary", "cloudevents-structured"] {
        let mut received = receiver.count(&format!("/{mode}"), 3).await;
        received.sort_by_key(|request| request.header("webhook-id").to_owned());
        let read = |request: &Received| -> Value {
            serde_json::from_str(&judge("cloud_event.py", &as_input(request).into())).unwrap()
        };
        let event = read(&received[0]);
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", &*first),
            ("source", "/topics/orders"),
            ("type", "order.paid"),
            ("subject", "order-42"),
            ("time", "2026-11-22T23:59:59.500Z"),
            ("ansertopic", "orders"),
            ("ansertags", "vip"),
        ] {
            assert_eq!(event["attributes"][name], value, "{mode} {name}: {event}");
        }
        assert_eq!(event["data"], data, "{mode}: {event}");
        assert_eq!(read(&received[1])["bytes"], "AAH/", "{mode}");
        let text = read(&received[2]);
        let plain = text["data"] == "only text" || text["bytes"] == BASE64.encode("only text");
        assert!(plain, "{mode}: {text}");
    }
}

/// Generated cases for each operation and phase.
const EXAMPLES_MAX: &str = "40";

/// A message and a delivery that are there, by the names that `schemathesis.toml` has for them.
async fn known(api: &Api) -> [(&'static str, String); 2] {
    api.route(
        "shop",
        "hook",
        "http://example.com/hook",
        json!({}),
        json!({}),
    )
    .await;
    let message = api.publish("shop", &json!({"body": {"data": 1}})).await;
    let delivery = api.deliveries(&message).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    [
        ("SCHEMATHESIS_MESSAGE", message),
        ("SCHEMATHESIS_DELIVERY", delivery),
    ]
}

/// Messages in the queue `filled`: more than all receives of a run take, so that none has to wait.
const FILLED: usize = 10_000;

/// The queue that `schemathesis.toml` has for the calls about what is in one.
async fn filled(api: &Api) {
    let queue = json!({"name": "filled", "rewind": 600});
    api.make("/v1/queues", &queue).await;
    let item = json!({"header": {"to": ["queue:filled"]}, "body": {"data": 1}});
    let batch = Value::Array(vec![item; 1_000]);
    for _ in 0..FILLED / 1_000 {
        api.make("/v1/messages", &batch).await;
    }
}

/// The cases are the same in each run, so what is found is found again.
#[tokio::test]
async fn schemathesis_finds_no_server_error_and_no_violation_of_the_schema() {
    let dead_end = Receiver::reserve();
    // Whatever addresses are made up, no request leaves this machine.
    let server = ServerOptions::default()
        .with_key(KEY)
        .set("proxy", &dead_end.url(""))
        .start();
    let api = server.api();
    filled(&api).await;
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(python().with_file_name("schemathesis"))
        .current_dir(folder.path())
        .envs(known(&api).await)
        .arg("--config-file")
        .arg(script("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.base())])
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES_MAX, "--generation-deterministic"])
        .args(["--workers", "1", "--no-color"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    assert_eq!(api.get("/readyz").await.0, 200, "it is as well as before");
    let (_, left) = api.get("/v1/queues/filled/state").await;
    assert_ne!(left["active"], 0, "fill it with more");
}
