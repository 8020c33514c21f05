//! How the Bot API answers: `ok` with a result, or an `error_code`, which the HTTP status repeats, with a description.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Answer, Breach, Refusal, Verdict, whole_seconds};

pub(super) fn ok(result: &Value) -> Answer {
    Answer::json(200, &json!({"ok": true, "result": result}))
}

pub(super) fn done(result: &Value) -> Verdict {
    Verdict::Answered(ok(result))
}

pub(super) fn error(status: u16, description: &str) -> Answer {
    let body = json!({"ok": false, "error_code": status, "description": description});
    Answer::json(status, &body)
}

pub(super) fn too_many(wait: Duration) -> Answer {
    let seconds = whole_seconds(wait);
    let body = json!({"ok": false, "error_code": 429,
        "description": format!("Too Many Requests: retry after {seconds}"), "parameters": {"retry_after": seconds}});
    Answer::json(429, &body)
}

pub(super) fn refuse(status: u16, description: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: status.to_string(),
        breach,
        answer: error(status, description),
    })
}

/// A request that says what cannot be.
pub(super) fn bad(told: &str) -> Box<Refusal> {
    refuse(400, &format!("Bad Request: {told}"), Breach::Content)
}
