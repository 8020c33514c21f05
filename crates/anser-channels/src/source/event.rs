//! From a verified request to a message: what happened, what tells a repeat, and the body as it came. Must not change a byte
//! of it.

use anser_core::inbound::{InboundContext, InboundEvent, InboundRequest, Refusal};
use anser_core::limits::{DATA_DEPTH_MAX, TYPE_BYTES_MAX};
use anser_core::message::body::{MEDIA_TYPE_BYTES, check_media_type};
use anser_core::message::{Item, SenderKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::proof::STANDARD_PREFIXES;
use super::settings::{Place, Scheme, Source};
use crate::kit::arrival::{event_type, is_within, is_word, moment};
use crate::kit::draft::{Draft, digest_of, id, sender};
use crate::kit::inbound::{empty, malformed};

/// What an event's type begins with where the sender is nobody in particular.
const NOBODY: &str = "source";
/// A type that the sender does not name.
const UNNAMED: &str = "event";
/// GitHub's headers (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>).
const GITHUB: (&str, &str) = ("x-github-event", "x-github-delivery");
/// GitLab's id of an event, the same each time it is sent again.
const GITLAB_ID: &str = "idempotency-key";
/// Content types of GitHub's that are a form with the event in its field `payload`.
const FORM: &str = "application/x-www-form-urlencoded";

/// What a scheme says of an event.
struct Said {
    own_type: String,
    id: Option<String>,
    at: Value,
}

/// The message of a request.
///
/// # Errors
/// `malformed_event` when it lacks what its sender always says.
pub(super) fn read(
    source: &Source,
    request: &InboundRequest<'_>,
    context: &InboundContext<'_>,
) -> Result<InboundEvent, Refusal> {
    let form = payload(source.scheme, request);
    let body = form.as_deref().map_or(&request.body[..], str::as_bytes);
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let value = json.as_ref().unwrap_or(&Value::Null);
    let said = said(source, request.headers, value)?;
    let name = source.scheme.name();
    let prefix = match source.scheme {
        Scheme::Github | Scheme::Gitlab | Scheme::Stripe => name,
        Scheme::StandardWebhooks | Scheme::Hmac => NOBODY,
    };
    let mut item = empty();
    item.header.r#type = Some(event_type(prefix, &said.own_type));
    put_body(&mut item, body, value, json.is_some(), request.headers);
    let repeated = said.id.unwrap_or_else(|| digest_of(request.body));
    let who = sender(SenderKind::Service, name, None);
    Ok(Draft::new(name, &said.own_type, &[&repeated], item)
        .by(who)
        .at(moment(&said.at))
        .build(context))
}

/// The event in a form.
fn payload(scheme: Scheme, request: &InboundRequest<'_>) -> Option<String> {
    let media_type = request.headers.get(http::header::CONTENT_TYPE)?;
    let is_form = media_type.to_str().is_ok_and(|text| text.starts_with(FORM));
    if scheme != Scheme::Github || !is_form {
        return None;
    }
    let mut fields = form_urlencoded::parse(request.body);
    let payload = fields.find(|(name, _)| name == "payload");
    payload.map(|(_, payload)| payload.into_owned())
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    is_word(value).then(|| value.to_owned())
}

fn said(source: &Source, headers: &HeaderMap, body: &Value) -> Result<Said, Refusal> {
    let own = |value: &Value| value.as_str().unwrap_or(UNNAMED).to_owned();
    let said = match source.scheme {
        Scheme::Github => {
            let (event, delivery) = GITHUB;
            let event = text(headers, event)
                .ok_or_else(|| malformed(format!("the header {event} is missing")))?;
            Said {
                own_type: with_action(&event, &body["action"]),
                id: text(headers, delivery),
                at: Value::Null,
            }
        }
        Scheme::Gitlab => {
            let mut names = ["object_kind", "event_name", "event_type"].into_iter();
            let event = names.find_map(|name| body[name].as_str());
            let action = &body["object_attributes"]["action"];
            let [usual, _] = STANDARD_PREFIXES;
            let id = text(headers, GITLAB_ID).or_else(|| text(headers, &format!("{usual}-id")));
            Said {
                own_type: with_action(event.unwrap_or(UNNAMED), action),
                id,
                at: Value::Null,
            }
        }
        Scheme::Stripe => Said {
            own_type: own(&body["type"]),
            id: id(&body["id"]),
            at: body["created"].clone(),
        },
        Scheme::StandardWebhooks => {
            let of = |name: &str| {
                let mut prefixes = STANDARD_PREFIXES.iter();
                prefixes.find_map(|prefix| text(headers, &format!("{prefix}-{name}")))
            };
            Said {
                own_type: own(&body["type"]),
                id: of("id"),
                at: of("timestamp").into(),
            }
        }
        Scheme::Hmac => Said {
            own_type: at(source.event_type.as_ref(), headers, body)
                .unwrap_or_else(|| UNNAMED.to_owned()),
            id: at(source.id.as_ref(), headers, body),
            at: Value::Null,
        },
    };
    Ok(said)
}

fn at(place: Option<&Place>, headers: &HeaderMap, body: &Value) -> Option<String> {
    match place? {
        Place::Header(name) => text(headers, name.as_str()),
        Place::Pointer(pointer) => id(body.pointer(pointer)?),
    }
}

/// An event and what was done, where that is said in a word.
fn with_action(event: &str, action: &Value) -> String {
    match action.as_str() {
        Some(action) if !action.is_empty() && event.len() + action.len() < TYPE_BYTES_MAX => {
            format!("{event}.{action}")
        }
        _ => event.to_owned(),
    }
}

/// JSON as the data that it is, and everything else as bytes of its media type.
fn put_body(item: &mut Item, body: &[u8], value: &Value, is_json: bool, headers: &HeaderMap) {
    let raw = std::str::from_utf8(body).ok();
    let raw = raw.and_then(|text| RawValue::from_string(text.to_owned()).ok());
    match raw {
        Some(raw) if is_json && is_within(value, DATA_DEPTH_MAX) => item.body.data = Some(raw),
        _ => {
            let given = headers.get(http::header::CONTENT_TYPE);
            let given = given.and_then(|value| value.to_str().ok());
            let media_type = given.filter(|text| check_media_type("", text).is_ok());
            item.body.bytes = Some(BASE64.encode(body));
            item.body.media_type = Some(media_type.unwrap_or(MEDIA_TYPE_BYTES).to_owned());
        }
    }
}
