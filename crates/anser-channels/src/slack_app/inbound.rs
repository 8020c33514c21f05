//! What Slack sends to an app: events, slash commands and interactions, signed over their bytes
//! (<https://docs.slack.dev/authentication/verifying-requests-from-slack>), or in the envelopes of Socket Mode. Must not parse a
//! request that is not verified.

mod content;
mod events;
mod interactions;
mod place;

use std::time::Duration;

use anser_core::channel::HttpResponse;
use anser_core::inbound::{
    Inbound, InboundContext, InboundEvent, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use aws_lc_rs::hmac;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::kit::arrival::{hex, seconds};
use crate::kit::inbound::{forged, fresh, header, malformed, parse, same};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};

/// The platform's name in what comes in.
const PLATFORM: &str = "slack";
/// The header of the signature.
const SIGNATURE: &str = "x-slack-signature";
/// The header of the signed time.
const TIMESTAMP: &str = "x-slack-request-timestamp";
/// The version of the signature, before it and in what is signed.
const VERSION: &str = "v0";
/// How old a request may be, as Slack's documentation and its verifiers have it.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Slack tries three times, the last about five minutes after the first; a request is taken for five minutes before and
/// after its signed time.
pub(super) const REMEMBER: Duration = Duration::from_secs(2 * 3_600);
/// The media type of an answer that shows nothing.
const TEXT: &str = "text/plain; charset=utf-8";

/// Reads what Slack sends to one app.
pub(super) struct Receiver {
    /// The app's signing secret.
    pub(super) signing_secret: String,
}

impl Receiver {
    fn verify(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<(), Refusal> {
        let time = header(request, TIMESTAMP)?;
        let given = header(request, SIGNATURE)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.signing_secret.as_bytes());
        let mut mac = hmac::Context::with_key(&key);
        for part in [VERSION, ":", time, ":"] {
            mac.update(part.as_bytes());
        }
        mac.update(request.body);
        let expected = format!("{VERSION}={}", hex(mac.sign().as_ref()));
        same(given.as_bytes(), expected.as_bytes(), SIGNATURE)?;
        let time = seconds(time).ok_or_else(|| forged(TIMESTAMP))?;
        fresh(time, AGE_MAX, context.now)
    }
}

impl Inbound for Receiver {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method != Method::POST {
            let detail = "Slack sends by POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        self.verify(request, context)?;
        // What kind of body it is says no signed header; a form cannot begin so.
        if request.body.trim_ascii_start().starts_with(b"{") {
            return of_event(&parse(request.body)?, request.body, context);
        }
        of_form(request, context)
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// What is in an envelope, and what its acknowledgement says beside that it came.
pub(super) type Enveloped = (Vec<InboundEvent>, Option<Value>);

/// What an envelope of Socket Mode holds, whose types are those of requests: an event, a command or an interaction.
///
/// # Errors
/// `malformed_event`, also for other types.
pub(super) fn of_envelope(
    kind: &str,
    payload: &Value,
    context: &InboundContext<'_>,
) -> Result<Enveloped, Refusal> {
    // What tells a repeat where nothing in it does.
    let bytes = bytes_of(payload);
    match kind {
        "events_api" => of_event(payload, &bytes, context).map(|received| (received.events, None)),
        "slash_commands" => Ok((vec![interactions::command(payload, &bytes, context)], None)),
        "interactive" => {
            let event = interactions::read(payload, &bytes, context);
            Ok((vec![event], options(payload)))
        }
        _ => Err(malformed("is no type of envelope that is known here")),
    }
}

/// A menu that asks for its options is shown none; nothing else is answered with more than that it came.
fn options(payload: &Value) -> Option<Value> {
    let none: [Value; 0] = [];
    (payload["type"] == "block_suggestion").then(|| json!({"options": none}))
}

/// Events, and the check of the URL.
fn of_event(body: &Value, bytes: &[u8], context: &InboundContext<'_>) -> Result<Received, Refusal> {
    match body["type"].as_str() {
        Some("url_verification") => {
            let challenge = body["challenge"].as_str();
            let challenge = challenge.ok_or_else(|| malformed("the check has no challenge"))?;
            Ok(Received {
                events: Vec::new(),
                answer: as_json(&json!({"challenge": challenge})),
            })
        }
        Some("event_callback") => Ok(Received {
            events: events::read(body, bytes, context).into_iter().collect(),
            answer: nothing(),
        }),
        Some(own) => Ok(Received {
            events: vec![events::envelope(own, body, bytes, context)],
            answer: nothing(),
        }),
        None => Err(malformed("the body has no type")),
    }
}

/// Slash commands, whose fields are the form's own, and interactions, which are JSON in its field `payload`.
fn of_form(
    request: &InboundRequest<'_>,
    context: &InboundContext<'_>,
) -> Result<Received, Refusal> {
    let fields: Vec<(String, String)> = form_urlencoded::parse(request.body).into_owned().collect();
    let field = |name: &str| {
        let mut named = fields.iter().filter(|(given, _)| given == name);
        named.next().map(|(_, value)| value.as_str())
    };
    if let Some(payload) = field("payload") {
        let payload = parse(payload.as_bytes())?;
        // An empty answer closes the view that was submitted, and leaves a message as it is.
        let answer = options(&payload).map_or_else(nothing, |options| as_json(&options));
        return Ok(Received {
            events: vec![interactions::read(&payload, request.body, context)],
            answer,
        });
    }
    if field("command").is_some() {
        let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
        let command = Value::Object(fields.collect());
        return Ok(Received {
            events: vec![interactions::command(&command, request.body, context)],
            answer: nothing(),
        });
    }
    if field("ssl_check").is_some() {
        return Ok(Received {
            events: Vec::new(),
            answer: nothing(),
        });
    }
    Err(malformed(
        "the form is neither a command nor an interaction",
    ))
}

fn nothing() -> HttpResponse {
    answer(TEXT, "")
}

fn as_json(body: &Value) -> HttpResponse {
    answer(MEDIA_TYPE, bytes_of(body))
}

#[cfg(test)]
pub(super) mod tests;
