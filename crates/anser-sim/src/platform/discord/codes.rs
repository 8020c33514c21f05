//! Discord, the table of codes and its refusals: a code and a sentence in the body, with the HTTP status. Must not know when
//! which is given.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Answer, Breach, Refusal, whole_seconds};
use crate::limit::Over;

/// The answer to a request that is refused with that code.
pub(super) fn refusal(code: &str, wait: Duration) -> Answer {
    let (status, message) = match code {
        "ratelimited" => return too_many(wait, false),
        "0" | "401" => (401, "401: Unauthorized"),
        "404" => (404, "404: Not Found"),
        "405" => (405, "405: Method Not Allowed"),
        "10003" => (404, "Unknown Channel"),
        "10008" => (404, "Unknown Message"),
        "10062" => (404, "Unknown interaction"),
        "10013" => (404, "Unknown User"),
        "10015" => (404, "Unknown Webhook"),
        "20022" => (
            429,
            "This message cannot be edited due to announcement rate limits.",
        ),
        "30015" => (
            400,
            "Maximum number of attachments in a message reached (10)",
        ),
        "40005" => (413, "Request entity too large"),
        "50001" => (403, "Missing Access"),
        "50003" => (403, "Cannot execute action on a DM channel"),
        "50005" => (403, "Cannot edit a message authored by another user"),
        "50006" => (400, "Cannot send an empty message"),
        "50007" => (403, "Cannot send messages to this user"),
        "50013" => (403, "Missing Permissions"),
        "50027" => (401, "Invalid Webhook Token"),
        "50033" => (400, "Invalid Recipient(s)"),
        "50035" => (400, "Invalid Form Body"),
        "50109" => (400, "The request body contains invalid JSON."),
        "130000" => (
            503,
            "API resource is currently overloaded. Try again a little later",
        ),
        _ => (400, "error"),
    };
    let code: Value = match code {
        "401" | "404" | "405" => 0.into(),
        _ => code.parse::<i64>().map_or_else(|_| code.into(), Into::into),
    };
    Answer::json(status, &json!({"message": message, "code": code}))
}

/// What tells to wait: for one route, or for all that a bot does.
fn too_many(wait: Duration, is_global: bool) -> Answer {
    let after = wait.as_secs_f64();
    let body = json!({"message": "You are being rate limited.", "retry_after": after, "global": is_global});
    let answer = Answer::json(429, &body).with("retry-after", whole_seconds(wait));
    match is_global {
        true => answer
            .with("x-ratelimit-global", "true")
            .with("x-ratelimit-scope", "global"),
        false => answer.with("x-ratelimit-scope", "user"),
    }
}

pub(super) fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: refusal(code, Duration::ZERO),
    })
}

/// A window is full.
pub(super) fn limited(over: Over, is_global: bool) -> Box<Refusal> {
    Box::new(Refusal {
        code: "ratelimited".to_owned(),
        breach: Breach::Rate,
        answer: too_many(over.wait, is_global),
    })
}

/// What stands before the platform answers by itself, without the platform's headers.
pub(super) fn banned(wait: Duration) -> Box<Refusal> {
    Box::new(Refusal {
        code: "banned".to_owned(),
        breach: Breach::Rate,
        answer: Answer::text(429, "error code: 1015").with("retry-after", wait.as_secs()),
    })
}

/// `50035`, with what is wrong at the place where it is.
pub(super) fn invalid(pointer: &str, code: &str, message: &str, breach: Breach) -> Box<Refusal> {
    let mut errors = json!({"_errors": [{"code": code, "message": message}]});
    for part in pointer.rsplit('/').filter(|part| !part.is_empty()) {
        errors = json!({part: errors});
    }
    let body = json!({"message": "Invalid Form Body", "code": 50_035, "errors": errors});
    Box::new(Refusal {
        code: "50035".to_owned(),
        breach,
        answer: Answer::json(400, &body),
    })
}

pub(super) fn too_long(pointer: &str, most: usize) -> Box<Refusal> {
    let message = format!("Must be {most} or fewer in length.");
    invalid(pointer, "BASE_TYPE_MAX_LENGTH", &message, Breach::Size)
}
