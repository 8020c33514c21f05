//! What templates and rules can say: the message and its delivery, and the answer. Only what is named is worked out.

use std::collections::BTreeSet;

use anser_core::Message;
use anser_core::channel::{Context, HttpResponse};
use anser_core::message::{Attachment, Source};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::dialect;
use super::scope::Secrets;

/// The variables of templates.
pub(super) const OF_MESSAGE: &[&str] = &[
    "text",
    "markdown",
    "title",
    "message",
    "header",
    "data",
    "attachments",
    "target",
    "subscription",
    "attempt",
    "delivery_id",
    "idempotency_key",
    "possible_duplicate",
    "now",
    "now_seconds",
    "now_millis",
    "secrets",
];
/// The variables of rules.
pub(super) const OF_ANSWER: &[&str] = &["status", "headers", "body", "json"];

/// Values of the variables that are named.
pub(super) struct Variables<'a> {
    /// All together.
    pub(super) root: Value,
    /// What must not be shown.
    pub(super) secrets: &'a Secrets,
}

impl<'a> Variables<'a> {
    /// Those of a message and the context of its delivery.
    pub(super) fn of_message(
        names: &BTreeSet<String>,
        message: &Message,
        context: &Context<'_>,
        secrets: &'a Secrets,
    ) -> Self {
        let value = |name: &str| match name {
            "text" => dialect::text(message, context.links).into(),
            "markdown" => dialect::markdown(message, context.links).into(),
            "title" => dialect::title(message).into(),
            "message" => serialised(message),
            "header" => serialised(&message.header),
            "data" => data(message),
            "attachments" => attachments(&message.attachments),
            "target" => context.target.into(),
            "subscription" => context.subscription.into(),
            "attempt" => context.attempt.into(),
            "delivery_id" => context.delivery.to_string().into(),
            "idempotency_key" => format!("{}-{}", message.header.id, context.delivery).into(),
            "possible_duplicate" => context.possible_duplicate.is_some().into(),
            "now" => context.now.to_string().into(),
            "now_seconds" => context.now.seconds().into(),
            "now_millis" => context.now.millis().into(),
            "secrets" => secrets.value(),
            _ => Value::UNDEFINED,
        };
        Self::new(OF_MESSAGE, names, value, secrets)
    }

    /// Those of an answer.
    pub(super) fn of_answer(
        names: &BTreeSet<String>,
        response: &HttpResponse,
        json: Option<&serde_json::Value>,
        secrets: &'a Secrets,
    ) -> Self {
        let value = |name: &str| match name {
            "status" => response.status.as_u16().into(),
            "headers" => Value::from_pairs(response.headers.iter().map(|(name, value)| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str(), text)
            })),
            "body" => String::from_utf8_lossy(&response.body).into_owned().into(),
            "json" => json.map_or_else(|| Value::from(()), |json| Value::from(Serde(json))),
            _ => Value::UNDEFINED,
        };
        Self::new(OF_ANSWER, names, value, secrets)
    }

    fn new(
        known: &[&'static str],
        names: &BTreeSet<String>,
        value: impl Fn(&str) -> Value,
        secrets: &'a Secrets,
    ) -> Self {
        let named = known.iter().filter(|name| names.contains(**name));
        let root = Value::from_pairs(named.map(|name| (*name, value(name))));
        Self { root, secrets }
    }
}

/// None for data with a number that no program counts with, such as 1e999.
fn serialised<T: Serialize + ?Sized>(part: &T) -> Value {
    let json = serde_json::to_value(part).ok();
    json.map_or_else(|| Value::from(()), |json| Value::from(Serde(json)))
}

/// The JSON of the body, none for one that has no data. A number beyond 64 bits becomes a decimal one.
fn data(message: &Message) -> Value {
    let raw = message.body.data();
    raw.map_or_else(|| Value::from(()), serialised)
}

fn attachments(attachments: &[Attachment]) -> Value {
    let one = |attachment: &Attachment| {
        let url = match &attachment.source {
            Source::Url(url) => Some(url.as_str()),
            Source::Inline(_) | Source::Blob(_) => None,
        };
        Value::from_pairs([
            ("id", Value::from(attachment.id.as_str())),
            ("name", attachment.name.as_deref().into()),
            ("media_type", attachment.media_type.as_deref().into()),
            ("size", attachment.size.into()),
            ("sha256", attachment.sha256.as_deref().into()),
            ("url", url.into()),
        ])
    };
    attachments.iter().map(one).collect::<Vec<_>>().into()
}
