//! What Discord's answer means: 2xx is success, the codes in the body say what else. Must not guess a pause that the answer
//! names.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, HttpResponse};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::Value;

use crate::kit::classify::{answer, json_answer, pause, rejected};

/// The pause when Discord's gate, and not its API, refuses: it has banned this address for a while.
const BANNED: Duration = Duration::from_secs(3_600);

/// Judges an answer.
pub(super) fn classify(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if let Some(wait) = limited(exchange) {
        return Outcome::Limited { wait };
    }
    match answer(exchange, context) {
        Ok(response) if response.status.is_success() => delivered(response),
        Ok(_) => match json_answer(exchange, context) {
            Ok(body) => refused(&body.into()),
            Err(outcome) => outcome,
        },
        Err(outcome) => outcome,
    }
}

fn delivered(response: &HttpResponse) -> Outcome {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let platform_id = body["id"].as_str().map(str::to_owned);
    Outcome::Delivered { platform_id }
}

fn refused(body: &Value) -> Outcome {
    let code = body["code"].as_i64().unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    match code {
        // A form that is not taken, or too large.
        50035 | 40005 => Outcome::Degrade {
            reason: format!("{code} {text}"),
        },
        _ => rejected(code, text, remedy(code)),
    }
}

const fn remedy(code: i64) -> &'static str {
    match code {
        10015 | 50027 => "the webhook is gone: make another and set its URL",
        10003 => "the channel or thread is gone",
        50001 | 50013 => "the webhook has no access there",
        _ => "",
    }
}

/// The pause that a 429 asks for: in its body, in fractions of a second.
fn limited(exchange: &Exchange) -> Option<Duration> {
    let response = exchange.as_ref().ok()?;
    if response.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match body["retry_after"].as_f64() {
        Some(seconds) => Some(pause(seconds)),
        None if response.headers.contains_key("via") => None,
        None => Some(BANNED),
    }
}
