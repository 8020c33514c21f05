//! What the API's answers mean: the table of codes, which count and not the HTTP status. Must not take a body without a
//! code for success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::kit::classify::{json_answer, pause, rejected, too_large, unseen};

/// The API's frequency limit, for all of the app.
const API_LIMIT: i64 = 99_991_400;
/// The pause after it when the answer names none: the window of 50 a second is open again, and that of 1,000 a minute
/// after some.
const API_PAUSE: Duration = Duration::from_secs(5);
/// The pause after the limit of 5 messages a second to one chat or person.
const CHAT_PAUSE: Duration = Duration::from_secs(1);
/// The message was recalled.
const RECALLED: i64 = 230_011;
/// The message was deleted.
const DELETED: i64 = 230_110;
/// The file is not in that message.
const FILE_NOT_THERE: i64 = 234_003;
/// Seconds to wait, where the platform says so.
const RESET: &str = "x-ogw-ratelimit-reset";

/// The answer's body and code, or the outcome where it has none or the limit of the API is reached.
fn coded(exchange: &Exchange, context: &Context<'_>) -> Result<(Map<String, Value>, i64), Outcome> {
    let reset = reset(exchange);
    if let (Ok(response), Some(wait)) = (exchange, reset)
        && response.status == StatusCode::TOO_MANY_REQUESTS
    {
        return Err(Outcome::Limited { wait });
    }
    let body = json_answer(exchange, context)?;
    match body.get("code").and_then(Value::as_i64) {
        Some(API_LIMIT) => Err(Outcome::Limited {
            wait: reset.unwrap_or(API_PAUSE),
        }),
        Some(code) => Ok((body, code)),
        None => Err(Outcome::Unknown {
            reason: "the answer has no code".to_owned(),
        }),
    }
}

fn text(body: &Map<String, Value>) -> &str {
    body.get("msg").and_then(Value::as_str).unwrap_or_default()
}

/// The body of an answer with a token in it.
pub(super) fn token(
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Outcome> {
    let (body, code) = coded(exchange, context)?;
    if code == 0 {
        return Ok(body);
    }
    let remedy = "check settings.app_id and settings.app_secret against the app's page Credentials, and settings.base_url: \
                  an app of Lark is not known at Feishu";
    Err(rejected(code, text(&body), remedy))
}

/// Judges an answer.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if step.kind == StepKind::Upload {
        return unseen(too_large(exchange).unwrap_or_else(|| uploaded(exchange, context)));
    }
    let (body, code) = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return outcome,
    };
    let text = text(&body);
    if let Some(outcome) = any_step(code, text) {
        return outcome;
    }
    match (step.kind, code) {
        (_, 0) => Outcome::Delivered {
            platform_id: id(&body, "message_id"),
        },
        // It is gone already.
        (StepKind::Recall, RECALLED | DELETED) => Outcome::Delivered { platform_id: None },
        (StepKind::Recall, _) => rejected(code, text, recall_remedy(code)),
        (StepKind::Edit, code) => edited(step, code, text),
        (_, code) => sent(step, code, text, context),
    }
}

/// What a code means whatever was asked for.
fn any_step(code: i64, text: &str) -> Option<Outcome> {
    let reason = || format!("{code} {text}");
    match code {
        230_020 => Some(Outcome::TargetLimited { wait: CHAT_PAUSE }),
        99_991_661 | 99_991_663 | 99_991_664 | 99_991_668 | 99_991_677 => {
            Some(Outcome::RefreshAuth)
        }
        // The same key is still being sent.
        230_049 => Some(Outcome::Retry { reason: reason() }),
        _ => None,
    }
}

/// Rung 0 of a reply is the reply itself, those below it are messages of their own.
fn sent(step: &Step, code: i64, text: &str, context: &Context<'_>) -> Outcome {
    let reason = || format!("{code} {text}");
    match code {
        // What was to be answered is gone: as a message of its own.
        RECALLED | DELETED if context.rung == 0 => Outcome::Degrade { reason: reason() },
        // A bad parameter, content that is too long, a file of another kind than the message's, a card that cannot be
        // built: perhaps only in this form.
        230_001 | 230_025 | 230_055 | 230_099 if !is_text(step) => {
            Outcome::Degrade { reason: reason() }
        }
        _ => rejected(code, text, remedy(code)),
    }
}

/// What was sent may be of a kind that cannot take the place of what is there: perhaps a lower form can.
fn edited(step: &Step, code: i64, text: &str) -> Outcome {
    match code {
        230_001 | 230_025 | 230_054 | 230_099 if !is_text(step) => Outcome::Degrade {
            reason: format!("{code} {text}"),
        },
        _ => rejected(code, text, edit_remedy(code)),
    }
}

/// The key that an upload gave. What the platform does not take goes as a link.
fn uploaded(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let (body, code) = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return outcome,
    };
    let text = text(&body);
    if code == 0 {
        let key = id(&body, "image_key").or_else(|| id(&body, "file_key"));
        return match key {
            Some(key) => Outcome::Delivered {
                platform_id: Some(key),
            },
            None => Outcome::Retry {
                reason: "the answer has no key".to_owned(),
            },
        };
    }
    any_step(code, text).unwrap_or_else(|| Outcome::Degrade {
        reason: match code {
            99_991_672 => format!("{code} {text} (give the app the permission im:resource)"),
            _ => format!("{code} {text}"),
        },
    })
}

/// Why a file that somebody sent is not given.
pub(super) fn refused_file(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let (body, code) = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return outcome,
    };
    let text = text(&body);
    if let Some(outcome) = any_step(code, text) {
        return outcome;
    }
    match code {
        RECALLED | DELETED | FILE_NOT_THERE => Outcome::Gone {
            reason: format!("{code} {text}"),
        },
        _ => rejected(code, text, file_remedy(code)),
    }
}

const fn file_remedy(code: i64) -> &'static str {
    match code {
        234_004 | 234_009 | 230_002 => "add the app's bot to the chat",
        234_037 => "Feishu gives apps files of at most 100 MB",
        234_038 => "the chat is set so that what is in it is not copied",
        99_991_672 | 230_027 => {
            "give the app the permission im:message or im:message:readonly, and publish a version of it"
        }
        _ => remedy(code),
    }
}

fn id(body: &Map<String, Value>, name: &str) -> Option<String> {
    let data = body.get("data")?;
    data[name].as_str().map(str::to_owned)
}

const fn edit_remedy(code: i64) -> &'static str {
    match code {
        RECALLED | DELETED => "the message was recalled or deleted: publish it anew",
        230_054 => "text cannot take the place of what was sent: recall that and publish anew",
        230_071 => "it is not a message of this app",
        230_072 => "a message can be edited 20 times: recall it and publish anew",
        230_031 => "a card can be changed for 14 days: publish it anew",
        230_075 => "the organisation's time for edits is over: recall the message and publish anew",
        _ => remedy(code),
    }
}

const fn recall_remedy(code: i64) -> &'static str {
    match code {
        230_009 => "the organisation's time for recalls is over",
        230_026 => "it is not a message of this app",
        _ => remedy(code),
    }
}

const fn remedy(code: i64) -> &'static str {
    match code {
        99_991_672 | 230_027 => {
            "give the app the permission im:message:send_as_bot and publish a version of it"
        }
        230_002 => "add the app's bot to the group",
        230_006 => "turn the app's feature Bot on and publish a version of it",
        230_013 => "the person is outside of the app's availability: widen it in the app's version",
        230_017 | 230_018 | 230_035 => "the bot may not speak in this group",
        230_022 | 230_028 => "the platform's audit refuses the content",
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
