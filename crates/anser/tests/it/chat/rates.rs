//! The rates that the channels keep by themselves, against the platforms' windows, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::Manifest;
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
fn departures(rate: &Rate, played: Duration) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(1.0 / rate.per_second);
    let mut moments = vec![Duration::ZERO; rate.burst as usize];
    let mut at = pause;
    while at < played {
        moments.push(at);
        at += pause;
    }
    moments
}

/// What is told of a kind of channel.
fn manifest(name: &str) -> Manifest {
    let registry = anser_channels::registry();
    let mut manifests = registry.iter().map(|kind| kind.manifest());
    let found = manifests.find(|manifest| manifest.kind == name);
    found.expect("the kind is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_with_more_to_send_than_it_may_stays_within_the_platforms_windows() {
    for platform in PLATFORMS {
        let manifest = manifest(kind(platform));
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
        for at in departures(&rate, PLAYED) {
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

/// An app that sends texts with its token.
struct App {
    client: reqwest::Client,
    platform: Platform,
    url: String,
    token: String,
}

impl App {
    async fn of(platform: Platform, sim: &Sim) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = sim.base();
        let app = platform.app(1).expect("it has apps");
        let (id, secret) = (&app.token, app.secret.as_deref().unwrap_or_default());
        let (asked, member) = match platform {
            Platform::Feishu => (
                client
                    .post(format!(
                        "{base}/open-apis/auth/v3/tenant_access_token/internal"
                    ))
                    .json(&json!({"app_id": id, "app_secret": secret})),
                "tenant_access_token",
            ),
            Platform::DingTalk => (
                client
                    .post(format!("{base}/v1.0/oauth2/accessToken"))
                    .json(&json!({"appKey": id, "appSecret": secret})),
                "accessToken",
            ),
            _ => {
                let (corp, _) = id.split_once('/').expect("company and app");
                let query = format!("corpid={corp}&corpsecret={secret}");
                let url = format!("{base}/cgi-bin/gettoken?{query}");
                (client.get(url), "access_token")
            }
        };
        let given = asked.send().await.unwrap().text().await.unwrap();
        let given: Value = serde_json::from_str(&given).unwrap();
        let token = given[member].as_str().expect("a token").to_owned();
        Self {
            client,
            platform,
            url: sim.url(&app),
            token,
        }
    }

    /// Sends a text to somebody.
    async fn send(&self, somebody: &str) {
        let hi = json!({"text": "hi", "content": "hi"}).to_string();
        let post = self.client.post(&self.url);
        let request = match self.platform {
            Platform::Feishu => post
                .bearer_auth(&self.token)
                .query(&[("receive_id_type", "chat_id")])
                .json(&json!({"receive_id": format!("oc_{somebody}"), "msg_type": "text", "content": hi})),
            Platform::DingTalk => post
                .header("x-acs-dingtalk-access-token", &self.token)
                .json(&json!({"robotCode": "dingsim0000000000001", "userIds": [somebody], "msgKey": "sampleText", "msgParam": hi})),
            _ => post.query(&[("access_token", &self.token)]).json(
                &json!({"touser": somebody, "agentid": 1_000_001, "msgtype": "text", "text": {"content": "hi"}}),
            ),
        };
        request.send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stays_within_the_windows_of_itself_and_of_everybody_it_writes_to() {
    let minutes = Duration::from_secs(130);
    // What WeCom shows one person is counted by the hour.
    let hours = Duration::from_secs(7_100);
    for (platform, kind, played) in [
        (Platform::Feishu, "feishu-app", minutes),
        (Platform::DingTalk, "dingtalk-app", minutes),
        (Platform::WeCom, "wecom-app", hours),
    ] {
        let manifest = manifest(kind);
        for (rate, is_one) in [(manifest.rate, false), (manifest.target_rate, true)] {
            let Some(rate) = rate else { continue };
            let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
            let mut options = SimOptions::new(platform);
            options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let sim = Sim::start(options).await.unwrap();
            let app = App::of(platform, &sim).await;
            let mut before = Duration::ZERO;
            let departures = departures(&rate, played);
            for (number, at) in departures.iter().enumerate() {
                clock.advance(*at - before);
                before = *at;
                let number = if is_one { 0 } else { number };
                app.send(&format!("u{number}")).await;
            }
            let counters = sim.counters();
            let what = format!("{kind}: {rate:?}: {counters:?}");
            assert_eq!(counters.rate_violations, 0, "{what}");
            assert_eq!(counters.accepted, departures.len() as u64, "{what}");
        }
    }
}
