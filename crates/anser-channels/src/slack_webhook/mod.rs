//! An incoming webhook of Slack: text, rich text or blocks to the one channel that it was made for. Must not need a bot's
//! token.

mod answer;
mod settings;

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Value, json};
use url::Url;

use crate::kit::plan::{FORMAT, Form, plan};
use crate::kit::post::post;
use crate::kit::settings::{is_path_token, url_settings, url_words};
use crate::kit::slack::forms::Forms;
use settings::Settings;

/// The kind's name.
const KIND: &str = "slack-webhook";
/// The forms it sends.
const FORMS: Forms = Forms {
    kind: KIND,
    overrides: &[KIND, "slack"],
    least: Form::Text,
    media: |_| None,
};
const SETUP: &str = "At api.slack.com/apps create an app, turn on Incoming Webhooks, add one to a channel and copy its address \
into `webhook_url`; whoever has it can write there, so keep it secret. The webhook writes to that one channel and tells no \
message id, so what it sent cannot be edited or answered in a thread. Mentions take member ids (`U…`), user groups (`S…`) \
and channels (`C…`); pictures go by their public URL, files as links. Slack takes about one message a second of a channel.";

/// The kind.
pub(crate) struct SlackWebhook;

impl ChannelKind for SlackWebhook {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Slack incoming webhook",
            summary: "Posts to a Slack channel through an incoming webhook.",
            links: vec![
                "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
                "https://docs.slack.dev/reference/block-kit/blocks/rich-text-block",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji",
                "image", "card", "raw",
            ],
            generic: false,
            ordering: Ordering::Key,
            rate: Some(Rate {
                per_second: 1.0,
                burst: 3,
            }),
            target_rate: None,
            schemes: vec!["slack"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            url: Settings::open(settings)?,
        }))
    }

    /// `slack://T/B/X`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let words = url_words(url, ["T…", "B…", "X…"])?;
        if !words.iter().all(|word| is_path_token(word)) {
            let detail = "the three parts are those of the webhook address: letters and digits";
            return Err(Problem::invalid("invalid_url", "to", detail));
        }
        let mut settings = json!({"webhook_url": settings::address(&words.join("/"))});
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
        let what = "making the address of a webhook, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A webhook that is ready to use.
struct Opened {
    url: Url,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        plan(&FORMS, message, context)
    }

    fn request(&self, step: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        let body = step.body.clone();
        Ok(Request::Http(post(self.url.clone(), step, body)))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }
}

#[cfg(test)]
mod tests;
