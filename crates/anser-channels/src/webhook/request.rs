//! The request of a rendered step: its headers, signature included. Must not fail, whatever text the message holds.

use anser_core::Message;
use anser_core::channel::{Context, HttpRequest, Step};
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::format::Format;
use super::settings::Endpoint;
use super::{cloudevents, cmq};
use crate::kit::{header, signing};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("anser/", env!("CARGO_PKG_VERSION")));
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const DELIVERY_ID: HeaderName = HeaderName::from_static("anser-delivery-id");
const ATTEMPT: HeaderName = HeaderName::from_static("anser-attempt");
const POSSIBLE_DUPLICATE: HeaderName = HeaderName::from_static("anser-possible-duplicate");
/// On a message that is about an earlier one: what it does, and that one's id. The body alone does not say it.
const TYPE: HeaderName = HeaderName::from_static("anser-type");
const TARGET_ID: HeaderName = HeaderName::from_static("anser-target-id");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The request. A step that was rendered before the format changed keeps its own media type: `content-type` always
/// tells what the body is, the other headers follow the format of now.
pub(super) fn build(
    endpoint: &Endpoint,
    format: Format,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, header::readable(&step.media_type));
    if format.is_cmq() {
        cmq::headers(&mut headers, message, context);
    } else {
        native(&mut headers, message, context);
        if format == Format::CloudEventsBinary {
            cloudevents::headers(&mut headers, message);
        }
        if let Some(digest) = digest(step, message) {
            headers.insert(CONTENT_DIGEST, digest);
        }
    }
    sign(&mut headers, endpoint, format, step, message, context);
    if let Some(authorization) = &endpoint.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    for (name, value) in &endpoint.headers {
        headers.insert(name, value.clone());
    }
    HttpRequest {
        method: Method::POST,
        url: endpoint.url.clone(),
        headers,
        body: step.body.clone(),
    }
}

fn native(headers: &mut HeaderMap, message: &Message, context: &Context<'_>) {
    headers.insert(USER_AGENT, AGENT);
    headers.insert(
        DELIVERY_ID,
        header::reversible(&context.delivery.to_string()),
    );
    headers.insert(ATTEMPT, HeaderValue::from(context.attempt));
    if let Some(reason) = context.possible_duplicate {
        let value = HeaderValue::from_static(reason.as_str());
        headers.insert(POSSIBLE_DUPLICATE, value);
    }
    if let Some(target) = message.header.target_id {
        headers.insert(TYPE, header::reversible(&message.header.r#type));
        headers.insert(TARGET_ID, header::reversible(&target.to_string()));
    }
}

/// Standard Webhooks; to a CMQ receiver only when there is something to verify.
fn sign(
    headers: &mut HeaderMap,
    endpoint: &Endpoint,
    format: Format,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) {
    let id = message.header.id.to_string();
    let seconds = context.now.seconds();
    let signature = signing::signature(endpoint.keys(context.now), &id, seconds, &step.body);
    if format.is_cmq() && signature.is_none() {
        return;
    }
    headers.insert(WEBHOOK_ID, header::reversible(&id));
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));
    if let Some(signature) = signature {
        headers.insert(WEBHOOK_SIGNATURE, signature);
    }
}

/// The publisher's digest of the payload, passed on where the payload is the body (RFC 9530 section 2).
fn digest(step: &Step, message: &Message) -> Option<HeaderValue> {
    let digest = message.header.digest.as_deref()?;
    let value = digest.strip_prefix("sha-256=")?.trim_matches(':');
    let is_body = *step.body == *message.body.payload().bytes;
    is_body.then(|| header::readable(&format!("sha-256=:{value}:")))
}
