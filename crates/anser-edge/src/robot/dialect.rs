//! The dialects by name: how each proves its sender, reads a request and answers it. A dialect is one row here and a file of
//! its own. Pure.

use anser_gateway::publish::Published;
use http::Method;
use serde_json::json;

use super::reply::{Reply, json as reply};
use super::told::{Fault, Posted, Told};
use super::{
    alertmanager, dingtalk, discord, document, feishu, github, gitlab, grafana, plain, proof,
    sentry, slack, wecom,
};

/// How a robot is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A group robot of Feishu or Lark.
    Feishu,
    /// A group robot of DingTalk.
    DingTalk,
    /// A group robot of WeCom.
    WeCom,
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// A webhook contact point of Grafana.
    Grafana,
    /// A webhook receiver of Prometheus Alertmanager.
    Alertmanager,
    /// A webhook of GitHub.
    GitHub,
    /// A webhook of GitLab.
    GitLab,
    /// A webhook of Sentry.
    Sentry,
    /// Any JSON document.
    Json,
    /// Any text.
    Text,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 12] = [
        Self::Feishu,
        Self::DingTalk,
        Self::WeCom,
        Self::Slack,
        Self::Discord,
        Self::Grafana,
        Self::Alertmanager,
        Self::GitHub,
        Self::GitLab,
        Self::Sentry,
        Self::Json,
        Self::Text,
    ];

    /// Its name, the last part of a robot's URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::DingTalk => "dingtalk",
            Self::WeCom => "wecom",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Grafana => "grafana",
            Self::Alertmanager => "alertmanager",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Sentry => "sentry",
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Whether it uses this method.
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        // Grafana lets its user choose.
        *method == Method::POST || self == Self::Grafana && *method == Method::PUT
    }

    /// Bytes of a request.
    #[must_use]
    pub const fn body_bytes_max(self) -> usize {
        match self {
            // A picture of 2 MiB as Base64.
            Self::WeCom => 3 * 1024 * 1024,
            // Files ride along.
            Self::Discord => 10 * 1024 * 1024,
            _ => 1024 * 1024,
        }
    }

    /// Checks that the sender knows the robot's secret.
    ///
    /// # Errors
    /// [`Fault::Unsigned`], [`Fault::Forged`], [`Fault::Stale`]; [`Fault::Malformed`] where the proof is in a body that
    /// cannot be read.
    pub fn prove(self, posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
        match self {
            Self::Feishu => feishu::prove(posted, secret),
            Self::DingTalk => dingtalk::prove(posted, secret),
            Self::Grafana => grafana::prove(posted, secret),
            Self::GitHub => github::prove(posted, secret),
            Self::GitLab => gitlab::prove(posted, secret),
            Self::Sentry => sentry::prove(posted, secret),
            // These sign nothing: whoever can set a header sends the secret itself.
            Self::WeCom
            | Self::Slack
            | Self::Discord
            | Self::Alertmanager
            | Self::Json
            | Self::Text => proof::authorization(posted, secret),
        }
    }

    /// Reads a request as a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(self, posted: &Posted<'_>) -> Result<Told, Fault> {
        match self {
            Self::Feishu => feishu::read(posted),
            Self::DingTalk => dingtalk::read(posted),
            Self::WeCom => wecom::read(posted),
            Self::Slack => slack::read(posted),
            Self::Discord => discord::read(posted),
            Self::Grafana => grafana::read(posted),
            Self::Alertmanager => alertmanager::read(posted),
            Self::GitHub => github::read(posted),
            Self::GitLab => gitlab::read(posted),
            Self::Sentry => sentry::read(posted),
            Self::Json => document::read(posted),
            Self::Text => plain::read(posted),
        }
    }

    /// What is answered once the message is stored.
    #[must_use]
    pub fn done(self, posted: &Posted<'_>, published: &Published) -> Reply {
        match self {
            Self::Feishu => feishu::done(),
            Self::DingTalk => dingtalk::done(),
            Self::WeCom => wecom::done(),
            Self::Slack => slack::done(),
            Self::Discord => discord::done(posted, published),
            // Whoever sends events looks at the status alone.
            Self::Grafana
            | Self::Alertmanager
            | Self::GitHub
            | Self::GitLab
            | Self::Sentry
            | Self::Json
            | Self::Text => {
                let body =
                    json!({"id": published.id.to_string(), "duplicate": published.duplicate});
                reply(202, &body)
            }
        }
    }

    /// What is answered to a request that is not taken; `None`: the dialect has no shape of its own for that.
    #[must_use]
    pub fn refused(self, fault: &Fault) -> Option<Reply> {
        match self {
            Self::Feishu => Some(feishu::refused(fault)),
            Self::DingTalk => Some(dingtalk::refused(fault)),
            Self::WeCom => Some(wecom::refused(fault)),
            Self::Slack => Some(slack::refused(fault)),
            Self::Discord => Some(discord::refused(fault)),
            Self::Grafana
            | Self::Alertmanager
            | Self::GitHub
            | Self::GitLab
            | Self::Sentry
            | Self::Json
            | Self::Text => None,
        }
    }
}
