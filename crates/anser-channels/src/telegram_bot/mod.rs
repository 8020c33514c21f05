//! A bot of Telegram, for what needs no upload: messages in HTML, with buttons that open links, to any chat that the bot is
//! in. Must not receive anything.

mod answer;
mod dialect;
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
use crate::kit::settings::{url_settings, url_words};
use render::Bot;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "telegram-bot";
const SETUP: &str = "Write to @BotFather, send /newbot and copy the token into `token`. Add the bot to the group or channel, or \
let a person write to it first: a bot cannot begin a chat. Set `chat_id` to the chat's number, which is negative for groups, \
or to the `@name` of a public channel; or name it in the address, `to: [\"NAME/CHAT_ID\"]` and for a topic of a forum \
`NAME/CHAT_ID/TOPIC_ID`. Mentions take a user's number or `@name`; pictures and files go as links. Telegram takes one message \
a second in a chat, 20 a minute in a group, 30 a second of a bot; the rate here is that of one chat, so raise `rate` for a bot \
that serves many.";

/// The kind.
pub(crate) struct TelegramBot;

impl ChannelKind for TelegramBot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Telegram bot",
            summary: "Sends messages to Telegram chats as a bot.",
            links: vec![
                "https://core.telegram.org/bots/api#sendmessage",
                "https://core.telegram.org/bots#how-do-i-create-a-bot",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "link", "mention", "emoji", "card", "raw",
                "reply", "thread",
            ],
            generic: false,
            ordering: Ordering::Key,
            rate: Some(Rate {
                per_second: 1.0,
                burst: 1,
            }),
            target_rate: None,
            schemes: vec!["telegram", "tgram"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::open(settings)?,
        }))
    }

    /// `telegram://BOT_ID/SECRET/CHAT`: the two halves of the token, since a colon in a URL begins a port; or the token
    /// whole, its colon as `%3A`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let (token, chat) = match url_words(url, ["TOKEN", "CHAT"]) {
            Ok([token, chat]) => (token, chat),
            Err(_) => {
                let [id, secret, chat] = url_words(url, ["BOT_ID", "SECRET", "CHAT"])?;
                (format!("{id}:{secret}"), chat)
            }
        };
        settings::check_token("to", &token)?;
        settings::Chat::parse("to", &chat)?;
        let mut settings = json!({"token": token});
        url_settings(url, &mut settings, &["base_url"])?;
        Ok((settings, Some(chat)))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the token of a bot, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A bot that is ready to use.
struct Opened {
    endpoint: Endpoint,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.chat(context.target)?;
        plan(&Bot, message, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let chat = self.endpoint.chat(context.target)?;
        // Only the first part answers.
        let reply_to = message.header.reply_to.as_deref();
        let reply_to = reply_to.filter(|_| context.step == 0);
        let body = chat.address(&step.body, reply_to);
        let url = self.endpoint.url.clone();
        Ok(Request::Http(post(url, step, body)))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(exchange, context)
    }
}

#[cfg(test)]
mod tests;
