//! Clients that do everything wrong, many of them at once, at the real binary: nothing is accepted, nothing crashes, and
//! who behaves is served meanwhile. Single cases are in the tests of the parts.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Answer, Api, DEADLINE, Receiver, Server};

/// Connections that never finish what they began.
const HALF_OPEN: usize = 400;
/// Longer than any answer to bad input.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

fn address(server: &Server) -> SocketAddr {
    server
        .base()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

/// Sends bytes as they are and reads what comes until the other side closes; what could not be sent is left.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = vec![0; ANSWER_BYTES_MAX];
    let mut length = 0;
    let send = async {
        // The other side may refuse while we still send.
        let _ = write.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let receive = async {
        while let Ok(more @ 1..) = read.read(&mut answer[length..]).await {
            length += more;
        }
    };
    let exchange = async {
        tokio::select! { () = send => {}, () = receive => {} }
    };
    let done = tokio::time::timeout(DEADLINE, exchange).await;
    assert!(
        done.is_ok(),
        "the connection stays open after {:?}…",
        String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
    );
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn status(answer: &str) -> u16 {
    let word = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/topics/shop/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn shop(server: &Server) -> Api {
    let api = server.api();
    api.make("/v1/topics", &json!({"name": "shop"})).await;
    api
}

async fn messages(api: &Api) -> usize {
    let (status, page) = api.get("/v1/messages?limit=500").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn who_behaves_is_served_while_others_flood() {
    let server = Server::start();
    let (api, address) = (shop(&server).await, address(&server));
    let mut half_open = Vec::new();
    for n in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun = match n % 4 {
            0 => String::new(),
            1 => "POST /v1/topics/shop/messages HTTP/1.1\r\nhost: loc".to_owned(),
            2 => String::from_utf8(post("content-length: 100000\r\n", b"{\"body\":")).unwrap(),
            _ => "\u{16}\u{3}\u{1}".to_owned(),
        };
        stream.write_all(begun.as_bytes()).await.unwrap();
        half_open.push(stream);
    }
    let mut floods = JoinSet::new();
    for _ in 0..8 {
        floods.spawn(async move {
            let many: String = (0..5_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
            let refused = raw(address, &post(&many, b"")).await;
            assert!(status(&refused) == 431 || refused.is_empty(), "{refused}");
            let long = format!("x: {}\r\n", "a".repeat(1 << 20));
            let refused = raw(address, &post(&long, b"")).await;
            assert!(status(&refused) == 431 || refused.is_empty(), "{refused}");
        });
    }
    for n in 0..100 {
        let (status, answer) = api
            .post("/v1/topics/shop/messages", &json!({"body": {"data": n}}))
            .await;
        assert_eq!(status, 202, "{answer}");
    }
    while let Some(done) = floods.join_next().await {
        done.unwrap();
    }
    assert_eq!(api.get("/readyz").await.0, 200);
    drop(half_open);
    assert_eq!(messages(&api).await, 100);
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_dropped() {
    let server = Server::start();
    let address = address(&server);
    // The time for a head is 15 s, looked after every 15 s.
    let answer = raw(address, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ").await;
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    assert_eq!(server.api().get("/healthz").await.0, 200);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = Server::start();
    let (api, address) = (shop(&server).await, address(&server));
    let item = br#"{"body":{"data":1}}"#;
    let smuggled = post("content-length: 19\r\ntransfer-encoding: chunked\r\n", item);
    let twice = post("content-length: 19\r\ncontent-length: 20\r\n", item);
    let huge = post("content-length: 99999999999\r\n", item);
    let endless = post(
        "transfer-encoding: chunked\r\n",
        &[&b"ffffffff\r\n"[..], &vec![b' '; 5 << 20]].concat(),
    );
    for (what, bytes, statuses) in [
        ("garbage", b"\0\xff\x17 hello\r\n\r\n".to_vec(), [400, 0]),
        (
            "another protocol",
            b"EHLO mail.example\r\n\r\n".to_vec(),
            [400, 0],
        ),
        ("both lengths", smuggled, [400, 0]),
        ("two lengths", twice, [400, 0]),
        (
            "a negative length",
            post("content-length: -1\r\n", item),
            [400, 0],
        ),
        ("a huge body", huge, [413, 413]),
        ("an endless body", endless, [413, 0]),
        (
            "a line feed in a header",
            post("x: a\nb\r\ncontent-length: 19\r\n", item),
            [400, 0],
        ),
        (
            "an unknown version",
            b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n".to_vec(),
            [505, 400],
        ),
    ] {
        let answer = raw(address, &bytes).await;
        assert!(statuses.contains(&status(&answer)), "{what}: {answer}");
    }
    assert_eq!((messages(&api).await, api.get("/readyz").await.0), (0, 200));
}

/// Bodies that are no message, with the status and the code that refuse them.
const NO_MESSAGES: &[(&str, u16, &str)] = &[
    ("", 400, "malformed_json"),
    ("{", 400, "malformed_json"),
    ("\u{feff}{}", 400, "malformed_json"),
    (r#"{"body":{"data":NaN}}"#, 400, "malformed_json"),
    (r#"{"body":{"data":1}} {}"#, 400, "malformed_json"),
    ("[]", 422, "empty_batch"),
    ("null", 422, "invalid_field"),
    ("7", 422, "invalid_field"),
    ("{}", 422, "invalid_field"),
    (r#"{"body":{}}"#, 422, "invalid_body"),
    (r#"{"body":{"data":1,"bytes":"AA=="}}"#, 422, "invalid_body"),
    (r#"{"body":{"data":1},"hedaer":{}}"#, 422, "invalid_field"),
    (
        r#"{"body":{"data":1},"header":{"from":{}}}"#,
        422,
        "stamped_field",
    ),
    (
        r#"{"body":{"data":1},"header":{"id":"x"}}"#,
        422,
        "stamped_field",
    ),
    (
        r#"{"body":{"data":1},"header":{"type":"a b"}}"#,
        422,
        "invalid_type",
    ),
    (
        r#"{"body":{"data":1},"header":{"key":7}}"#,
        422,
        "invalid_field",
    ),
    (
        r#"{"body":{"data":1},"header":{"not_before":"soon"}}"#,
        422,
        "invalid_field",
    ),
    (
        r#"{"body":{"template":{"name":"t","vars":{}}}}"#,
        422,
        "not_available",
    ),
];

async fn check_refusal(api: &Api, body: &[u8], status: u16, code: &str) {
    let request = api
        .request(Method::POST, "/v1/topics/shop/messages")
        .header("content-type", "application/json");
    let response = request.body(body.to_owned()).send().await.unwrap();
    let answered = response.status();
    let kind = response.headers()["content-type"].clone();
    let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
    assert_eq!(
        (answered.as_u16(), &problem["code"], &problem["status"]),
        (status, &json!(code), &json!(status)),
        "{shown}: {problem}"
    );
    assert_eq!(kind, "application/problem+json", "{shown}");
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_a_stable_code() {
    let server = Server::start();
    let api = shop(&server).await;
    for (body, status, code) in NO_MESSAGES {
        check_refusal(&api, body.as_bytes(), *status, code).await;
    }
    let nested = [vec![b'['; 5_000], vec![b']'; 5_000]].concat();
    let deep = [&b"{\"body\":{\"data\":"[..], &nested, b"}}"].concat();
    check_refusal(&api, &deep, 422, "too_deep").await;
    let large = json!({"body": {"data": "x".repeat(1 << 20)}}).to_string();
    check_refusal(&api, large.as_bytes(), 413, "too_large").await;
    let many = json!(vec![json!({"body": {"data": 1}}); 1_001]).to_string();
    check_refusal(&api, many.as_bytes(), 413, "too_many_messages").await;
    let no_utf8 = b"{\"body\":{\"data\":\"\xff\xfe\"}}";
    check_refusal(&api, no_utf8, 400, "malformed_json").await;
    assert_eq!(messages(&api).await, 0);
}

#[tokio::test]
async fn endpoints_that_answer_nonsense_do_no_harm() {
    let server = Server::start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    let retry = json!({"first": 0.02, "factor": 1, "jitter": 0});
    api.route(
        "shop",
        "hook",
        &receiver.url("/hook"),
        json!({}),
        json!({"retry": retry}),
    )
    .await;
    let long = vec![b'x'; 3 << 20];
    let headers: String = (0..3_000).map(|n| format!("x-{n}: y\r\n")).collect();
    receiver.script(
        "/hook",
        [
            Answer::Full(500, vec![], long.clone()),
            Answer::Raw(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes()),
            Answer::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec()),
            Answer::Raw(b"HTTP/1.1 999999 ?\r\n\r\n".to_vec()),
            Answer::Full(
                500,
                vec![("x-odd", "\u{1f}".to_owned())],
                b"\0\xff".to_vec(),
            ),
            Answer::Full(200, vec![], long),
        ],
    );
    let id = api.publish("shop", &json!({"body": {"data": 1}})).await;
    let delivery = api.delivery_in(&id, "delivered").await;
    let log = delivery["attempt_log"].as_array().unwrap();
    assert_eq!(log[0]["status"], 500, "{}", log[0]);
    for attempt in log {
        let kept = attempt["response"].as_str().map_or(0, str::len);
        let most = if attempt["outcome"] == "delivered" {
            256
        } else {
            16 * 1024
        };
        assert!(kept <= most, "{kept} bytes of the answer are kept");
    }
    assert_eq!(api.get("/readyz").await.0, 200);
}
