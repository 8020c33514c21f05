//! Messages out to chat platforms, end to end: the real binary sends, stand-ins of the platforms judge. Must not look into
//! either; what a stand-in took and counted is the evidence.

mod command_line;
mod doors;
mod everywhere;
mod faults;
mod native;
mod one_chat;
mod parts;
mod rates;
mod refusals;

use anser_sim::{Limit, Platform, Robot, Sim, SimOptions};
use serde_json::{Value, json};

use crate::harness::{Api, Server, ServerOptions};

/// The channels that there are, by the platform that takes what they send.
const PLATFORMS: [Platform; 7] = Platform::ALL;
/// The chat that a bot which needs one writes to.
const CHAT: i64 = 1_001;
/// The person whom a number that needs one writes to.
const PERSON: &str = "15550001001";

/// The kind of channel for a platform.
fn kind(platform: Platform) -> &'static str {
    match platform {
        Platform::Feishu => "feishu-robot",
        Platform::DingTalk => "dingtalk-robot",
        Platform::WeCom => "wecom-robot",
        Platform::Slack => "slack-webhook",
        Platform::Discord => "discord-webhook",
        Platform::Telegram => "telegram-bot",
        Platform::WhatsApp => "whatsapp-cloud",
    }
}

/// Where the real platform is.
fn host(platform: Platform) -> &'static str {
    match platform {
        Platform::Feishu => "https://open.feishu.cn",
        Platform::DingTalk => "https://oapi.dingtalk.com",
        Platform::WeCom => "https://qyapi.weixin.qq.com",
        Platform::Slack => "https://hooks.slack.com",
        Platform::Discord => "https://discord.com",
        Platform::Telegram => "https://api.telegram.org",
        Platform::WhatsApp => "https://graph.facebook.com",
    }
}

/// The settings of a channel that goes to a robot of a stand-in.
fn settings(platform: Platform, sim: &Sim, robot: &Robot) -> Value {
    if platform == Platform::Telegram {
        return json!({"token": robot.token, "chat_id": CHAT.to_string(), "base_url": sim.base()});
    }
    if platform == Platform::WhatsApp {
        return json!({"phone_number_id": robot.token, "access_token": robot.secret, "to": PERSON, "base_url": sim.base()});
    }
    let address = format!("{}{}", host(platform), platform.path(robot));
    let mut settings = json!({"webhook_url": address, "base_url": sim.base()});
    if let Some(secret) = &robot.secret {
        settings["secret"] = secret.as_str().into();
    }
    settings
}

/// A server and a stand-in of every platform, with a channel to each, named as the platform.
struct Stage {
    server: Server,
    sims: Vec<(Platform, Sim)>,
}

impl Stage {
    /// With these limits on the stand-ins, and this rate on the channels; `None`: the real ones.
    async fn set(limits: Option<&[Limit]>, rate: Option<Value>) -> Self {
        let server = ServerOptions::default().start();
        let api = server.api();
        let mut sims = Vec::new();
        for platform in PLATFORMS {
            let mut options = SimOptions::new(platform);
            if let Some(limits) = limits {
                options.limits = limits.to_vec();
            }
            let sim = Sim::start(options).await.unwrap();
            let settings = settings(platform, &sim, &sim.robots()[0]);
            let mut channel =
                json!({"name": platform.name(), "kind": kind(platform), "settings": settings});
            if let Some(rate) = &rate {
                channel["rate"] = rate.clone();
            }
            api.make("/v1/channels", &channel).await;
            sims.push((platform, sim));
        }
        Self { server, sims }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    fn sim(&self, platform: Platform) -> &Sim {
        let found = self.sims.iter().find(|(known, _)| *known == platform);
        &found.expect("there is one of every platform").1
    }
}

/// A message with this text, straight to a platform's channel; answers its id.
async fn send_text(api: &Api, platform: Platform, text: &str) -> String {
    let item = json!({"header": {"to": [platform.name()]}, "body": {"segments": [{"type": "text", "text": text}]}});
    let answer = api.make("/v1/messages", &item).await;
    answer["id"].as_str().expect("an id").to_owned()
}

/// The outcome of each attempt, in order.
fn outcomes(delivery: &Value) -> Vec<&str> {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(|attempt| attempt["outcome"].as_str())
        .collect()
}
