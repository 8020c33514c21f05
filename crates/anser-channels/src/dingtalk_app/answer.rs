//! What the API's answers mean: the HTTP status, the code of an error, and in a success who got nothing. Must not take a body
//! without a key for success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::{Map, Value};

use super::target::Target;
use crate::kit::classify::{json_answer, rejected, too_large, unseen};
use crate::kit::reach::{is_last, members, partly_delivered};

/// The pause after the limit of the API, which is one of a second.
const API_PAUSE: Duration = Duration::from_secs(2);
/// The pause after DingTalk let nobody of the target have the message for its flow control.
const PERSON_PAUSE: Duration = Duration::from_secs(60);

/// An error as the API tells it.
struct ApiError {
    status: StatusCode,
    code: String,
    text: String,
}

/// The error in an answer.
fn error(exchange: &Exchange) -> Option<ApiError> {
    let response = exchange.as_ref().ok()?;
    let body: Map<String, Value> = serde_json::from_slice(&response.body).ok()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let code = text("code").filter(|_| !response.status.is_success())?;
    Some(ApiError {
        status: response.status,
        code: code.to_owned(),
        text: text("message").unwrap_or_default().to_owned(),
    })
}

impl ApiError {
    /// The API's limit, whichever of its ways it has to say so.
    fn is_limit(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || ["QpsLimit", "Throttling", "flowControl", "FlowControl"]
                .iter()
                .any(|word| self.code.contains(word))
    }

    fn is_of_token(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.code == "InvalidAuthentication"
    }

    fn is_of_form(&self) -> bool {
        let code = self.code.to_ascii_lowercase();
        code.contains("msgparam") || code.contains("msgkey") || code.contains("param.invalid")
    }

    fn remedy(&self) -> &'static str {
        let code = self.code.as_str();
        match () {
            () if code.starts_with("Forbidden") => {
                "give the app the permission to send robot messages, and this machine's IP if the app has a list"
            }
            () if code.contains("robotCode") || code.contains("robot") => {
                "turn the app's robot on and publish a version, or set settings.robot_code"
            }
            () if code.contains("openConversationId") => {
                "check the group's openConversationId, and that the app's robot is in it"
            }
            () if code.contains("userId") || code.contains("staffId") => {
                "check the ids of the people"
            }
            () => "",
        }
    }
}

