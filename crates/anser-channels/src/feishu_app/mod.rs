//! A self-built app of Feishu or Lark: text, posts, cards, pictures and files to chats and people, replies, changes and
//! recalls, with the app's own token; and what Feishu sends to it, verified.

mod address;
mod answer;
mod connect;
mod fetch;
mod inbound;
mod media;
mod people;
mod post_form;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, Exchange, HttpRequest, Manifest, MediaSource, People,
    Plan, Request, Step, StepKind, TokenIssuer,
};
use anser_core::connection::Connector;
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::change::{Changes, edited, recalled};
use crate::kit::media::fill;
use crate::kit::plan::{FORMAT, MEDIA_TYPE, json as bytes_of, plan};
use crate::kit::post::post_as;
use crate::kit::settings::{url_settings, url_words};
use connect::LongConnection;
use inbound::{Callback, Proof};
use render::App;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "feishu-app";
/// The `msg_type` of a card.
const CARD: &str = "interactive";
/// What can be changed after it was sent (Feishu, "Edit message" and "Update card").
const EDITABLE: [&str; 3] = ["text", "post", CARD];
/// The rung at which a reply is sent as a message of its own, recorded.
const REPLY_LOST: &str = "reply->message";
const SETUP: &str = "In the developer console make a custom app, turn its feature Bot on, give it the permissions \
im:message:send_as_bot and, for pictures and files, im:resource, for people's names in bridges contact:user.base:readonly, and \
publish a version. Copy App ID and App Secret from \
Credentials into `app_id` and `app_secret`; for Lark set `base_url` to https://open.larksuite.com. Add the bot to the group. Set \
`receive_id` to the chat (`oc_…`) or person, or name it in the address: `to: [\"NAME/oc_…\"]`, with `ou_…`, `on_…`, an e-mail \
address or a user_id for a person. A message whose `reply_to` is a Feishu message (`om_…`) is sent as a reply, in the thread if \
its `conversation` has one. Mentions take an `open_id` (`ou_…`) or a `user_id`. Pictures of at most 10 MB and files of at most \
30 MB are uploaded, and are messages of their own; speech is shown as such when it is Opus, a video when it is MP4, and both go \
as files otherwise; what is larger goes as a link. Stickers, shared chats and people, and what is uploaded already go by their \
keys through `override` or a `raw` segment: `{\"msg_type\": \"image\", \"content\": {\"image_key\": \"img_…\"}}`. Text, posts and \
cards can be edited (a text at most 20 times), each as long as it stays text or a card; where an edit has a picture or a file, \
that part is sent anew and the old one recalled. How long messages can be edited and recalled is the organisation's setting. \
A message that is sent again within an hour of a lost answer appears once. Feishu takes 1,000 messages a minute and 50 a second \
of an app, and 5 a second to one chat, shared with the other robots in it. To receive, copy Encrypt Key and Verification Token from \
Events & Callbacks, Encryption Strategy, into `encrypt_key` and `verification_token` (the key is not needed, but without it \
nothing is signed), give the channel `inbound: {\"topic\": …}`, set the request URL of events and of callbacks to \
`https://THIS-SERVER/in/CHANNEL`, and subscribe to the events, im.message.receive_v1 first. Old cards need the token. To receive \
without a public address, give the channel `inbound: {\"topic\": …, \"via\": \"connection\"}`, which needs neither key nor token, \
and then, once it is connected, choose the long connection as the subscription mode of events and of callbacks. An app has at \
most 50 connections, and each event goes to one of them: all must be of one gateway. Files \
that are received are named in `ext.x-media` by their keys.";

/// The kind.
pub(crate) struct FeishuApp;

impl ChannelKind for FeishuApp {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Feishu app",
            summary: "Sends messages to Feishu or Lark chats and people as a self-built app.",
            links: vec![
                "https://open.feishu.cn/document/server-docs/im-v1/message/create",
                "https://open.larksuite.com/document/server-docs/im-v1/message/create",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji",
                "image", "audio", "voice", "video", "file", "card", "raw", "reply", "thread",
                "edit", "recall", "receive", "connect",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 34 + 16 in any second, and 34 + 60 × 16 in any minute.
            rate: Some(Rate {
                per_second: 16.0,
                burst: 34,
            }),
            // At most 1 + 4 in any second.
            target_rate: Some(Rate {
                per_second: 4.0,
                burst: 1,
            }),
            schemes: vec!["feishu-app", "lark-app"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let proof = Proof::new(
            endpoint.encrypt_key.clone(),
            endpoint.verification_token.clone(),
        );
        Ok(Arc::new(Opened {
            callback: proof.map(|proof| Callback::new(proof, endpoint.app_id.clone())),
            connection: LongConnection::new(&endpoint),
            endpoint,
        }))
    }

    /// `feishu-app://APP_ID/RECEIVER?app_secret=…`, for Lark `lark-app://…`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [app_id, receiver] = url_words(url, ["APP_ID", "RECEIVER"])?;
        settings::check_app_id("to", &app_id)?;
        settings::Receiver::parse("to", &receiver)?;
        let mut settings = json!({"app_id": app_id});
        if url.scheme() == "lark-app" {
            settings["base_url"] = settings::BASES[1].into();
        }
        url_settings(url, &mut settings, &["app_secret", "base_url"])?;
        if settings.get("app_secret").is_none() {
            let detail = "lacks the app's secret";
            return Err(Problem::invalid("invalid_url", "to", detail)
                .accepted("feishu-app://APP_ID/RECEIVER?app_secret=…"));
        }
        Ok((settings, Some(receiver)))
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
    connection: LongConnection,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        let receiver = self.endpoint.receiver(target).ok().flatten();
        Counted::by(receiver.map_or_else(String::new, |receiver| receiver.id))
    }

