//! An app of a DingTalk company, by its robot: text, Markdown, action cards and media to people and groups, with the app's own
//! token; what it sent is taken back, and what DingTalk sends to it is read. Must not edit anything.

mod answer;
mod connect;
mod fetch;
mod inbound;
mod media;
mod render;
mod settings;
mod target;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, Manifest, MediaSource, Plan, Request, Step, StepKind,
    TokenIssuer,
};
use anser_core::connection::Connector;
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::kit::change::recalled;
use crate::kit::plan::{FORMAT, json as bytes_of, plan};
use crate::kit::post::post;
use crate::kit::reach::mark_last;
use crate::kit::settings::{url_settings, url_words};
use connect::Stream;
use inbound::Callback;
use render::App;
use settings::{Endpoint, Settings};
use target::Target;

/// The kind's name.
const KIND: &str = "dingtalk-app";
/// Where attachments are uploaded to.
const UPLOAD_PATH: &str = "/media/upload";
/// The header that holds the token.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";
const SETUP: &str = "In the developer console make an internal app, add the ability Robot, give it the permission to send robot \
messages, and publish a version. Copy Client ID and Client Secret from the app's page Credentials into `app_key` and \
`app_secret`. Set `to`, or name the target in the address: `to: [\"NAME/user/ann|bob\"]` for up to 20 people by their userId, \
`NAME/chat/cid…` for a group by its openConversationId; the robot must be in it. When DingTalk holds a message back from \
everybody of a target, it is sent again later; when only some are missed, the delivery ends as rejected, `partly_delivered`, \
and says who: do not send it again to all. Mentions are names as text. Pictures that have a URL go by it in Markdown; others, \
and files (xlsx, pdf, zip, rar, doc, docx), speech (AMR or Ogg, with its duration) and videos (MP4, with duration and cover), are \
uploaded: 20 MiB, speech 2 MiB. Messages can be recalled for 24 hours. DingTalk takes 20 requests a second of an app, and \
15,000 bytes of a message. To receive, give the channel `inbound: {\"topic\": …}` and set the robot's message receiving to \
HTTP mode with the address `https://THIS-SERVER/in/CHANNEL`; it must be HTTPS, for DingTalk signs the time of a message and not its \
text. The same address takes pushed events with `aes_key` and `token` from the page Event Subscription. To receive without a public \
address, which is safer too, give the channel `inbound: {\"topic\": …, \"via\": \"connection\"}`, set the robot's message receiving, \
the event subscription and the callbacks of cards to Stream mode, and publish a version. Files that are received \
are named in `ext.x-media` by their download codes.";

/// The kind.
pub(crate) struct DingTalkApp;

impl ChannelKind for DingTalkApp {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "DingTalk app",
            summary: "Sends messages to DingTalk people and groups as the robot of a company's app.",
            links: vec![
                "https://open.dingtalk.com/document/orgapp/chatbots-send-one-on-one-chat-messages-in-batches",
                "https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "emoji", "image", "voice",
                "video", "file", "card", "raw", "recall", "receive", "connect",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 5 + 15 in any second.
            rate: Some(Rate {
                per_second: 15.0,
                burst: 5,
            }),
            target_rate: None,
            schemes: vec!["dingtalk-app"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let callback = Callback::new(endpoint.app_secret.clone(), endpoint.envelope());
        Ok(Arc::new(Opened {
            stream: Stream::new(&endpoint),
            endpoint,
            callback,
        }))
    }

    /// `dingtalk-app://APP_KEY/TARGET?app_secret=…`, where the target is a userId, or an openConversationId with its slashes
    /// as `%2F`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [app_key, target] = url_words(url, ["APP_KEY", "TARGET"])?;
        settings::check_key("to", &app_key)?;
        Target::parse("to", &target)?;
        let mut settings = json!({"app_key": app_key});
        url_settings(
            url,
            &mut settings,
            &["app_secret", "robot_code", "base_url"],
        )?;
        if settings.get("app_secret").is_none() {
            let detail = "lacks the app's secret";
            return Err(Problem::invalid("invalid_url", "to", detail)
                .accepted("dingtalk-app://APP_KEY/TARGET?app_secret=…"));
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
    callback: Callback,
    stream: Stream,
}

impl Opened {
    fn posted(&self, path: &str, step: &Step, body: Bytes, context: &Context<'_>) -> Request {
        let mut request = post(self.endpoint.url(path), step, body);
        authorize(&mut request.headers, context);
        Request::Http(request)
    }
}

fn authorize(headers: &mut HeaderMap, context: &Context<'_>) {
    if let Some(token) = context.token {
        let mut token = HeaderValue::try_from(token.value()).expect("a token is visible ASCII");
        token.set_sensitive(true);
        headers.insert(TOKEN_HEADER, token);
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.target(context.target)?;
        let mut plan = plan(&App, message, context)?;
        mark_last(&mut plan);
        Ok(plan)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        if step.kind == StepKind::Upload {
            let token = context.token.map_or("", |token| token.value());
            let mut url = self.endpoint.old_url(UPLOAD_PATH);
            url.query_pairs_mut().append_pair("access_token", token);
            return media::request(step, message, context, url);
        }
        let target = self.endpoint.target(context.target)?;
        let robot_code = &self.endpoint.robot_code;
        if step.kind == StepKind::Recall {
            let mut body = json!({"robotCode": robot_code, "processQueryKeys": [step.of]});
            if let (name, Value::String(chat)) = target.member() {
                body[name] = chat.into();
            }
            let body = bytes_of(&body).into();
            return Ok(self.posted(target.recall_path(), step, body, context));
        }
        let body = render::addressed(robot_code, &target, step, context)?;
        Ok(self.posted(target.send_path(), step, body, context))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        let target = self.endpoint.target(context.target).ok();
        answer::classify(step, target.as_ref(), exchange, context)
    }

    /// Within 24 hours.
    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        recalled(sent)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(&self.callback)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        Some(&self.stream)
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
