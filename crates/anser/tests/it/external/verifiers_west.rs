//! Other people's verifiers of what Slack, Discord, Telegram, Meta, GitHub, GitLab, Stripe and senders of Standard Webhooks send
//! give the same verdict as ours on the same requests: PyPI `slack_sdk`, `slack_bolt`, PyNaCl, `standardwebhooks`, and what the
//! documentation of the others shows. Ours is the door itself, and what is refused reaches no topic.

use std::collections::BTreeMap;

use anser_core::clock::{Clock as _, SystemClock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::{Value, json};

use super::sdk::in_python;
use crate::harness::{Api, Server};

/// Changes of each of the requests.
const CHANGES: usize = 150;
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The public half of the key pair of the seed that is 32 times 1.
const PUBLIC_HEX: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
const PUBLIC_BASE64: &str = "whpk_iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";

/// Where ours refuses what the other takes, each with its reason. All else must agree, and ours takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Discord names no age for a request; ours takes none that is older than five minutes.
    NoAge,
    /// Python's base64 skips characters that are none, and bits that are none; ours has one way to write a signature.
    Base64,
    /// Python reads more as a number than digits.
    Number,
}

/// A channel for each way, whose events go to a topic of the same name; and how many there are at the end: each event was
/// taken many times.
fn channels() -> Vec<(&'static str, &'static str, Value, usize)> {
    let source = |scheme: &str, secret: &str| json!({"scheme": scheme, "secret": secret});
    vec![
        (
            "slack",
            "slack-app",
            json!({"token": "xoxb-1", "signing_secret": SECRET}),
            3,
        ),
        (
            "telegram",
            "telegram-bot",
            json!({"token": "123456789:AAx", "secret_token": SECRET}),
            1,
        ),
        (
            "discord",
            "discord-bot",
            json!({"token": "x", "public_key": PUBLIC_HEX}),
            1,
        ),
        (
            "whatsapp",
            "whatsapp-cloud",
            json!({"phone_number_id": "106540352242922", "access_token": "x", "app_secret": SECRET, "verify_token": SECRET}),
            1,
        ),
        ("github", "source", source("github", SECRET), 1),
        ("gitlab", "source", source("gitlab", SECRET), 1),
        ("gitlab-signed", "source", source("gitlab", STANDARD), 1),
        ("stripe", "source", source("stripe", SECRET), 1),
        (
            "standard",
            "source",
            source("standard-webhooks", STANDARD),
            1,
        ),
        (
            "standard-pair",
            "source",
            source("standard-webhooks", PUBLIC_BASE64),
            1,
        ),
    ]
}

async fn server() -> Server {
    let server = Server::start();
    let api = server.api();
    for (name, kind, settings, _) in channels() {
        api.make("/v1/topics", &json!({"name": name})).await;
        let channel =
            json!({"name": name, "kind": kind, "settings": settings, "inbound": {"topic": name}});
        api.make("/v1/channels", &channel).await;
    }
    server
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

async fn sent(api: &Api, case: &Value) -> u16 {
    let pairs = |name: &str| -> Vec<(String, String)> {
        serde_json::from_value(case[name].clone()).unwrap()
    };
    let method = Method::from_bytes(text(case, "method").as_bytes()).unwrap();
    let path = format!("/in/{}", text(case, "channel"));
    let mut request = api.request(method, &path).query(&pairs("query"));
    for (name, value) in pairs("headers") {
        request = request.header(name, value);
    }
    let body = BASE64.decode(text(case, "body")).unwrap();
    let sent = api.try_send(request.body(body)).await;
    sent.unwrap_or_else(|error| panic!("{error}: {case}")).0
}

/// Why ours may refuse what the other takes.
fn difference(case: &Value) -> Option<Difference> {
    match text(case, "part") {
        "stale without a rule" => Some(Difference::NoAge),
        "webhook-signature" => Some(Difference::Base64),
        "webhook-timestamp" => Some(Difference::Number),
        _ => None,
    }
}

fn cases() -> Vec<Value> {
    let now = SystemClock::new().now().seconds();
    let told = in_python(
        "verifiers_west.py",
        &json!({"now": now, "changes": CHANGES, "secret": SECRET, "standard": STANDARD}),
    );
    told.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn verifiers_of_others_give_the_same_verdicts() {
    let server = server().await;
    let api = server.api();
    let (mut taken, mut refused) = (0, 0);
    let mut differences: BTreeMap<Difference, usize> = BTreeMap::new();
    for case in &cases() {
        let status = sent(&api, case).await;
        assert!([200, 400, 401].contains(&status), "{status}: {case}");
        let (ours, theirs) = (status == 200, case["accepted"] == true);
        if ours == theirs {
            *(if ours { &mut taken } else { &mut refused }) += 1;
            continue;
        }
        let difference = difference(case).filter(|_| theirs);
        let difference = difference.unwrap_or_else(|| panic!("{status}, but not so: {case}"));
        *differences.entry(difference).or_default() += 1;
    }
    eprintln!("both took {taken}, both refused {refused}, they differ in {differences:?}");
    assert!(taken >= 15 && refused > 1_500, "{taken} {refused}");
    assert_eq!(differences[&Difference::NoAge], 1);
    for (name, _, _, events) in channels() {
        let page = api
            .get(&format!("/v1/messages?topic={name}&limit=500"))
            .await;
        let items = page.1["items"].as_array().unwrap();
        assert_eq!(items.len(), events, "{name}: {items:?}");
    }
}
