//! What a robot's answer means: the table of codes, which come with HTTP 200. Must not take a body without a code for
//! success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::{json_answer, rejected};

/// How long a robot is silenced that sent too much.
const SILENCED: Duration = Duration::from_secs(600);
/// The pause of the softer limit.
const PAUSE: Duration = Duration::from_secs(60);

/// Judges an answer.
pub(super) fn classify(exchange: &Exchange, context: &Context<'_>) -> Outcome {
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
    match code {
        0 => Outcome::Delivered { platform_id: None },
        -1 => Outcome::Retry {
            reason: format!("{code} {text}"),
        },
        130_101 => Outcome::Limited { wait: SILENCED },
        410_100 => Outcome::Limited { wait: PAUSE },
        _ => rejected(code, text, remedy(code)),
    }
}

const fn remedy(code: i64) -> &'static str {
    match code {
        310_000 => {
            "the robot's security check: a keyword that the message lacks, the secret, this machine's clock or its IP"
        }
        300_001 | 400_101 => "the token is wrong: copy webhook_url from the group again",
        400_013 | 400_102 | 400_106 => "the group or its robot is gone or stopped",
        _ => "",
    }
}
