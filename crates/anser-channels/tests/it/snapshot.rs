//! One message with text, mention, image, card and file, as the native requests of every chat platform: reviewed files.
//! And the known answers of the platforms' signatures.

use std::fmt::Write as _;

use anser_core::channel::{Channel, Context, HttpRequest};
use anser_core::{Message, Timestamp};
use serde_json::Value;

use crate::conformance::{context, examples};

const CHAT: &str = include_str!("../../fixtures/chat.json");
const VECTORS: &str = include_str!("../../fixtures/platform-vectors.json");

fn requests(channel: &dyn Channel, message: &Message, context: &Context<'_>) -> Vec<HttpRequest> {
    let plan = channel.render(message, context).unwrap();
    let mut requests = Vec::new();
    for (place, step) in plan.steps.iter().enumerate() {
        let context = Context {
            step: place,
            ..context.clone()
        };
        let request = channel
            .request(step, message, &context)
            .unwrap()
            .into_http()
            .unwrap();
        requests.push(request);
    }
    requests
}

#[test]
fn every_chat_platform() {
    let message = Message::from_json(CHAT.as_bytes()).unwrap();
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        if manifest.generic {
            continue;
        }
        let channel = kind.open(&examples(&*kind)[0]).unwrap();
        let mut shown = String::new();
        let mut context = context(None);
        for rung in 0.. {
            context.rung = rung;
            let Ok(plan) = channel.render(&message, &context) else {
                break;
            };
            writeln!(shown, "rung {rung}: {}", plan.degraded.join(", ")).unwrap();
            for request in requests(&*channel, &message, &context) {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                writeln!(shown, "{} {}", request.method, request.url).unwrap();
                for (name, value) in &request.headers {
                    let value = value
                        .to_str()
                        .unwrap()
                        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
                    writeln!(shown, "{name}: {value}").unwrap();
                }
                writeln!(shown, "{}", serde_json::to_string_pretty(&body).unwrap()).unwrap();
            }
        }
        insta::assert_snapshot!(manifest.kind, shown);
    }
}

/// The settings, and the place of time and signature, of the kind whose vector it is.
fn signed(id: &str, inputs: &Value) -> Option<(String, String)> {
    let text = |name: &str| inputs[name].as_str().unwrap();
    let (kind, url, time, unit) = match id.split('.').next()? {
        "feishu" => (
            "feishu-robot",
            "https://open.feishu.cn/open-apis/bot/v2/hook/x",
            text("timestamp"),
            1_000,
        ),
        _ => (
            "dingtalk-robot",
            "https://oapi.dingtalk.com/robot/send?access_token=x",
            text("timestamp_ms"),
            1,
        ),
    };
    let settings = serde_json::json!({"webhook_url": url, "secret": inputs["secret"]});
    let channel = anser_channels::find(kind)?.open(&settings).unwrap();
    let message = Message::from_json(include_bytes!("../../fixtures/text.json")).unwrap();
    let mut context = context(None);
    context.now = Timestamp::from_millis(time.parse::<i64>().unwrap() * unit);
    let request = requests(&*channel, &message, &context).remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let query = request.url.query().unwrap_or_default().to_owned();
    Some((body["sign"].as_str().unwrap_or_default().to_owned(), query))
}

#[test]
fn signatures_are_the_known_ones() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let (sign, query) = signed(id, &vector["inputs"]).unwrap();
        let expected = &vector["expected"];
        match expected["sign"].as_str() {
            Some(wanted) => assert_eq!(sign, wanted, "{id}"),
            None => {
                let wanted = format!("&sign={}", expected["sign_query"].as_str().unwrap());
                assert!(query.ends_with(&wanted), "{id}: {query}");
            }
        }
    }
}
