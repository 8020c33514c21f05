//! A robot of a WeCom group: text, Markdown, cards and media to the webhook of the robot, whose key is in its address.
//! Must not need an app or a token.

mod answer;
mod media;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step, StepKind,
};
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Value, json};
use url::Url;

use crate::kit::plan::{FORMAT, plan};
use crate::kit::post::post;
use crate::kit::settings::{is_path_token, url_settings, url_words};
use crate::kit::wecom::media::request as upload;
use render::Robot;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "wecom-robot";
const SETUP: &str = "In the group: Add Group Bot, New Bot. Copy its webhook address into `webhook_url`; the key in it is all \
that is needed, so keep it secret. The robot writes to that one group. Mentions take a `userid` or a mobile number; a \
message with both Markdown and a mention goes as the older Markdown, which has no code blocks, lists or pictures. Pictures \
that have a URL go by it; others, JPEG or PNG of at most 2 MiB, as messages of their own, as do files of at most 20 MiB and \
voice messages, AMR of at most a minute and 2 MiB. WeCom takes 20 messages a minute of a robot; text has 2,048 bytes, Markdown 4,096.";

/// The kind.
pub(crate) struct WeComRobot;

impl ChannelKind for WeComRobot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "WeCom group robot",
            summary: "Posts to a WeCom (WeChat Work) group through the webhook of a robot.",
            links: vec!["https://developer.work.weixin.qq.com/document/path/91770"],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji",
                "image", "voice", "file", "card", "raw",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 2 + 60 × 0.3 in any minute.
            rate: Some(Rate {
                per_second: 0.3,
                burst: 2,
            }),
            target_rate: None,
            schemes: vec!["wecom"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `wecom://KEY`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let [key] = url_words(url, ["KEY"])?;
        if !is_path_token(&key) {
            let detail = "the key is that of the webhook address: letters, digits and hyphens";
            return Err(Problem::invalid("invalid_url", "to", detail));
        }
        let mut settings = json!({"webhook_url": settings::address(&key)});
        url_settings(url, &mut settings, &["base_url"])?;
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
        let what = "making the key of a robot, which its platform makes";
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

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        if step.kind == StepKind::Upload {
            return upload(step, message, context, self.endpoint.upload.clone());
        }
        let body = media::body(step, context)?;
        Ok(Request::Http(post(self.endpoint.url.clone(), step, body)))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }
}

#[cfg(test)]
mod tests;
