//! A few hundred messages over all platforms at once, while answers get lost, servers break and the gateway is killed.

use std::collections::HashMap;
use std::time::Duration;

use anser_sim::{Counted, Fault, FaultKind, Limit, Platform, Received, Sim};
use serde_json::{Value, json};

use super::Stage;
use crate::harness::{Api, eventually};

/// Conversations on each platform, each an ordering key.
const KEYS: usize = 5;
/// Messages in each.
const EACH: usize = 12;

/// What the channels keep to: the platforms' proportions in a fraction of their time. In any 300 ms no more than
/// 5 + 60 × 0.3 = 23 go, and one more of each conversation may have been on its way.
fn rate() -> Value {
    json!({"per_second": 60, "burst": 5})
}

/// What the stand-ins hold them to.
fn window() -> Limit {
    Limit::sliding(Counted::Robot, 30, Duration::from_millis(300))
}

/// A code that each platform asks to try again with, after which nothing was taken.
fn busy(platform: Platform) -> FaultKind {
    let code = match platform {
        Platform::Feishu => "2200",
        Platform::DingTalk | Platform::WeCom => "-1",
        Platform::Slack => "rollup_error",
        Platform::WhatsApp => "131000",
        Platform::Discord | Platform::Telegram => return FaultKind::ServerError { status: 500 },
    };
    FaultKind::Refuse {
        code: code.to_owned(),
    }
}

fn trouble(platform: Platform, sim: &Sim) {
    for (every, kind) in [
        (7, FaultKind::DropAfterAccept),
        (11, FaultKind::ServerError { status: 503 }),
        (13, FaultKind::TruncateJson),
        (17, FaultKind::Slow { millis: 40 }),
        (19, busy(platform)),
    ] {
        sim.fail(Fault::every(every, kind)).unwrap();
    }
}

/// A stage with trouble on every stand-in, and everything published; answers the messages' ids by what they say.
async fn begin() -> (Stage, HashMap<String, String>) {
    let stage = Stage::set(Some(&[window()]), Some(rate())).await;
    let api = stage.api();
    api.make("/v1/topics", &json!({"name": "chat"})).await;
    for (platform, sim) in &stage.sims {
        trouble(*platform, sim);
        let name = platform.name();
        let subscription = json!({"name": name, "channel": name, "ordering": "key",
            "retry": {"first": 0.05, "factor": 1, "jitter": 0}});
        api.make("/v1/topics/chat/subscriptions", &subscription)
            .await;
    }
    let texts: Vec<String> = (0..KEYS * EACH).map(|n| said(n % KEYS, n / KEYS)).collect();
    let items: Vec<Value> = texts
        .iter()
        .map(|text| json!({"header": {"key": &text[..2]}, "body": {"segments": [{"type": "text", "text": text}]}}))
        .collect();
    let answer = api.make("/v1/topics/chat/messages", &json!(items)).await;
    let ids = answer["results"].as_array().unwrap().iter();
    let ids = ids.map(|result| result["id"].as_str().unwrap().to_owned());
    (stage, texts.into_iter().zip(ids).collect())
}

/// What message `number` of conversation `key` says, in letters and digits that no platform has to escape.
fn said(key: usize, number: usize) -> String {
    format!("k{key}n{number:03}")
}

/// Waits until everything is delivered; answers each message's deliveries, by what it says and the channel's name.
async fn delivered(api: &Api, ids: &HashMap<String, String>) -> HashMap<(String, String), Value> {
    let mut all = HashMap::new();
    for (text, id) in ids {
        let deliveries = eventually(&format!("{text} is delivered everywhere"), || async {
            let deliveries = api.deliveries(id).await;
            let done = |delivery: &Value| delivery["state"] == "delivered";
            (deliveries.len() == super::PLATFORMS.len() && deliveries.iter().all(done))
                .then_some(deliveries)
        })
        .await;
        for delivery in deliveries {
            let channel = delivery["channel"].as_str().unwrap().to_owned();
            all.insert((text.clone(), channel), delivery);
        }
    }
    all
}

/// The books of a stand-in against what the gateway says of its deliveries. What was under way at a kill has no record
/// of its own: the attempt after it is marked for both.
async fn audit(
    api: &Api,
    platform: Platform,
    sim: &Sim,
    deliveries: &HashMap<(String, String), Value>,
    kills: usize,
) {
    let name = platform.name();
    let counters = sim.counters();
    assert!(counters.faults > 0, "{name}: {counters:?}");
    assert_eq!(counters.rate_violations, 0, "{name}: {counters:?}");
    let wrong =
        counters.size_violations + counters.credential_violations + counters.content_violations;
    assert_eq!(wrong, 0, "{name}: {counters:?}");
    for (text, times) in in_order(name, &sim.messages()) {
        if times > 1 {
            let id = deliveries[&(text.clone(), name.to_owned())]["id"]
                .as_str()
                .unwrap();
            let delivery = api.get(&format!("/v1/deliveries/{id}")).await.1;
            let log = delivery["attempt_log"].as_array().unwrap();
            let declared = log
                .iter()
                .filter(|attempt| attempt["possible_duplicate"].is_string());
            assert!(
                declared.count() >= (times - 1).saturating_sub(kills).max(1),
                "{name}: {text} came {times} times: {delivery:#}"
            );
        }
    }
}

/// How often each message came. Every one must have come, the first time in the order of its conversation.
fn in_order(name: &str, messages: &[Received]) -> HashMap<String, usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut next = [0; KEYS];
    for message in messages {
        let text = text_of(message);
        let times = seen.entry(text.clone()).or_default();
        *times += 1;
        if *times == 1 {
            let key: usize = text[1..2].parse().unwrap();
            let number: usize = text[3..].parse().unwrap();
            assert_eq!(number, next[key], "{name}: {text} out of order");
            next[key] += 1;
        }
    }
    assert_eq!(next, [EACH; KEYS], "{name}: everything came");
    seen
}

fn text_of(message: &Received) -> String {
    let found = message
        .text
        .split_whitespace()
        .find(|word| word.starts_with('k'));
    found
        .unwrap_or_else(|| panic!("no text: {message:?}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_swapped_or_sent_too_fast_while_answers_are() {
    let (stage, ids) = begin().await;
    let api = stage.api();
    let deliveries = delivered(&api, &ids).await;
    for (platform, sim) in &stage.sims {
        audit(&api, *platform, sim, &deliveries, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_loses_nothing() {
    let (mut stage, ids) = begin().await;
    let third = KEYS * EACH / 3;
    eventually("a third has come", || async {
        let enough = |(_, sim): &(Platform, Sim)| sim.messages().len() >= third;
        stage.sims.iter().any(enough).then_some(())
    })
    .await;
    for (platform, sim) in &stage.sims {
        let count = sim.messages().len();
        assert!(
            count < KEYS * EACH,
            "{}: it was to be in the middle",
            platform.name()
        );
    }
    stage.kill_and_restart().await;
    let api = stage.api();
    let deliveries = delivered(&api, &ids).await;
    for (platform, sim) in &stage.sims {
        audit(&api, *platform, sim, &deliveries, 1).await;
    }
}
