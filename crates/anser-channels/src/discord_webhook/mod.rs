//! A webhook of a Discord channel: text with markup, embeds and files to the channel that it was made for or one of its
//! threads, edits and recalls. Must not need a bot's token.

mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, CredentialCheck, Exchange, Manifest, Plan, Request, Step,
    StepKind,
};
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use crate::kit::change;
use crate::kit::discord::file::{joined, members};
use crate::kit::discord::forms::Forms;
use crate::kit::discord::request::{CHANGES, asked, replaces, request};
use crate::kit::discord::{Author, answer};
use crate::kit::plan::{FORMAT, plan};
use crate::kit::settings::{is_path_token, url_settings, url_words};
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "discord-webhook";
const SETUP: &str = "In the channel: Edit Channel, Integrations, Webhooks, New Webhook. Copy its URL into `webhook_url`; whoever \
has it can write there, so keep it secret. A target, as in `to: [\"NAME/THREAD_ID\"]`, is a thread of that channel. \
Mentions take ids of users, roles and channels, as numbers, and only what a message mentions is pinged; pictures go by \
their public URL; other pictures and files are uploaded, up to ten with a message and each of at most `file_bytes_max`, and \
larger ones go as links. What was sent can be edited and recalled. Discord takes about five messages in two seconds of a webhook.";

/// The kind.
pub(crate) struct DiscordWebhook;

impl ChannelKind for DiscordWebhook {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Discord webhook",
            summary: "Posts to a Discord channel or thread through a webhook.",
            links: vec![
                "https://discord.com/developers/docs/resources/webhook#execute-webhook",
                "https://discord.com/developers/docs/reference#uploading-files",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "link", "mention", "emoji", "image", "audio",
                "voice", "video", "file", "card", "raw", "thread", "edit", "recall",
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
        let endpoint = Settings::open(settings)?;
        let forms = Forms {
            kind: KIND,
            overrides: &[KIND, "discord"],
            author: Author::Webhook,
            file_bytes_max: endpoint.file_bytes_max,
        };
        Ok(Arc::new(Opened { endpoint, forms }))
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
    forms: Forms,
}

impl Opened {
    fn plan(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.address(context.target)?;
        let plan = plan(&self.forms, message, context)?;
        Ok(joined(plan, self.endpoint.file_bytes_max))
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.plan(message, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let mut body = members(step);
        let (method, url) = match step.kind {
            StepKind::Edit | StepKind::Recall => {
                let url = self.endpoint.message(step.of.as_deref(), context.target)?;
                match step.kind {
                    StepKind::Edit => (Method::PATCH, url),
                    _ => (Method::DELETE, url),
                }
            }
            StepKind::Send | StepKind::Upload | StepKind::Call => {
                self.endpoint.named(&mut body);
                (Method::POST, self.endpoint.address(context.target)?)
            }
        };
        if step.kind == StepKind::Edit {
            replaces(&mut body, Author::Webhook);
        }
        Ok(request(
            method,
            url,
            HeaderMap::new(),
            body,
            message,
            context,
        ))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(Author::Webhook, step, exchange, context)
    }

    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        change::edited(self.plan(edit, context)?, sent, &CHANGES)
    }

    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        change::recalled(sent)
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(self)
    }
}

impl CredentialCheck for Opened {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        let url = self.endpoint.url.clone();
        Ok(Request::Http(asked(url, HeaderMap::new())))
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
        let body = answer::read(Author::Webhook, exchange, context)?;
        let text = |name: &str| body[name].as_str().unwrap_or("?");
        Ok(format!(
            "{} in channel {}",
            text("name"),
            text("channel_id")
        ))
    }
}

#[cfg(test)]
mod tests;
