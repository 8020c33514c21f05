//! Who gets in at the CMQ door: signatures, times, rights, the developer mode, and what is not a CMQ request at all.

use anser_edge::{CmqOptions, EdgeOptions};
use anser_gateway::GatewayOptions;
use serde_json::{Value, json};

use super::signer::{Cmq, PYTHON, now, read, refusal, sign};
use crate::client;
use crate::harness::{start, start_with};

const UNAUTHENTICATED: &str = "4100 (10030)authentication failed";

/// Sends a CreateQueue whose parameters were changed before or after it was signed.
async fn changed(
    cmq: &Cmq<'_>,
    change: impl Fn(&mut Vec<(String, String)>),
    signed: bool,
) -> String {
    let mut pairs = cmq.pairs(PYTHON, &[("Action", "CreateQueue"), ("queueName", "q1")]);
    if signed {
        change(&mut pairs);
    }
    let signature = sign(PYTHON, &cmq.host(), &cmq.key, &pairs);
    pairs.push(("Signature".to_owned(), signature));
    if !signed {
        change(&mut pairs);
    }
    refusal(&read(&cmq.post(PYTHON, &pairs).await))
}

fn set(name: &'static str, value: String) -> impl Fn(&mut Vec<(String, String)>) {
    move |pairs| {
        pairs.retain(|(known, _)| known != name);
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.clone()));
        }
    }
}

/// A parameter changed after signing (`false`) or before, to nothing at all when empty, and the refusal.
const CHANGED: &[(&str, &str, bool, &str)] = &[
    (
        "Signature",
        "",
        false,
        "4000 (10390)lacked of required parameter Signature",
    ),
    ("Signature", "AAAA", false, UNAUTHENTICATED),
    ("Signature", "!", false, UNAUTHENTICATED),
    ("queueName", "q2", false, UNAUTHENTICATED),
    ("Extra", "1", false, UNAUTHENTICATED),
    ("SignatureMethod", "HmacSHA256", false, UNAUTHENTICATED),
    (
        "Nonce",
        "",
        true,
        "4000 (10390)lacked of required parameter Nonce",
    ),
    (
        "Nonce",
        "0",
        true,
        "4000 (10350)parameter Nonce value or length is out of range",
    ),
    ("Nonce", "x", true, "4000 (10360)parameter Nonce error type"),
    (
        "Timestamp",
        "",
        true,
        "4000 (10390)lacked of required parameter Timestamp",
    ),
    (
        "Timestamp",
        "soon",
        true,
        "4000 (10360)parameter Timestamp error type",
    ),
    ("Timestamp", "1", true, UNAUTHENTICATED),
    ("Timestamp", "9223372036854775807", true, UNAUTHENTICATED),
    (
        "SecretId",
        "",
        true,
        "4000 (10390)lacked of required parameter SecretId",
    ),
    (
        "SecretId",
        "AKIDnobody",
        true,
        "4100 (10270)secret id is not existed",
    ),
    (
        "Action",
        "",
        true,
        "4000 (10390)lacked of required parameter Action",
    ),
    (
        "Action",
        "DropQueue",
        true,
        "4000 (10430)action name DropQueue is not existed",
    ),
];

#[tokio::test]
async fn only_what_is_signed_and_fresh_gets_in() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    for (name, value, signed, expected) in CHANGED {
        let change = set(name, (*value).to_owned());
        assert_eq!(
            changed(&cmq, change, *signed).await,
            *expected,
            "{name}={value}"
        );
    }
    for off in [-1_000, 1_000] {
        let change = set("Timestamp", (now() + off).to_string());
        assert_eq!(changed(&cmq, change, true).await, UNAUTHENTICATED, "{off}");
    }
    let twice =
        |pairs: &mut Vec<(String, String)>| pairs.push(("Action".to_owned(), "X".to_owned()));
    assert_eq!(
        changed(&cmq, twice, true).await,
        "4000 (10330)parameter Action is NOT a repeatable parameter"
    );
    assert_eq!(queues(&server).await, json!([]));
    // Within the window.
    let late = set("Timestamp", (now() - 800).to_string());
    assert_eq!(changed(&cmq, late, true).await, "0 ");
    server.stop().await;
}

async fn queues(server: &crate::harness::Server) -> Value {
    let page = server
        .call("GET", "/v1/queues", Value::Null)
        .await
        .expect(200);
    page["items"].clone()
}

#[tokio::test]
async fn a_public_name_can_be_signed() {
    let edge = EdgeOptions {
        cmq: CmqOptions {
            hosts: vec!["mq.example:80".to_owned()],
            ..CmqOptions::default()
        },
        ..EdgeOptions::default()
    };
    let server = start_with(GatewayOptions::default(), edge).await;
    let cmq = Cmq::admin(&server).await;
    for (host, expected) in [
        ("mq.example:80", "0 "),
        ("mq.example", UNAUTHENTICATED),
        ("127.0.0.1", "0 "),
    ] {
        let mut pairs = cmq.pairs(PYTHON, &[("Action", "ListQueue")]);
        let signature = sign(PYTHON, host, &cmq.key, &pairs);
        pairs.push(("Signature".to_owned(), signature));
        let answer = read(&cmq.post(PYTHON, &pairs).await);
        assert_eq!(refusal(&answer), expected, "{host}");
    }
    server.stop().await;
}

