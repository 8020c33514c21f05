//! A busy chat: several subscriptions and addresses send to it at once, and a kill comes in between. The stand-in counts in
//! every stretch of time what the platform allows for one chat.

use anser_sim::{Platform, Sim, SimOptions};
use serde_json::{Value, json};

use super::CHAT;
use crate::harness::{Api, Server, ServerOptions, eventually};

/// Messages, each of which goes to the chat by three subscriptions and two addresses.
const MESSAGES: usize = 5;
const WAYS: usize = 5;

/// A server with the channel `app`, which goes to the stand-in, and three subscriptions to one chat.
async fn stage(kind: &str, settings: Value, chat: &str) -> Server {
    let server = ServerOptions::default().start();
    let api = server.api();
    let channel = json!({"name": "app", "kind": kind, "settings": settings});
    api.make("/v1/channels", &channel).await;
    api.make("/v1/topics", &json!({"name": "talk"})).await;
    for (name, ordering) in [("one", "key"), ("two", "none"), ("three", "strict")] {
        let subscription =
            json!({"name": name, "channel": "app", "target": chat, "ordering": ordering});
        api.make("/v1/topics/talk/subscriptions", &subscription)
            .await;
    }
    server
}

async fn publish(api: &Api, chat: &str) {
    for number in 0..MESSAGES {
        // Each has a lane of its own, so that no order keeps them apart.
        let header = json!({"key": format!("k{number}"), "to": ["app", format!("app/{chat}")]});
        let segments = json!([{"type": "text", "text": text(number)}]);
        let item = json!({"header": header, "body": {"segments": segments}});
        api.publish("talk", &item).await;
    }
}

fn text(number: usize) -> String {
    format!("message {number}")
}

/// Waits until each message has come by so many ways.
async fn received(sim: &Sim, ways: usize) {
    eventually(&format!("each message by {ways} ways"), || async {
        let came = sim.messages();
        let count = |text: String| came.iter().filter(|one| one.text == text).count();
        let all = (0..MESSAGES).all(|number| count(text(number)) >= ways);
        all.then_some(())
    })
    .await;
}

/// Everything arrives, and nothing is refused for coming too soon.
async fn keeps_the_limit(mut server: Server, sim: &Sim, chat: &str) {
    publish(&server.api(), chat).await;
    received(sim, 1).await;
    let options = server.kill().await;
    server = options.start();
    received(sim, WAYS).await;
    let counters = sim.counters();
    assert_eq!(counters.rate_violations, 0, "{counters:?}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ways_to_one_chat_of_an_app_keep_its_limit() {
    let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
    let app = Platform::Feishu.app(1).expect("there are apps");
    let chat = "oc_busy";
    let settings = json!({"app_id": app.token, "app_secret": app.secret, "receive_id": chat,
        "base_url": sim.base()});
    let server = stage("feishu-app", settings, chat).await;
    keeps_the_limit(server, &sim, "chat/oc_busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ways_to_one_chat_of_a_bot_keep_its_limit() {
    let sim = Sim::start(SimOptions::new(Platform::Telegram))
        .await
        .unwrap();
    let chat = CHAT.to_string();
    let token = &sim.robots()[0].token;
    let settings = json!({"token": token, "chat_id": chat, "base_url": sim.base()});
    let server = stage("telegram-bot", settings, &chat).await;
    keeps_the_limit(server, &sim, &chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_chat_does_not_delay_another() {
    let sim = Sim::start(SimOptions::new(Platform::Feishu)).await.unwrap();
    let app = Platform::Feishu.app(1).expect("there are apps");
    let settings = json!({"app_id": app.token, "app_secret": app.secret, "base_url": sim.base()});
    let server = ServerOptions::default().start();
    let api = server.api();
    let channel = json!({"name": "app", "kind": "feishu-app", "settings": settings,
        "target_rate": {"per_second": 0.1}});
    api.make("/v1/channels", &channel).await;
    let to = |chat: &str| {
        json!({"header": {"to": [format!("app/{chat}")]},
            "body": {"segments": [{"type": "text", "text": chat}]}})
    };
    for _ in 0..20 {
        api.make("/v1/messages", &to("oc_busy")).await;
    }
    let other = api.make("/v1/messages", &to("oc_quiet")).await;
    api.delivery_in(other["id"].as_str().unwrap(), "delivered")
        .await;
    let to_busy = sim.messages();
    let to_busy = to_busy.iter().filter(|message| message.text == "oc_busy");
    assert_eq!(to_busy.count(), 1, "one in ten seconds");
    let (status, channel) = api.get("/v1/channels/app").await;
    let rate = &channel["target_rate"];
    assert_eq!(
        (status, rate),
        (200, &json!({"per_second": 0.1, "burst": 1})),
        "{channel:#}"
    );
}