    /// A reply has one rung more than its forms: after the first it is a message of its own, in the same form.
    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        let receiver = self.endpoint.receiver(context.target)?;
        let answered = address::answered(message, receiver.as_ref());
        let lost = context.rung > 0 && answered.is_some();
        let answered = answered.filter(|_| !lost);
        if answered.is_none() && receiver.is_none() {
            return Err(address::missing_target());
        }
        let form = Context {
            rung: context.rung - u8::from(lost),
            ..context.clone()
        };
        let mut plan = plan(&App, message, &form)?;
        address::mark_replies(&mut plan.steps, answered.as_ref(), receiver.is_some());
        if lost {
            plan.degraded.push(REPLY_LOST.to_owned());
            plan.degraded.sort_unstable();
        }
        Ok(plan)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        if step.kind == StepKind::Upload {
            let mut request = media::request(&self.endpoint, step, message, context)?;
            authorize(&mut request.headers, context);
            return Ok(Request::Upload(request));
        }
        let mut body = Value::Object(address::members(&step.body));
        fill(&mut body, context)?;
        let Value::Object(body) = body else {
            return Err(Problem::invalid(
                "invalid_field",
                "body",
                "must be an object",
            ));
        };
        let mut request = match step.kind {
            StepKind::Edit => self.edit_request(step, body)?,
            StepKind::Recall => {
                let url = address::of_message(&self.endpoint, step.of.as_deref())?;
                let mut request = post_as(url, MEDIA_TYPE, Bytes::new());
                request.method = Method::DELETE;
                request
            }
            StepKind::Send | StepKind::Call | StepKind::Upload => {
                let way = address::way(&self.endpoint, &body, message, context)?;
                let body = way.body(body, message, context);
                post_as(way.url(&self.endpoint), &step.media_type, body)
            }
        };
        authorize(&mut request.headers, context);
        Ok(Request::Http(request))
    }

    /// A part with an attachment is sent anew, as a message of its own.
    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        let receiver = self.endpoint.receiver(context.target)?;
        let changes = Changes {
            editable: &|step| {
                let body = address::members(&step.body);
                let msg_type = body.get("msg_type").and_then(Value::as_str);
                msg_type.is_some_and(|msg_type| EDITABLE.contains(&msg_type))
            },
            recalls: true,
        };
        let plan = edited(plan(&App, edit, context)?, sent, &changes)?;
        let sends = plan.steps.iter().any(|step| step.kind == StepKind::Send);
        if sends && receiver.is_none() {
            return Err(address::missing_target());
        }
        Ok(plan)
    }

    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        recalled(sent)
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }

    fn people(&self) -> Option<&dyn People> {
        Some(self)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        self.callback.as_ref().map(|callback| callback as _)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        Some(&self.connection)
    }

    fn media(&self) -> Option<&dyn MediaSource> {
        Some(self)
    }

    fn token_issuer(&self) -> Option<&dyn TokenIssuer> {
        Some(&self.endpoint)
    }
}

impl Opened {
    /// Cards are changed at another end of the API than text and posts.
    fn edit_request(
        &self,
        step: &Step,
        mut body: Map<String, Value>,
    ) -> Result<HttpRequest, Problem> {
        let url = address::of_message(&self.endpoint, step.of.as_deref())?;
        address::stringify(&mut body);
        let is_card = body.get("msg_type").is_some_and(|kind| kind == CARD);
        if is_card {
            body.retain(|name, _| name == "content");
        } else {
            body.retain(|name, _| ["content", "msg_type"].contains(&name.as_str()));
        }
        let mut request = post_as(url, &step.media_type, bytes_of(&Value::Object(body)).into());
        request.method = if is_card { Method::PATCH } else { Method::PUT };
        Ok(request)
    }
}

fn authorize(headers: &mut HeaderMap, context: &Context<'_>) {
    if let Some(token) = context.token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.value()))
            .expect("a token is visible ASCII");
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
}

#[cfg(test)]
mod tests;
