//! A bot that polls, as its operator sees it: made and looked at by command line, told of on `$ops`, killed in the middle,
//! refused, and refused in turn where it cannot connect.

use anser_sim::{Fault, FaultKind, Platform, Said, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Receiver, Server, ServerOptions, eventually};

const CONNECTION: &str = "/v1/channels/bot/connection";

/// A server with a topic `talk`, somebody who is told of `$ops`, and a stand-in.
struct Stage {
    server: Server,
    sim: Sim,
    operator: Receiver,
    chat: String,
}

impl Stage {
    async fn set() -> Self {
        let server = ServerOptions::default().start();
        let operator = Receiver::start().await;
        let platform = Platform::Telegram;
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        let chat = platform.talks(&options.chats)[0].clone();
        let sim = Sim::start(options).await.unwrap();
        let api = server.api();
        api.make("/v1/topics", &json!({"name": "talk"})).await;
        let told = json!({"name": "operator", "kind": "webhook", "settings": {"url": operator.url("/ops")}});
        api.make("/v1/channels", &told).await;
        let all = json!({"name": "operator", "channel": "operator"});
        api.make("/v1/topics/$ops/subscriptions", &all).await;
        Self {
            server,
            sim,
            operator,
            chat,
        }
    }

    /// Makes the channel, by command line.
    fn connect(&self) -> String {
        let app = Platform::Telegram.robot(1);
        let token = format!("token={}", app.token);
        let base = format!("base_url={}", self.sim.base());
        let arguments = [
            "channel",
            "create",
            "bot",
            "--kind",
            "telegram-bot",
            "--set",
            &token,
            "--set",
            &base,
            "--inbound",
            "talk",
            "--via",
            "connection",
        ];
        self.server.anser(&arguments).ok()
    }

    fn say(&self, text: &str) {
        let said = Said {
            chat: self.chat.clone(),
            name: "Ann".to_owned(),
            text: text.to_owned(),
            reply_to: None,
            file: None,
        };
        self.sim.say(&said).unwrap();
    }

    /// What `anser` prints for this line.
    fn prints(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.server.anser(&words).ok()
    }

    async fn state(&self, state: &str) -> Value {
        let api = self.server.api();
        eventually(&format!("the connection is {state}"), || async {
            let (status, view) = api.get(CONNECTION).await;
            assert_eq!(status, 200, "{view}");
            (view["state"] == state).then_some(view)
        })
        .await
    }

