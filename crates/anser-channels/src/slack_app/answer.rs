//! What the Web API's answer means: `ok` in the body, and one word for what was refused. Must not take a body without `ok`
//! for success, nor an upload's, which has none, for a refusal.

use std::time::Duration;

use anser_core::channel::{Context, Exchange, HttpResponse, Step, StepKind};
use anser_core::outcome::Outcome;
use serde_json::{Map, Value};
use url::Url;

use super::file;
use crate::kit::classify::{PAUSE_DEFAULT, answer, json_answer, rejected, retry_after, unseen};

/// What a success begins with. It repeats the whole message at its end, so that the answer to a long one is cut at the cap.
const SUCCESS: &str = r#"{"ok":true,"#;
/// What stands before the message that is repeated.
const REPEATED: &str = r#""message":"#;

/// The body of a success, or what the answer means.
fn body(exchange: &Exchange, context: &Context<'_>) -> Result<Map<String, Value>, Refusal> {
    if let Some(head) = exchange.as_ref().ok().and_then(cut_head) {
        return Ok(head);
    }
    let body = json_answer(exchange, context).map_err(Refusal::Outcome)?;
    match body.get("ok") {
        Some(Value::Bool(true)) => Ok(body),
        Some(Value::Bool(false)) => {
            let word = body.get("error").and_then(Value::as_str);
            let word = word.unwrap_or_default().to_owned();
            let wait = exchange.as_ref().ok();
            let wait = wait.and_then(|response| retry_after(response, context.now));
            Err(Refusal::Word { word, body, wait })
        }
        _ => Err(Refusal::Outcome(Outcome::Unknown {
            reason: "the answer has no ok".to_owned(),
        })),
    }
}

/// What is before the repeated message, of a success that was cut within it.
fn cut_head(response: &HttpResponse) -> Option<Map<String, Value>> {
    if !response.status.is_success() {
        return None;
    }
    let text = String::from_utf8_lossy(&response.body);
    if !text.starts_with(SUCCESS) {
        return None;
    }
    let head = text.split_once(REPEATED)?.0.trim_end_matches([',', ' ']);
    serde_json::from_str(&format!("{head}}}")).ok()
}

/// No success.
enum Refusal {
    /// As every answer of that kind.
    Outcome(Outcome),
    /// For a reason that the API names.
    Word {
        word: String,
        body: Map<String, Value>,
        /// The pause that the answer asks for.
        wait: Option<Duration>,
    },
}

/// Judges the answer to a step.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let outcome = if step.kind == StepKind::Upload {
        uploaded(exchange, context)
    } else {
        match body(exchange, context) {
            Ok(body) => delivered(step, &body),
            Err(Refusal::Outcome(outcome)) => outcome,
            Err(Refusal::Word { word, .. }) if was_shown(step, &word, context) => {
                let platform_id = file::id(step, context);
                Outcome::Delivered { platform_id }
            }
            Err(Refusal::Word { word, body, wait }) => refused(step, &word, &body, wait),
        }
    };
    match step.kind {
        StepKind::Send => outcome,
        // Only what is sent twice is seen twice.
        _ => unseen(outcome),
    }
}

/// Whether a file that cannot be shown was shown before, by a call whose answer was lost: each can be once only.
fn was_shown(step: &Step, word: &str, context: &Context<'_>) -> bool {
    let is_shown = step.kind == StepKind::Send && step.attachment.is_some();
    is_shown && word == "file_not_found" && context.possible_duplicate.is_some()
}

/// Bytes that were brought: any 2xx. A refusal is about the file, or its address has expired.
fn uploaded(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    match answer(exchange, context) {
        Ok(response) if response.status.is_success() => Outcome::Delivered { platform_id: None },
        Ok(response) => Outcome::Degrade {
            reason: format!("HTTP {} to the upload", response.status.as_u16()),
        },
        Err(outcome) => outcome,
    }
}

fn delivered(step: &Step, body: &Map<String, Value>) -> Outcome {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let platform_id = match step.kind {
        StepKind::Call => {
            let url = text("upload_url").filter(|url| Url::parse(url).is_ok());
            let Some((file, url)) = text("file_id").zip(url) else {
                let reason = "the answer has no address to upload to".to_owned();
                return Outcome::Retry { reason };
            };
            Some(format!("{file} {url}"))
        }
        StepKind::Send if step.attachment.is_some() => {
            let files = body.get("files").and_then(|files| files[0]["id"].as_str());
            files.map(str::to_owned)
        }
        StepKind::Send | StepKind::Edit => text("channel")
            .zip(text("ts"))
            .map(|(channel, ts)| format!("{channel}:{ts}")),
        StepKind::Upload | StepKind::Recall => None,
    };
    Outcome::Delivered { platform_id }
}

