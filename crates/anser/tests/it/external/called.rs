//! What the stand-ins send is what the official verifiers take: PyPI `lark-oapi`'s dispatcher, with its check of the URL,
//! `slack_sdk`'s verifier of signatures, `slack_bolt`'s app, `wechatpy`'s envelope of WeCom, and PyNaCl for Discord.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use anser_sim::{Callback, Platform, Said, Secrets, Sim, SimOptions};
use serde_json::{Value, json};

use super::sdk::folder;
use super::{python, script};

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
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(python())
            .arg(script("sdk_called.py"))
            .args(arguments)
            .env("PYTHONPATH", folder("ANSER_EXTERNAL_SDKS"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> Value {
        let line = tokio::task::block_in_place(|| self.lines.next());
        let line = line.expect("the bot goes on").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// A stand-in that calls it, and what it is told of what somebody writes.
    async fn hears(&mut self, platform: Platform, secrets: Secrets) {
        let port = self.line();
        let url = format!("http://127.0.0.1:{port}/");
        let mut options = SimOptions::new(platform);
        options.callback = Some(Callback::new(&url, secrets).unwrap());
        let chat = platform.talks(&options.chats)[0].clone();
        let sim = Sim::start(options).await.unwrap();
        for text in ["hello 你好", "again"] {
            let said = Said {
                chat: chat.clone(),
                text: text.to_owned(),
                ..Said::default()
            };
            sim.say(&said).unwrap();
            assert_eq!(self.line(), json!({"status": 200, "text": text}));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lark_oapi_takes_what_the_stand_in_of_feishu_sends() {
    let secrets = Platform::Feishu.secrets();
    let (key, token) = (secrets.key.clone(), secrets.token.clone());
    let mut bot = Bot::start(&["feishu", &key.unwrap(), &token.unwrap()]);
    bot.hears(Platform::Feishu, secrets).await;
    let plain = Secrets {
        key: None,
        token: Some("a_token".to_owned()),
    };
    let mut bot = Bot::start(&["feishu", "", "a_token"]);
    bot.hears(Platform::Feishu, plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_sdk_takes_what_the_stand_in_of_slack_sends() {
    let secrets = Platform::Slack.secrets();
    let secret = secrets.key.clone().unwrap();
    let mut bot = Bot::start(&["slack", &secret]);
    bot.hears(Platform::Slack, secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_bolt_takes_what_the_stand_in_of_slack_sends() {
    let secrets = Platform::Slack.secrets();
    let secret = secrets.key.clone().unwrap();
    let mut bot = Bot::start(&["bolt", &secret]);
    bot.hears(Platform::Slack, secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wechatpy_takes_what_the_stand_in_of_wecom_sends() {
    let secrets = Platform::WeCom.secrets();
    let app = Platform::WeCom.app(1).expect("it has apps");
    let company = app.token.split('/').next().unwrap();
    let (token, key) = (secrets.token.clone(), secrets.key.clone());
    let mut bot = Bot::start(&["wecom", &token.unwrap(), &key.unwrap(), company]);
    bot.hears(Platform::WeCom, secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pynacl_takes_what_the_stand_in_of_discord_sends() {
    let secrets = Platform::Discord.secrets();
    let (_, key) = Platform::Discord.proof(&secrets).remove(0);
    let mut bot = Bot::start(&["discord", &key]);
    bot.hears(Platform::Discord, secrets).await;
}
