//! What DingTalk sends to an app: what is said to its robot, signed with the app's secret, and events in an encrypted
//! envelope, which want an encrypted answer; and what they hold also over a stream. Must not make an event of a request that is
//! not verified.

pub(super) mod card;
pub(super) mod push;
pub(super) mod robot;
mod target;

#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::inbound::{
    Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde_json::{Value, json};

use crate::kit::arrival::seconds;
use crate::kit::envelope::{Envelope, Signed, encrypted_json};
use crate::kit::inbound::{forged, fresh, header, hmac_matches, malformed, parse};

/// What the platform is called in what it sent.
const PLATFORM: &str = "dingtalk";
/// The media type of answers.
const JSON: &str = "application/json; charset=utf-8";
/// How old a signature may be
/// (<https://open.dingtalk.com/document/orgapp/receive-message>).
const SIGNED_MAX: Duration = Duration::from_secs(3600);
/// For how long what was sent is known again.
pub(super) const REMEMBER: Duration = Duration::from_secs(24 * 3600);
/// What an envelope's signature is called; older pushes have the second name.
const SIGNATURES: [&str; 2] = ["msg_signature", "signature"];
/// What every push wants to hear.
const SUCCESS: &str = "success";

/// The other direction of an app.
pub(super) struct Callback {
    secret: String,
    envelope: Option<Envelope>,
}

impl Callback {
    /// Takes what is signed with the app's secret, and what comes in that envelope.
    pub(super) const fn new(secret: String, envelope: Option<Envelope>) -> Self {
        Self { secret, envelope }
    }

    /// What is said to the robot. The signature does not cover the body: only HTTPS protects that.
    fn robot(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        let (timestamp, sign) = (header(request, "timestamp")?, header(request, "sign")?);
        let given = BASE64.decode(sign).map_err(|_| forged("the header sign"))?;
        let secret = self.secret.as_bytes();
        let signed = [timestamp.as_bytes(), b"\n", secret];
        hmac_matches(
            hmac::HMAC_SHA256,
            secret,
            &signed,
            &given,
            "the header sign",
        )?;
        let time = seconds(timestamp)
            .ok_or_else(|| malformed("the header timestamp is no number of milliseconds"))?;
        fresh(time, SIGNED_MAX, context.now)?;
        let event = robot::normalised(&parse(request.body)?, context)?;
        Ok(Received {
            events: vec![event],
            answer: answer(JSON, "{}"),
        })
    }

    /// An event, or a check of the URL.
    fn push(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        let envelope = self.envelope.as_ref().ok_or_else(|| {
            let detail = "it is encrypted: copy the app's aes_key and token into settings.aes_key and settings.token";
            Refusal::new(RefusalKind::Unsigned, detail)
        })?;
        let signed = Signed::read(request, &SIGNATURES)?;
        let encrypted = encrypted_json(request.body)?;
        let plain = envelope.open(&signed, &encrypted, SIGNED_MAX, context.now)?;
        let event = parse(&plain)?;
        let (events, word) = match push::check(&event) {
            Some(wanted) => (Vec::new(), wanted.unwrap_or(SUCCESS)),
            None => (vec![push::normalised(&event, context)], SUCCESS),
        };
        let sealed = envelope.seal(word.as_bytes(), &signed.timestamp, &signed.nonce, context);
        let said: Value = json!({
            "msg_signature": sealed.signature,
            "encrypt": sealed.encrypted,
            "timeStamp": signed.timestamp,
            "nonce": signed.nonce,
        });
        Ok(Received {
            events,
            answer: answer(JSON, said.to_string()),
        })
    }
}

impl Inbound for Callback {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method != Method::POST {
            let detail = "DingTalk calls with POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        let is_push = request
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .any(|(name, _)| SIGNATURES.contains(&name));
        if is_push {
            self.push(request, context)
        } else {
            self.robot(request, context)
        }
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}
