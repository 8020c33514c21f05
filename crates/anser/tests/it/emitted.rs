//! Events that the stand-ins themselves send, end to end: people write in their chats, a bot that is a plain HTTP handler answers in
//! the same chat, and each event is on its topic once, whatever the platform sends twice or again and whenever the server is
//! killed.

mod guide;
mod media;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock, SystemClock};
use anser_sim::{Callback, Platform, Received, Said, Secrets, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Receiver, Server, ServerOptions, anser, eventually};

const MESSAGE: &str = "application/vnd.anser.message+json";

/// The machine's time of day, and a time for delays that jumps.
struct Jumping {
    real: SystemClock,
    ahead: AtomicU64,
}

impl Jumping {
    fn new() -> Arc<Self> {
        let real = SystemClock::new();
        let ahead = AtomicU64::new(0);
        Arc::new(Self { real, ahead })
    }

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

/// The settings of a channel to a platform's stand-in, and its kind.
fn channel(platform: Platform, secrets: &Secrets) -> (&'static str, Value) {
    let app = platform.app(1).unwrap_or_else(|| platform.robot(1));
    match platform {
        Platform::Slack => (
            "slack-app",
            json!({"token": app.token, "signing_secret": secrets.key}),
        ),
        Platform::Telegram => (
            "telegram-bot",
            json!({"token": app.token, "secret_token": secrets.token}),
        ),
        Platform::DingTalk => (
            "dingtalk-app",
            json!({"app_key": app.token, "app_secret": app.secret}),
        ),
        Platform::WeCom => {
            let (company, agent) = app.token.split_once('/').expect("company and app");
            let agent: u32 = agent.parse().unwrap();
            let settings = json!({"corp_id": company, "agent_id": agent, "corp_secret": app.secret,
                "token": secrets.token, "encoding_aes_key": secrets.key});
            ("wecom-app", settings)
        }
        Platform::WhatsApp => {
            let settings = json!({"phone_number_id": app.token, "access_token": app.secret,
                "app_secret": secrets.key, "verify_token": secrets.token});
            ("whatsapp-cloud", settings)
        }
        Platform::Discord => {
            let proof = platform.proof(secrets);
            (
                "discord-bot",
                json!({"token": app.token, proof[0].0: proof[0].1}),
            )
        }
        Platform::Feishu => {
            let mut settings = json!({"app_id": app.token, "app_secret": app.secret});
            for (name, secret) in [
                ("encrypt_key", &secrets.key),
                ("verification_token", &secrets.token),
            ] {
                if let Some(secret) = secret {
                    settings[name] = secret.as_str().into();
                }
            }
            ("feishu-app", settings)
        }
    }
}

/// A server with a channel `bot` to a stand-in that calls it back, and a handler behind what comes in.
struct Stage {
    server: Server,
    sim: Sim,
    bot: Receiver,
    clock: Arc<Jumping>,
    chat: String,
}

impl Stage {
    async fn set(platform: Platform, secrets: Secrets, duplicates: bool) -> Self {
        Self::set_on(&ServerOptions::default(), platform, secrets, duplicates).await
    }

