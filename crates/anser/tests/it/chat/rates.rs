//! The rates that the channels keep by themselves, against the platforms' windows, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, ManualClock};
use anser_core::resource::Rate;
use anser_sim::{Platform, Sim, SimOptions};
use serde_json::{Value, json};

use super::{PLATFORMS, kind};

/// How much of a platform's time is played: longer than its longest window.
const PLAYED: Duration = Duration::from_secs(130);

/// A text as the platform takes it.
fn text(platform: Platform) -> Value {
    match platform {
        Platform::Feishu => json!({"msg_type": "text", "content": {"text": "hi"}}),
        Platform::DingTalk | Platform::WeCom => {
            json!({"msgtype": "text", "text": {"content": "hi"}})
        }
        Platform::Slack => json!({"text": "hi"}),
        Platform::Discord => json!({"content": "hi"}),
        Platform::Telegram => json!({"chat_id": 1001, "text": "hi"}),
        Platform::WhatsApp => {
            json!({"messaging_product": "whatsapp", "to": super::PERSON, "text": {"body": "hi"}})
        }
    }
}

/// The moments at which a bucket of this rate lets something go, when more is always waiting.
fn departures(rate: &Rate) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(1.0 / rate.per_second);
    let mut moments = vec![Duration::ZERO; rate.burst as usize];
    let mut at = pause;
    while at < PLAYED {
        moments.push(at);
        at += pause;
    }
    moments
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_with_more_to_send_than_it_may_stays_within_the_platforms_windows() {
    for platform in PLATFORMS {
        let registry = anser_channels::registry();
        let manifest = registry
            .iter()
            .map(|kind| kind.manifest())
            .find(|manifest| manifest.kind == kind(platform))
            .expect("the kind is there");
        // All goes to one chat: its rate is the lower one where there is one.
        let rate = manifest.target_rate.or(manifest.rate);
        let rate = rate.expect("chat platforms have a rate");
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let mut options = SimOptions::new(platform);
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let token = options.robots[0].secret.clone().unwrap_or_default();
        if platform != Platform::WhatsApp {
            options.robots[0].secret = None;
        }
        let sim = Sim::start(options).await.unwrap();
        let url = sim.url(&sim.robots()[0]);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut before = Duration::ZERO;
        for at in departures(&rate) {
            clock.advance(at - before);
            before = at;
            let request = client.post(&url).bearer_auth(&token);
            let sent = request.json(&text(platform)).send().await;
            sent.unwrap();
        }
        let counters = sim.counters();
        assert!(counters.accepted > 0, "{}: {counters:?}", platform.name());
        assert_eq!(
            counters.rate_violations,
            0,
            "{}: {rate:?}: {counters:?}",
            platform.name()
        );
    }
}
