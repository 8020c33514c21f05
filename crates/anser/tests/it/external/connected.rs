//! The stand-ins speak the platforms' own protocols of long connections: PyPI `lark-oapi`'s client of the long connection and
//! `dingtalk-stream`'s of the stream, unchanged, are told what people write, in parts and again after a loss.

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
        let app = platform.app(1).unwrap();
        let secret = app.secret.unwrap();
        let mut child = Command::new(python())
            .arg(script("sdk_connected.py"))
            .args([platform.name(), sim.base(), &app.token, &secret])
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

/// What is written is told, twice where it is sent twice, and after `order` on another connection.
async fn hears(platform: Platform, order: Order) {
    let mut options = SimOptions::new(platform);
    options.duplicates = true;
    let chat = platform.talks(&options.chats)[0].clone();
    let sim = Sim::start(options).await.unwrap();
    let mut bot = Bot::start(&sim, platform);
    let opened = async |count: u64| {
        eventually("the client is connected", || async {
            (sim.counters().lines >= count).then_some(())
        })
        .await;
    };
    let long = "long ".repeat(700);
    for (number, text) in ["hello 你好", long.as_str(), "again"]
        .into_iter()
        .enumerate()
    {
        if number == 2 {
            sim.order(order);
            opened(2).await;
        } else {
            opened(1).await;
        }
        let said = Said {
            chat: chat.clone(),
            text: text.to_owned(),
            ..Said::default()
        };
        sim.say(&said).unwrap();
        for _ in 0..2 {
            assert_eq!(bot.line(), text);
        }
    }
    eventually("all are acknowledged", || async {
        (sim.counters().events == 6).then_some(())
    })
    .await;
    assert_eq!(sim.counters().events_lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lark_oapi_is_connected_to_the_stand_in_of_feishu() {
    hears(Platform::Feishu, Order::Cut(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_stream_is_connected_to_the_stand_in_of_dingtalk() {
    hears(Platform::DingTalk, Order::Refresh).await;
}
