//! HTTP push as Tencent CMQ sends it, to the letter: what its receivers read must be there, in its place and type, and
//! nothing else.

use anser_core::Message;
use anser_core::channel::Context;
use anser_core::message::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::kit::header;

/// The media type of both formats, JSON too.
pub(super) const MEDIA_TYPE: &str = "text/plain";
const AGENT: HeaderValue = HeaderValue::from_static("Qcloud Notification Service Agent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-cmq-request-id");
const MESSAGE_ID: HeaderName = HeaderName::from_static("x-cmq-message-id");
const MESSAGE_TAG: HeaderName = HeaderName::from_static("x-cmq-message-tag");

/// The JSON format's members, in their order.
#[derive(Serialize)]
struct Push<'a> {
    #[serde(rename = "TopicOwner")]
    topic_owner: u64,
    #[serde(rename = "topicName")]
    topic: &'a str,
    #[serde(rename = "subscriptionName")]
    subscription: &'a str,
    #[serde(rename = "msgId")]
    message_id: String,
    #[serde(rename = "msgBody")]
    body: String,
    /// Unix seconds.
    #[serde(rename = "publishTime")]
    published: i64,
}

/// The body of the JSON format. Opaque bytes go as base64; a direct address has no subscription, its name is empty.
pub(super) fn json(message: &Message, context: &Context<'_>) -> Vec<u8> {
    let push = Push {
        topic_owner: context.installation,
        topic: &message.header.topic,
        subscription: context.subscription.unwrap_or(""),
        message_id: context.num.0.to_string(),
        body: text(&message.body),
        published: message.header.time.seconds(),
    };
    serde_json::to_vec(&push).expect("strings and numbers always serialise")
}

fn text(body: &Body) -> String {
    match body {
        Body::Bytes { bytes, .. } => BASE64.encode(bytes),
        Body::Content(_) | Body::Data(_) => {
            String::from_utf8_lossy(&body.payload().bytes).into_owned()
        }
    }
}

/// Adds the headers beside `content-type`. A tag that a header cannot carry is percent-encoded.
pub(super) fn headers(headers: &mut HeaderMap, message: &Message, context: &Context<'_>) {
    headers.insert(USER_AGENT, AGENT);
    headers.insert(REQUEST_ID, HeaderValue::from(request_id(context)));
    headers.insert(MESSAGE_ID, HeaderValue::from(context.num.0));
    if !message.header.tags.is_empty() {
        let tags = message.header.tags.join(", ");
        headers.insert(MESSAGE_TAG, header::readable(&tags));
    }
}

/// A number for each attempt. Multiplying by 2^64 divided by the golden ratio spreads the deliveries so far apart that
/// the attempts of two never meet, as long as one has fewer than thousands.
fn request_id(context: &Context<'_>) -> u64 {
    context
        .delivery
        .as_u64()
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(u64::from(context.attempt))
}
