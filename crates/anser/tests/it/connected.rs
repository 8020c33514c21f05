//! Long connections, end to end: bots without a public address answer in the same chat, each event is on its topic once,
//! whatever comes twice or again and whenever the server is killed, and the journal says when a connection was lost, and why.

mod west;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, SystemClock};
use anser_sim::{Order, Platform, Received, Said, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Receiver, Server, ServerOptions, eventually};

const MESSAGE: &str = "application/vnd.anser.message+json";

/// The machine's time of day, and a time for delays that jumps.
struct Jumping {
    real: SystemClock,
    ahead: AtomicU64,
}

impl Jumping {
    fn jump(&self, by: Duration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }
}

/// A channel of that name to a stand-in, connected, with what comes in on `talk`.
fn channel(platform: Platform, sim: &Sim) -> Value {
    let app = platform.app(1).unwrap_or_else(|| platform.robot(1));
    let (kind, settings) = match platform {
        Platform::Slack => (
            "slack-app",
            json!({"token": app.token, "app_token": app.secret, "base_url": format!("{}/api", sim.base())}),
        ),
        Platform::Telegram => (
            "telegram-bot",
            json!({"token": app.token, "base_url": sim.base()}),
        ),
        Platform::Discord => (
            "discord-bot",
            json!({"token": app.token, "base_url": sim.base()}),
        ),
        Platform::DingTalk => (
            "dingtalk-app",
            json!({"app_key": app.token, "app_secret": app.secret, "base_url": sim.base()}),
        ),
        _ => (
            "feishu-app",
            json!({"app_id": app.token, "app_secret": app.secret, "base_url": sim.base()}),
        ),
    };
    let fast = json!({"per_second": 1000, "burst": 1000});
    json!({"name": "bot", "kind": kind, "settings": settings, "rate": fast, "target_rate": fast,
        "inbound": {"topic": "talk", "via": "connection"}})
}

/// A server that nobody can reach, whose channel `bot` is connected to a stand-in, and a handler behind what comes in.
struct Stage {
    server: Server,
    sim: Sim,
    bot: Receiver,
    clock: Arc<Jumping>,
    chat: String,
}

impl Stage {
    async fn set(platform: Platform, duplicates: bool) -> Self {
        let server = ServerOptions::default().start();
        let bot = Receiver::start().await;
        let clock = Arc::new(Jumping {
            real: SystemClock::new(),
            ahead: AtomicU64::new(0),
        });
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        options.duplicates = duplicates;
        let chat = platform.talks(&options.chats)[0].clone();
        let sim = Sim::start(options).await.unwrap();
        let api = server.api();
        let failures = json!({"attempt_log": "failures"});
        api.route("talk", "handler", &bot.url("/bot"), json!({}), failures)
            .await;
        api.make("/v1/channels", &channel(platform, &sim)).await;
        let stage = Self {
            server,
            sim,
            bot,
            clock,
            chat,
        };
        stage.state("live").await;
        stage
    }

    fn say(&self, text: &str, reply_to: Option<String>) -> String {
        let said = Said {
            chat: self.chat.clone(),
            name: "Ann".to_owned(),
            text: text.to_owned(),
            reply_to,
            file: None,
        };
        self.sim.say(&said).unwrap()
    }

