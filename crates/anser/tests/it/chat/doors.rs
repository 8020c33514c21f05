//! Every way into a platform, robots and apps alike, each with a stand-in of its own and a channel to it. Must not know what is
//! sent.

use anser_sim::{FaultKind, Limit, Platform, Sim, SimOptions};
use serde_json::{Value, json};

use super::{CHAT, PERSON};
use crate::harness::{Api, Server, ServerOptions};

/// One way into a platform.
#[derive(Clone, Copy)]
pub(super) struct Door {
    /// The kind of channel, and the channel's name.
    pub(super) kind: &'static str,
    pub(super) platform: Platform,
    /// With an app's credentials and not a robot's.
    is_app: bool,
    /// A code with which the platform asks to try again, after which nothing was taken; `None`: it says so by the status.
    busy: Option<&'static str>,
}

const fn robot(kind: &'static str, platform: Platform, busy: Option<&'static str>) -> Door {
    Door {
        kind,
        platform,
        is_app: false,
        busy,
    }
}

const fn app(kind: &'static str, platform: Platform, busy: Option<&'static str>) -> Door {
    Door {
        is_app: true,
        ..robot(kind, platform, busy)
    }
}

/// All of them.
pub(super) const DOORS: [Door; 12] = [
    robot("feishu-robot", Platform::Feishu, Some("2200")),
    app("feishu-app", Platform::Feishu, Some("230049")),
    robot("dingtalk-robot", Platform::DingTalk, Some("-1")),
    app("dingtalk-app", Platform::DingTalk, Some("systemError")),
    robot("wecom-robot", Platform::WeCom, Some("-1")),
    app("wecom-app", Platform::WeCom, Some("-1")),
    robot("slack-webhook", Platform::Slack, Some("rollup_error")),
    app("slack-app", Platform::Slack, Some("internal_error")),
    robot("discord-webhook", Platform::Discord, None),
    app("discord-bot", Platform::Discord, None),
    robot("telegram-bot", Platform::Telegram, None),
    robot("whatsapp-cloud", Platform::WhatsApp, Some("131000")),
];

impl Door {
    /// What the platform answers when it is to be tried again: where it can, inside of a success.
    pub(super) fn busy(&self) -> FaultKind {
        match self.busy {
            Some(code) => FaultKind::Refuse {
                code: code.to_owned(),
            },
            None => FaultKind::ServerError { status: 500 },
        }
    }

    /// The settings of a channel through this door.
    pub(super) fn settings(&self, sim: &Sim) -> Value {
        if !self.is_app {
            return super::settings(self.platform, sim, &sim.robots()[0]);
        }
        let app = self.platform.app(1).expect("it has apps");
        let (token, secret, base) = (&app.token, &app.secret, sim.base());
        match self.platform {
            Platform::Feishu => {
                json!({"app_id": token, "app_secret": secret, "receive_id": "oc_e2e", "base_url": base})
            }
            Platform::DingTalk => {
                json!({"app_key": token, "app_secret": secret, "to": "user/ann", "base_url": base})
            }
            Platform::WeCom => {
                let (corp, agent) = token.split_once('/').expect("both are in it");
                let agent: u32 = agent.parse().expect("a number");
                json!({"corp_id": corp, "corp_secret": secret, "agent_id": agent, "to": "user/ann", "base_url": base})
            }
            Platform::Slack => {
                json!({"token": token, "channel": "C0000002001", "base_url": format!("{base}/api")})
            }
            Platform::Discord => {
                json!({"token": token, "channel_id": "1000000000000000001", "base_url": base})
            }
            Platform::Telegram | Platform::WhatsApp => {
                unreachable!("{CHAT} and {PERSON} are for these, which have no apps")
            }
        }
    }
}

/// A server and every door.
pub(super) struct Doors {
    server: Option<Server>,
    pub(super) sims: Vec<(Door, Sim)>,
}

impl Doors {
    /// With these limits on the stand-ins, and this rate on the channels, also to one chat.
    pub(super) async fn open(options: ServerOptions, limits: &[Limit], rate: &Value) -> Self {
        let server = options.start();
        let api = server.api();
        let mut sims = Vec::new();
        for door in DOORS {
            let mut options = SimOptions::new(door.platform);
            options.limits = limits.to_vec();
            let sim = Sim::start(options).await.unwrap();
            let channel = json!({"name": door.kind, "kind": door.kind, "settings": door.settings(&sim),
                "rate": rate, "target_rate": rate});
            api.make("/v1/channels", &channel).await;
            sims.push((door, sim));
        }
        Self {
            server: Some(server),
            sims,
        }
    }

    pub(super) fn api(&self) -> Api {
        self.server.as_ref().expect("it runs").api()
    }

    /// Kills the server and starts it again on the same data.
    pub(super) async fn kill_and_restart(&mut self) {
        let running = self.server.take().expect("it runs");
        let options = running.kill().await;
        self.server = Some(options.start());
    }
}
