//! In from the platforms, end to end: signed events reach their topic once, whatever is sent again and whenever the server is
//! killed, and a bot that is a plain HTTP handler answers in the same chat and thread.

mod echo;
mod program;

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock as _, SystemClock};
use anser_sim::{Platform, Sim, SimOptions};
use aws_lc_rs::hmac;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, Api, Receiver, Server, ServerOptions, eventually};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// A channel that the stand-in's bot is in, and a person.
const CHANNEL: &str = "C0000002001";
const PERSON: &str = "U0000001001";
/// The message that the thread is below.
const THREAD: &str = "1763000000.000100";
const MESSAGE: &str = "application/vnd.anser.message+json";

/// A stand-in of Slack, an app of it whose events go to `talk`, and a receiver at `/bot` that they are delivered to.
struct Stage {
    server: Server,
    sim: Sim,
    bot: Receiver,
}

impl Stage {
    async fn set(handler: Value) -> Self {
        Self::on(ServerOptions::default().start(), handler).await
    }

    async fn on(server: Server, handler: Value) -> Self {
        let mut options = SimOptions::new(Platform::Slack);
        options.limits = Vec::new();
        let sim = Sim::start(options).await.unwrap();
        let bot = Receiver::start().await;
        let api = server.api();
        api.route(
            "talk",
            "handler",
            &bot.url("/bot"),
            handler,
            json!({"attempt_log": "failures"}),
        )
        .await;
        let fast = json!({"per_second": 1000, "burst": 1000});
        let token = Platform::Slack.app(1).expect("there are apps").token;
        let channel = json!({
            "name": "slack", "kind": "slack-app", "rate": fast, "target_rate": fast, "inbound": {"topic": "talk"},
            "settings": {"token": token, "signing_secret": SECRET, "base_url": format!("{}/api", sim.base())},
        });
        api.make("/v1/channels", &channel).await;
        Self { server, sim, bot }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// What the platform shows, by text and thread, once there is so much.
    async fn shown(&self, count: usize) -> Vec<(String, Option<String>)> {
        let what = format!("{count} messages are on the platform");
        let messages = eventually(&what, || async {
            let messages = self.sim.messages();
            (messages.len() >= count).then_some(messages)
        });
        let thread = |body: &Value| body["thread_ts"].as_str().map(str::to_owned);
        let messages = messages.await.into_iter();
        messages
            .map(|message| (message.text.clone(), thread(&message.body)))
            .collect()
    }
}

/// The bot answers what it is told with its own words: all that an echo bot is.
fn echo(bot: &Receiver) {
    bot.rule("/bot", |request| {
        let message = request.json();
        let text = message["body"]["segments"][0]["text"].as_str()?.to_owned();
        let answer =
            json!({"body": {"segments": [{"type": "text", "text": format!("you said {text}")}]}});
        let headers = vec![("content-type", MESSAGE.to_owned())];
        Some(Answer::Full(200, headers, answer.to_string().into_bytes()))
    });
}

/// Hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message that somebody wrote in the thread.
fn said(number: usize, text: &str) -> String {
    let event = json!({
        "type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": format!("Ev{number:08}"),
        "event_time": 1_763_000_001,
        "event": {"type": "message", "user": PERSON, "text": text, "ts": format!("1763000001.{number:06}"),
            "thread_ts": THREAD, "channel": CHANNEL, "channel_type": "channel"},
    });
    event.to_string()
}

/// Sends an event as Slack does, and answers the status; `None` when the server is not there.
async fn post(base: &str, body: &str, secret: &str) -> Option<u16> {
    let now: Timestamp = SystemClock::new().now();
    let time = now.seconds().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{time}:{body}").as_bytes());
    let request = Api::new(base, None)
        .request(Method::POST, "/in/slack")
        .header("content-type", "application/json")
        .header("x-slack-request-timestamp", time)
        .header("x-slack-signature", format!("v0={}", hex(tag.as_ref())))
        .timeout(Duration::from_secs(10))
        .body(body.to_owned());
    request
        .send()
        .await
        .ok()
        .map(|answer| answer.status().as_u16())
}

/// The texts on a topic, sorted.
async fn on_topic(api: &Api, topic: &str) -> Vec<String> {
    let (status, page) = api
        .get(&format!("/v1/messages?topic={topic}&limit=500"))
        .await;
    assert_eq!(status, 200, "{page}");
    let text = |item: &Value| {
        item["message"]["body"]["segments"][0]["text"]
            .as_str()
            .map(str::to_owned)
    };
    let items = page["items"].as_array().cloned().unwrap_or_default();
    let mut texts: Vec<String> = items.iter().filter_map(text).collect();
    texts.sort_unstable();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_bot_answers_in_the_same_thread_once_for_each_event() {
    let stage = Stage::set(json!({})).await;
    echo(&stage.bot);
    let event = said(1, "hello");
    for _ in 0..3 {
        assert_eq!(post(stage.server.base(), &event, SECRET).await, Some(200));
    }
    assert_eq!(
        post(stage.server.base(), &said(2, "again"), SECRET).await,
        Some(200)
    );
    let mut shown = stage.shown(2).await;
    shown.sort_unstable();
    let in_thread = |text: &str| (text.to_owned(), Some(THREAD.to_owned()));
    assert_eq!(
        shown,
        [in_thread("you said again"), in_thread("you said hello")]
    );
    assert_eq!(on_topic(&stage.api(), "talk").await, ["again", "hello"]);
    assert_eq!(stage.bot.count("/bot", 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_event_reaches_no_topic_and_no_bot() {
    let stage = Stage::set(json!({})).await;
    echo(&stage.bot);
    assert_eq!(
        post(stage.server.base(), &said(1, "evil"), "guess").await,
        Some(401)
    );
    assert_eq!(
        post(stage.server.base(), &said(2, "good"), SECRET).await,
        Some(200)
    );
    stage.shown(1).await;
    assert_eq!(on_topic(&stage.api(), "talk").await, ["good"]);
    let log = stage.server.log();
    assert!(
        log.contains("wrong_signature") && !log.contains("evil"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_elsewhere_is_not_sent_and_noted() {
    let stage = Stage::set(json!({})).await;
    let item = json!({"header": {"to": ["slack/C0000003001"]}, "body": {"data": "psst"}});
    let headers = vec![("content-type", MESSAGE.to_owned())];
    let answer = Answer::Full(200, headers, item.to_string().into_bytes());
    stage.bot.answer("/bot", answer);
    assert_eq!(
        post(stage.server.base(), &said(1, "hello"), SECRET).await,
        Some(200)
    );
    let api = stage.api();
    let (_, page) = api.get("/v1/messages?topic=talk").await;
    let id = page["items"][0]["message"]["header"]["id"]
        .as_str()
        .unwrap();
    let delivery = api.delivery_in(id, "delivered").await;
    let note = &delivery["attempt_log"][0]["error"];
    assert!(
        note.as_str()
            .is_some_and(|note| note.contains("address_not_allowed")),
        "{delivery:#}"
    );
    assert!(stage.sim.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_by_its_id_from_the_command_line() {
    let stage = Stage::set(json!({})).await;
    assert_eq!(
        post(stage.server.base(), &said(1, "hello"), SECRET).await,
        Some(200)
    );
    let (_, page) = stage.api().get("/v1/messages?topic=talk").await;
    let id = page["items"][0]["message"]["header"]["id"]
        .as_str()
        .unwrap();
    stage
        .server
        .anser(&["send", "--reply-to", id, "a person says hi"])
        .ok();
    let shown = stage.shown(1).await;
    assert_eq!(
        shown,
        [("a person says hi".to_owned(), Some(THREAD.to_owned()))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_takes_what_comes_in_is_made_from_the_command_line() {
    let stage = Stage::set(json!({})).await;
    let create = |more: &[&str]| {
        let mut all = vec![
            "channel",
            "create",
            "cli",
            "--kind",
            "slack-app",
            "--inbound",
            "talk",
        ];
        all.extend(["--set", "token=xoxb-1-2-abc"]);
        all.extend(more);
        stage.server.anser(&all)
    };
    let refused = create(&[]);
    assert!(
        refused.stderr.contains("missing_secret"),
        "{}",
        refused.stderr
    );
    create(&["--set", &format!("signing_secret={SECRET}")]).ok();
    let (_, shown) = stage.api().get("/v1/channels/cli").await;
    assert_eq!(shown["inbound"], json!({"topic": "talk"}));
}

/// The server is killed while events come in and are answered; the platform sends again what it had no answer to, and some
/// of what it had.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_on_its_topic_exactly_once_also_when_the_server_is_killed() {
    const ROUNDS: usize = 3;
    const EVENTS: usize = 40;
    let Stage { server, sim, bot } = Stage::set(json!({})).await;
    echo(&bot);
    let mut server = Some(server);
    let events: Vec<String> = (0..ROUNDS * EVENTS)
        .map(|n| said(n, &format!("event {n:03}")))
        .collect();
    for round in events.chunks(EVENTS) {
        let running = server.take().expect("it is started again each time");
        let mut sending = JoinSet::new();
        for event in round {
            let (base, event) = (running.base().to_owned(), event.clone());
            sending.spawn(async move { post(&base, &event, SECRET).await });
        }
        // Some are on the topic, and most are on their way.
        let before = bot.received("/bot").len();
        bot.count("/bot", before + 1).await;
        server = Some(running.kill().await.start());
        sending.join_all().await;
    }
    let server = server.expect("it was started again");
    let stage = Stage { server, sim, bot };
    for event in &events {
        assert_eq!(post(stage.server.base(), event, SECRET).await, Some(200));
    }
    let expected = |word: &str| -> Vec<String> {
        let all = 0..ROUNDS * EVENTS;
        all.map(|n| format!("{word}event {n:03}")).collect()
    };
    assert_eq!(on_topic(&stage.api(), "talk").await, expected(""));
    // Each was answered once, whatever was delivered to the bot again.
    eventually("every event is answered", || async {
        let answered = on_topic(&stage.api(), "$direct").await;
        (answered.len() >= events.len()).then_some(())
    })
    .await;
    assert_eq!(
        on_topic(&stage.api(), "$direct").await,
        expected("you said ")
    );
}
