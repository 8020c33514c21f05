//! Every dialect at once: what its senders send becomes a valid message, answered in its shape. The samples are as the senders
//! make them, after their documentation.

mod noise;
mod proofs;

use std::collections::HashMap;

use anser_core::blob::BlobHash;
use anser_core::id::MessageId;
use anser_core::limits::Limits;
use anser_core::message::{Sender, SenderKind, Stamp};
use anser_core::{Message, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

/// 2026-11-23T01:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_395_600_000);
const SECRET: &str = "s3cret";

/// A request of a sender.
#[derive(Debug, Clone)]
struct Sample {
    dialect: Dialect,
    name: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sample {
    fn posted(&self) -> Posted<'_> {
        Posted {
            method: &Method::POST,
            rest: "",
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            now: NOW,
        }
    }

    fn read(&self) -> Result<Told, Fault> {
        self.dialect.read(&self.posted())
    }

    fn prove(&self) -> Result<(), Fault> {
        self.dialect.prove(&self.posted(), SECRET)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }
}

fn text_of(dialect: Dialect) -> &'static str {
    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../tests/fixtures/robot/", $name, ".json"))
        };
    }
    match dialect {
        Dialect::Feishu => sample!("feishu"),
        Dialect::DingTalk => sample!("dingtalk"),
        Dialect::WeCom => sample!("wecom"),
        Dialect::Slack => sample!("slack"),
        Dialect::Discord => sample!("discord"),
        Dialect::Grafana => sample!("grafana"),
        Dialect::Alertmanager => sample!("alertmanager"),
        Dialect::GitHub => sample!("github"),
        Dialect::GitLab => sample!("gitlab"),
        Dialect::Sentry => sample!("sentry"),
        Dialect::Json => sample!("json"),
        Dialect::Text => sample!("text"),
    }
}

fn samples_of(dialect: Dialect) -> Vec<Sample> {
    let samples: Vec<Value> = serde_json::from_str(text_of(dialect)).unwrap();
    let samples = samples.into_iter().map(|sample| {
        let mut headers = HeaderMap::new();
        for (name, value) in sample["headers"].as_object().into_iter().flatten() {
            let name: HeaderName = name.to_lowercase().parse().unwrap();
            headers.insert(name, value.as_str().unwrap().parse().unwrap());
        }
        let body = match &sample["body"] {
            Value::String(text) if dialect == Dialect::Text => text.clone(),
            body => body.to_string(),
        };
        Sample {
            dialect,
            name: sample["name"].as_str().unwrap().to_owned(),
            query: String::new(),
            headers,
            body: body.into_bytes(),
        }
    });
    samples.collect()
}

fn samples() -> Vec<Sample> {
    Dialect::ALL.into_iter().flat_map(samples_of).collect()
}

fn sample(dialect: Dialect, name: &str) -> Sample {
    let mut samples = samples_of(dialect).into_iter();
    samples.find(|sample| sample.name == name).expect(name)
}

/// What was read as the gateway accepts it, and as it is read back.
fn accepted(told: Told) -> Message {
    let mut item = told.item;
    let mut blobs = HashMap::new();
    for (place, bytes) in told.files {
        let hash = BlobHash(Sha256::digest(&bytes).into());
        item.attachments[place].source = Source::Blob(hash.to_string());
        blobs.insert(hash, bytes.len() as u64);
    }
    let stamp = Stamp {
        id: MessageId::lowest_at(NOW),
        time: NOW,
        topic: "alerts".to_owned(),
        from: Sender {
            kind: SenderKind::Bot,
            id: "prober".to_owned(),
            name: None,
            platform: None,
            account: None,
        },
        target_id: None,
        origin: None,
        hops: 0,
        blobs,
    };
    let message = Message::accept(item, stamp, &Limits::default()).unwrap();
    let stored = message.to_json();
    assert_eq!(Message::from_json(&stored).unwrap().to_json(), stored);
    message
}

fn segments(sample: &Sample) -> Value {
    let told = sample.read();
    let told = told.unwrap_or_else(|fault| panic!("{}: {fault:?}", sample.name));
    serde_json::to_value(accepted(told)).unwrap()["body"]["segments"].clone()
}

