//! An app of a WeCom company: text, Markdown, cards and media to people, departments, tags and groups, with the app's own
//! token; what it sent is taken back, and what WeCom sends to it is read. Must not edit anything.

mod answer;
mod fetch;
mod inbound;
mod render;
mod settings;
mod target;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, Exchange, Manifest, MediaSource, Plan, Request, Step,
    StepKind, TokenIssuer,
};
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Value, json};
use url::Url;

use crate::kit::change::recalled;
use crate::kit::plan::{FORMAT, plan};
use crate::kit::post::post;
use crate::kit::reach::mark_last;
use crate::kit::settings::{url_settings, url_words};
use crate::kit::wecom::media;
use inbound::Callback;
use render::App;
use settings::{Endpoint, Settings};
use target::Target;

/// The kind's name.
const KIND: &str = "wecom-app";
/// Where messages are sent to.
const SEND_PATH: &str = "/cgi-bin/message/send";
/// Where messages to a group are sent to.
const CHAT_PATH: &str = "/cgi-bin/appchat/send";
/// Where attachments are uploaded to.
const UPLOAD_PATH: &str = "/cgi-bin/media/upload";
/// Where messages are taken back.
const RECALL_PATH: &str = "/cgi-bin/message/recall";
const SETUP: &str = "In the admin console, under App Management, make an app. Copy AgentId and Secret from its page into `agent_id` \
and `corp_secret`, and the company's id from My Company, Company Information, into `corp_id`. Let the people see the app \
(Visible range), and add this machine's IP to its Trusted IPs. Set `to`, or name the target in the address: \
`to: [\"NAME/user/ann|bob\"]`, `NAME/party/3` for a department, `NAME/tag/1`, `NAME/chat/CHATID` for a group that an app made \
through the API, `NAME/@all` for everybody who can see the app. When somebody of a target is not reached though others are, \
the delivery ends as rejected, `partly_delivered`, and says who: do not send it again to all. Mentions are names as text; Markdown and \
cards show in WeCom only, not in its WeChat plugin. Pictures (JPEG or PNG, 10 MiB), voice messages (AMR, a minute, 2 MiB), videos \
(MP4, 10 MiB) and files (20 MiB) are uploaded. Messages can be recalled for 24 hours, but not those to a group. A message that is sent again after a lost answer asks WeCom not to show the same content \
twice; with `duplicate_check_interval` every message does, so that two that say the same within that time appear once. WeCom shows \
one person 30 messages a minute and 1,000 an hour and silently drops the rest, so the rate to one target is kept below that; text and \
Markdown have 2,048 bytes. To receive, copy Token and EncodingAESKey of the app's page Receive Messages, API, into `token` and \
`encoding_aes_key`, give the channel `inbound: {\"topic\": …}`, and only then save the page with the URL \
`https://THIS-SERVER/in/CHANNEL`, which WeCom checks at once. Files that are received are named in `ext.x-media` by their \
media ids, which are good for three days.";

/// The kind.
pub(crate) struct WeComApp;

impl ChannelKind for WeComApp {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "WeCom app",
            summary: "Sends messages to people, departments and groups of a WeCom (WeChat Work) company as its app.",
            links: vec![
                "https://developer.work.weixin.qq.com/document/path/90236",
                "https://developer.work.weixin.qq.com/document/path/90248",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "emoji", "image", "voice",
                "video", "file", "card", "raw", "recall", "receive",
            ],
            generic: false,
            ordering: Ordering::Key,
            rate: None,
            // At most 15 + 60 × 0.25 in any minute, and 15 + 3,600 × 0.25 in any hour.
            target_rate: Some(Rate {
                per_second: 0.25,
                burst: 15,
            }),
            schemes: vec!["wecom-app"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        Ok(Arc::new(Opened {
            callback: endpoint.envelope().map(Callback::new),
            endpoint,
        }))
    }

    /// `wecom-app://CORP_ID/AGENT_ID/KIND/ID?corp_secret=…`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [corp_id, agent_id, kind, id] = url_words(url, ["CORP_ID", "AGENT_ID", "KIND", "ID"])?;
        settings::check_corp_id("to", &corp_id)?;
        let target = format!("{kind}/{id}");
        Target::parse("to", &target)?;
        let Ok(agent_id) = agent_id.parse::<u32>() else {
            let detail = "the second part is the app's number";
            return Err(Problem::invalid("invalid_url", "to", detail).accepted("1000002"));
        };
        let mut settings = json!({"corp_id": corp_id, "agent_id": agent_id});
        url_settings(url, &mut settings, &["corp_secret", "base_url"])?;
        if settings.get("corp_secret").is_none() {
            let detail = "lacks the app's secret";
            return Err(Problem::invalid("invalid_url", "to", detail)
                .accepted("wecom-app://CORP_ID/AGENT_ID/user/ID?corp_secret=…"));
        }
        Ok((settings, Some(target)))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the secret of an app, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// An app that is ready to use.
struct Opened {
    endpoint: Endpoint,
    callback: Option<Callback>,
}

impl Opened {
    /// An address of the API with the token.
    fn url(&self, path: &str, context: &Context<'_>) -> Url {
        let token = context.token.map_or("", |token| token.value());
        self.endpoint.url(path, &[("access_token", token)])
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        // Several people at once are counted as one more person: whom a department or tag reaches is not known here.
        let target = self.endpoint.target(target);
        Counted::by(target.map_or_else(|_| String::new(), |target| target.whom()))
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        let is_chat = self.endpoint.target(context.target)?.is_chat();
        let mut plan = plan(&App { is_chat }, message, context)?;
        mark_last(&mut plan);
        Ok(plan)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        match step.kind {
            StepKind::Upload => {
                let url = self.url(UPLOAD_PATH, context);
                return media::request(step, message, context, url);
            }
            StepKind::Recall => {
                let body = json!({"msgid": step.of}).to_string().into();
                let url = self.url(RECALL_PATH, context);
                return Ok(Request::Http(post(url, step, body)));
            }
            StepKind::Send | StepKind::Call | StepKind::Edit => {}
        }
        let target = self.endpoint.target(context.target)?;
        let path = if target.is_chat() {
            CHAT_PATH
        } else {
            SEND_PATH
        };
        let body = render::addressed(&self.endpoint, &target, step, message, context)?;
        Ok(Request::Http(post(self.url(path, context), step, body)))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }

    /// Within 24 hours; messages to a group have no ids to name them by.
    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        recalled(sent)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        self.callback.as_ref().map(|callback| callback as _)
    }

    fn media(&self) -> Option<&dyn MediaSource> {
        Some(self)
    }

    fn token_issuer(&self) -> Option<&dyn TokenIssuer> {
        Some(&self.endpoint)
    }
}

#[cfg(test)]
mod tests;
