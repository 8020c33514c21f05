//! What Discord's answer means: 2xx is success, the codes in the body say what else. Must not guess a pause that the answer
//! names.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, HttpResponse, Step, StepKind};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::Value;

use super::Author;
use crate::kit::classify::{answer, json_answer, pause, rejected, too_large, unseen};

/// The pause when Discord's gate, and not its API, refuses: it has banned this address for a while.
const BANNED: Duration = Duration::from_secs(3_600);
/// Who a limit is for: `user`, `shared` (one channel, for all of its bots) or `global`.
const SCOPE: &str = "x-ratelimit-scope";

/// Judges the answer to a step.
pub(crate) fn classify(
    author: Author,
    step: &Step,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Outcome {
    if let Some(outcome) = limited(author, exchange) {
        return outcome;
    }
    if step.attachment.is_some()
        && let Some(outcome) = too_large(exchange)
    {
        return outcome;
    }
    let outcome = match body(exchange, context) {
        Ok(Ok(response)) => delivered(author, step, response),
        Ok(Err(body)) => refused(author, step, &body),
        Err(outcome) => outcome,
    };
    match step.kind {
        StepKind::Send => outcome,
        // Only what is sent twice is seen twice.
        _ => unseen(outcome),
    }
}

/// Who the platform says the credentials belong to: the body of a success.
///
/// # Errors
/// What the answer would mean for a delivery.
pub(crate) fn read(
    author: Author,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Value, Outcome> {
    if let Some(outcome) = limited(author, exchange) {
        return Err(outcome);
    }
    match body(exchange, context)? {
        Ok(_) => json_answer(exchange, context).map(Value::from),
        Err(body) => Err(rejection(author, &body)),
    }
}

/// The answer of a success, or the body of a refusal.
fn body<'e>(
    exchange: &'e Exchange,
    context: &Context<'_>,
) -> Result<Result<&'e HttpResponse, Value>, Outcome> {
    let response = answer(exchange, context)?;
    if response.status.is_success() {
        return Ok(Ok(response));
    }
    json_answer(exchange, context).map(|body| Err(body.into()))
}

/// The id of a message, after its channel's if it is a bot's: `CHANNEL:MESSAGE`.
fn delivered(author: Author, step: &Step, response: &HttpResponse) -> Outcome {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let id = body["id"].as_str().map(str::to_owned);
    let platform_id = match (author, body["channel_id"].as_str(), id) {
        (Author::Bot, Some(channel), Some(id)) if step.kind != StepKind::Call => {
            Some(format!("{channel}:{id}"))
        }
        (_, _, id) => id,
    };
    Outcome::Delivered { platform_id }
}

fn refused(author: Author, step: &Step, body: &Value) -> Outcome {
    let code = body["code"].as_i64().unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    let reason = || format!("{code} {text}");
    match code {
        // It is gone already, with its channel or alone.
        10_003 | 10_008 if step.kind == StepKind::Recall => {
            Outcome::Delivered { platform_id: None }
        }
        // A question has one form only.
        _ if step.kind == StepKind::Call => rejection(author, body),
        // A form that is not taken, or too large; a file that is.
        50_035 | 40_005 | 50_045 | 50_046 => Outcome::Degrade { reason: reason() },
        // Perhaps only the right to attach files is missing.
        50_013 if step.attachment.is_some() => Outcome::Degrade { reason: reason() },
        130_000 => Outcome::Retry { reason: reason() },
        _ => rejection(author, body),
    }
}

fn rejection(author: Author, body: &Value) -> Outcome {
    let code = body["code"].as_i64().unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    rejected(code, text, remedy(author, code))
}

const fn remedy(author: Author, code: i64) -> &'static str {
    match (author, code) {
        (Author::Bot, 0 | 40_001 | 50_014) => {
            "the token is wrong or was reset: copy it again from the app's page Bot"
        }
        (Author::Bot, 50_001 | 50_013) => {
            "let the bot view the channel, send messages and attach files there"
        }
        (Author::Bot, 10_013 | 50_007) => {
            "the person shares no server with the bot, or takes no messages from it"
        }
        (Author::Webhook, 50_001 | 50_013) => "the webhook has no access there",
        (Author::Bot, 10_015 | 50_027) => {
            "an interaction can be answered for 15 minutes only: publish without its reply_to"
        }
        (_, 10_015 | 50_027) => "the webhook is gone: make another and set its URL",
        (_, 10_003) => "the channel or thread is gone",
        (_, 10_008) => "the message is gone",
        (_, 50_083 | 160_005) => "the thread is archived or locked",
        (_, 200_000 | 240_000) => "the server's rules on content refuse it",
        _ => "",
    }
}

/// What a 429 asks for: the pause in its body, in fractions of a second. A bot's limits are those of one channel, unless
/// the answer says that they are for all.
fn limited(author: Author, exchange: &Exchange) -> Option<Outcome> {
    let response = exchange.as_ref().ok()?;
    if response.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let wait = match body["retry_after"].as_f64() {
        Some(seconds) => pause(seconds),
        None if response.headers.contains_key("via") => return None,
        None => return Some(Outcome::Limited { wait: BANNED }),
    };
    let is_global = body["global"] == true
        || response
            .headers
            .get(SCOPE)
            .is_some_and(|scope| scope == "global");
    Some(match author {
        Author::Bot if !is_global => Outcome::TargetLimited { wait },
        Author::Bot | Author::Webhook => Outcome::Limited { wait },
    })
}
