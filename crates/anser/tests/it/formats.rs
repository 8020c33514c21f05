//! Every format, both kinds of signature, custom headers and credentials, on real requests; checked here by our own
//! means. `external` has them judged by other people's libraries.

use anser_core::clock::{Clock as _, SystemClock};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Received, Receiver, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// JSON that no reader may normalise: order, a decimal zero, a number beyond 64 bits.
const JSON_TEXT: &str = r#"{"z":1.0, "a":123456789012345678901234567890,"e":[1E+2]}"#;

/// One server with a subscription for each format, each to a path of its name.
struct Stage {
    _server: Server,
    api: Api,
    receiver: Receiver,
}

const FORMATS: [&str; 6] = [
    "anser",
    "data",
    "cmq-json",
    "cmq-simplified",
    "cloudevents-binary",
    "cloudevents-structured",
];

async fn stage(settings: Value) -> Stage {
    let server = Server::start();
    let (api, receiver) = (server.api(), Receiver::start().await);
    for format in FORMATS {
        let url = receiver.url(&format!("/{format}"));
        api.route(
            "orders",
            format,
            &url,
            settings.clone(),
            json!({"format": format}),
        )
        .await;
    }
    Stage {
        _server: server,
        api,
        receiver,
    }
}

impl Stage {
    /// Publishes a body as it is written, and answers the message's id and the request of each format.
    async fn sent(&self, header: &Value, body: &str) -> (String, [Received; 6]) {
        let before = FORMATS.map(|format| self.receiver.received(&format!("/{format}")).len());
        let text = format!(r#"{{"header":{header},"body":{body}}}"#);
        let request = self
            .api
            .request(reqwest::Method::POST, "/v1/topics/orders/messages");
        let request = request
            .header("content-type", "application/json")
            .body(text);
        let (status, answer) = self.api.try_send(request).await.unwrap();
        assert_eq!((status, &answer["matched"]), (202, &json!(6)), "{answer}");
        let mut received = Vec::new();
        for (format, before) in FORMATS.iter().zip(before) {
            let path = format!("/{format}");
            received.push(self.receiver.count(&path, before + 1).await.remove(before));
        }
        (
            answer["id"].as_str().unwrap().to_owned(),
            received.try_into().unwrap(),
        )
    }
}

fn header() -> Value {
    json!({
        "type": "order.paid", "routing_key": "eu.orders", "key": "order 42", "tags": ["vip", "late"],
        "occurred_at": "2026-11-22T23:59:59.500Z", "correlation_id": "c1",
    })
}

fn text(request: &Received) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

#[tokio::test]
async fn json_is_sent_byte_for_byte_in_every_format() {
    let stage = stage(json!({})).await;
    let body = format!(r#"{{"data":{JSON_TEXT}}}"#);
    let (id, requests) = stage.sent(&header(), &body).await;
    let [anser, data, cmq, simplified, binary, structured] = &requests;
    check_message(anser, &id);
    assert_eq!(data.header("content-type"), "application/json");
    assert_eq!(text(data), JSON_TEXT);
    check_cmq(cmq, simplified);
    check_cloud_events(binary, structured, &id);
    for request in [anser, data, binary, structured] {
        assert_eq!(request.header("webhook-id"), id);
        let agent = request.header("user-agent");
        assert!(agent.starts_with("anser/"), "{agent}");
    }
}

fn check_message(request: &Received, id: &str) {
    let media_type = "application/vnd.anser.message+json";
    assert_eq!(request.header("content-type"), media_type);
    assert!(text(request).contains(JSON_TEXT), "{}", text(request));
    let message = request.json();
    assert_eq!(
        (&message["v"], &message["header"]["id"]),
        (&json!(1), &json!(id))
    );
    assert_eq!(message["header"]["tags"], json!(["vip", "late"]));
}

fn check_cmq(json: &Received, simplified: &Received) {
    let push = json.json();
    let members: Vec<_> = push
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "TopicOwner topicName subscriptionName msgId msgBody publishTime";
    assert_eq!(members.join(" "), expected);
    assert_eq!(
        (&push["msgBody"], &push["topicName"]),
        (&json!(JSON_TEXT), &json!("orders"))
    );
    assert!(
        push["TopicOwner"].is_u64() && push["publishTime"].is_u64(),
        "{push}"
    );
    assert_eq!(text(simplified), JSON_TEXT);
    for request in [json, simplified] {
        assert_eq!(request.header("content-type"), "text/plain");
        assert_eq!(
            request.header("user-agent"),
            "Qcloud Notification Service Agent"
        );
        assert_eq!(request.header("x-cmq-message-tag"), "vip, late");
        assert_eq!(
            request.header("x-cmq-message-id"),
            push["msgId"].as_str().unwrap()
        );
        request.header("x-cmq-request-id").parse::<u64>().unwrap();
        let ours = |name: &str| name.starts_with("anser-") || name.starts_with("webhook-");
        assert!(
            request.headers.iter().all(|(name, _)| !ours(name)),
            "{request:?}"
        );
    }
}

fn check_cloud_events(binary: &Received, structured: &Received, id: &str) {
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-type", "order.paid"),
        ("ce-source", "/topics/orders"),
        ("ce-subject", "order%2042"),
        ("ce-time", "2026-11-22T23:59:59.500Z"),
        ("ce-ansertags", "vip,late"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(binary.header(name), value, "{name}");
    }
    assert_eq!(text(binary), JSON_TEXT);
    assert_eq!(
        structured.header("content-type"),
        "application/cloudevents+json"
    );
    let data = format!(r#""data":{JSON_TEXT}"#);
    assert!(text(structured).contains(&data), "{}", text(structured));
    let event = structured.json();
    assert_eq!(
        (&event["id"], &event["subject"]),
        (&json!(id), &json!("order 42"))
    );
}

#[tokio::test]
async fn strings_bytes_and_segments_each_have_their_form() {
    let stage = stage(json!({})).await;
    let (_, [anser, data, cmq, simplified, binary, structured]) = stage
        .sent(&json!({}), r#"{"data":"line\n\"two\" \u20ac"}"#)
        .await;
    let plain = "line\n\"two\" €";
    assert_eq!(anser.json()["body"]["data"], plain);
    for request in [&data, &simplified, &binary] {
        assert_eq!(text(request), plain, "a string is its text");
    }
    assert!(
        data.header("content-type").starts_with("text/plain"),
        "{data:?}"
    );
    assert_eq!(
        (&cmq.json()["msgBody"], &structured.json()["data"]),
        (&json!(plain), &json!(plain))
    );

    let body = r#"{"bytes":"AAH/","media_type":"image/cbor"}"#;
    let (_, [anser, data, cmq, simplified, binary, structured]) =
        stage.sent(&json!({}), body).await;
    assert_eq!(anser.json()["body"]["bytes"], "AAH/");
    for request in [&data, &simplified, &binary] {
        assert_eq!(request.body, [0, 1, 255]);
    }
    assert_eq!(
        (data.header("content-type"), binary.header("content-type")),
        ("image/cbor", "image/cbor")
    );
    assert_eq!(
        (&cmq.json()["msgBody"], &structured.json()["data_base64"]),
        (&json!("AAH/"), &json!("AAH/"))
    );
    assert_eq!(structured.json()["datacontenttype"], "image/cbor");

    let body = r#"{"segments":[{"type":"text","text":"Paid "},{"type":"mention","kind":"user","id":"u","name":"Tom"},{"type":"hologram"}]}"#;
    let (_, [anser, data, cmq, simplified, binary, structured]) =
        stage.sent(&json!({}), body).await;
    assert_eq!(
        anser.json()["body"]["segments"][2]["type"],
        "hologram",
        "unknown segments are kept"
    );
    let fallback = anser.json()["body"]["fallback"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(fallback.starts_with("Paid @Tom"), "{fallback}");
    for request in [&data, &simplified, &binary] {
        assert_eq!(text(request), fallback);
    }
    assert_eq!(
        (&cmq.json()["msgBody"], &structured.json()["data"]),
        (&json!(fallback), &json!(fallback))
    );
}

/// The signatures of a request: version and value.
fn signatures(request: &Received) -> Vec<(&str, &str)> {
    request
        .header("webhook-signature")
        .split(' ')
        .filter_map(|signature| signature.split_once(','))
        .collect()
}

/// What is signed.
fn signed(request: &Received) -> Vec<u8> {
    let prefix = format!(
        "{}.{}.",
        request.header("webhook-id"),
        request.header("webhook-timestamp")
    );
    [prefix.as_bytes(), &request.body].concat()
}

fn hmac_of(secret: &str, request: &Received) -> String {
    let key = BASE64
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    BASE64.encode(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &key),
        &signed(request),
    ))
}

#[tokio::test]
async fn every_format_is_signed_with_v1() {
    let stage = stage(json!({"secret": SECRET})).await;
    let now = SystemClock::new().now().seconds();
    let (id, requests) = stage.sent(&header(), r#"{"data":{"n":1}}"#).await;
    for request in &requests {
        assert_eq!(request.header("webhook-id"), id);
        let timestamp: i64 = request.header("webhook-timestamp").parse().unwrap();
        assert!(
            (now - 1..=now + 60).contains(&timestamp),
            "{timestamp} is not about {now}"
        );
        assert_eq!(
            signatures(request),
            [("v1", &*hmac_of(SECRET, request))],
            "{}",
            request.path
        );
    }
}

#[tokio::test]
async fn v1a_is_verified_by_the_public_key_alone() {
    let stage = stage(json!({})).await;
    let rotate = "/v1/channels/anser/secrets/rotate";
    let answer = stage.api.make(rotate, &json!({"kind": "v1a"})).await;
    let (secret, public) = answer["secret"].as_str().unwrap().split_once(' ').unwrap();
    assert!(secret.starts_with("whsk_"), "a pair is made");
    let public = BASE64
        .decode(public.strip_prefix("whpk_").unwrap())
        .unwrap();
    let (_, requests) = stage.sent(&header(), r#"{"data":{"n":1}}"#).await;
    let [(version, signature)] = signatures(&requests[0])[..] else {
        panic!("{:?}", requests[0])
    };
    assert_eq!(version, "v1a");
    let key = UnparsedPublicKey::new(&ED25519, &public);
    let signature = BASE64.decode(signature).unwrap();
    key.verify(&signed(&requests[0]), &signature).unwrap();
    assert!(key.verify(&signed(&requests[1]), &signature).is_err());
}

#[tokio::test]
async fn while_a_secret_is_rotated_old_and_new_both_sign() {
    let stage = stage(json!({"secret": SECRET})).await;
    let rotate = "/v1/channels/data/secrets/rotate";
    let new = stage
        .api
        .make(rotate, &json!({"kind": "v1", "grace": 3}))
        .await;
    let new = new["secret"].as_str().unwrap().to_owned();
    let (_, requests) = stage.sent(&header(), r#"{"data":1}"#).await;
    let request = &requests[1];
    assert_eq!(
        signatures(request),
        [
            ("v1", &*hmac_of(&new, request)),
            ("v1", &*hmac_of(SECRET, request))
        ]
    );
    let alone = || async {
        let (_, requests) = stage.sent(&header(), r#"{"data":2}"#).await;
        (signatures(&requests[1]) == [("v1", &*hmac_of(&new, &requests[1]))]).then_some(())
    };
    crate::harness::eventually("the old secret's grace ends", alone).await;
    let (status, problem) = stage
        .api
        .post(rotate, &json!({"kind": "v1", "grace": 604_801}))
        .await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("grace")),
        "{problem}"
    );
    let now = stage
        .api
        .make(rotate, &json!({"kind": "v1", "grace": 0}))
        .await;
    let (_, requests) = stage.sent(&header(), r#"{"data":3}"#).await;
    assert_eq!(
        signatures(&requests[1]),
        [(
            "v1",
            &*hmac_of(now["secret"].as_str().unwrap(), &requests[1])
        )]
    );
}

#[tokio::test]
async fn a_retry_is_signed_anew_under_the_same_id() {
    let stage = stage(json!({"secret": SECRET})).await;
    stage
        .api
        .patch(
            "/v1/topics/orders/subscriptions/data",
            &json!({"retry": [1.1]}),
        )
        .await;
    stage.receiver.script("/data", [Answer::Status(500)]);
    stage.sent(&header(), r#"{"data":1}"#).await;
    let received = stage.receiver.count("/data", 2).await;
    for request in &received {
        assert_eq!(signatures(request), [("v1", &*hmac_of(SECRET, request))]);
    }
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    assert_ne!(
        received[0].header("webhook-timestamp"),
        received[1].header("webhook-timestamp")
    );
}

#[tokio::test]
async fn custom_headers_and_credentials_go_with_every_request() {
    let auth = [
        (
            json!({"basic": {"username": "Aladdin", "password": "open sesame"}}),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (json!({"bearer": {"token": "t0ken"}}), "Bearer t0ken"),
    ];
    for (auth, expected) in auth {
        let headers = json!({"X-Tenant": "cn-7", "user-agent": "mine/1"});
        let stage = stage(json!({"auth": auth, "headers": headers})).await;
        let (_, requests) = stage.sent(&header(), r#"{"data":1}"#).await;
        for request in &requests {
            assert_eq!(
                request.header("authorization"),
                expected,
                "{}",
                request.path
            );
            assert_eq!(
                (request.header("x-tenant"), request.header("user-agent")),
                ("cn-7", "mine/1")
            );
        }
    }
    let stage = stage(json!({})).await;
    for (settings, code) in [
        (json!({"headers": {"Webhook-Id": "x"}}), "reserved_header"),
        (json!({"headers": {"host": "x"}}), "reserved_header"),
        (json!({"headers": {"x": "a\r\nb: c"}}), "invalid_header"),
        (json!({"auth": {}}), "invalid_auth"),
        (json!({"secret": "hunter2"}), "invalid_secret"),
        (json!({"urls": ["https://example.com"]}), "not_available"),
    ] {
        let mut channel =
            json!({"name": "bad", "kind": "webhook", "settings": {"url": stage.receiver.url("/")}});
        channel["settings"]
            .as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let (status, problem) = stage.api.post("/v1/channels", &channel).await;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!(code)),
            "{settings}: {problem}"
        );
    }
}
