//! The official verifiers of Feishu, WeCom and DingTalk and ours give the same verdict on the same requests: PyPI `lark-oapi`
//! and `wechatpy`, which DingTalk's envelope is of. Ours is the door itself, and what is refused reaches no topic.

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
const KEY: &str = "anser-encrypt-key";
const TOKEN: &str = "anser-verify-token";
const AES_KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
const CORP: &str = "wx5823bf96d3bd56c7";
const APP: &str = "dingoqx7abcdefg";

/// Where ours refuses what the SDK takes, or the other way round, each with its reason. All else must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The SDKs do not look at the time that is signed.
    Time,
    /// An event of a type that no program asked for is an event; the SDK has no handler for it.
    TypeToCome,
    /// Python's base64 skips characters that are none. What is signed cannot be changed so; the check of the URL is not
    /// signed, and ours reads no base64 that is none.
    Base64,
    /// The SDK answers a check of the URL without a word with the word `None`.
    NoWord,
    /// The parts of WeCom's XML around what is encrypted are not signed; the readers of XML differ in what is well-formed.
    UnsignedXml,
}

struct Case<'a> {
    value: &'a Value,
}

impl Case<'_> {
    fn text(&self, name: &str) -> &str {
        self.value[name].as_str().unwrap()
    }

    fn accepted(&self) -> bool {
        self.value["accepted"] == true
    }

    async fn sent(&self, api: &Api) -> u16 {
        let pairs = |name: &str| -> Vec<(String, String)> {
            let pairs = self.value[name].clone();
            serde_json::from_value(pairs).unwrap()
        };
        let method = Method::from_bytes(self.text("method").as_bytes()).unwrap();
        let path = format!("/in/{}", self.text("channel"));
        let mut request = api.request(method, &path).query(&pairs("query"));
        for (name, value) in pairs("headers") {
            request = request.header(name, value);
        }
        let body = BASE64.decode(self.text("body")).unwrap();
        let sent = api.try_send(request.body(body)).await;
        sent.unwrap_or_else(|error| panic!("{error}: {}", self.value))
            .0
    }

    /// Why a verdict may differ from the SDK's.
    fn difference(&self, ours: bool) -> Option<Difference> {
        let (part, base) = (self.text("part"), self.text("base"));
        match (self.accepted(), ours) {
            (true, false) if ["stale", "no time"].contains(&part) => Some(Difference::Time),
            (true, false) if self.text("said") == r#"{"challenge":"None"}"# => {
                Some(Difference::NoWord)
            }
            (true, false) if (part, base) == ("body", "check") => Some(Difference::Base64),
            (false, true) if self.text("said").contains("processor not found") => {
                Some(Difference::TypeToCome)
            }
            _ if (part, self.text("channel")) == ("body", "wecom") => Some(Difference::UnsignedXml),
            _ => None,
        }
    }
}

/// A server with a channel for each way, whose events go to a topic of the same name.
async fn server() -> Server {
    let server = Server::start();
    let api = server.api();
    let feishu = json!({"app_id": "cli_x", "app_secret": "s", "verification_token": TOKEN});
    let mut keyed = feishu.clone();
    keyed["encrypt_key"] = KEY.into();
    for (name, kind, settings) in [
        ("feishu-key", "feishu-app", keyed),
        ("feishu-token", "feishu-app", feishu),
        (
            "wecom",
            "wecom-app",
            json!({"corp_id": CORP, "corp_secret": "s", "agent_id": 1, "token": TOKEN, "encoding_aes_key": AES_KEY}),
        ),
        (
            "dingtalk",
            "dingtalk-app",
            json!({"app_key": APP, "app_secret": "s", "token": TOKEN, "aes_key": AES_KEY}),
        ),
    ] {
        api.make("/v1/topics", &json!({"name": name})).await;
        let channel =
            json!({"name": name, "kind": kind, "settings": settings, "inbound": {"topic": name}});
        api.make("/v1/channels", &channel).await;
    }
    server
}

fn cases() -> Vec<Value> {
    let now = SystemClock::new().now().seconds();
    let told = in_python(
        "verifiers_cn.py",
        &json!({
            "now": now,
            "changes": CHANGES,
            "feishu": {"encrypt_key": KEY, "token": TOKEN},
            "wecom": {"token": TOKEN, "key": AES_KEY, "receiver": CORP},
            "dingtalk": {"token": TOKEN, "key": AES_KEY, "receiver": APP},
        }),
    );
    told.as_array().unwrap().clone()
}

async fn on_topic(api: &Api, topic: &str) -> usize {
    let (status, page) = api
        .get(&format!("/v1/messages?topic={topic}&limit=500"))
        .await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_verifiers_give_the_same_verdicts() {
    let server = server().await;
    let api = server.api();
    let cases = cases();
    let (mut taken, mut refused) = (0, 0);
    let mut differences: BTreeMap<Difference, usize> = BTreeMap::new();
    for value in &cases {
        let case = Case { value };
        let status = case.sent(&api).await;
        assert!([200, 400, 401].contains(&status), "{status}: {value}");
        let ours = status == 200;
        if ours == case.accepted() {
            *(if ours { &mut taken } else { &mut refused }) += 1;
            continue;
        }
        let difference = case.difference(ours);
        let difference =
            difference.unwrap_or_else(|| panic!("{status} but not so in the SDK: {value}"));
        *differences.entry(difference).or_default() += 1;
    }
    eprintln!("both took {taken}, both refused {refused}, they differ in {differences:?}");
    assert!(taken > 100 && refused > 1_000, "{taken} {refused}");
    assert_eq!(differences[&Difference::Time], 5);
    assert!(differences[&Difference::TypeToCome] >= 1);
    // Every event came many times, unchanged or changed where nothing is signed, and each is there once. What was refused is not.
    assert_eq!(on_topic(&api, "feishu-key").await, 4);
    assert_eq!(on_topic(&api, "wecom").await, 2);
    assert_eq!(on_topic(&api, "dingtalk").await, 1);
}