#[test]
fn what_senders_send_becomes_a_valid_message() {
    for sample in samples() {
        let told = sample.read();
        let told = told.unwrap_or_else(|fault| panic!("{}: {fault:?}", sample.name));
        assert!(!told.kind.is_empty(), "{}", sample.name);
        let message = accepted(told);
        let text = message.body.text().unwrap_or_default().into_owned();
        assert!(!text.trim().is_empty(), "{}: {message:?}", sample.name);
    }
}

/// The card that a sample becomes.
fn card(dialect: Dialect, name: &str) -> (String, Value) {
    let sample = sample(dialect, name);
    let told = sample.read().unwrap();
    let event = told.item.header.r#type.clone().unwrap_or_default();
    let message = serde_json::to_value(accepted(told)).unwrap();
    let card = message["body"]["segments"][0].clone();
    assert_eq!(card["type"], "card", "{name}: {message}");
    let kept = &message["body"]["override"][dialect.name()];
    let sent: Value = serde_json::from_slice(&sample.body).unwrap();
    assert_eq!(*kept, sent, "{name}: the payload is kept");
    (event, card)
}

#[test]
fn events_become_cards_with_a_title_a_level_and_a_link() {
    let mut seen = 0;
    for dialect in Dialect::ALL {
        let samples: Vec<Value> = serde_json::from_str(text_of(dialect)).unwrap();
        for sample in samples.iter().filter(|sample| sample["card"].is_object()) {
            let (name, expected) = (sample["name"].as_str().unwrap(), &sample["card"]);
            let (event, card) = card(dialect, name);
            let found = json!({"event": event, "level": card["level"], "title": card["title"],
                "link": card["actions"][0]["value"]});
            assert_eq!(found, *expected, "{} {name}: {card}", dialect.name());
            seen += 1;
        }
    }
    assert!(seen > 20, "the samples say what becomes of them");
}

#[test]
fn an_alert_tells_what_it_is_about_and_nothing_of_it_is_markup() {
    let (_, card) = card(Dialect::Alertmanager, "firing");
    let section = card["sections"][0].as_str().unwrap();
    assert!(
        section.contains("**Requests are slow on 10.0.0.1:80**"),
        "{section}"
    );
    assert!(section.contains(r"\[see\]"), "{section}");
    assert!(section.contains("instance: 10.0.0.1:80"), "{section}");
    assert_eq!(card["sections"][2], "… and 3 more");
    assert_eq!(
        card["fields"][0],
        json!({"name": "job", "value": "api", "short": true})
    );
    let labels: Vec<&str> = card["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|action| action["label"].as_str())
        .collect();
    assert_eq!(labels, ["Source", "Runbook", "Alertmanager"]);
    let header = sample(Dialect::Alertmanager, "firing")
        .read()
        .unwrap()
        .item
        .header;
    assert_eq!(header.tags, ["firing", "warning"]);
    let resolved = sample(Dialect::Alertmanager, "resolved")
        .read()
        .unwrap()
        .item
        .header;
    assert!(
        header.key.is_some() && header.key == resolved.key,
        "one group, one order"
    );
    assert!(header.occurred_at.is_some() && resolved.occurred_at > header.occurred_at);
}

#[test]
fn chat_forms_become_segments() {
    let feishu = segments(&sample(Dialect::Feishu, "text"));
    assert_eq!(
        feishu,
        json!([
            {"type": "text", "text": "disk full "}, {"type": "mention", "kind": "user", "id": "ou_1", "name": "Tom"},
            {"type": "text", "text": " "}, {"type": "mention", "kind": "all", "name": "all"},
            {"type": "text", "text": " <b> & <at"},
        ])
    );
    let dingtalk = segments(&sample(Dialect::DingTalk, "text"));
    assert_eq!(
        dingtalk,
        json!([
            {"type": "text", "text": "disk full "}, {"type": "mention", "kind": "user", "id": "13800000000"},
            {"type": "text", "text": " now"}, {"type": "text", "text": " "},
            {"type": "mention", "kind": "user", "id": "13900000000"}, {"type": "text", "text": " "},
            {"type": "mention", "kind": "user", "id": "u1"}, {"type": "text", "text": " "},
            {"type": "mention", "kind": "all"},
        ])
    );
    let wecom = segments(&sample(Dialect::WeCom, "markdown"));
    assert_eq!(
        wecom,
        json!([
            {"type": "markdown", "text": "**b** x "}, {"type": "mention", "kind": "user", "id": "u1"},
            {"type": "markdown", "text": " a<b"},
        ])
    );
    let discord = segments(&sample(Dialect::Discord, "content"));
    assert_eq!(
        discord,
        json!([
            {"type": "markdown", "text": "**hi** "}, {"type": "mention", "kind": "user", "id": "1"},
            {"type": "markdown", "text": " "}, {"type": "mention", "kind": "role", "id": "2"},
            {"type": "markdown", "text": " "}, {"type": "mention", "kind": "channel", "id": "3"},
            {"type": "markdown", "text": " "}, {"type": "mention", "kind": "all"},
            {"type": "markdown", "text": " "}, {"type": "emoji", "name": "tada"},
        ])
    );
    let card = segments(&sample(Dialect::Feishu, "card 1.0"));
    assert_eq!(
        (&card[0]["title"], &card[0]["level"]),
        (&json!("Deploy"), &json!("error"))
    );
    assert_eq!(card[0]["actions"][0]["value"], "https://e.example/log");
    let image = segments(&sample(Dialect::WeCom, "image"));
    assert_eq!(image, json!([{"type": "image", "att": "a1"}]));
    // What only the platform can look up is kept as it is.
    for (dialect, name) in [(Dialect::Feishu, "image"), (Dialect::WeCom, "file")] {
        let sample = sample(dialect, name);
        let raw = &segments(&sample)[0];
        let sent: Value = serde_json::from_slice(&sample.body).unwrap();
        assert_eq!((&raw["type"], &raw["payload"]), (&json!("raw"), &sent));
    }
}

#[test]
fn a_large_picture_is_kept_beside_the_message() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.resize(100_000, 7);
    let body = json!({"msgtype": "image", "image": {"base64": base64(&bytes), "md5": ""}});
    let mut sample = sample(Dialect::WeCom, "image");
    sample.body = body.to_string().into_bytes();
    let told = sample.read().unwrap();
    assert_eq!(told.files, [(0, bytes)]);
    accepted(told);
}

