//! A custom robot of a Feishu or Lark group: text, post or card to the webhook of the robot, signed where the robot wants
//! it. Must not need an app or a token.

mod answer;
mod post_form;
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
use settings::{Endpoint, HOOK_PATH, Settings};

/// The kind's name.
const KIND: &str = "feishu-robot";
const SETUP: &str = "In the group: Settings, Bots, Add Bot, Custom Bot. Copy its webhook address into `webhook_url`. Under \
Security settings turn on the signature and copy its secret into `secret`; with custom keywords instead, each message must \
contain one of them. The robot writes to that one group. Mentions take an `open_id` (`ou_…`) or a `user_id`; pictures and \
files go as links, since a robot cannot upload. Feishu takes 100 messages a minute and 5 a second of a robot.";

/// The kind.
pub(crate) struct FeishuRobot;

impl ChannelKind for FeishuRobot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Feishu group robot",
            summary: "Posts to a Feishu or Lark group through the webhook of a custom robot.",
            links: vec![
                "https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
                "https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji", "card",
                "raw",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 3 + 60 × 1.5 in any minute, and 3 + 1.5 in any second.
            rate: Some(Rate {
                per_second: 1.5,
                burst: 3,
            }),
            target_rate: None,
            schemes: vec!["feishu", "lark"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `feishu://TOKEN?secret=…`, for Lark `lark://TOKEN`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [token] = url_words(url, ["TOKEN"])?;
        if !is_path_token(&token) {
            let detail =
                "the token is the last part of the webhook address: letters, digits and hyphens";
            return Err(Problem::invalid("invalid_url", "to", detail));
        }
        let host = if url.scheme() == "lark" {
            settings::HOSTS[1]
        } else {
            settings::HOSTS[0]
        };
        let mut settings = json!({"webhook_url": format!("https://{host}{HOOK_PATH}{token}")});
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
        let body = self.endpoint.signed(&step.body, context.now);
        Ok(Request::Http(post(self.endpoint.url.clone(), step, body)))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }
}

#[cfg(test)]
mod tests;
