//! The updates that Telegram posts to a bot's webhook (<https://core.telegram.org/bots/api#setwebhook>). They are not signed:
//! a header holds a secret that the bot's owner chose. Must not read an update before the header is the right one.

mod content;
mod entities;
mod events;
mod place;

use std::time::Duration;

use anser_core::inbound::{
    Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use http::Method;
use serde_json::{Value, json};

use crate::kit::inbound::{header, malformed, parse, same};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};

/// The platform's name in what comes in.
const PLATFORM: &str = "telegram";
/// The header of the secret.
const SECRET: &str = "x-telegram-bot-api-secret-token";
/// Updates are kept and sent again for a day.
const REMEMBER: Duration = Duration::from_secs(24 * 3_600);

/// Reads what Telegram sends to one bot.
pub(super) struct Receiver {
    /// The secret that was given to `setWebhook`.
    pub(super) secret_token: String,
    /// The bot's own id, which its token begins with.
    pub(super) bot: i64,
}

impl Inbound for Receiver {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method != Method::POST {
            let detail = "Telegram sends by POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        let given = header(request, SECRET)?;
        same(given.as_bytes(), self.secret_token.as_bytes(), SECRET)?;
        let update = parse(request.body)?;
        let number = update["update_id"].as_i64();
        let number = number.ok_or_else(|| malformed("the update has no update_id"))?;
        let mut members = update.as_object().into_iter().flatten();
        let Some((kind, event)) = members.find(|(name, _)| *name != "update_id") else {
            return Err(malformed("the update has nothing but its update_id"));
        };
        let update = events::Update {
            number: number.to_string(),
            kind,
            event,
            bot: self.bot,
        };
        Ok(Received {
            events: update.read(context),
            answer: answer(MEDIA_TYPE, answer_to(kind, event)),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// A button shows that it waits until it is answered. The answer of a webhook may be a call of the API
/// (<https://core.telegram.org/bots/api#making-requests-when-getting-updates>), whose result nobody sees.
fn answer_to(kind: &str, event: &Value) -> Vec<u8> {
    match &event["id"] {
        Value::String(id) if kind == "callback_query" => {
            bytes_of(&json!({"method": "answerCallbackQuery", "callback_query_id": id}))
        }
        _ => b"{}".to_vec(),
    }
}

#[cfg(test)]
mod tests;