    /// What the bot has written, once it is so much.
    async fn answers(&self, count: usize) -> Vec<Received> {
        let what = format!("the bot has written {count} messages");
        eventually(&what, || async {
            let mut messages = self.sim.messages();
            messages.retain(|message| message.from.is_none());
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    /// Waits until so many of what was sent were acknowledged.
    async fn taken(&self, count: u64) {
        eventually("the events are taken", || async {
            (self.sim.counters().events >= count).then_some(())
        })
        .await;
    }

    /// The connection, once it stands so.
    async fn state(&self, state: &str) -> Value {
        let api = self.server.api();
        eventually(&format!("the connection is {state}"), || async {
            let (status, view) = api.get("/v1/channels/bot/connection").await;
            assert_eq!(status, 200, "{view}");
            (view["state"] == state).then_some(view)
        })
        .await
    }

    /// The entries of the journal, the newest first, once one of them is so.
    async fn journal(&self, what: &str, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.journal_of(what, |entries| entries.iter().any(&is))
            .await
    }

    /// The same, once they are so.
    async fn journal_of(&self, what: &str, are: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let api = self.server.api();
        eventually(what, || async {
            let (status, page) = api.get("/v1/channels/bot/connection/journal").await;
            assert_eq!(status, 200, "{page}");
            let entries = page["items"].as_array().cloned().unwrap_or_default();
            are(&entries).then_some(entries)
        })
        .await
    }
}

/// The bot answers what it is told with its own words.
fn echo(bot: &Receiver) {
    bot.rule("/bot", |request| {
        let message = request.json();
        let text = message["body"]["segments"]
            .as_array()?
            .iter()
            .find_map(|segment| {
                segment["text"]
                    .as_str()
                    .filter(|text| !text.trim().is_empty())
            })?
            .to_owned();
        let answer =
            json!({"body": {"segments": [{"type": "text", "text": format!("you said {text}")}]}});
        let headers = vec![("content-type", MESSAGE.to_owned())];
        Some(Answer::Full(200, headers, answer.to_string().into_bytes()))
    });
}

/// The texts on `talk`, sorted.
async fn on_topic(api: &Api) -> Vec<String> {
    let (status, page) = api.get("/v1/messages?topic=talk&limit=500").await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| {
        let segments = item["message"]["body"]["segments"].as_array()?;
        let mut texts = segments
            .iter()
            .filter_map(|segment| segment["text"].as_str());
        texts
            .find(|text| !text.trim().is_empty())
            .map(str::to_owned)
    };
    let mut texts: Vec<String> = items.iter().filter_map(text).collect();
    texts.sort_unstable();
    texts
}

/// Two messages, the second in many parts where the platform has parts, with every event sent twice.
async fn talks(platform: Platform) -> (Stage, Vec<Received>) {
    let stage = Stage::set(platform, true).await;
    echo(&stage.bot);
    stage.say("hello 你好", None);
    let first = stage.answers(1).await.remove(0);
    assert_eq!(first.conversation, stage.sim.messages()[0].conversation);
    let long = "long ".repeat(700);
    stage.say(&long, None);
    let answers = stage.answers(2).await;
    stage.taken(4).await;
    assert_eq!(answers[0].text, "you said hello 你好");
    assert!(answers[1].text.starts_with("you said long"));
    assert_eq!(answers[0].conversation, answers[1].conversation);
    assert_eq!(
        on_topic(&stage.server.api()).await,
        ["hello 你好", long.as_str()]
    );
    assert_eq!(stage.bot.received("/bot").len(), 2);
    (stage, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_a_public_address_answers_on_feishu_as_a_reply() {
    let (stage, answers) = talks(Platform::Feishu).await;
    assert_eq!(answers[0].body["receive_id"], Value::Null, "it is a reply");
    stage.say("again", answers[0].id.clone());
    stage.answers(3).await;
    let (_, page) = stage.server.api().get("/v1/messages?topic=talk").await;
    let items = page["items"].as_array().unwrap();
    let answered = items
        .iter()
        .find_map(|item| item["message"]["header"]["reply_to"].as_str());
    assert_eq!(answered, answers[0].id.as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_a_public_address_answers_on_dingtalk_in_the_same_group() {
    talks(Platform::DingTalk).await;
}

/// The server is killed at moments that nothing chooses, while people write without a pause; whatever had no answer comes
/// again on the next connection, when the platform's delays are over.
async fn survives(platform: Platform, copies: usize) {
    const ROUNDS: usize = 3;
    const EVENTS: usize = 60;
    let mut stage = Stage::set(platform, copies > 1).await;
    for round in 0..ROUNDS {
        let before = stage.bot.received("/bot").len();
        for number in 0..EVENTS {
            stage.say(&format!("event {:03}", round * EVENTS + number), None);
        }
        stage.bot.count("/bot", before + 1 + round * 7).await;
        let options = stage.server.kill().await;
        stage.server = options.start();
    }
    stage.state("live").await;
    let every = u64::try_from(copies * ROUNDS * EVENTS).unwrap();
    let looks = AtomicU64::new(0);
    eventually("every event is taken", || async {
        // Now and then, so that none waits for its answer for so long by that clock that the platform gives it up.
        if looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) {
            stage.clock.jump(Duration::from_secs(60));
        }
        (stage.sim.counters().events >= every).then_some(())
    })
    .await;
    let counters = stage.sim.counters();
    assert_eq!((counters.events, counters.events_lost), (every, 0));
    assert!(counters.posts > every, "some were sent again: {counters:?}");
    let found = on_topic(&stage.server.api()).await;
    let expected: Vec<String> = (0..ROUNDS * EVENTS)
        .map(|number| format!("event {number:03}"))
        .collect();
    assert_eq!(found, expected);
    // The kills are in the journal too.
    let is_away = |entry: &Value| entry["event"] == "away";
    let entries = stage
        .journal("the journal knows of the kills", is_away)
        .await;
    let kills = entries.iter().filter(|entry| is_away(entry)).count();
    assert!(kills <= ROUNDS, "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_feishus_connection_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Feishu, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_dingtalks_stream_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::DingTalk, 2).await;
}

fn is_lost(reason: &'static str) -> impl Fn(&Value) -> bool {
    move |entry| entry["event"] == "lost" && entry["reason"] == reason
}

/// The newest entry, of a connection that is live after a gap in which the platform kept what was not answered.
fn is_back(entry: &Value) -> bool {
    entry["event"] == "live" && entry["gap"]["recovery"] == "redelivered"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wobble_of_feishus_connection_is_in_the_journal_and_loses_nothing() {
    let stage = Stage::set(Platform::Feishu, false).await;
    let session = stage.state("live").await["session"].clone();
    assert!(session.is_string(), "the platform's name for it");
    stage.sim.order(Order::Cut(None));
    stage.journal("the loss is told", is_lost("network")).await;
    stage.say("in the gap", None);
    let entries = stage.journal("it is back", is_back).await;
    assert!(is_back(&entries[0]), "{entries:#?}");
    assert_ne!(entries[0]["session"], session);
    stage.taken(1).await;
    // It stays open, but is deaf: no ping is answered.
    stage.sim.order(Order::Mute);
    stage.say("unheard", None);
    stage.journal("deafness is told", is_lost("deaf")).await;
    stage.sim.order(Order::Go);
    stage.taken(2).await;
    // What was said may have been taken before it went deaf, and a wish needs a connection to be told on.
    stage
        .journal_of("it is back again", |entries| entries[0]["event"] == "live")
        .await;
    stage.sim.order(Order::Refresh);
    stage
        .journal("the platform's wish is told", is_lost("asked"))
        .await;
    assert_eq!(
        on_topic(&stage.server.api()).await,
        ["in the gap", "unheard"]
    );
    assert_eq!(stage.sim.counters().events_lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_asks_for_another_connection_and_gets_it_at_once() {
    let stage = Stage::set(Platform::DingTalk, false).await;
    stage.sim.order(Order::Refresh);
    stage.say("hello", None);
    let entries = stage.journal("it is back", is_back).await;
    assert!(entries.iter().any(is_lost("asked")), "{entries:#?}");
    stage.taken(1).await;
    stage.sim.order(Order::Cut(None));
    stage.journal("the loss is told", is_lost("network")).await;
    stage.say("again", None);
    stage.taken(2).await;
    assert_eq!(on_topic(&stage.server.api()).await, ["again", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_shown_and_put_right_without_a_restart() {
    for platform in [Platform::Feishu, Platform::DingTalk] {
        let server = ServerOptions::default().start();
        let api = server.api();
        api.make("/v1/topics", &json!({"name": "talk"})).await;
        let sim = Sim::start(SimOptions::new(platform)).await.unwrap();
        let good = channel(platform, &sim);
        let mut wrong = good.clone();
        wrong["settings"]["app_secret"] = "a_wrong_secret".into();
        api.make("/v1/channels", &wrong).await;
        let path = "/v1/channels/bot/connection";
        let view = eventually("it is refused", || async {
            let (_, view) = api.get(path).await;
            (view["state"] == "refused").then_some(view)
        })
        .await;
        assert_eq!(view["reason"], "refused", "{view:#}");
        let detail = view["detail"].as_str().unwrap();
        assert!(detail.contains("app_secret"), "{detail}");
        assert!(!view.to_string().contains("a_wrong_secret"), "{view:#}");
        let mut good = good;
        good.as_object_mut().unwrap().remove("name");
        let (status, answer) = api.put("/v1/channels/bot", &good).await;
        assert_eq!(status, 200, "{answer}");
        eventually("it is live", || async {
            let (_, view) = api.get(path).await;
            (view["state"] == "live").then_some(())
        })
        .await;
    }
}