/// The body of an answer with a token in it.
pub(super) fn token(
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Outcome> {
    match error(exchange) {
        Some(error) if error.is_limit() => Err(Outcome::Limited { wait: API_PAUSE }),
        Some(error) if error.status.is_client_error() => {
            let remedy =
                "check settings.app_key and settings.app_secret against the app's page Credentials";
            Err(rejected(&error.code, &error.text, remedy))
        }
        _ => json_answer(exchange, context),
    }
}

/// Where a file that somebody sent is.
pub(super) fn file_address(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    match error(exchange) {
        Some(error) if error.is_limit() => Err(Outcome::Limited { wait: API_PAUSE }),
        Some(error) if error.is_of_token() => Err(Outcome::RefreshAuth),
        Some(error) if error.status.is_server_error() => Err(Outcome::Retry {
            reason: format!("{} {}", error.code, error.text),
        }),
        Some(error) if error.code.to_ascii_lowercase().contains("downloadcode") => {
            Err(Outcome::Gone {
                reason: format!("{} {}", error.code, error.text),
            })
        }
        Some(error) => Err(rejected(&error.code, &error.text, error.remedy())),
        None => {
            let body = json_answer(exchange, context).map_err(unseen)?;
            let url = body.get("downloadUrl").and_then(Value::as_str);
            url.map(str::to_owned).ok_or_else(|| Outcome::Retry {
                reason: "the answer does not say where the file is".to_owned(),
            })
        }
    }
}

/// Judges the answer to a step of a message to `target`.
pub(super) fn classify(
    step: &Step,
    target: Option<&Target>,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Outcome {
    if step.kind == StepKind::Upload {
        return too_large(exchange).unwrap_or_else(|| unseen(uploaded(exchange, context)));
    }
    if let Some(error) = error(exchange) {
        return refused(step, &error);
    }
    let body = match json_answer(exchange, context) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    match step.kind {
        StepKind::Recall => recalled(step, &body),
        _ => taken(step, target, &body),
    }
}

fn refused(step: &Step, error: &ApiError) -> Outcome {
    let ApiError { status, code, text } = error;
    let reason = format!("{code} {text}");
    if error.is_limit() {
        return Outcome::Limited { wait: API_PAUSE };
    }
    if error.is_of_token() {
        return Outcome::RefreshAuth;
    }
    if !status.is_client_error() {
        return Outcome::Retry { reason };
    }
    if error.is_of_form() && step.kind == StepKind::Send && !is_text(step) {
        return Outcome::Degrade { reason };
    }
    rejected(code, text, error.remedy())
}

/// A message that was taken, though perhaps not for all. Whom DingTalk held back for its flow control may get it later; but
/// only if it was everybody, since there is no sending to some of them.
fn taken(step: &Step, target: Option<&Target>, body: &Map<String, Value>) -> Outcome {
    let key = body.get("processQueryKey").and_then(Value::as_str);
    let (strangers, held) = (
        ids(body, "invalidStaffIdList"),
        ids(body, "flowControlledStaffIdList"),
    );
    let missed: Vec<&str> = strangers.iter().chain(&held).copied().collect();
    if target.is_some_and(|target| target.is_within(&missed)) {
        if held.is_empty() {
            let text = format!("nobody has the id {}", strangers.join(", "));
            return rejected("invalidStaffIdList", &text, "check the ids of the people");
        }
        return Outcome::TargetLimited { wait: PERSON_PAUSE };
    }
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Outcome::Unknown {
            reason: "the answer has no processQueryKey".to_owned(),
        };
    };
    if missed.is_empty() || !is_last(step) {
        let platform_id = Some(key.to_owned());
        return Outcome::Delivered { platform_id };
    }
    let remedy = "check their ids, or write to them less often";
    partly_delivered(&missed.join(", "), key, remedy)
}

/// Whether it is in the lowest form.
fn is_text(step: &Step) -> bool {
    step.kind == StepKind::Send && members(step).get("msgKey") == Some(&"sampleText".into())
}

fn ids<'b>(body: &'b Map<String, Value>, name: &str) -> Vec<&'b str> {
    let list = body.get(name).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What was taken back is listed, and so is what was not, with the reason.
fn recalled(step: &Step, body: &Map<String, Value>) -> Outcome {
    let key = step.of.as_deref().unwrap_or_default();
    if let Some(reason) = body.get("failedResult").and_then(|failed| failed.get(key)) {
        let reason = reason.as_str().unwrap_or("not taken back");
        return rejected(
            "failedResult",
            reason,
            "messages can be taken back for 24 hours",
        );
    }
    if ids(body, "successResult").contains(&key) {
        return Outcome::Delivered { platform_id: None };
    }
    Outcome::Unknown {
        reason: "the answer does not name the message".to_owned(),
    }
}

/// The older part of the API has its codes in the body, with HTTP 200.
fn uploaded(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let body = match json_answer(exchange, context) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = body.get("errcode").and_then(Value::as_i64);
    let reason = format!("{} {}", code.unwrap_or_default(), text("errmsg"));
    match (code, text("media_id")) {
        (Some(0), "") | (None, _) => Outcome::Retry {
            reason: "the answer has no media_id".to_owned(),
        },
        (Some(0), media_id) => Outcome::Delivered {
            platform_id: Some(media_id.to_owned()),
        },
        (Some(-1), _) => Outcome::Retry { reason },
        (Some(40001 | 40014 | 41001 | 42001), _) => Outcome::RefreshAuth,
        // The limit of all calls, and that of one (<https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>).
        (Some(88 | 90018), _) => Outcome::Limited { wait: API_PAUSE },
        _ => Outcome::Degrade { reason },
    }
}
