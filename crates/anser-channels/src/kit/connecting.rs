//! What connectors share: the end of a connection, and what an answer of a platform's API means for one that is about to be
//! made. Must not know any platform.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Exchange, HttpResponse};
use anser_core::connection::{Action, Again, Loss};
use http::StatusCode;
use serde_json::{Map, Value};

use super::classify::{PAUSE_DEFAULT, retry_after};

/// Characters of a platform's words in a detail.
const WORDS_MAX: usize = 300;

/// Why a connection ends, and when the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Why.
    pub(crate) loss: Loss,
    /// More, for the operator.
    pub(crate) detail: String,
    /// When the next one begins.
    pub(crate) again: Again,
}

impl End {
    /// An end.
    pub(crate) fn new(loss: Loss, again: Again, detail: impl Into<String>) -> Self {
        Self {
            loss,
            detail: detail.into(),
            again,
        }
    }

    /// Nothing will change until somebody changes the settings, here or at the platform.
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(Loss::Refused, Again::Rarely, detail)
    }

    /// The network, or a server of the platform.
    pub(crate) fn network(detail: impl Into<String>) -> Self {
        Self::new(Loss::Network, Again::Backoff, detail)
    }

    /// What came breaks the protocol.
    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::new(Loss::Protocol, Again::Backoff, detail)
    }

    /// The platform asks for a pause.
    pub(crate) fn limited(wait: Duration, detail: impl Into<String>) -> Self {
        Self::new(Loss::Limited, Again::After(wait), detail)
    }
}

impl From<End> for Action {
    fn from(end: End) -> Self {
        Self::Lost {
            loss: end.loss,
            detail: end.detail,
            again: end.again,
        }
    }
}

/// The JSON object that an API answered, with any status below 500 but 429, or what it means that there is none.
///
/// # Errors
/// The end of the connection.
pub(crate) fn object(
    exchange: &Exchange,
    now: Timestamp,
) -> Result<(&HttpResponse, Map<String, Value>), End> {
    let response = exchange
        .as_ref()
        .map_err(|error| End::network(error.to_string()))?;
    let status = response.status;
    let body = serde_json::from_slice(&response.body);
    let told = format!("HTTP {}", status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = retry_after(response, now).or_else(|| in_body(&body));
        return Err(End::limited(wait.unwrap_or(PAUSE_DEFAULT), told));
    }
    if status.is_server_error() {
        return Err(End::network(told));
    }
    match body {
        Ok(Value::Object(body)) => Ok((response, body)),
        _ => Err(End::protocol(format!("{told} without a JSON body"))),
    }
}

/// The pause that some write into the body only.
fn in_body(body: &serde_json::Result<Value>) -> Option<Duration> {
    let body = body.as_ref().ok()?;
    let mut places = ["/parameters/retry_after", "/retry_after"].into_iter();
    let seconds = places.find_map(|place| body.pointer(place)?.as_f64())?;
    Some(super::classify::pause(seconds))
}

/// A platform's own words, not too many of them.
pub(crate) fn words(text: &str) -> &str {
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// What a closed WebSocket is told as: its code and words, as far as there are any.
pub(crate) fn closed(code: Option<u16>, reason: &str) -> String {
    let reason = words(reason);
    match (code, reason) {
        (Some(code), "") => format!("closed with {code}"),
        (Some(code), reason) => format!("closed with {code}: {reason}"),
        (None, "") => "the connection broke".to_owned(),
        (None, reason) => reason.to_owned(),
    }
}
