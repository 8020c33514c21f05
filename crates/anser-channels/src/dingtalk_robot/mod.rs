//! A custom robot of a DingTalk group: text, Markdown or action card to the webhook of the robot, signed where the robot
//! wants it. Must not need an app or a token of one.

mod answer;
mod mention;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Value, json};
use url::Url;

use crate::kit::plan::{FORMAT, plan};
use crate::kit::post::post;
use crate::kit::settings::{is_path_token, url_settings, url_words};
use render::Robot;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "dingtalk-robot";
const SETUP: &str = "In the group: Group Settings, Robot, Add Robot, Custom. Under Security settings choose the signature and \
copy its secret, `SEC…`, into `secret`; with custom keywords instead, each message must contain one of them. Copy the \
webhook address into `webhook_url`. The robot writes to that one group. Mentions take a mobile number or a `userId`; \
pictures go by their public URL, files as links. DingTalk takes 20 messages a minute of a robot and silences it for ten \
minutes after more.";

/// The kind.
pub(crate) struct DingTalkRobot;

impl ChannelKind for DingTalkRobot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "DingTalk group robot",
            summary: "Posts to a DingTalk group through the webhook of a custom robot.",
            links: vec!["https://open.dingtalk.com/document/orgapp/custom-robot-access"],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji",
                "image", "card", "raw",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 2 + 60 × 0.3 in any minute.
            rate: Some(Rate {
                per_second: 0.3,
                burst: 2,
            }),
            target_rate: None,
            schemes: vec!["dingtalk"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `dingtalk://TOKEN?secret=…`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [token] = url_words(url, ["TOKEN"])?;
        if !is_path_token(&token) {
            let detail = "the token is the access_token of the webhook address: letters and digits";
            return Err(Problem::invalid("invalid_url", "to", detail));
        }
        let mut settings = json!({"webhook_url": settings::address(&token)});
        url_settings(url, &mut settings, &["secret", "base_url"])?;
        Ok((settings, None))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the secret of a robot, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A robot that is ready to use.
struct Opened {
    endpoint: Endpoint,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        plan(&Robot, message, context)
    }

    fn request(&self, step: &Step, _: &Message, context: &Context<'_>) -> Result<Request, Problem> {
        let url = self.endpoint.signed(context.now);
        Ok(Request::Http(post(url, step, step.body.clone())))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(exchange, context)
    }
}

#[cfg(test)]
mod tests;
