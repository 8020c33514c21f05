//! The examples of the guide: the exact requests that they make, and what the documented answers mean. The facts are from
//! the public documentation of the services, which each example names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anser_core::channel::Context;
use anser_core::outcome::{Outcome, OutcomeClass};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{context, message, open, request};
use crate::kit::testing::judge_with;

const GUIDE: &str = include_str!("../../../../../docs/guide/http-channel.md");

/// The settings of each example, by its heading.
fn examples() -> BTreeMap<&'static str, Value> {
    let (_, part) = GUIDE.split_once("\n## Examples\n").unwrap();
    let read = |section: &'static str| {
        let (name, rest) = section.split_once('\n').unwrap();
        let (_, block) = rest.split_once("```json\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        (name, serde_json::from_str(block).unwrap())
    };
    part.split("\n### ").skip(1).map(read).collect()
}

/// Whom each of them sends to.
fn target(name: &str) -> Option<&'static str> {
    match name {
        "ntfy" => Some("alerts"),
        "Twilio" => Some("+15558675310"),
        "Pushover" => Some("uQiRzpo4DXghDmr9QzzfQu27cmVRsG"),
        "Bark" => Some("ynJ5Ft4atkMkWeo2PAvFhF"),
        _ => None,
    }
}

fn messages() -> [Value; 2] {
    [
        json!({"segments": [{"type": "markdown", "text": "# Disk *full*\n\n**db1** is at 97 % & growing: [look](https://d.example/?a=1&b=2)"},
                            {"type": "text", "text": "\"quoted\" {{ secrets.token }}\n@all <b>磁盘已满</b>"}]}),
        json!({"data": {"title": "Disk full", "severity": "critical", "host": "db1", "priority": 8}}),
    ]
}

#[test]
fn requests() {
    let examples = examples();
    assert_eq!(examples.len(), 9);
    for (name, settings) in examples {
        let channel = open(&settings).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let context = Context {
            target: target(name),
            ..context(0)
        };
        let mut shown = String::new();
        for body in messages() {
            let request = request(&*channel, &message(&body), &context).unwrap();
            writeln!(shown, "{} {}", request.method, request.url).unwrap();
            for (header, value) in &request.headers {
                let value = value.to_str().unwrap();
                let value = value.replace(env!("CARGO_PKG_VERSION"), "VERSION");
                writeln!(shown, "{header}: {value}").unwrap();
            }
            let text = std::str::from_utf8(&request.body).unwrap();
            match serde_json::from_str::<Value>(text) {
                Ok(json) => writeln!(
                    shown,
                    "\n{}\n",
                    serde_json::to_string_pretty(&json).unwrap()
                ),
                Err(_) => writeln!(shown, "\n{text}\n"),
            }
            .unwrap();
        }
        insta::assert_snapshot!(name.to_lowercase().replace(' ', "_"), shown);
    }
}

#[test]
fn answers() {
    use OutcomeClass::{Delivered, Limited, Rejected, Retry, Unknown};
    #[rustfmt::skip]
    let table = [
        ("ntfy", 200, r#"{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"alerts"}"#, Delivered, "sPs71M8A2T"),
        ("ntfy", 429, r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#, Limited, ""),
        ("ntfy", 403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, Retry, "HTTP 403: forbidden"),
        ("Gotify", 200, r#"{"id":25,"appid":5,"message":"m","title":"t","priority":5}"#, Delivered, "25"),
        ("Gotify", 401, r#"{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token"}"#, Retry, "HTTP 401: you need to provide a valid access token"),
        ("Microsoft Teams", 202, "", Delivered, ""),
        ("Microsoft Teams", 200, "1", Delivered, ""),
        ("Microsoft Teams", 429, "", Limited, ""),
        ("PagerDuty", 202, r#"{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}"#, Delivered, "srv01/HTTP"),
        ("PagerDuty", 400, r#"{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect"]}"#, Rejected, "400: HTTP 400: Length of 'routing_key' is incorrect"),
        ("PagerDuty", 429, r#"{"status":"throttle exceeded"}"#, Limited, ""),
        ("Twilio", 201, r#"{"sid":"SMaaaa","status":"queued","error_code":null}"#, Delivered, "SMaaaa"),
        ("Twilio", 400, r#"{"code":21211,"message":"The 'To' number is not valid","more_info":"https://www.twilio.com/docs/errors/21211","status":400}"#, Rejected, "400: HTTP 400: The 'To' number is not valid"),
        ("Twilio", 429, r#"{"code":20429,"message":"Too Many Requests","status":429}"#, Limited, ""),
        ("Pushover", 200, r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#, Delivered, "647d2300-702c-4b38-8b2f-d56326ae460b"),
        ("Pushover", 400, r#"{"user":"invalid","errors":["user identifier is invalid"],"status":0,"request":"5042853c"}"#, Rejected, "400: HTTP 400: user identifier is invalid"),
        ("Pushover", 429, r#"{"status":0}"#, Limited, ""),
        ("Bark", 200, r#"{"code":200,"message":"success","timestamp":1649000000}"#, Delivered, ""),
        ("Bark", 200, r#"{"code":400,"message":"failed to get device token","timestamp":1649000000}"#, Rejected, "200: HTTP 200: failed to get device token"),
        ("ServerChan", 200, r#"{"code":0,"message":"","data":{"pushid":"123","readkey":"abc","error":"SUCCESS","errno":0}}"#, Delivered, "123"),
        ("ServerChan", 200, r#"{"code":40001,"message":"[AUTH]bad key"}"#, Retry, "HTTP 200: [AUTH]bad key"),
        ("ServerChan", 200, "<html>", Unknown, "HTTP 200: the answer has no JSON, which settings.success asks for"),
        ("Mattermost", 200, "ok", Delivered, ""),
        ("Mattermost", 400, r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook","status_code":400}"#, Rejected, "400: HTTP 400: Invalid webhook"),
    ];
    let examples = examples();
    for (name, status, answer, class, said) in table {
        let mut settings = examples[name].clone();
        settings["per_target"] = false.into();
        let channel = open(&settings).unwrap();
        let outcome = judge_with(
            &*channel,
            &json!({"data": 1}),
            status,
            HeaderMap::new(),
            answer,
        );
        assert_eq!(outcome.class(), class, "{name} {status}: {outcome:?}");
        let found = match outcome {
            Outcome::Delivered { platform_id } => platform_id.unwrap_or_default(),
            Outcome::Rejected { code, text } => format!("{code}: {text}"),
            Outcome::Retry { reason } | Outcome::Unknown { reason } => reason,
            _ => String::new(),
        };
        assert_eq!(found, said, "{name} {status}");
    }
}
