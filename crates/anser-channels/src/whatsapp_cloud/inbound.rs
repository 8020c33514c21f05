//! What Meta posts about a number of WhatsApp (<https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks>): messages,
//! and what became of ours, signed over their bytes with the app's secret; and the check of the URL, a GET with a token.
//! Must not parse what is not verified.

mod content;
mod events;
mod place;

use std::time::Duration;

use anser_core::inbound::{
    INBOUND_EVENTS_MAX, Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind,
    answer,
};
use aws_lc_rs::hmac;
use http::Method;
use url::form_urlencoded;

use super::settings::Secrets;
use crate::kit::arrival::hex;
use crate::kit::inbound::{header, malformed, parse, same};

/// The platform's name in what comes in.
const PLATFORM: &str = "whatsapp";
/// The header of the signature.
const SIGNATURE: &str = "x-hub-signature-256";
/// What stands before it.
const PREFIX: &str = "sha256=";
/// For so long Meta sends again what was not taken.
const REMEMBER: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Bytes of a challenge.
const CHALLENGE_BYTES_MAX: usize = 256;
/// The media type of an answer.
const TEXT: &str = "text/plain; charset=utf-8";

/// Reads what Meta sends about one number.
pub(super) struct Receiver {
    /// What proves them.
    pub(super) secrets: Secrets,
    /// The id of the number.
    pub(super) phone_number_id: String,
}

impl Receiver {
    /// The check of the URL.
    fn challenge(&self, query: &str) -> Result<Received, Refusal> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let of = |name: &str| {
            let mut named = pairs.iter().filter(|(given, _)| given == name);
            named.next().map(|(_, value)| value.as_str())
        };
        let token = of("hub.verify_token").ok_or_else(|| {
            let detail = "the query has no hub.verify_token";
            Refusal::new(RefusalKind::Unsigned, detail)
        })?;
        same(
            token.as_bytes(),
            self.secrets.verify.as_bytes(),
            "hub.verify_token",
        )?;
        if of("hub.mode") != Some("subscribe") {
            return Err(malformed("hub.mode is not subscribe"));
        }
        let challenge = of("hub.challenge").filter(|text| text.len() <= CHALLENGE_BYTES_MAX);
        let challenge = challenge.ok_or_else(|| malformed("there is no hub.challenge"))?;
        Ok(Received {
            events: Vec::new(),
            answer: answer(TEXT, challenge.to_owned()),
        })
    }

    fn verify(&self, request: &InboundRequest<'_>) -> Result<(), Refusal> {
        let given = header(request, SIGNATURE)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secrets.app.as_bytes());
        let expected = format!("{PREFIX}{}", hex(hmac::sign(&key, request.body).as_ref()));
        same(given.as_bytes(), expected.as_bytes(), SIGNATURE)
    }
}

impl Inbound for Receiver {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method == Method::GET {
            return self.challenge(request.query);
        }
        if request.method != Method::POST {
            let detail = "Meta sends by POST, and checks the URL by GET";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        self.verify(request)?;
        let events = events::read(&parse(request.body)?, &self.phone_number_id, context)?;
        if events.len() > INBOUND_EVENTS_MAX {
            let detail = format!("there are more than {INBOUND_EVENTS_MAX} events in it");
            return Err(malformed(detail));
        }
        Ok(Received {
            events,
            answer: answer(TEXT, ""),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

#[cfg(test)]
mod tests;