    /// The operator messages about connections, once there are so many: types and data.
    async fn told(&self, count: usize) -> Vec<(String, Value)> {
        let received = self.operator.count("/ops", count).await;
        let read = |message: Value| {
            let header = &message["header"];
            assert_eq!(header["key"], "bot", "{message:#}");
            let r#type = header["type"].as_str().unwrap().to_owned();
            (r#type, message["body"]["data"].clone())
        };
        received
            .iter()
            .map(|request| read(request.json()))
            .collect()
    }
}

async fn on_topic(api: &Api) -> Vec<String> {
    let (status, page) = api.get("/v1/messages?topic=talk&limit=500").await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| {
        let text = item["message"]["body"]["segments"][0]["text"].as_str();
        text.unwrap().to_owned()
    };
    let mut texts: Vec<String> = items.iter().map(text).collect();
    texts.sort_unstable();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_when_a_connection_was_lost_how_long_and_why() {
    let stage = Stage::set().await;
    assert!(stage.connect().contains("created"));
    assert!(stage.connect().contains("unchanged"));
    stage.say("one");
    stage.state("live").await;
    eventually("it is on the topic", || async {
        (on_topic(&stage.server.api()).await == ["one"]).then_some(())
    })
    .await;
    let shown = stage.prints("channel connection bot");
    for expected in ["live", "last_heard", "last_event"] {
        assert!(shown.contains(expected), "{shown}");
    }
    let listed = stage.prints("channel connections");
    assert!(listed.contains("telegram-bot"), "{listed}");

    // The platform's servers are in trouble for a while.
    let trouble = FaultKind::ServerError { status: 502 };
    stage
        .sim
        .fail(Fault::next(3, trouble).on("/getUpdates"))
        .unwrap();
    stage.say("two");
    let told = stage.told(2).await;
    assert_eq!(told[0].0, "connection.lost");
    assert_eq!(told[0].1["reason"], "network");
    assert_eq!(told[0].1["channel"], "bot");
    assert_eq!(told[1].0, "connection.restored");
    assert_eq!(told[1].1["recovery"], "resumed");
    assert_eq!(told[1].1["missed_estimate"], 0);
    assert!(told[1].1["gap_ms"].as_u64() > Some(0), "{told:#?}");
    eventually("the other is there too", || async {
        (on_topic(&stage.server.api()).await == ["one", "two"]).then_some(())
    })
    .await;
    let journal = stage.prints("channel journal bot");
    let events: Vec<&str> = journal
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(events, ["live", "failed", "lost", "live"], "{journal}");
    assert!(journal.contains("HTTP 502"), "{journal}");
    let page = stage.prints("channel journal bot --limit 1");
    assert!(page.contains("more: --cursor"), "{page}");
    let text = stage.server.api().get("/metrics").await.1;
    let live = "anser_connection_live{channel=\"bot\"} 1";
    assert!(text.as_str().unwrap().contains(live), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_polls_gets_each_update_once_also_when_the_server_is_killed() {
    const ROUNDS: usize = 3;
    const EVENTS: usize = 40;
    let mut stage = Stage::set().await;
    stage.connect();
    stage.state("live").await;
    for round in 0..ROUNDS {
        for number in 0..EVENTS {
            stage.say(&format!("event {:03}", round * EVENTS + number));
        }
        let enough = round * EVENTS + 1 + round * 11;
        eventually("some of them have come", || async {
            (on_topic(&stage.server.api()).await.len() >= enough).then_some(())
        })
        .await;
        let options = stage.server.kill().await;
        stage.server = options.start();
    }
    let expected: Vec<String> = (0..ROUNDS * EVENTS)
        .map(|number| format!("event {number:03}"))
        .collect();
    eventually("every update is on the topic, once", || async {
        (on_topic(&stage.server.api()).await == expected).then_some(())
    })
    .await;
    stage.state("live").await;
    let (_, page) = stage
        .server
        .api()
        .get(&format!("{CONNECTION}/journal"))
        .await;
    let events: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    assert_eq!(events[..2], ["live", "away"], "{page:#}");
    assert_eq!(page["items"][0]["gap"]["missed_estimate"], 0);
    // A stop in good order says so.
    let (status, options) = stage.server.stop().await;
    assert!(status.success());
    stage.server = options.start();
    stage.state("live").await;
    let journal = stage.prints("channel journal bot --limit 2");
    assert!(journal.contains("the gateway stops"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_and_ended_by_hand() {
    let stage = Stage::set().await;
    let unknown = FaultKind::Refuse {
        code: "401".to_owned(),
    };
    stage
        .sim
        .fail(Fault::next(1, unknown).on("/getUpdates"))
        .unwrap();
    stage.connect();
    let view = stage.state("refused").await;
    assert_eq!(view["reason"], "refused");
    assert!(view["next_try"].is_string(), "{view:#}");
    let told = stage.told(1).await;
    assert_eq!(told[0].1["reason"], "refused");
    let token = Platform::Telegram.robot(1).token;
    assert!(
        !format!("{view}{told:?}").contains(&token),
        "no secret is told"
    );
    // Nobody waits five minutes who has put it right.
    stage.prints("channel connection bot --reconnect");
    stage.state("live").await;
    assert_eq!(stage.told(2).await[1].0, "connection.restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_connect_is_refused_with_what_is_missing() {
    let stage = Stage::set().await;
    let api = stage.server.api();
    let channel = |kind: &str, settings: Value| {
        json!({"name": "bot", "kind": kind, "settings": settings,
            "inbound": {"topic": "talk", "via": "connection"}})
    };
    let webhook = channel("webhook", json!({"url": "https://shop.example/"}));
    let (status, problem) = api.post("/v1/channels", &webhook).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["code"], "not_available");
    assert_eq!(problem["field"], "inbound.via");
    let slack = channel("slack-app", json!({"token": "xoxb-1"}));
    let (status, problem) = api.post("/v1/channels", &slack).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["code"], "missing_secret");
    let (status, problem) = api.get("/v1/channels/operator/connection").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_connected")));
    let lone = stage
        .server
        .anser(&["channel", "create", "b", "--via", "connection"]);
    assert_eq!(lone.code, 2, "{}", lone.stderr);
}
