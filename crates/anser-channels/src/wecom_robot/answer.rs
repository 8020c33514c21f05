//! What a robot's answer means: the table of codes. Must not judge another API's.

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::rejected;
use crate::kit::wecom::answer::{coded, is_of_form, upload};

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if step.kind == StepKind::Upload {
        return upload(exchange, || judged(step, exchange, context));
    }
    judged(step, exchange, context)
}

fn judged(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let coded = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return outcome,
    };
    match coded.code {
        0 if step.kind == StepKind::Upload => match coded.member("media_id") {
            Some(media_id) => Outcome::Delivered {
                platform_id: Some(media_id),
            },
            None => Outcome::Retry {
                reason: "the answer has no media_id".to_owned(),
            },
        },
        0 => Outcome::Delivered { platform_id: None },
        // The form is not taken; of text there is no lower one.
        code if is_of_form(code) && !is_text(step) => Outcome::Degrade {
            reason: coded.reason(),
        },
        code => rejected(code, &coded.text, remedy(code)),
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
