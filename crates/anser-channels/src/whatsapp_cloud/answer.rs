//! What the API's answers mean: the table of codes (<https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>).
//! Must not take a success without an id for one. A success says that WhatsApp took the message, not that anybody has it.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::limits::RETRY_AFTER_MAX;
use anser_core::outcome::Outcome;
use serde_json::{Map, Value};

use crate::kit::classify::{PAUSE_DEFAULT, json_answer, rejected, retry_after, too_large, unseen};

/// The pause after the limit of an app or a business, whose windows are of an hour.
const BUSINESS_PAUSE: Duration = Duration::from_secs(60);
/// The pause after too many messages to one person, times the attempt: one in so long is what WhatsApp takes for long.
const PAIR_PAUSE: Duration = Duration::from_secs(6);
/// Attempts after which that pause no longer grows.
const PAIR_ATTEMPTS_MAX: u32 = 10;
/// Nothing but a template is taken: the person has not written within 24 hours.
const WINDOW_CLOSED: i64 = 131_047;

/// Judges the answer to a step. `template` says whether there is one to fall back on.
pub(super) fn classify(
    step: &Step,
    template: bool,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Outcome {
    if step.kind == StepKind::Upload {
        let judged = || unseen(judged(step, template, exchange, context));
        return too_large(exchange).unwrap_or_else(judged);
    }
    judged(step, template, exchange, context)
}

fn judged(step: &Step, template: bool, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    // The code counts, not the HTTP status: limits come with 400 as well as with 429.
    if let Some(error) = error(exchange) {
        return refused(step, template, &error, exchange, context);
    }
    let body = match json_answer(exchange, context) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    let id = match step.kind {
        StepKind::Upload => body.get("id"),
        _ => body
            .get("messages")
            .and_then(|messages| messages[0].get("id")),
    };
    let id = id.and_then(Value::as_str).filter(|id| !id.is_empty());
    match (id, step.kind) {
        (Some(id), _) => Outcome::Delivered {
            platform_id: Some(id.to_owned()),
        },
        (None, StepKind::Upload) => Outcome::Retry {
            reason: "the answer has no id of what was uploaded".to_owned(),
        },
        (None, _) => Outcome::Unknown {
            reason: "the answer has no message id".to_owned(),
        },
    }
}

/// Where a file that somebody sent is.
pub(super) fn file_address(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    if let Some(error) = error(exchange) {
        return Err(file_error(&error));
    }
    let body = json_answer(exchange, context).map_err(unseen)?;
    let url = body.get("url").and_then(Value::as_str);
    url.map(str::to_owned).ok_or_else(|| Outcome::Retry {
        reason: "the answer does not say where the file is".to_owned(),
    })
}

/// Why a file is not given: what the API says, `otherwise` where it says nothing.
pub(super) fn refused_file(exchange: &Exchange, otherwise: impl FnOnce() -> Outcome) -> Outcome {
    error(exchange).map_or_else(otherwise, |error| file_error(&error))
}

fn file_error(error: &ApiError) -> Outcome {
    let ApiError { code, text } = error;
    let reason = || format!("{code} {text}");
    match *code {
        // An id that is nobody's, or was of media that are kept no more: 30 days.
        100 | 131_052 => Outcome::Gone { reason: reason() },
        1 | 2 | 131_000 | 131_016 => Outcome::Retry { reason: reason() },
        4 | 80_007 | 130_429 => Outcome::Limited {
            wait: BUSINESS_PAUSE,
        },
        code => rejected(code, text, remedy(code)),
    }
}

/// An error as the API tells it.
struct ApiError {
    code: i64,
    text: String,
}

/// The error in an answer, whatever its HTTP status.
fn error(exchange: &Exchange) -> Option<ApiError> {
    let response = exchange.as_ref().ok()?;
    let body: Map<String, Value> = serde_json::from_slice(&response.body).ok()?;
    let error = body.get("error")?;
    let code = error["code"].as_i64()?;
    let text = error["message"].as_str().unwrap_or_default();
    let text = match error["error_data"]["details"].as_str() {
        Some(details) if !details.is_empty() => format!("{text}: {details}"),
        _ => text.to_owned(),
    };
    Some(ApiError { code, text })
}

fn refused(
    step: &Step,
    template: bool,
    error: &ApiError,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Outcome {
    let ApiError { code, text } = error;
    let reason = || format!("{code} {text}");
    let asked = exchange.as_ref().ok();
    let asked = asked.and_then(|response| retry_after(response, context.now));
    match *code {
        130_429 => Outcome::Limited {
            wait: asked.unwrap_or(PAUSE_DEFAULT),
        },
        4 | 80_007 => Outcome::Limited {
            wait: asked.unwrap_or(BUSINESS_PAUSE),
        },
        131_056 => Outcome::TargetLimited {
            wait: PAIR_PAUSE * context.attempt.clamp(1, PAIR_ATTEMPTS_MAX),
        },
        131_048 => Outcome::Limited {
            wait: RETRY_AFTER_MAX,
        },
        131_049 => Outcome::TargetLimited {
            wait: RETRY_AFTER_MAX,
        },
        1 | 2 | 131_000 | 131_016 => Outcome::Retry { reason: reason() },
        WINDOW_CLOSED if template && kind(step) != "template" => {
            Outcome::Degrade { reason: reason() }
        }
        // A parameter, a type or media that is not taken: perhaps only in this form.
        100 | 131_008 | 131_009 | 131_051 | 131_052 | 131_053 if has_lower_form(step) => {
            Outcome::Degrade { reason: reason() }
        }
        code => rejected(code, text, remedy(code)),
    }
}

fn has_lower_form(step: &Step) -> bool {
    step.attachment.is_some() || kind(step) == "interactive"
}

/// The type of a message.
fn kind(step: &Step) -> String {
    let body: Value = serde_json::from_slice(&step.body).unwrap_or_default();
    body["type"].as_str().unwrap_or_default().to_owned()
}

/// What to do about a code.
pub(super) const fn remedy(code: i64) -> &'static str {
    match code {
        0 | 190 => {
            "the access token is wrong, expired or revoked: make another and set settings.access_token"
        }
        3 | 10 | 200..=299 => {
            "give the token's owner the permission whatsapp_business_messaging and the number"
        }
        100 => "check settings.phone_number_id, and a native payload if there is one",
        WINDOW_CLOSED => {
            "the person has not written within 24 hours, so that WhatsApp takes templates only: set settings.template, or send \
             one with override"
        }
        131_026 => {
            "the number has no WhatsApp, an old version of it, or has not agreed to its terms"
        }
        131_030 => "a test number writes only to the numbers on its list: add this one",
        131_031 | 368 => "WhatsApp has locked the account: see its Account Quality page",
        131_042 => "the account's payment method has a problem",
        132_000..=132_999 => {
            "check the template's name, language and variables in WhatsApp Manager"
        }
        133_010 => "the number is not registered with the Cloud API",
        _ => "",
    }
}

/// Whose number it is, from the answer to the question.
///
/// # Errors
/// What the answer would mean for a delivery.
pub(super) fn owner(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    if let Some(ApiError { code, text }) = error(exchange) {
        return Err(rejected(code, &text, remedy(code)));
    }
    let body = json_answer(exchange, context)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (text("verified_name"), text("display_phone_number")) {
        (Some(name), Some(number)) => Ok(format!("{name} ({number})")),
        (None, Some(number)) => Ok(number.to_owned()),
        _ => Err(Outcome::Retry {
            reason: "the answer names no number".to_owned(),
        }),
    }
}
