//! What a robot's answer means: the table of codes, which count and not the HTTP status. Must not take a body without a
//! code for success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, Step};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::{json_answer, pause, rejected};

/// The pause when the answer names none. The window of 100 a minute may be full, that of 5 a second is not.
const PAUSE: Duration = Duration::from_secs(10);
/// Seconds to wait, where the platform says so.
const RESET: &str = "x-ogw-ratelimit-reset";

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let body = match json_answer(exchange, context) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    let Some(code) = body.get("code").and_then(Value::as_i64) else {
        let reason = "the answer has no code".to_owned();
        return Outcome::Unknown { reason };
    };
    let text = body.get("msg").and_then(Value::as_str).unwrap_or_default();
    match code {
        0 => Outcome::Delivered { platform_id: None },
        11232 => Outcome::Limited {
            wait: reset(exchange).unwrap_or(PAUSE),
        },
        2200 => Outcome::Retry {
            reason: format!("{code} {text}"),
        },
        19036 => Outcome::Degrade {
            reason: format!("{code} {text}"),
        },
        // A malformed body: perhaps only a form that this server does not know.
        9499 if !is_text(step) => Outcome::Degrade {
            reason: format!("{code} {text}"),
        },
        _ => rejected(code, text, remedy(code)),
    }
}

const fn remedy(code: i64) -> &'static str {
    match code {
        19001 => "the robot is gone or its address is wrong: copy webhook_url from the group again",
        19021 => "the signature does not fit: check the secret, and this machine's clock",
        19022 => "the robot's IP list does not have this machine",
        19024 => "the robot wants a keyword that the message does not contain",
        _ => "",
    }
}

fn is_text(step: &Step) -> bool {
    serde_json::from_slice::<Value>(&step.body).is_ok_and(|body| body["msg_type"] == "text")
}

fn reset(exchange: &Exchange) -> Option<Duration> {
    let value = exchange.as_ref().ok()?.headers.get(RESET)?;
    Some(pause(value.to_str().ok()?.trim().parse().ok()?))
}