#[tokio::test]
async fn rights_are_those_of_the_key() {
    let server = start().await;
    let admin = Cmq::admin(&server).await;
    for name in ["q1", "q2"] {
        admin.done("CreateQueue", &[("queueName", name)]).await;
    }
    let spec = json!({"name": "worker", "scopes": ["publish", "consume"], "targets": ["queue:q1"]});
    let cmq = Cmq::with_key(&server, spec).await;
    let body = ("msgBody", "x");
    cmq.done("SendMessage", &[("queueName", "q1"), body]).await;
    cmq.done("ReceiveMessage", &[("queueName", "q1")]).await;
    for (action, pairs) in [
        ("SendMessage", vec![("queueName", "q2"), body]),
        ("ReceiveMessage", vec![("queueName", "q2")]),
        ("CreateQueue", vec![("queueName", "q3")]),
        ("DeleteQueue", vec![("queueName", "q1")]),
        ("ListQueue", vec![]),
        ("CreateTopic", vec![("topicName", "t1")]),
    ] {
        let answer = cmq.call(action, &pairs).await;
        assert_eq!(refusal(&answer), UNAUTHENTICATED, "{action}");
        assert!(answer["detail"].is_string());
    }
    server.stop().await;
}

#[tokio::test]
async fn the_developer_mode_takes_any_key_pair_and_checks_the_ones_it_knows() {
    let dev = GatewayOptions {
        dev: true,
        ..GatewayOptions::default()
    };
    let server = start_with(dev, EdgeOptions::default()).await;
    let known = Cmq::admin(&server).await;
    let made_up = Cmq {
        server: &server,
        id: "AKIDtest".to_owned(),
        key: "secretkey123".to_owned(),
    };
    made_up.done("CreateQueue", &[("queueName", "q1")]).await;
    known.done("ListQueue", &[]).await;
    let forged = Cmq {
        server: &server,
        id: known.id.clone(),
        key: made_up.key.clone(),
    };
    assert_eq!(forged.refused("ListQueue", &[]).await, UNAUTHENTICATED);
    // Pages of other sites and names that point here are kept out, as at the other doors.
    let text = b"Action=CreateQueue&queueName=q2&SecretId=x";
    for headers in [
        [("host", "evil.example"), ("accept", "*/*")],
        [("host", "localhost"), ("origin", "https://evil.example")],
    ] {
        let reply = client::send(server.address, "POST", "/v2/index.php", &headers, text).await;
        let answer = read(&reply);
        assert_eq!(refusal(&answer), UNAUTHENTICATED);
        assert!(
            answer["detail"].as_str().unwrap().contains("without a key"),
            "{answer}"
        );
    }
    assert_eq!(queues(&server).await.as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_cmq_request_is_answered_as_ever() {
    let server = start().await;
    let send = async |method: &str, target: &str, body: &[u8]| {
        let headers = [("host", "localhost")];
        client::send(server.address, method, target, &headers, body).await
    };
    for (method, target, body) in [
        ("GET", "/", &b""[..]),
        ("GET", "/?x=1", b""),
        ("POST", "/", b""),
        ("POST", "/", br#"{"Action":"x"}"#),
        ("DELETE", "/", b""),
        ("POST", "/v2", b"Action=ListQueue"),
    ] {
        let reply = send(method, target, body).await;
        assert_eq!(reply.code(), "no_such_route", "{method} {target}");
    }
    for (method, target, expected) in [
        (
            "PUT",
            "/v2/index.php",
            "4000 (10410)unexpected http PUT only GET or POST is supported",
        ),
        (
            "DELETE",
            "/?Action=ListQueue",
            "4000 (10410)unexpected http DELETE only GET or POST is supported",
        ),
        (
            "GET",
            "/v2/index.php",
            "4000 (10390)lacked of required parameter Action",
        ),
        (
            "POST",
            "/v2/index.php?Action=ListQueue",
            "4000 (10390)lacked of required parameter Action",
        ),
        (
            "GET",
            "/?Action=ListQueue",
            "4000 (10390)lacked of required parameter SecretId",
        ),
    ] {
        assert_eq!(refusal(&read(&send(method, target, b"").await)), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_unread() {
    let server = start().await;
    let headers = [("host", "localhost")];
    let long = vec![b'a'; 4 * 1024 * 1024 + 1];
    for path in ["/", "/v2/index.php"] {
        let reply = client::send(server.address, "POST", path, &headers, &long).await;
        assert_eq!(
            refusal(&read(&reply)),
            "4000 (10420)cannot parse request, or request size is more than 1MB"
        );
    }
    let cmq = Cmq::admin(&server).await;
    let many: Vec<(&str, &str)> = std::iter::repeat_n(("x", "1"), 300).collect();
    assert_eq!(
        refusal(&cmq.send(PYTHON, &many).await),
        "4000 (10420)cannot parse request, or request size is more than 1MB"
    );
    server.stop().await;
}
