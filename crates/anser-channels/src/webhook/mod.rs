//! Webhooks: a message as an HTTP request to any URL, in one of six formats, signed by Standard Webhooks. Must not know
//! how requests are sent or repeated.

mod answer;
mod cloudevents;
mod cmq;
mod custom;
mod format;
mod request;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Answers, Channel, ChannelKind, Context, Exchange, HttpResponse, Manifest, Plan, Request, Step,
};
use anser_core::limits::OLD_SECRETS_MAX;
use anser_core::message::segment::KNOWN_TYPES;
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use serde_json::Value;
use url::Url;

use crate::kit::classify::classify_http;
use crate::kit::signing::{SecretKind, SigningKey};
use format::Format;
use settings::{Endpoint, PreviousSecret, Settings};

const SETUP: &str = "Take the URL of an endpoint that accepts POST and answers 2xx once it has the message for good. \
Let the gateway make the signing secret: `POST /v1/channels/NAME/secrets/rotate` with `{\"kind\":\"v1\"}` (HMAC-SHA256, \
one secret for both sides) or `{\"kind\":\"v1a\"}` (Ed25519: the answer has the secret and after a blank the public key, \
`whpk_…`, which is all that a receiver needs), or bring your own in `secret`. Receivers verify with any Standard Webhooks \
library, dedupe on `webhook-id`, and tell attempts apart by `anser-delivery-id` and `anser-attempt`. An old secret keeps \
signing beside the new one until the grace of its rotation ends.";

/// The kind.
pub(crate) struct Webhook;

impl ChannelKind for Webhook {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: "webhook",
            label: "Webhook",
            summary: "Posts each message to a URL, signed by Standard Webhooks, as anser.message/1, plain data, \
                      Tencent CMQ push or CloudEvents.",
            links: vec![
                "https://www.standardwebhooks.com/",
                "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md",
                "https://cloud.tencent.com/document/product/406",
            ],
            settings: settings::schema(),
            formats: Format::ALL.iter().map(|format| format.name()).collect(),
            capabilities: [KNOWN_TYPES.as_slice(), &["edit", "recall"]].concat(),
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            endpoint: Settings::read(settings)?.open()?,
        }))
    }

    fn rotate(
        &self,
        settings: &Value,
        secret_kind: &str,
        random: &[u8; 32],
        now: Timestamp,
        old_until: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let kind = SecretKind::parse(secret_kind).ok_or_else(|| {
            Problem::invalid("invalid_field", "kind", "no such kind of secret")
                .accepted("v1 (HMAC-SHA256) or v1a (Ed25519)")
        })?;
        let mut settings = Settings::read(settings)?;
        let secret = kind.make(random);
        let old = settings.secret.replace(secret.clone());
        let old = old.map(|secret| PreviousSecret {
            secret,
            until: old_until,
        });
        settings.previous_secrets = old
            .into_iter()
            .chain(settings.previous_secrets)
            .filter(|previous| previous.until > now)
            .take(OLD_SECRETS_MAX)
            .collect();
        let shown = match SigningKey::parse("settings.secret", &secret)?.public_key() {
            Some(public) => format!("{secret} {public}"),
            None => secret,
        };
        Ok((settings.write(), shown))
    }
}

/// A webhook that is ready to use.
struct Opened {
    endpoint: Endpoint,
}

impl Opened {
    fn format(&self, context: &Context<'_>) -> Result<Format, Problem> {
        context.format.map_or(Ok(self.endpoint.format), |name| {
            Format::parse("format", name)
        })
    }

    /// The steps of a message that is about an earlier one; Tencent's clients know no such thing.
    fn tell(&self, linked: &Message, what: &str, context: &Context<'_>) -> Result<Plan, Problem> {
        let format = self.format(context)?;
        if format.is_cmq() {
            let what = format!("{what} in the format {}", format.name());
            return Err(Problem::not_available("format", &what));
        }
        Ok(format::render(format, linked, context))
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        Ok(format::render(self.format(context)?, message, context))
    }

    /// The receiver is told: the linked message itself goes out, and names the one it is about.
    fn edit(&self, edit: &Message, _: &[String], context: &Context<'_>) -> Result<Plan, Problem> {
        self.tell(edit, "an edit", context)
    }

    fn recall(
        &self,
        recall: &Message,
        _: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        self.tell(recall, "a recall", context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let format = self.format(context)?;
        let request = request::build(&self.endpoint, format, step, message, context);
        Ok(Request::Http(request))
    }

    /// Tencent's clients know no such thing, and every answer of theirs means what it always did.
    fn answers(&self, response: &HttpResponse, context: &Context<'_>) -> Result<Answers, Problem> {
        if self.format(context)?.is_cmq() {
            return Ok(Answers::default());
        }
        answer::read(response, self.endpoint.replies)
    }

    fn classify(&self, _: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        classify_http(
            exchange,
            context.now,
            context.fail_fast_4xx,
            context.cmq_policy,
        )
    }
}

#[cfg(test)]
mod tests;
