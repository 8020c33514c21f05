//! Refusals that come with HTTP 200, and those that do not: none is ever taken for a delivery.

use anser_sim::{Fault, FaultKind, Platform};

use super::{Stage, outcomes, send_text};
use crate::harness::eventually;

/// A platform's refusal, and what it is for the delivery.
const REFUSALS: &[(Platform, &str, &str)] = &[
    (Platform::Feishu, "19001", "rejected"),
    (Platform::Feishu, "19021", "rejected"),
    (Platform::Feishu, "19024", "rejected"),
    (Platform::Feishu, "2200", "retry"),
    (Platform::Feishu, "11232", "limited"),
    (Platform::DingTalk, "310000", "rejected"),
    (Platform::DingTalk, "300001", "rejected"),
    (Platform::DingTalk, "-1", "retry"),
    (Platform::DingTalk, "130101", "limited"),
    (Platform::WeCom, "93000", "rejected"),
    (Platform::WeCom, "-1", "retry"),
    (Platform::WeCom, "45009", "limited"),
    (Platform::Slack, "invalid_token", "rejected"),
    (Platform::Slack, "no_service", "rejected"),
    (Platform::Slack, "rollup_error", "retry"),
    (Platform::Slack, "ratelimited", "limited"),
    (Platform::Discord, "10015", "rejected"),
    (Platform::Discord, "50027", "rejected"),
    (Platform::Discord, "ratelimited", "limited"),
    (Platform::Telegram, "400", "rejected"),
    (Platform::Telegram, "401", "rejected"),
    (Platform::Telegram, "403", "rejected"),
    (Platform::Telegram, "500", "retry"),
    (Platform::Telegram, "429", "limited"),
    (Platform::WhatsApp, "190", "rejected"),
    (Platform::WhatsApp, "100", "rejected"),
    (Platform::WhatsApp, "131026", "rejected"),
    (Platform::WhatsApp, "131047", "rejected"),
    (Platform::WhatsApp, "131000", "retry"),
    (Platform::WhatsApp, "130429", "limited"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_never_a_delivery() {
    // Fast enough not to wait for the channels' own rate: what is tried here are answers.
    let stage = Stage::set(
        Some(&[]),
        Some(serde_json::json!({"per_second": 1000, "burst": 100})),
    )
    .await;
    let api = stage.api();
    for (platform, code, expected) in REFUSALS {
        let what = format!("{} {code}", platform.name());
        let sim = stage.sim(*platform);
        let before = sim.messages().len();
        let refuse = FaultKind::Refuse {
            code: (*code).to_owned(),
        };
        sim.fail(Fault::next(1, refuse)).unwrap();
        let id = send_text(&api, *platform, &what).await;
        let delivery = eventually(&format!("{what} is tried"), || async {
            let delivery = api.deliveries(&id).await.remove(0);
            let path = format!("/v1/deliveries/{}", delivery["id"].as_str()?);
            let delivery = api.get(&path).await.1;
            (!outcomes(&delivery).is_empty()).then_some(delivery)
        })
        .await;
        assert_eq!(outcomes(&delivery)[0], *expected, "{what}: {delivery:#}");
        assert_eq!(sim.counters().refused[*code], 1, "{what}");
        settled(&stage, &id, *platform, expected, before).await;
    }
}

/// A rejected one is dead with the platform's code, one to be retried gets there, and one that was limited waits.
async fn settled(stage: &Stage, id: &str, platform: Platform, outcome: &str, before: usize) {
    let api = stage.api();
    let sim = stage.sim(platform);
    match outcome {
        "rejected" => {
            let delivery = api.delivery_in(id, "dead").await;
            assert_eq!(sim.messages().len(), before, "{delivery:#}");
        }
        "retry" => {
            let delivery = api.delivery_in(id, "delivered").await;
            assert_eq!(outcomes(&delivery), ["retry", "delivered"]);
            assert_eq!(sim.messages().len(), before + 1);
            let again = &delivery["attempt_log"][1];
            assert_eq!(again.get("possible_duplicate"), None, "it was refused");
        }
        _ => {
            // A pause of a second may be over by now: it counts as delivered only if it was tried again.
            let id = api.deliveries(id).await.remove(0)["id"].clone();
            let path = format!("/v1/deliveries/{}", id.as_str().unwrap());
            let delivery = api.get(&path).await.1;
            let outcomes = outcomes(&delivery);
            assert_ne!(delivery["state"], "dead", "{delivery:#}");
            assert_eq!(
                delivery["state"] == "delivered",
                outcomes.last() == Some(&"delivered"),
                "{delivery:#}"
            );
        }
    }
}

/// Where success is told by the status, or by how the answer begins: half of it is enough.
const MESSAGE_IN_ANSWER: [Platform; 2] = [Platform::Discord, Platform::Telegram];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_an_unknown_outcome() {
    let stage = Stage::set(Some(&[]), None).await;
    let api = stage.api();
    for platform in super::PLATFORMS {
        let sim = stage.sim(platform);
        sim.fail(Fault::next(1, FaultKind::TruncateJson)).unwrap();
        let id = send_text(&api, platform, "half an answer").await;
        let delivery = api.delivery_in(&id, "delivered").await;
        if MESSAGE_IN_ANSWER.contains(&platform) {
            assert_eq!(outcomes(&delivery), ["delivered"], "{delivery:#}");
            continue;
        }
        assert_eq!(
            outcomes(&delivery),
            ["unknown", "delivered"],
            "{delivery:#}"
        );
        let again = &delivery["attempt_log"][1];
        assert_eq!(again["possible_duplicate"], "unknown", "{delivery:#}");
        assert_eq!(sim.messages().len(), 2, "both came: the second is marked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_limited_waits_in_order_and_bothers_nobody_meanwhile() {
    let rate = serde_json::json!({"per_second": 1000, "burst": 100});
    let stage = Stage::set(Some(&[]), Some(rate)).await;
    let api = stage.api();
    // Those that name a pause of a second.
    for (platform, code) in [
        (Platform::Slack, "ratelimited"),
        (Platform::Discord, "ratelimited"),
        (Platform::Telegram, "429"),
    ] {
        let sim = stage.sim(platform);
        let refuse = FaultKind::Refuse {
            code: code.to_owned(),
        };
        sim.fail(Fault::next(1, refuse)).unwrap();
        let texts = ["first", "second", "third", "fourth"];
        let mut last = String::new();
        for text in texts {
            // Without a key: the chat itself keeps the order.
            last = send_text(&api, platform, text).await;
        }
        api.delivery_in(&last, "delivered").await;
        let came: Vec<String> = sim
            .messages()
            .into_iter()
            .map(|message| message.text)
            .collect();
        assert_eq!(came, texts, "{}", platform.name());
        // One was refused; the others waited for the pause without asking.
        let counters = sim.counters();
        assert_eq!(
            (counters.requests, counters.refused[code]),
            (5, 1),
            "{}",
            platform.name()
        );
    }
}
