//! What Telegram's answer means: `ok` in the body, and the code and text of an error. Must not take a body without `ok` for
//! success.

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::outcome::Outcome;
use serde_json::{Map, Value};

use crate::kit::classify::{json_answer, pause, rejected, too_large, unseen};

/// What a success begins with. It repeats the whole message, so that the answer to a long one is cut at the cap.
const SUCCESS: &[u8] = br#"{"ok":true,"result":{"message_id":"#;
/// Errors that another form of the text or its buttons may not have.
const FORM_ERRORS: [&str; 4] = [
    "can't parse entities",
    "message is too long",
    "button",
    "reply markup",
];

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if let Some(outcome) = from_body(exchange) {
        return outcome;
    }
    if step.attachment.is_some()
        && let Some(outcome) = too_large(exchange)
    {
        return outcome;
    }
    match answered(exchange, context) {
        Ok(body) => match body.get("ok") {
            Some(Value::Bool(true)) => delivered(&body.into()),
            _ => refused(step, &body.into()),
        },
        Err(outcome) => outcome,
    }
}

/// The bot's name, in the answer to `getMe`.
pub(super) fn whose(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    if let Some(limited @ Outcome::TargetLimited { .. }) = from_body(exchange) {
        return Err(limited);
    }
    let body: Value = answered(exchange, context)?.into();
    match body["result"]["username"].as_str() {
        Some(name) => Ok(format!("@{name}")),
        None if body["ok"] == true => Err(Outcome::Retry {
            reason: "the answer names no bot".to_owned(),
        }),
        None => {
            let (code, text) = error(&body);
            Err(rejected(code, text, remedy(code, &text.to_lowercase())))
        }
    }
}

/// Where a file is, in the answer to `getFile`.
pub(super) fn file_path(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    if let Some(limited @ Outcome::TargetLimited { .. }) = from_body(exchange) {
        return Err(limited);
    }
    let body: Value = answered(exchange, context).map_err(unseen)?.into();
    if let Some(path) = body["result"]["file_path"].as_str() {
        return Ok(path.to_owned());
    }
    if body["ok"] == true {
        return Err(Outcome::Retry {
            reason: "the answer does not say where the file is".to_owned(),
        });
    }
    let (code, text) = error(&body);
    let lower = text.to_lowercase();
    Err(if code >= 500 {
        Outcome::Retry {
            reason: format!("{code} {text}"),
        }
    } else if lower.contains("too big") {
        rejected(code, text, "Telegram gives bots files of at most 20 MB")
    } else if lower.contains("file_id") || lower.contains("file id") {
        Outcome::Gone {
            reason: format!("{code} {text}"),
        }
    } else {
        rejected(code, text, remedy(code, &lower))
    })
}

/// A body that says whether it went well.
fn answered(exchange: &Exchange, context: &Context<'_>) -> Result<Map<String, Value>, Outcome> {
    let body = json_answer(exchange, context)?;
    if body.get("ok").is_some_and(Value::is_boolean) {
        return Ok(body);
    }
    Err(Outcome::Unknown {
        reason: "the answer has no ok".to_owned(),
    })
}

/// What only the body tells: the pause of a 429, and success where the answer was cut. The answer does not say whose limit
/// was reached. The channel's own rate keeps the bot below its 30 messages a second, so that it is the chat's: one a
/// second, or 20 a minute in a group, which is not told from other chats (Bots FAQ, "My bot is hitting limits").
fn from_body(exchange: &Exchange) -> Option<Outcome> {
    let response = exchange.as_ref().ok()?;
    if response.status.is_success() {
        let rest = response.body.strip_prefix(SUCCESS)?;
        let digits: Vec<u8> = rest
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        let platform_id = String::from_utf8(digits).ok().filter(|id| !id.is_empty());
        return platform_id.map(|id| Outcome::Delivered {
            platform_id: Some(id),
        });
    }
    let body: Value = serde_json::from_slice(&response.body).ok()?;
    let wait = body["parameters"]["retry_after"].as_f64()?;
    Some(Outcome::TargetLimited { wait: pause(wait) })
}

/// Several messages, as of an album, are known by the first.
fn delivered(body: &Value) -> Outcome {
    let result = &body["result"];
    let id = result["message_id"].as_i64();
    let id = id.or_else(|| result[0]["message_id"].as_i64());
    let platform_id = id.map(|id| id.to_string());
    Outcome::Delivered { platform_id }
}

fn error(body: &Value) -> (i64, &str) {
    let code = body["error_code"].as_i64().unwrap_or_default();
    (code, body["description"].as_str().unwrap_or_default())
}

fn refused(step: &Step, body: &Value) -> Outcome {
    let (code, text) = error(body);
    let reason = format!("{code} {text}");
    if code >= 500 {
        return Outcome::Retry { reason };
    }
    if let Some(chat) = body["parameters"]["migrate_to_chat_id"].as_i64() {
        let remedy = format!("the group became a supergroup: set its chat to {chat}");
        return rejected(code, text, &remedy);
    }
    let lower = text.to_lowercase();
    // What was asked for is so already.
    let is_so = match step.kind {
        StepKind::Recall => lower.contains("message to delete not found"),
        StepKind::Edit => lower.contains("message is not modified"),
        StepKind::Send | StepKind::Upload | StepKind::Call => false,
    };
    if is_so {
        return Outcome::Delivered { platform_id: None };
    }
    let of_form = FORM_ERRORS.iter().any(|part| lower.contains(part));
    // Whatever is wrong with a file, its dimensions, its type, the place it is fetched from, the chat's rule for such
    // files: a link may be taken. What is wrong with the chat is said again then.
    let of_file = step.attachment.is_some() && !lower.contains("chat not found");
    if (code == 400 && (of_form || of_file)) || (code == 413 && of_file) {
        return Outcome::Degrade { reason };
    }
    rejected(code, text, remedy(code, &lower))
}

fn remedy(code: i64, text: &str) -> &'static str {
    match code {
        401 | 404 => "the token is wrong or was revoked: copy it from @BotFather again",
        403 => "the bot was blocked or removed there, or the person never wrote to it",
        400 if text.contains("chat not found") => {
            "check the chat's number, and that the bot is in it"
        }
        400 if text.contains("there is no text in the message to edit") => {
            "text cannot take the place of a picture or a file: recall that and publish anew"
        }
        400 if text.contains("can't be deleted") => "a bot can delete what it sent for 48 hours",
        _ => "",
    }
}
