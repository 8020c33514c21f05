//! What is posted arrives once, durably; what may not is refused and is nowhere.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{KEY, post, robot, samples, with_topic};
use crate::harness::{Receiver, Server, ServerOptions};

const SECRET: &str = "s3cret";

/// What each dialect answers to what it takes.
const TAKEN: [(&str, u16, &str); 12] = [
    ("feishu", 200, r#""code":0"#),
    ("dingtalk", 200, r#""errcode":0"#),
    ("wecom", 200, r#""errcode":0"#),
    ("slack", 200, "ok"),
    ("discord", 204, ""),
    ("grafana", 202, "id"),
    ("alertmanager", 202, "id"),
    ("github", 202, "id"),
    ("gitlab", 202, "id"),
    ("sentry", 202, "id"),
    ("json", 202, "id"),
    ("text", 202, "id"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_senders_post_arrives_in_the_standard_form() {
    let (server, receiver) = (Server::start(), Receiver::start().await);
    with_topic(&server, &receiver).await;
    let api = server.api();
    let path = robot(&api, &json!({"name": "Prober", "topic": "alerts"})).await;
    let mut expected = Vec::new();
    for (dialect, status, word) in TAKEN {
        for sample in samples(dialect) {
            // One id is one delivery: each sample here has its own.
            let mut sample = sample;
            for header in ["X-GitHub-Delivery", "Idempotency-Key", "Request-ID"] {
                if sample["headers"][header].is_string() {
                    sample["headers"][header] = format!("{dialect}-{}", expected.len()).into();
                }
            }
            let (found, answer) = post(&api, &path(dialect), &sample).await;
            let answer = answer.to_string();
            assert_eq!(found, status, "{dialect} {}: {answer}", sample["name"]);
            assert!(answer.contains(word), "{dialect}: {answer}");
            expected.push(dialect);
        }
    }
    let received = receiver.count("/all", expected.len()).await;
    let mut found: Vec<String> = Vec::new();
    for request in &received {
        let message = request.json();
        let header = &message["header"];
        assert_eq!(header["topic"], "alerts");
        let platform = header["origin"]["platform"].as_str().unwrap();
        assert_eq!(header["origin"]["account"], "Prober");
        assert!(header["origin"]["type"].is_string(), "{header}");
        assert_eq!(
            header["from"],
            json!({"kind": "bot", "id": "Prober", "platform": platform, "account": "Prober"})
        );
        found.push(platform.to_owned());
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_sent_again_is_published_once_also_after_a_crash() {
    let receiver = Receiver::start().await;
    let options = ServerOptions::default();
    let server = options.start();
    with_topic(&server, &receiver).await;
    let path = robot(&server.api(), &json!({"name": "code", "topic": "alerts"})).await;
    let push = &samples("github")[0];
    let (_, first) = post(&server.api(), &path("github"), push).await;
    assert_eq!(first["duplicate"], false, "{first}");
    let server = server.kill().await.start();
    let (status, again) = post(&server.api(), &path("github"), push).await;
    assert_eq!(
        (status, &again["duplicate"]),
        (202, &json!(true)),
        "{again}"
    );
    assert_eq!(first["id"], again["id"]);
    let (_, page) = server.api().get("/v1/messages?topic=alerts").await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
}

/// A gateway that asks for keys, and a robot with a secret: the paths of its dialects.
async fn sealed(receiver: &Receiver) -> (Server, impl Fn(&str) -> String + use<>) {
    let server = ServerOptions::default().with_key(KEY).start();
    with_topic(&server, receiver).await;
    let body = json!({"name": "sealed", "topic": "alerts", "secret": SECRET, "dialects": ["feishu", "github", "json"]});
    let path = robot(&server.api(), &body).await;
    (server, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_or_proves_nothing_is_refused_as_the_platform_would() {
    let receiver = Receiver::start().await;
    let (server, path) = sealed(&receiver).await;
    let nobody = |dialect: &str| format!("/robot/rb_nobody/{dialect}");
    for (address, status, word) in [
        (nobody("feishu"), 404, "19001"),
        (nobody("dingtalk"), 404, "300001"),
        (nobody("wecom"), 404, "93000"),
        (nobody("slack"), 404, "no_service"),
        (nobody("discord"), 404, "10015"),
        (nobody("json"), 404, "robot_not_found"),
        // A dialect that it does not take is no address of it.
        (path("slack"), 404, "no_service"),
        (path("pigeon"), 404, "no_such_route"),
        (path("feishu"), 200, "19021"),
        (path("github"), 401, "unsigned"),
        (path("json"), 401, "unsigned"),
    ] {
        let (found, answer) = bare(&server, &address, &samples("feishu")[0]).await;
        assert_eq!(found, status, "{address} {answer}");
        assert!(answer.contains(word), "{address}: {answer}");
    }
    let (_, page) = server.api().get("/v1/messages?topic=alerts").await;
    assert_eq!(page["items"], json!([]), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_taken_and_what_was_changed_is_not() {
    let receiver = Receiver::start().await;
    let (server, path) = sealed(&receiver).await;
    let api = server.api();
    let mut push = samples("github")[0].clone();
    let signed = push["body"].to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    push["headers"]["X-Hub-Signature-256"] = format!("sha256={digits}").into();
    let (status, answer) = bare(&server, &path("github"), &push).await;
    assert_eq!(status, 202, "{answer}");
    push["body"]["ref"] = "refs/heads/evil".into();
    let (status, answer) = bare(&server, &path("github"), &push).await;
    assert_eq!(status, 401, "{answer}");
    assert!(answer.contains("wrong_signature"), "{answer}");
    let (_, page) = api.get("/v1/messages?topic=alerts").await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");

    let (_, shown) = api.get("/v1/robots/sealed").await;
    assert_eq!(shown["secret"], "********", "{shown}");
    assert!(
        shown.get("token").is_none() && shown.get("urls").is_none(),
        "{shown}"
    );
    let path = path("");
    let token = path.trim_start_matches("/robot/").trim_end_matches('/');
    let log = server.log();
    assert!(
        token.starts_with("rb_") && !log.contains(token) && !log.contains(SECRET),
        "{log}"
    );
}

/// Posts without the API key; the answer as text.
async fn bare(server: &Server, path: &str, sample: &Value) -> (u16, String) {
    let api = crate::harness::Api::new(server.base(), None);
    let (status, answer) = post(&api, path, sample).await;
    (status, answer.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_is_managed_on_the_command_line() {
    let (server, receiver) = (Server::start(), Receiver::start().await);
    with_topic(&server, &receiver).await;
    let api = server.api();
    let create = [
        "robot",
        "create",
        "ops",
        "--topic",
        "alerts",
        "--dialects",
        "json,text",
    ];
    let told = server.anser(&create).ok();
    let url = told
        .lines()
        .find_map(|line| line.strip_prefix("text "))
        .expect("a URL")
        .trim();
    assert!(url.starts_with(server.base()), "{told}");
    let path = url.strip_prefix(server.base()).unwrap().to_owned();
    let hello = json!({"body": "hello"});
    assert_eq!(post(&api, &path, &hello).await.0, 202);

    assert!(server.anser(&create).ok().contains("unchanged"));
    assert!(server.anser(&["robot", "list"]).ok().contains("alerts"));
    let told = server.anser(&["robot", "rotate", "ops"]).ok();
    assert!(told.contains("rb_") && !told.contains(url), "{told}");
    assert_eq!(post(&api, &path, &hello).await.0, 404, "the old token");
    let refused = server.anser(&["robot", "set", "ops", "dialects=[\"pigeon\"]"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("invalid_dialect"),
        "{refused:?}"
    );
    let in_use = server.anser(&["topic", "delete", "alerts", "--cascade"]);
    assert!(
        in_use.code != 0 && in_use.stderr.contains("in_use"),
        "{in_use:?}"
    );
    server.anser(&["robot", "delete", "ops"]).ok();
    server
        .anser(&["topic", "delete", "alerts", "--cascade"])
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_with_addresses_goes_there_and_waits_for_what_is_gone() {
    let (server, receiver) = (Server::start(), Receiver::start().await);
    let api = server.api();
    let channel =
        json!({"name": "hook", "kind": "webhook", "settings": {"url": receiver.url("/hook")}});
    api.make("/v1/channels", &channel).await;
    api.make("/v1/queues", &json!({"name": "jobs"})).await;
    let path = robot(&api, &json!({"name": "both", "to": ["hook", "queue:jobs"]})).await;
    let hello = json!({"body": "hello"});
    assert_eq!(post(&api, &path("text"), &hello).await.0, 202);
    let received = receiver.count("/hook", 1).await;
    assert_eq!(
        received[0].json()["header"]["to"],
        json!(["hook", "queue:jobs"])
    );
    let (_, leased) = api
        .post("/v1/queues/jobs/receive", &json!({"wait": 5}))
        .await;
    assert_eq!(
        leased["messages"].as_array().map(Vec::len),
        Some(1),
        "{leased}"
    );
    // The sender is to try again until the operator has mended it, in the platform's words.
    api.delete("/v1/channels/hook").await;
    let (status, answer) = post(&api, &path("slack"), &json!({"body": {"text": "x"}})).await;
    assert_eq!((status, answer), (503, json!("service_unavailable")));
}
