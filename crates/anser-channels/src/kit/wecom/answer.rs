//! How WeCom answers: an `errcode` in the body, with HTTP 200 for almost every refusal. Must not take a body without a code
//! for success.

use std::time::Duration;

use anser_core::channel::{Context, Exchange};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::kit::classify::{json_answer, too_large, unseen};

/// The window of WeCom's limits.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

/// An answer with a code.
pub(crate) struct Coded {
    /// The code.
    pub(crate) code: i64,
    /// The platform's text to it.
    pub(crate) text: String,
    /// All of the answer.
    pub(crate) body: Map<String, Value>,
}

impl Coded {
    /// Why, for people.
    pub(crate) fn reason(&self) -> String {
        format!("{} {}", self.code, self.text)
    }

    /// A text member that is not empty.
    pub(crate) fn member(&self, name: &str) -> Option<String> {
        let text = self.body.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The answer's code, or the outcome where it has none, or one that means the same to every step: busy, or a limit.
pub(crate) fn coded(exchange: &Exchange, context: &Context<'_>) -> Result<Coded, Outcome> {
    let body = json_answer(exchange, context)?;
    let Some(code) = body.get("errcode").and_then(Value::as_i64) else {
        let reason = "the answer has no errcode".to_owned();
        return Err(Outcome::Unknown { reason });
    };
    let text = body.get("errmsg").and_then(Value::as_str);
    let text = text.unwrap_or_default().to_owned();
    let coded = Coded { code, text, body };
    match code {
        -1 => Err(Outcome::Retry {
            reason: coded.reason(),
        }),
        45009 | 45033 => Err(Outcome::Limited { wait: PAUSE }),
        _ => Ok(coded),
    }
}

/// The code says that the form or the content is not taken, which another form may avoid: type, emptiness, length, argument,
/// media.
pub(crate) const fn is_of_form(code: i64) -> bool {
    matches!(
        code,
        40004..=40011 | 40033 | 40035 | 40058 | 44001 | 44004 | 45001 | 45002 | 45007 | 45008
    )
}

/// What the answer to an upload means, for which `judged` reads the code. A server that has no place for uploads, such as a
/// proxy of sending alone, says so by its status: the attachment then goes as a link.
pub(crate) fn upload(exchange: &Exchange, judged: impl FnOnce() -> Outcome) -> Outcome {
    let status = exchange.as_ref().ok().map(|response| response.status);
    match status {
        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => Outcome::Degrade {
            reason: "the server takes no uploads".to_owned(),
        },
        _ => too_large(exchange).unwrap_or_else(|| unseen(judged())),
    }
}
