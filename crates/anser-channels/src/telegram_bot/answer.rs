//! What Telegram's answer means: `ok` in the body, and the code and text of an error. Must not take a body without `ok` for
//! success.

use anser_core::channel::{Context, Exchange};
use anser_core::outcome::Outcome;
use serde_json::Value;

use crate::kit::classify::{json_answer, pause, rejected};

/// What a success begins with. It repeats the whole message, so that the answer to a long one is cut at the cap.
const SUCCESS: &[u8] = br#"{"ok":true,"result":{"message_id":"#;

/// Judges an answer.
pub(super) fn classify(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if let Some(outcome) = from_body(exchange) {
        return outcome;
    }
    match json_answer(exchange, context) {
        Ok(body) if body.get("ok") == Some(&Value::Bool(true)) => delivered(&body.into()),
        Ok(body) if body.get("ok") == Some(&Value::Bool(false)) => refused(&body.into()),
        Ok(_) => Outcome::Unknown {
            reason: "the answer has no ok".to_owned(),
        },
        Err(outcome) => outcome,
    }
}

/// What only the body tells: the pause of a 429, and success where the answer was cut.
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
    Some(Outcome::Limited { wait: pause(wait) })
}

fn delivered(body: &Value) -> Outcome {
    let id = body["result"]["message_id"].as_i64();
    let platform_id = id.map(|id| id.to_string());
    Outcome::Delivered { platform_id }
}

fn refused(body: &Value) -> Outcome {
    let code = body["error_code"].as_i64().unwrap_or_default();
    let text = body["description"].as_str().unwrap_or_default();
    if code >= 500 {
        return Outcome::Retry {
            reason: format!("{code} {text}"),
        };
    }
    if let Some(chat) = body["parameters"]["migrate_to_chat_id"].as_i64() {
        let remedy = format!("the group became a supergroup: set its chat to {chat}");
        return rejected(code, text, &remedy);
    }
    let lower = text.to_lowercase();
    let form = [
        "can't parse entities",
        "message is too long",
        "button",
        "reply markup",
    ];
    if code == 400 && form.iter().any(|part| lower.contains(part)) {
        return Outcome::Degrade {
            reason: format!("{code} {text}"),
        };
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
        _ => "",
    }
}
