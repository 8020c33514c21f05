//! A webhook of a Discord channel: text with markup, or embeds, to the channel that it was made for or one of its threads.
//! Must not need a bot's token.

mod answer;
mod dialect;
mod embed;
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
use render::Webhook;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "discord-webhook";
const SETUP: &str = "In the channel: Edit Channel, Integrations, Webhooks, New Webhook. Copy its URL into `webhook_url`; whoever \
has it can write there, so keep it secret. A target, as in `to: [\"NAME/THREAD_ID\"]`, is a thread of that channel. \
Mentions take ids of users, roles and channels, as numbers, and only what a message mentions is pinged; pictures go by \
their public URL, files as links. Discord takes about five messages in two seconds of a webhook.";

/// The kind.
pub(crate) struct DiscordWebhook;

impl ChannelKind for DiscordWebhook {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Discord webhook",
            summary: "Posts to a Discord channel or thread through a webhook.",
            links: vec!["https://discord.com/developers/docs/resources/webhook#execute-webhook"],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "link", "mention", "emoji", "image", "card",
                "raw", "thread",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 1 + 2 × 2 in any two seconds.
            rate: Some(Rate {
                per_second: 2.0,
                burst: 1,
            }),
            target_rate: None,
            schemes: vec!["discord"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `discord://ID/TOKEN`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let words = url_words(url, ["ID", "TOKEN"])?;
        if !words.iter().all(|word| is_path_token(word)) {
            let detail = "the parts are the webhook's number and its token";
            return Err(Problem::invalid("invalid_url", "to", detail));
        }
        let mut settings = json!({"webhook_url": settings::address(&words.join("/"))});
        url_settings(url, &mut settings, &["username", "avatar_url", "base_url"])?;
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
        let what = "making the token of a webhook, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A webhook that is ready to use.
struct Opened {
    endpoint: Endpoint,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.address(context.target)?;
        plan(&Webhook, message, context)
    }

    fn request(&self, step: &Step, _: &Message, context: &Context<'_>) -> Result<Request, Problem> {
        let url = self.endpoint.address(context.target)?;
        Ok(Request::Http(post(
            url,
            step,
            self.endpoint.named(&step.body),
        )))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(exchange, context)
    }
}

#[cfg(test)]
mod tests;
