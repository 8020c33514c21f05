//! What the answer to an HTTP request means for the delivery: wholly, for every channel whose platform has no codes of
//! its own, and up to the body, for the others. One table for all; must not know the codes of any platform.

use std::time::{Duration, UNIX_EPOCH};

use anser_core::Timestamp;
use anser_core::channel::{Context, Exchange, HttpResponse, SendError, SendErrorKind};
use anser_core::limits::RETRY_AFTER_MAX;
use anser_core::outcome::Outcome;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::{Map, Value};

/// The pause after a 429 that does not say how long.
pub(crate) const PAUSE_DEFAULT: Duration = Duration::from_secs(10);

/// Judges an exchange. With `fail_fast_4xx`, 4xx answers that no rule names are final. With `cmq_policy` every answer
/// but 2xx is a plain retry, 410 and `Retry-After` too (Tencent CMQ knows success and failure only); an attempt that was
/// sent and not answered stays unknown, so that the next one is marked as a possible duplicate.
pub(crate) fn classify_http(
    exchange: &Exchange,
    now: Timestamp,
    fail_fast_4xx: bool,
    cmq_policy: bool,
) -> Outcome {
    let response = match exchange {
        Ok(response) => response,
        Err(error) => return no_answer(error),
    };
    let status = response.status;
    if status.is_success() {
        return Outcome::Delivered { platform_id: None };
    }
    let retry = Outcome::Retry {
        reason: describe(status),
    };
    if cmq_policy {
        return retry;
    }
    match status {
        StatusCode::GONE => Outcome::Gone {
            reason: describe(status),
        },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(response, now).map_or(retry, |wait| Outcome::Limited { wait })
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => retry,
        _ if status.is_client_error() && fail_fast_4xx => Outcome::Rejected {
            code: status.as_u16().to_string(),
            text: describe(status),
        },
        _ => retry,
    }
}

/// The JSON object that a platform with codes of its own answered, or the outcome where the exchange has none: no
/// answer, a server's error, a 429, or a body that is no JSON. A 2xx without a code to read is not a success: nobody
/// knows whether the platform took the message.
pub(crate) fn json_answer(
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Outcome> {
    let response = answer(exchange, context)?;
    if let Ok(Value::Object(body)) = serde_json::from_slice(&response.body) {
        return Ok(body);
    }
    if response.status.is_success() {
        let reason = format!("{} without a JSON body", describe(response.status));
        return Err(Outcome::Unknown { reason });
    }
    Err(classify_http(
        exchange,
        context.now,
        context.fail_fast_4xx,
        false,
    ))
}

/// The answer, or the outcome where its body says nothing: no answer, a redirect, a server's error, a 429.
pub(crate) fn answer<'e>(
    exchange: &'e Exchange,
    context: &Context<'_>,
) -> Result<&'e HttpResponse, Outcome> {
    let response = exchange.as_ref().map_err(no_answer)?;
    let status = response.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = retry_after(response, context.now).unwrap_or(PAUSE_DEFAULT);
        return Err(Outcome::Limited { wait });
    }
    if status.is_server_error() || status.is_redirection() || status.is_informational() {
        return Err(classify_http(exchange, context.now, false, false));
    }
    Ok(response)
}

/// A pause in seconds, of at least a tenth and at most [`RETRY_AFTER_MAX`].
pub(crate) fn pause(seconds: f64) -> Duration {
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(RETRY_AFTER_MAX);
    wait.clamp(Duration::from_millis(100), RETRY_AFTER_MAX)
}

/// A refusal for good, with the platform's code and text and what to do about it.
pub(crate) fn rejected(code: impl ToString, text: &str, remedy: &str) -> Outcome {
    let text = if remedy.is_empty() {
        text.to_owned()
    } else {
        format!("{text} ({remedy})")
    };
    let code = code.to_string();
    Outcome::Rejected { code, text }
}

/// What an outcome means for a step of which nobody sees anything, such as an upload: to do it again harms nothing.
pub(crate) fn unseen(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { reason } => Outcome::Retry { reason },
        outcome => outcome,
    }
}

/// A refusal for its size, by the platform or a proxy before it: an attachment then goes as a link.
pub(crate) fn too_large(exchange: &Exchange) -> Option<Outcome> {
    let status = exchange.as_ref().ok()?.status;
    (status == StatusCode::PAYLOAD_TOO_LARGE).then(|| Outcome::Degrade {
        reason: describe(status),
    })
}

/// An error before any byte went out proves that nothing arrived; so does a guard that let nothing out.
pub(crate) fn no_answer(error: &SendError) -> Outcome {
    let reason = error.to_string();
    let connected = match error.kind {
        SendErrorKind::Reset
        | SendErrorKind::TimedOut
        | SendErrorKind::Tls
        | SendErrorKind::Protocol
        | SendErrorKind::Program => true,
        SendErrorKind::Dns
        | SendErrorKind::Unreachable
        | SendErrorKind::Refused
        | SendErrorKind::Blocked => false,
    };
    if error.sent && connected {
        Outcome::Unknown { reason }
    } else {
        Outcome::Retry { reason }
    }
}

fn describe(status: StatusCode) -> String {
    let mut text = format!("HTTP {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        text.push(' ');
        text.push_str(reason);
    }
    if status.is_redirection() {
        text.push_str(" (redirects are not followed)");
    }
    text
}

/// The pause that the answer asks for (RFC 9110 section 10.2.3: seconds, or an HTTP date in one of three forms), capped
/// at [`RETRY_AFTER_MAX`]. `None` for what cannot be read, and for a pause of nothing: an endpoint that says "0" would
/// otherwise be tried again at once and for ever, as a limited attempt is not counted.
pub(crate) fn retry_after(response: &HttpResponse, now: Timestamp) -> Option<Duration> {
    let text = response.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still "long".
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
        since_epoch.saturating_sub(now.since(Timestamp::EPOCH))
    };
    (!wait.is_zero()).then_some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
