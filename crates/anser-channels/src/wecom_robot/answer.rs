//! What a robot's answer means: the table of codes, which come with HTTP 200. Must not take a body without a code for
//! success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, Step};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::{json_answer, rejected};

/// The window of a robot's limit.
const PAUSE: Duration = Duration::from_secs(60);

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let body = match json_answer(exchange, context) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    let Some(code) = body.get("errcode").and_then(Value::as_i64) else {
        let reason = "the answer has no errcode".to_owned();
        return Outcome::Unknown { reason };
    };
    let text = body
        .get("errmsg")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let reason = format!("{code} {text}");
    match code {
        0 => Outcome::Delivered { platform_id: None },
        -1 => Outcome::Retry { reason },
        45009 | 45033 => Outcome::Limited { wait: PAUSE },
        // The form is not taken; of text there is no lower one.
        40008 | 44004 | 45002 | 40058 if !is_text(step) => Outcome::Degrade { reason },
        _ => rejected(code, text, remedy(code)),
    }
}

const fn remedy(code: i64) -> &'static str {
    match code {
        93000 => "the key is wrong or the robot is gone: copy webhook_url from the group again",
        48001 | 60020 | 301_002 => "this machine's IP or the robot has no right to send",
        _ => "",
    }
}

fn is_text(step: &Step) -> bool {
    serde_json::from_slice::<Value>(&step.body).is_ok_and(|body| body["msgtype"] == "text")
}
