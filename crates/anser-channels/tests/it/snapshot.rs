//! One message with text, mention, image, card and file, and one with attachments of every kind, as the native requests of
//! every chat platform: reviewed files. And the known answers of the platforms' signatures.

use std::fmt::Write as _;

use anser_core::channel::{BodyPart, Channel, Context, Plan, Request, StepKind};
use anser_core::{Message, Timestamp};
use http::HeaderMap;
use serde_json::Value;

use crate::conformance::{context, examples, requests};
use crate::media::{PublicLinks, media};

const CHAT: &str = include_str!("../../fixtures/chat.json");
const VECTORS: &str = include_str!("../../fixtures/platform-vectors.json");

/// A form's boundary, which is not for reading.
const BOUNDARY: &str = "BOUNDARY";

#[test]
fn every_chat_platform() {
    let chat = Message::from_json(CHAT.as_bytes()).unwrap();
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        if manifest.generic {
            continue;
        }
        let channel = kind.open(&examples(&*kind)[0]).unwrap();
        let mut shown = String::new();
        let mut context = Context {
            links: Some(&PublicLinks),
            ..context(None)
        };
        for rung in 0.. {
            context.rung = rung;
            let Ok(plan) = channel.render(&chat, &context) else {
                break;
            };
            writeln!(shown, "rung {rung}: {}", plan.degraded.join(", ")).unwrap();
            show_all(&*channel, &plan, &chat, &context, &mut shown);
        }
        context.rung = 0;
        let media = media();
        for (title, media_refused) in [("media", false), ("media refused", true)] {
            context.media_refused = media_refused;
            let plan = channel.render(&media, &context).unwrap();
            writeln!(shown, "{title}: {}", plan.degraded.join(", ")).unwrap();
            show_all(&*channel, &plan, &media, &context, &mut shown);
        }
        insta::assert_snapshot!(manifest.kind, shown);
    }
}

fn show_all(
    channel: &dyn Channel,
    plan: &Plan,
    message: &Message,
    context: &Context<'_>,
    shown: &mut String,
) {
    let requests = requests(channel, plan, message, context);
    for (step, request) in plan.steps.iter().zip(requests) {
        if step.kind != StepKind::Send || step.attachment.is_some() {
            let about = step.attachment.as_deref().unwrap_or_default();
            writeln!(shown, "{:?} {about}", step.kind).unwrap();
        }
        show(request, shown);
    }
}

fn show(request: Request, shown: &mut String) {
    match request {
        Request::Http(request) => {
            writeln!(shown, "{} {}", request.method, request.url).unwrap();
            show_headers(&request.headers, shown);
            match serde_json::from_slice::<Value>(&request.body) {
                Ok(body) => {
                    let body = serde_json::to_string_pretty(&body).unwrap();
                    writeln!(shown, "{body}").unwrap();
                }
                Err(_) => writeln!(shown, "{}", String::from_utf8_lossy(&request.body)).unwrap(),
            }
        }
        Request::Upload(request) => {
            let mut part = format!("{} {}\n", request.method, request.url);
            show_headers(&request.headers, &mut part);
            for piece in &request.body {
                match piece {
                    BodyPart::Bytes(bytes) => part.push_str(std::str::from_utf8(bytes).unwrap()),
                    BodyPart::Attachment(id) => write!(part, "<bytes of {id}>").unwrap(),
                }
            }
            let content_type = request.headers["content-type"].to_str().unwrap();
            if let Some((_, boundary)) = content_type.split_once("boundary=") {
                part = part.replace(boundary, BOUNDARY);
            }
            writeln!(shown, "{}", part.replace('\r', "")).unwrap();
        }
        Request::Mail(request) => writeln!(shown, "{request:#?}").unwrap(),
        Request::Exec(request) => writeln!(shown, "{request:#?}").unwrap(),
    }
}

fn show_headers(headers: &HeaderMap, shown: &mut String) {
    for (name, value) in headers {
        let value = value.to_str().unwrap();
        let value = value.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        writeln!(shown, "{name}: {value}").unwrap();
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
    let plan = channel.render(&message, &context).unwrap();
    let request = requests(&*channel, &plan, &message, &context).remove(0);
    let request = request.into_http().unwrap();
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