#[test]
fn files_come_in_a_form() {
    let mut sample =
        sample(Dialect::Discord, "content").with("content-type", "multipart/form-data; boundary=X");
    sample.body = b"--X\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{\"content\":\"see\"}\r\n\
        --X\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc\r\n--X--".to_vec();
    let message = serde_json::to_value(accepted(sample.read().unwrap())).unwrap();
    assert_eq!(message["attachments"][0]["name"], "a.txt");
    assert_eq!(message["attachments"][0]["source"]["inline"], "YWJj");
    assert_eq!(
        message["body"]["segments"][2],
        json!({"type": "file", "att": "a1"})
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The answers that clients compare.
#[test]
fn refusals_have_the_shape_of_the_platform() {
    let faults = [
        Fault::Unknown,
        Fault::Forged,
        Fault::Malformed("x".to_owned()),
        Fault::Empty,
        Fault::Busy("x".to_owned()),
    ];
    for (dialect, expected) in [
        (
            Dialect::Feishu,
            "404 19001, 200 19021, 400 9499, 400 9499, 503 2200",
        ),
        (
            Dialect::DingTalk,
            "404 300001, 200 310000, 200 40035, 200 40035, 503 -1",
        ),
        (
            Dialect::WeCom,
            "404 93000, 200 48001, 200 47001, 200 44004, 503 -1",
        ),
        (
            Dialect::Slack,
            "404 no_service, 403 invalid_token, 400 invalid_payload, 400 no_text, 503 service_unavailable",
        ),
        (
            Dialect::Discord,
            "404 10015, 401 50027, 400 50109, 400 50006, 503 130000",
        ),
    ] {
        let told = faults.iter().map(|fault| {
            let reply = dialect.refused(fault).unwrap();
            let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
            let code = ["code", "errcode"].iter().find_map(|name| body.get(*name));
            let code = code.map_or(reply.body.clone(), Value::to_string);
            format!("{} {code}", reply.status)
        });
        let told: Vec<String> = told.collect();
        assert_eq!(told.join(", "), expected, "{}", dialect.name());
    }
}
