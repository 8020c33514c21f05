//! The updates that Telegram posts to a bot's webhook (<https://core.telegram.org/bots/api#setwebhook>), and gives to a poll
//! in the same form. They are not signed: a header holds a secret that the bot's owner chose. Must not read an update that was
//! posted before the header is the right one.

mod content;
mod entities;
mod events;
mod place;

use std::time::Duration;

use anser_core::inbound::{
    Inbound, InboundContext, InboundEvent, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use http::Method;
use serde_json::{Value, json};

use crate::kit::inbound::{header, malformed, parse, same};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};

/// The platform's name in what comes in.
const PLATFORM: &str = "telegram";
/// The header of the secret.
const SECRET: &str = "x-telegram-bot-api-secret-token";
/// The method that answers a button.
pub(super) const ANSWER_BUTTON: &str = "answerCallbackQuery";
/// Updates are kept and sent again for a day.
pub(super) const REMEMBER: Duration = Duration::from_secs(24 * 3_600);

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
        let update = read(&parse(request.body)?, self.bot, context)?;
        // The answer of a webhook may be a call of the API
        // (<https://core.telegram.org/bots/api#making-requests-when-getting-updates>), whose result nobody sees.
        let called = update
            .button
            .map(|id| bytes_of(&json!({"method": ANSWER_BUTTON, "callback_query_id": id})));
        Ok(Received {
            events: update.events,
            answer: answer(MEDIA_TYPE, called.unwrap_or_else(|| b"{}".to_vec())),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// What an update brings, however it came.
pub(super) struct Taken {
    /// Its number, as it was written.
    pub(super) number: i64,
    /// What happened; nothing where the bot itself said it.
    pub(super) events: Vec<InboundEvent>,
    /// The id of a pressed button, which shows that it waits until it is answered.
    pub(super) button: Option<String>,
}

/// Reads an update.
///
/// # Errors
/// `malformed_event`.
pub(super) fn read(
    update: &Value,
    bot: i64,
    context: &InboundContext<'_>,
) -> Result<Taken, Refusal> {
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
        bot,
    };
    let button = event["id"].as_str().filter(|_| kind == "callback_query");
    Ok(Taken {
        number,
        events: update.read(context),
        button: button.map(str::to_owned),
    })
}

/// The parameters of the method that answers a button, without a word to whoever pressed it.
pub(super) fn button_answered(id: &str) -> Value {
    json!({"callback_query_id": id})
}

#[cfg(test)]
mod tests;
