//! A self-built app of Feishu or Lark: text, posts and cards to chats and people, and replies, with the app's own token.
//! Must not upload, edit or recall, nor receive anything.

mod address;
mod answer;
mod post_form;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step, TokenIssuer,
};
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use url::Url;

use crate::kit::plan::{FORMAT, plan};
use crate::kit::post::post;
use crate::kit::settings::{url_settings, url_words};
use render::App;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "feishu-app";
/// The rung at which a reply is sent as a message of its own, recorded.
const REPLY_LOST: &str = "reply->message";
const SETUP: &str = "In the developer console make a custom app, turn its feature Bot on, give it the permission \
im:message:send_as_bot and publish a version. Copy App ID and App Secret from Credentials into `app_id` and `app_secret`; for \
Lark set `base_url` to https://open.larksuite.com. Add the bot to the group. Set `receive_id` to the chat (`oc_…`) or person, or \
name it in the address: `to: [\"NAME/oc_…\"]`, with `ou_…`, `on_…`, an e-mail address or a user_id for a person. A message whose \
`reply_to` is a Feishu message (`om_…`) is sent as a reply, in the thread if its `conversation` has one. Mentions take an \
`open_id` (`ou_…`) or a `user_id`. Pictures and files go as links; those that are uploaded already go by their keys through \
`override` or a `raw` segment, as do stickers, shared chats and people: `{\"msg_type\": \"image\", \"content\": {\"image_key\": \
\"img_…\"}}`. A message that is sent again within an hour of a lost answer appears once. Feishu takes 1,000 messages a minute \
and 50 a second of an app, and 5 a second to one chat, shared with the other robots in it; the rate here is that of the app, so \
lower `rate` for an app that writes to one chat only.";

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
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji", "card",
                "raw", "reply", "thread",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 34 + 16 in any second, and 34 + 60 × 16 in any minute.
            rate: Some(Rate {
                per_second: 16.0,
                burst: 34,
            }),
            target_rate: None,
            schemes: vec!["feishu-app", "lark-app"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
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
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    /// A reply has one rung more than its forms: after the first it is a message of its own, in the same form.
    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        address::way(&self.endpoint, message, context)?;
        let receiver = self.endpoint.receiver(context.target)?;
        let lost = context.rung > 0 && address::answered(message, receiver.as_ref()).is_some();
        let rung = context.rung - u8::from(lost);
        let form = Context {
            rung,
            ..context.clone()
        };
        let mut plan = plan(&App, message, &form)?;
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
        let way = address::way(&self.endpoint, message, context)?;
        let body = way.body(&step.body, message, context);
        let mut request = post(way.url(&self.endpoint), step, body);
        if let Some(token) = context.token {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.value()))
                .expect("a token is visible ASCII");
            bearer.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, bearer);
        }
        Ok(Request::Http(request))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }

    fn token_issuer(&self) -> Option<&dyn TokenIssuer> {
        Some(&self.endpoint)
    }
}

#[cfg(test)]
mod tests;
