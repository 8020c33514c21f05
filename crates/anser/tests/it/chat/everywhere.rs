//! One message with text, mentions, image, card and file to every channel at once: what each platform's API was sent is on file
//! below `snapshots/`, reviewed by people. Ids and times are put aside first.

use anser_sim::Sim;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::doors::{DOORS, Doors};
use crate::harness::{Api, Receiver, ServerOptions, eventually};

/// A picture of one pixel, in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const PDF: &[u8] = b"%PDF-1.4\n";
/// Where signed links to blobs lead.
const PUBLIC: &str = "https://files.example";
/// Members that are new every time.
const ASIDE: [&str; 10] = [
    "uuid",
    "nonce",
    "client_msg_id",
    "biz_opaque_callback_data",
    "timestamp",
    "sign",
    "time",
    "delivery_id",
    "subscription_id",
    "traceparent",
];
/// The largest number that is no time.
const NUMBER_MAX: u64 = 1_000_000_000;
/// Channels without a stand-in.
const OTHERS: [&str; 2] = ["webhook", "http"];

/// Says something that every platform would read as markup or a mention if it were not escaped.
const TEXT: &str = "Paid <at user_id=\"all\"></at> <!channel> <@all> @everyone <b>& *now* ";

fn message(picture: &Value, file: &Value) -> Value {
    json!({"body": {"segments": [
            {"type": "text", "text": TEXT},
            {"type": "mention", "kind": "user", "id": "1234567890123456", "name": "Tom"},
            {"type": "text", "text": " and "},
            {"type": "mention", "kind": "user", "id": "U0ANN1234", "name": "Ann"},
            {"type": "image", "att": "a1", "alt": "receipt"},
            {"type": "card", "title": "Order 42", "level": "success", "sections": ["Total 9.90"],
                "fields": [{"name": "City", "value": "Oslo", "short": true}],
                "actions": [{"id": "open", "label": "Open", "kind": "url", "value": "https://shop.example/o/42"}]},
            {"type": "file", "att": "a2"}]},
        "attachments": [
            {"id": "a1", "name": "r.png", "media_type": "image/png", "source": {"blob": picture}},
            {"id": "a2", "name": "r.pdf", "media_type": "application/pdf", "source": {"blob": file}}]})
}

async fn blob(api: &Api, bytes: Vec<u8>) -> Value {
    let request = api.request(reqwest::Method::POST, "/v1/blobs");
    let (status, blob) = api.try_send(request.body(bytes)).await.unwrap();
    assert_eq!(status, 201, "{blob}");
    blob["hash"].clone()
}

/// A value without what is new every time.
fn settled(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let aside = ASIDE.contains(&name.as_str()) || (name == "id" && is_new(value));
                let shown = if aside {
                    format!("[{name}]").into()
                } else {
                    settled(value)
                };
                (name.clone(), shown)
            });
            members.collect::<Map<_, _>>().into()
        }
        Value::Array(values) => values.iter().map(settled).collect(),
        Value::String(text) => match serde_json::from_str(text) {
            // A text of JSON is shown as what it is.
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => {
                json!({"[text of]": settled(&inner)})
            }
            _ => unsigned(text).into(),
        },
        other => other.clone(),
    }
}

/// Ids that are made are long and have digits, and numbers are times; those of buttons, people and files stay.
fn is_new(value: &Value) -> bool {
    match value {
        Value::String(text) if text.starts_with('[') => false,
        Value::String(text) => text.len() >= 10 && text.bytes().any(|byte| byte.is_ascii_digit()),
        Value::Number(number) => number.as_u64().is_some_and(|number| number > NUMBER_MAX),
        _ => false,
    }
}

/// A text whose signed links have no signature.
fn unsigned(text: &str) -> String {
    let mut parts = text.split(PUBLIC);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| " \n\")>]|".contains(c))
            .unwrap_or(part.len());
        let (link, rest) = part.split_at(end);
        let name = link.split_once('?').map_or(link, |(path, _)| path);
        out.push_str(&format!("{PUBLIC}{name}?[signed]{rest}"));
    }
    out
}

/// What a stand-in took, in order, with its files by their number.
fn taken(sim: &Sim) -> String {
    let uploads = sim.uploads();
    let files: Vec<Value> = uploads
        .iter()
        .map(|file| json!({"kind": file.kind, "name": file.name, "type": file.media_type, "size": file.size}))
        .collect();
    let messages: Vec<Value> = sim
        .messages()
        .iter()
        .map(|message| json!({"to": message.conversation, "kind": message.kind, "shows": message.uploads, "body": message.body}))
        .collect();
    let mut messages = json!(messages).to_string();
    for file in &uploads {
        messages = messages.replace(&file.key, &format!("[file {}]", file.number));
    }
    let messages: Value = serde_json::from_str(&messages).unwrap();
    let all = json!({"files": files, "messages": settled(&messages)});
    serde_json::to_string_pretty(&all).unwrap()
}

/// A message as one subscription of each channel sends it.
async fn publish(doors: &Doors, receiver: &Receiver) -> Vec<Value> {
    let api = doors.api();
    for (name, settings) in [
        ("webhook", json!({"url": receiver.url("/webhook")})),
        (
            "http",
            json!({"url": receiver.url("/http"), "json": {"text": "{{ text }}"}}),
        ),
    ] {
        let channel = json!({"name": name, "kind": name, "settings": settings});
        api.make("/v1/channels", &channel).await;
    }
    api.make("/v1/topics", &json!({"name": "news"})).await;
    for name in DOORS.iter().map(|door| door.kind).chain(OTHERS) {
        let subscription = json!({"name": name, "channel": name});
        api.make("/v1/topics/news/subscriptions", &subscription)
            .await;
    }
    let picture = blob(&api, BASE64.decode(PNG).unwrap()).await;
    let file = blob(&api, PDF.to_vec()).await;
    let id = api.publish("news", &message(&picture, &file)).await;
    eventually("it is delivered everywhere", || async {
        let deliveries = api.deliveries(&id).await;
        let ended = |delivery: &Value| {
            let state = delivery["state"].as_str().unwrap_or_default();
            ["delivered", "dead"].contains(&state)
        };
        let all = deliveries.len() == DOORS.len() + OTHERS.len();
        (all && deliveries.iter().all(ended)).then_some(deliveries)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_goes_everywhere_in_its_native_form() {
    let options = ServerOptions::default().set("public_url", PUBLIC);
    let rate = json!({"per_second": 1000, "burst": 1000});
    let doors = Doors::open(options, &[], &rate).await;
    let receiver = Receiver::start().await;
    for delivery in publish(&doors, &receiver).await {
        assert_eq!(delivery["state"], "delivered", "{delivery:#}");
    }
    for (door, sim) in &doors.sims {
        let counters = sim.counters();
        assert!(counters.refused.is_empty(), "{}: {counters:?}", door.kind);
        insta::assert_snapshot!(door.kind, taken(sim));
    }
    for name in OTHERS {
        let received = receiver.count(&format!("/{name}"), 1).await;
        let body = settled(&received[0].json());
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&body).unwrap());
    }
}