fn refused(step: &Step, word: &str, body: &Map<String, Value>, wait: Option<Duration>) -> Outcome {
    let reason = || format!("{word}{}", details(body));
    match word {
        "ratelimited" | "rate_limited" | "limited" => Outcome::Limited {
            wait: wait.unwrap_or(PAUSE_DEFAULT),
        },
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "file_update_failed"
        | "team_added_to_org" => Outcome::Retry { reason: reason() },
        "message_not_found" | "file_not_found" | "file_deleted"
            if step.kind == StepKind::Recall =>
        {
            Outcome::Delivered { platform_id: None }
        }
        // A form that is not taken.
        "invalid_blocks"
        | "invalid_blocks_format"
        | "invalid_attachments"
        | "attachment_payload_limit_exceeded"
        | "too_many_attachments"
        | "msg_blocks_too_long"
        | "msg_too_long"
        | "no_text"
            if !is_text(step) =>
        {
            Outcome::Degrade { reason: reason() }
        }
        // What is about the credentials or the channel holds for a link as well.
        _ if step.attachment.is_some() && remedy(word).is_empty() => {
            Outcome::Degrade { reason: reason() }
        }
        "missing_scope" if step.attachment.is_some() => Outcome::Degrade { reason: reason() },
        _ => rejected(word, &reason(), remedy(word)),
    }
}

/// Which scope is missing, or what the API says beside its word.
fn details(body: &Map<String, Value>) -> String {
    if let Some(needed) = body.get("needed").and_then(Value::as_str) {
        return format!(": the scope {needed}");
    }
    let messages = body
        .get("response_metadata")
        .and_then(|metadata| metadata["messages"].as_array());
    let messages: Vec<&str> = messages
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if messages.is_empty() {
        return String::new();
    }
    format!(": {}", messages.join("; "))
}

fn remedy(word: &str) -> &'static str {
    match word {
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "the token is wrong or was revoked: copy Bot User OAuth Token from the app's page OAuth & Permissions again"
        }
        "missing_scope" | "not_allowed_token_type" | "no_permission" => {
            "give the bot the scopes chat:write and files:write at OAuth & Permissions and install the app again"
        }
        "channel_not_found" => "check the channel's id, and for a private channel invite the bot",
        "not_in_channel" => {
            "invite the bot to the channel (/invite @NAME), or give it the scope chat:write.public"
        }
        "is_archived" => "the channel is archived",
        "user_not_found" | "users_not_found" => "check the person's id",
        "cannot_dm_bot" | "messages_tab_disabled" => {
            "turn on the Messages Tab at the app's page App Home"
        }
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_thread_locked"
        | "cannot_reply_to_message"
        | "ekm_access_denied"
        | "access_denied"
        | "accesslimited" => "the channel or the workspace's administrators do not allow it",
        "cant_update_message" | "cant_delete_message" => "only what this bot wrote can be changed",
        "edit_window_closed" => "the workspace lets messages be edited for a while only",
        "message_not_found" => "the message is gone",
        _ => "",
    }
}

fn is_text(step: &Step) -> bool {
    serde_json::from_slice::<Value>(&step.body)
        .is_ok_and(|body| body.get("blocks").is_none() && body.get("attachments").is_none())
}

/// Whom the token belongs to.
///
/// # Errors
/// What the answer would mean for a delivery.
pub(super) fn read(exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
    let body = called(exchange, context)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("?");
    Ok(format!("{} in {}", text("user"), text("team")))
}

/// What the API tells of a file that somebody sent.
pub(super) fn file_info(
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Outcome> {
    called(exchange, context).map_err(|outcome| match outcome {
        Outcome::Rejected { code, text } if code == "file_not_found" || code == "file_deleted" => {
            Outcome::Gone { reason: text }
        }
        outcome => outcome,
    })
}

/// The success of a call that sends nothing.
fn called(exchange: &Exchange, context: &Context<'_>) -> Result<Map<String, Value>, Outcome> {
    body(exchange, context).map_err(|refusal| match refusal {
        Refusal::Outcome(outcome) => outcome,
        Refusal::Word { word, body, wait } => {
            let step = Step {
                kind: StepKind::Call,
                ..Step::send(bytes::Bytes::new(), "")
            };
            refused(&step, &word, &body, wait)
        }
    })
}
