//! Whatever posts signed events to a URL: GitHub, GitLab, Stripe, senders of Standard Webhooks, and others whose HMAC can be
//! described. It only receives. Must not change a byte of what is posted.

mod event;
mod proof;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use anser_core::channel::{Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::inbound::{
    Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use anser_core::limits::DEDUPE_WINDOW_MAX;
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use http::Method;
use serde_json::Value;
use url::Url;

use crate::kit::classify::rejected;
use settings::{Settings, Source};

/// The kind's name.
const KIND: &str = "source";
/// The media type of an answer.
const TEXT: &str = "text/plain; charset=utf-8";
const SETUP: &str = "Make the channel with `inbound: {\"topic\": …}`, and enter `https://GATEWAY/in/NAME` at the sender as the URL \
of its webhook, with the same secret. GitHub (scheme `github`): Settings, Webhooks, content type application/json. GitLab \
(`gitlab`): Settings, Webhooks; the secret token, or the signing token (`whsec_…`), which also covers the body. Stripe \
(`stripe`): Developers, Webhooks, Signing secret. `standard-webhooks`: the sender's `whsec_…`, or its public key `whpk_…`; \
another Anser's webhook channel is such a sender. `hmac`: describe how it signs by `signature_header`, `algorithm`, `encoding` \
and `prefix`; with `timestamp_header` the time, a full stop and the body are signed, else the body alone. The event is the data \
of the message, byte for byte; its type is `github.push`, `stripe.invoice.paid`, `source.…`. Nothing can be sent to a source.";

/// The kind.
pub(crate) struct WebhookSource;

impl ChannelKind for WebhookSource {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Webhook source",
            summary: "Takes signed events of GitHub, GitLab, Stripe, senders of Standard Webhooks and others; sends nothing.",
            links: vec![
                "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
                "https://docs.gitlab.com/user/project/integrations/webhooks/",
                "https://docs.stripe.com/webhooks/signature",
                "https://www.standardwebhooks.com/",
            ],
            settings: settings::schema(),
            formats: Vec::new(),
            capabilities: vec!["receive"],
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
            source: Settings::open(settings)?,
        }))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the secret of a source, which its sender makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A source that is ready to use.
struct Opened {
    source: Source,
}

fn sends_nothing() -> Problem {
    Problem::invalid(
        "not_available",
        "to",
        "a source only receives: nothing can be sent to it; name another channel",
    )
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, _: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        Err(sends_nothing())
    }

    fn request(&self, _: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        Err(sends_nothing())
    }

    fn classify(&self, _: &Step, _: &Exchange, _: &Context<'_>) -> Outcome {
        rejected("not_available", &sends_nothing().detail, "")
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }
}

impl Inbound for Opened {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method != Method::POST {
            let detail = "events come by POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        self.source.proof.verify(request, context)?;
        Ok(Received {
            events: vec![event::read(&self.source, request, context)?],
            answer: answer(TEXT, ""),
        })
    }

    /// Senders try again for days, Stripe for three; and where no time is signed, this is what a copy of an old request
    /// meets.
    fn remember(&self) -> Duration {
        DEDUPE_WINDOW_MAX
    }
}

#[cfg(test)]
mod tests;
