//! The stand-ins speak the platforms' own protocols: PyPI `slack_sdk`'s client of Socket Mode, `python-telegram-bot`'s polling and
//! `discord.py`'s Gateway, unchanged, are told what people write, and again after a loss.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use anser_sim::{Order, Platform, Said, Sim, SimOptions};

use super::sdk::folder;
use super::{python, script};
use crate::harness::eventually;

/// A bot of Python; killed when it is dropped.
struct Bot {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Bot {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Bot {
    fn start(sim: &Sim, platform: Platform) -> Self {
        let app = platform.app(1).unwrap_or_else(|| platform.robot(1));
        let mut child = Command::new(python())
            .arg(script("sdk_connected_west.py"))
            .args([platform.name(), sim.base(), &app.token])
            .args(app.secret)
            .env("PYTHONPATH", folder("ANSER_EXTERNAL_SDKS"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let line = tokio::task::block_in_place(|| self.lines.next());
        let line = line.expect("the bot goes on").unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn say(sim: &Sim, platform: Platform, text: &str) {
    let said = Said {
        chat: platform.talks(&platform.chats())[0].clone(),
        text: text.to_owned(),
        ..Said::default()
    };
    sim.say(&said).unwrap();
}

/// A stand-in to which a client has opened a WebSocket.
async fn connected(platform: Platform) -> (Sim, Bot) {
    let sim = Sim::start(SimOptions::new(platform)).await.unwrap();
    let bot = Bot::start(&sim, platform);
    lines(&sim, 1).await;
    (sim, bot)
}

async fn lines(sim: &Sim, count: u64) {
    eventually("the client is connected", || async {
        (sim.counters().lines >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_sdk_is_connected_to_the_stand_in_of_slack_by_socket_mode() {
    let (sim, mut bot) = connected(Platform::Slack).await;
    for (number, text) in ["hello 你好", "again"].into_iter().enumerate() {
        say(&sim, Platform::Slack, text);
        assert_eq!(bot.line(), text);
        if number == 0 {
            sim.order(Order::Refresh);
            lines(&sim, 2).await;
        }
    }
    eventually("all are acknowledged", || async {
        (sim.counters().events == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_polls_the_stand_in_of_telegram() {
    let platform = Platform::Telegram;
    let sim = Sim::start(SimOptions::new(platform)).await.unwrap();
    let mut bot = Bot::start(&sim, platform);
    for text in ["hello 你好", "again"] {
        say(&sim, platform, text);
        assert_eq!(bot.line(), text);
    }
    eventually("all are confirmed", || async {
        (sim.counters().events == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_py_has_a_session_with_the_stand_in_of_discord_and_resumes_it() {
    let (sim, mut bot) = connected(Platform::Discord).await;
    // What is said before a session began is missing there.
    eventually("the session has begun", || async {
        say(&sim, Platform::Discord, "hello");
        (sim.counters().posts > 0).then_some(())
    })
    .await;
    assert_eq!(bot.line(), "hello");
    sim.order(Order::Cut(None));
    say(&sim, Platform::Discord, "in the gap");
    lines(&sim, 2).await;
    say(&sim, Platform::Discord, "again");
    let mut line = bot.line();
    while line == "hello" {
        line = bot.line();
    }
    assert_eq!([line, bot.line()], ["in the gap", "again"]);
}
