//! There and back: alerts arrive as cards at stand-ins of three platforms, and what our own channels send to robots of other
//! platforms a robot of ours takes.

use anser_sim::{Platform, Sim, SimOptions};
use serde_json::{Value, json};

use super::{post, robot, samples, with_topic};
use crate::harness::{Receiver, Server, eventually};

/// The three chats of the guide, with the kinds of channel that go there.
pub(crate) const CHATS: [(Platform, &str); 3] = [
    (Platform::Feishu, "feishu-robot"),
    (Platform::Slack, "slack-webhook"),
    (Platform::WeCom, "wecom-robot"),
];

/// Waits until a stand-in has taken so many messages; what the last one is.
pub(crate) async fn last(sim: &Sim, count: usize) -> Value {
    eventually("the chat has the message", || async {
        let messages = sim.messages();
        (messages.len() >= count).then(|| messages[count - 1].body.clone())
    })
    .await
}

/// It is the alert, as a card of the platform.
pub(crate) fn is_card(platform: Platform, body: &Value, title: &str) {
    let text = body.to_string();
    assert!(text.contains(title), "{text}");
    match platform {
        Platform::Feishu => {
            assert_eq!(body["msg_type"], "interactive", "{text}");
            assert_eq!(body["card"]["header"]["title"]["content"], title, "{text}");
        }
        Platform::Slack => {
            let blocks = body["blocks"]
                .as_array()
                .or_else(|| body["attachments"][0]["blocks"].as_array());
            assert!(blocks.is_some_and(|blocks| blocks.len() > 1), "{text}");
        }
        _ => assert!(
            ["template_card", "markdown", "markdown_v2"]
                .contains(&body["msgtype"].as_str().unwrap()),
            "{text}"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_a_card_in_three_chats() {
    let server = Server::start();
    let api = server.api();
    api.make("/v1/topics", &json!({"name": "alerts"})).await;
    let mut sims = Vec::new();
    for (platform, kind) in CHATS {
        let sim = Sim::start(SimOptions::new(platform)).await.unwrap();
        let known = &sim.robots()[0];
        let mut settings = json!({"webhook_url": sim.url(known), "base_url": sim.base()});
        if let Some(secret) = &known.secret {
            settings["secret"] = secret.as_str().into();
        }
        let name = platform.name();
        api.make(
            "/v1/channels",
            &json!({"name": name, "kind": kind, "settings": settings}),
        )
        .await;
        api.make(
            "/v1/topics/alerts/subscriptions",
            &json!({"name": name, "channel": name}),
        )
        .await;
        sims.push((platform, sim));
    }
    let path = robot(&api, &json!({"name": "prometheus", "topic": "alerts"})).await;
    for (place, title) in [
        "2 firing: HighLatency (api)",
        "2 resolved: HighLatency (api)",
    ]
    .iter()
    .enumerate()
    {
        let alert = &samples("alertmanager")[place];
        assert_eq!(post(&api, &path("alertmanager"), alert).await.0, 202);
        for (platform, sim) in &sims {
            is_card(*platform, &last(sim, place + 1).await, title);
        }
    }
    for (platform, sim) in &sims {
        let body = last(sim, 1).await.to_string();
        for needed in [
            "Requests are slow on 10.0.0.1",
            "http://prometheus.example:9090/graph",
        ] {
            assert!(
                body.contains(needed),
                "{}: {needed}: {body}",
                platform.name()
            );
        }
        assert!(sim.counters().refused.is_empty(), "{:?}", sim.counters());
    }
}

/// Our kinds of channel that go to robots, with the dialect of ours that stands for the platform, and an address of theirs.
const SENDERS: [(&str, &str, &str); 5] = [
    (
        "feishu-robot",
        "feishu",
        "https://open.feishu.cn/open-apis/bot/v2/hook/any",
    ),
    (
        "dingtalk-robot",
        "dingtalk",
        "https://oapi.dingtalk.com/robot/send?access_token=any",
    ),
    (
        "wecom-robot",
        "wecom",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=any",
    ),
    (
        "slack-webhook",
        "slack",
        "https://hooks.slack.com/services/T1/B1/any",
    ),
    (
        "discord-webhook",
        "discord",
        "https://discord.com/api/webhooks/1/any",
    ),
];

/// A channel of every such kind, called as its dialect, which goes to a robot of the same gateway; those that can sign go to
/// one with a secret.
async fn with_senders(server: &Server) {
    let (api, secret) = (server.api(), "s3cret");
    let signed = json!({"name": "signed", "topic": "alerts", "secret": secret});
    let signed = robot(&api, &signed).await;
    let open = robot(&api, &json!({"name": "open", "topic": "alerts"})).await;
    for (kind, dialect, webhook) in SENDERS {
        let signs = ["feishu", "dingtalk"].contains(&dialect);
        let path = if signs {
            signed(dialect)
        } else {
            open(dialect)
        };
        let base = format!("{}{path}", server.base());
        let mut settings = json!({"webhook_url": webhook, "base_url": base});
        if signs {
            settings["secret"] = secret.into();
        }
        let channel = json!({"name": dialect, "kind": kind, "settings": settings});
        api.make("/v1/channels", &channel).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_channels_send_to_robots_a_robot_of_ours_takes() {
    let (server, receiver) = (Server::start(), Receiver::start().await);
    with_topic(&server, &receiver).await;
    with_senders(&server).await;
    let api = server.api();
    let to = SENDERS.map(|(_, dialect, _)| dialect);
    let item = json!({"header": {"to": to}, "body": {"segments": [
        {"type": "text", "text": "Paid "}, {"type": "mention", "kind": "user", "id": "1234567890", "name": "Tom"},
        {"type": "card", "title": "Order 42", "level": "success", "sections": ["Total **9.90**"],
            "fields": [{"name": "City", "value": "Oslo", "short": true}],
            "actions": [{"id": "open", "label": "Open", "kind": "url", "value": "https://shop.example/o/42"}]}]}});
    let answer = api.make("/v1/messages", &item).await;
    let id = answer["id"].as_str().unwrap();
    eventually("every channel has delivered", || async {
        let deliveries = api.deliveries(id).await;
        let dead = deliveries
            .iter()
            .find(|delivery| delivery["state"] == "dead");
        assert!(dead.is_none(), "{dead:?}");
        let done = |delivery: &Value| delivery["state"] == "delivered";
        (deliveries.len() == to.len() && deliveries.iter().all(done)).then_some(())
    })
    .await;
    for dialect in to {
        let received = eventually("it came back", || async {
            let all = receiver.received("/all");
            let mine = all.iter().map(|request| request.json());
            let mine = mine.filter(|message| message["header"]["origin"]["platform"] == dialect);
            let text: String = mine.map(|message| message["body"].to_string()).collect();
            text.contains("Order 42").then_some(text)
        })
        .await;
        for needed in ["Paid", "9.90", "Oslo", "https://shop.example/o/42"] {
            assert!(received.contains(needed), "{dialect}: {needed}: {received}");
        }
    }
}