    async fn set_on(
        server: &ServerOptions,
        platform: Platform,
        secrets: Secrets,
        duplicates: bool,
    ) -> Self {
        let server = server.start();
        let bot = Receiver::start().await;
        let clock = Jumping::new();
        let (kind, mut settings) = channel(platform, &secrets);
        let callback = Callback::new(&format!("{}/in/bot", server.base()), secrets).unwrap();
        let mut options = SimOptions::new(platform);
        options.limits = Vec::new();
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        options.callback = Some(match duplicates {
            true => callback.duplicated(),
            false => callback,
        });
        let chat = platform.talks(&options.chats)[0].clone();
        let sim = Sim::start(options).await.unwrap();
        let api = server.api();
        let failures = json!({"attempt_log": "failures"});
        api.route("talk", "handler", &bot.url("/bot"), json!({}), failures)
            .await;
        settings["base_url"] = match platform {
            Platform::Slack => format!("{}/api", sim.base()),
            _ => sim.base().to_owned(),
        }
        .into();
        let fast = json!({"per_second": 1000, "burst": 1000});
        let channel = json!({"name": "bot", "kind": kind, "settings": settings, "rate": fast, "target_rate": fast,
            "inbound": {"topic": "talk"}});
        api.make("/v1/channels", &channel).await;
        Self {
            server,
            sim,
            bot,
            clock,
            chat,
        }
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

    /// Waits until so many of what was sent were answered with success.
    async fn taken(&self, count: u64) {
        eventually("the events are taken", || async {
            (self.sim.counters().events >= count).then_some(())
        })
        .await;
    }
}

/// The bot answers what it is told with its own words.
fn echo(bot: &Receiver, path: &str) {
    bot.rule(path, |request| {
        let message = request.json();
        // A command has its words in an option; beside a mention there is more than one text.
        let text = match message["body"]["data"]["options"]["text"].as_str() {
            Some(option) => option.to_owned(),
            None => {
                let segments = message["body"]["segments"].as_array()?;
                let texts = segments
                    .iter()
                    .filter_map(|segment| segment["text"].as_str());
                texts.collect()
            }
        };
        let text = text.trim();
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

/// Two messages, the second of which answers the first answer, with every event sent twice.
async fn talks(platform: Platform, secrets: Secrets) -> (Stage, Vec<Received>) {
    let stage = Stage::set(platform, secrets, true).await;
    echo(&stage.bot, "/bot");
    stage.say("hello 你好", None);
    let first = stage.answers(1).await.remove(0);
    assert_eq!(first.conversation, stage.sim.messages()[0].conversation);
    stage.say("again <&>", first.id);
    let answers = stage.answers(2).await;
    stage.taken(4).await;
    assert_eq!(answers[0].text, "you said hello 你好");
    // Each platform has its own way to write the signs behind it.
    assert!(
        answers[1].text.starts_with("you said again "),
        "{:?}",
        answers[1].text
    );
    assert_eq!(answers[0].conversation, answers[1].conversation);
    assert_eq!(
        on_topic(&stage.server.api()).await,
        ["again <&>", "hello 你好"]
    );
    assert_eq!(stage.bot.received("/bot").len(), 2);
    (stage, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_feishu_what_comes_encrypted_and_signed() {
    let secrets = Platform::Feishu.secrets();
    let (stage, answers) = talks(Platform::Feishu, secrets).await;
    assert_eq!(answers[0].body["receive_id"], Value::Null, "it is a reply");
    let (_, page) = stage.server.api().get("/v1/messages?topic=talk").await;
    let headers: Vec<&Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["message"]["header"])
        .collect();
    let answered = headers.iter().find(|header| header["reply_to"].is_string());
    assert_eq!(
        answered.expect("the second answers")["reply_to"],
        json!(answers[0].id)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_feishu_what_comes_plain_with_a_token() {
    let secrets = Secrets {
        key: None,
        token: Some("a_token".to_owned()),
    };
    talks(Platform::Feishu, secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_slack_in_the_thread() {
    let secrets = Platform::Slack.secrets();
    let (stage, answers) = talks(Platform::Slack, secrets).await;
    let root = stage.sim.messages()[0].id.clone();
    for answer in answers {
        assert_eq!(answer.body["thread_ts"], json!(root), "{:#}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_telegram_as_a_reply() {
    let secrets = Platform::Telegram.secrets();
    let (stage, answers) = talks(Platform::Telegram, secrets).await;
    let mut asked = stage.sim.messages();
    asked.retain(|message| message.from.is_some());
    for (answer, asked) in answers.iter().zip(asked) {
        let reply = answer.body["reply_parameters"].clone();
        let reply = reply
            .as_str()
            .map_or(Ok(reply.clone()), serde_json::from_str);
        let id = reply.unwrap()["message_id"].to_string();
        assert_eq!(Some(id), asked.id, "{:#}", answer.body);
    }
}

/// Somebody says hello, sent twice by the platform, and is answered once in the same place.
async fn echoes(platform: Platform) -> (Stage, Received) {
    let stage = Stage::set(platform, platform.secrets(), true).await;
    echo(&stage.bot, "/bot");
    stage.say("hello 你好", None);
    let answer = stage.answers(1).await.remove(0);
    stage.taken(2).await;
    assert_eq!(answer.text, "you said hello 你好");
    assert_eq!(answer.conversation, stage.sim.messages()[0].conversation);
    assert_eq!(stage.bot.received("/bot").len(), 1);
    assert_eq!(stage.answers(1).await.len(), 1);
    (stage, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_dingtalk_in_the_same_group() {
    let (_, answer) = echoes(Platform::DingTalk).await;
    assert_eq!(answer.body["openConversationId"], answer.conversation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_wecom_what_comes_encrypted() {
    let (stage, answer) = echoes(Platform::WeCom).await;
    assert_eq!(answer.body["touser"], stage.chat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_whatsapp_as_a_reply() {
    let (stage, answer) = echoes(Platform::WhatsApp).await;
    let asked = stage.sim.messages()[0].id.clone();
    assert_eq!(answer.body["context"]["message_id"], json!(asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_answers_on_discord_what_is_given_as_a_command() {
    let (stage, answer) = echoes(Platform::Discord).await;
    assert_eq!(answer.conversation, stage.chat);
    let (_, page) = stage.server.api().get("/v1/messages?topic=talk").await;
    assert_eq!(
        page["items"][0]["message"]["header"]["type"],
        "chat.command"
    );
    assert!(!page.to_string().contains("\"token\""), "{page:#}");
}

/// The server is killed at moments that nothing chooses, while people write without a pause; whatever had no answer comes
/// again when the platform's delays are over.
async fn survives(platform: Platform) {
    const ROUNDS: usize = 4;
    const EVENTS: usize = 60;
    let secrets = platform.secrets();
    let Stage {
        server,
        sim,
        bot,
        clock,
        chat,
    } = Stage::set(platform, secrets, true).await;
    let address = server.base().strip_prefix("http://").unwrap().to_owned();
    let mut stage = Stage {
        server,
        sim,
        bot,
        clock,
        chat,
    };
    for round in 0..ROUNDS {
        let before = stage.bot.received("/bot").len();
        for number in 0..EVENTS {
            stage.say(&format!("event {:03}", round * EVENTS + number), None);
        }
        stage.bot.count("/bot", before + 1 + round * 7).await;
        let options = stage.server.kill().await;
        stage.server = options.listen_on(&address).start();
    }
    let every = u64::try_from(2 * ROUNDS * EVENTS).unwrap();
    eventually("every event is taken", || async {
        stage.clock.jump(Duration::from_secs(1));
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
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_feishu_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Feishu).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_slack_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_telegram_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::Telegram).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_whatsapp_is_on_its_topic_once_also_when_the_server_is_killed() {
    survives(Platform::WhatsApp).await;
}

/// A running `anser sim`; killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_the_secrets_that_it_uses() {
    let bot = Receiver::start().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_anser"))
        .args(["sim", "telegram", "--output", "json", "--duplicates"])
        .args(["--callback", &bot.url("/bot")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let _running = Running(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let page = Api::new(told["page"].as_str().unwrap(), None);
    let said = json!({"chat": told["talks"][0], "name": "Ann", "text": "hello"});
    page.make("/_sim/say", &said).await;
    let updates = bot.count("/bot", 2).await;
    assert_eq!(updates[0].json(), updates[1].json(), "they are duplicates");
    assert_eq!(updates[0].json()["message"]["text"], "hello");
    assert_eq!(
        updates[0].header("x-telegram-bot-api-secret-token"),
        told["secret_token"].as_str().unwrap()
    );
}

#[test]
fn a_callback_that_cannot_be_is_refused_with_what_to_do() {
    for (arguments, part) in [
        (
            &[
                "dingtalk",
                "--callback",
                "http://127.0.0.1:9/",
                "--app-secret",
                "x",
            ][..],
            "leave it out",
        ),
        (&["slack", "--callback", "https://a.example/"], "http://"),
        (
            &[
                "slack",
                "--callback",
                "http://127.0.0.1:9/",
                "--secret-token",
                "x",
            ],
            "leave it out",
        ),
        (&["feishu", "--encrypt-key", "x"], "--callback"),
    ] {
        let ran = anser(&[&["sim"], arguments].concat());
        assert_ne!(ran.code, 0, "{arguments:?}");
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
}
