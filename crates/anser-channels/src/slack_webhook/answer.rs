//! What a webhook's answer means: plain text, `ok` for success. Must not take another 200 for success.

use anser_core::channel::{Context, Exchange, Step};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::{answer, rejected};

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let response = match answer(exchange, context) {
        Ok(response) => response,
        Err(outcome) => return outcome,
    };
    let body = String::from_utf8_lossy(&response.body);
    // An error is one word; a page of a proxy is none.
    let word = body.trim();
    let is_word = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if response.status.is_success() {
        if word == "ok" {
            return Outcome::Delivered { platform_id: None };
        }
        let reason = "the answer is no ok".to_owned();
        return Outcome::Unknown { reason };
    }
    let code = if is_word && !word.is_empty() {
        word.to_owned()
    } else {
        response.status.as_u16().to_string()
    };
    match code.as_str() {
        "invalid_payload"
        | "no_text"
        | "too_many_attachments"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_attachments"
        | "msg_too_long"
        | "400"
            if !is_text(step) =>
        {
            Outcome::Degrade { reason: code }
        }
        "408" | "425" => Outcome::Retry { reason: code },
        _ => {
            let remedy = remedy(&code);
            rejected(&code, &format!("HTTP {}", response.status.as_u16()), remedy)
        }
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "invalid_token" | "no_service" | "no_active_hooks" | "no_team" => {
            "the webhook is gone: make another and set its address"
        }
        "channel_not_found" | "channel_is_archived" => "the webhook's channel is gone or archived",
        "action_prohibited" | "posting_to_general_channel_denied" => {
            "the workspace's administrators forbid it"
        }
        _ => "",
    }
}

fn is_text(step: &Step) -> bool {
    serde_json::from_slice::<Value>(&step.body)
        .is_ok_and(|body| body.get("blocks").is_none() && body.get("attachments").is_none())
}
