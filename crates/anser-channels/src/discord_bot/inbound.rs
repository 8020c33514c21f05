//! What comes from Discord: interactions that it posts to an app (<https://discord.com/developers/docs/interactions/overview>),
//! which are commands, buttons and forms, signed by Ed25519, or sends over the Gateway; and what happens in channels, over the
//! Gateway only. Each interaction is answered as to be continued; what is published as the answer continues it. Must not answer
//! the check of the URL before its signature is verified: Discord tries that.

mod content;
mod events;
pub(super) mod happened;

use std::time::Duration;

use anser_core::Problem;
use anser_core::inbound::{
    Inbound, InboundContext, InboundEvent, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use http::Method;
use serde_json::{Value, json};

use crate::kit::arrival::{seconds, unhex};
use crate::kit::inbound::{forged, fresh, header, malformed, parse};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};

/// The header of the signature, in hexadecimal digits.
const SIGNATURE: &str = "x-signature-ed25519";
/// The header of the signed time, in seconds.
const TIMESTAMP: &str = "x-signature-timestamp";
/// How old a request may be. Discord's documents name no age; an interaction can be answered for three seconds only, and
/// without one an old request could come again when its id is forgotten.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Discord sends nothing again; a request is taken for five minutes before and after its signed time.
const REMEMBER: Duration = Duration::from_secs(15 * 60);
/// Bytes of a public key.
const KEY_BYTES: usize = 32;

/// What an interaction is, in its `type`.
mod kind {
    pub(super) const PING: u64 = 1;
    pub(super) const COMMAND: u64 = 2;
    pub(super) const COMPONENT: u64 = 3;
    pub(super) const AUTOCOMPLETE: u64 = 4;
    pub(super) const FORM: u64 = 5;
}

/// What it is answered, in its `type`.
mod callback {
    pub(super) const PONG: u64 = 1;
    /// A message will follow; until then it is shown as thinking.
    pub(super) const LATER: u64 = 5;
    /// A message may follow, and the one with the button stays as it is.
    pub(super) const UPDATE_LATER: u64 = 6;
    pub(super) const CHOICES: u64 = 8;
}

/// Reads what Discord sends to one app.
pub(super) struct Receiver {
    key: ParsedPublicKey,
}

impl Receiver {
    /// With the app's public key.
    ///
    /// # Errors
    /// `invalid_field` at `settings.public_key`.
    pub(super) fn new(public_key: &str) -> Result<Self, Problem> {
        let bytes = unhex(public_key).filter(|bytes| bytes.len() == KEY_BYTES);
        let key = bytes.and_then(|bytes| ParsedPublicKey::new(&ED25519, bytes).ok());
        let Some(key) = key else {
            let detail = "is no public key; copy it from the app's page General Information";
            let problem = Problem::invalid("invalid_field", "settings.public_key", detail);
            return Err(problem.accepted("64 hexadecimal digits"));
        };
        Ok(Self { key })
    }

    fn verify(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<(), Refusal> {
        let time = header(request, TIMESTAMP)?;
        let given = header(request, SIGNATURE)?;
        let given = unhex(given).ok_or_else(|| forged(SIGNATURE))?;
        let signed = [time.as_bytes(), request.body].concat();
        let verdict = self.key.verify_sig(&signed, &given);
        verdict.map_err(|_| forged(SIGNATURE))?;
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
            let detail = "Discord sends by POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        self.verify(request, context)?;
        let (event, said) = interacted(&parse(request.body)?, context)?;
        Ok(Received {
            events: event.into_iter().collect(),
            answer: answer(MEDIA_TYPE, bytes_of(&said)),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// What an interaction brings, and what it is answered, however it came.
///
/// # Errors
/// `malformed_event`.
pub(super) fn interacted(
    interaction: &Value,
    context: &InboundContext<'_>,
) -> Result<(Option<InboundEvent>, Value), Refusal> {
    let of = interaction["type"].as_u64().unwrap_or_default();
    let (read, said) = match of {
        kind::PING => (None, json!({"type": callback::PONG})),
        kind::AUTOCOMPLETE => {
            let choices: [Value; 0] = [];
            let choices = json!({"type": callback::CHOICES, "data": {"choices": choices}});
            (None, choices)
        }
        kind::COMMAND => (Some("command"), json!({"type": callback::LATER})),
        kind::COMPONENT => (Some("button"), json!({"type": callback::UPDATE_LATER})),
        kind::FORM => (Some("form"), json!({"type": callback::LATER})),
        _ => {
            let detail = format!("{of} is no type of interaction that is known here");
            return Err(malformed(detail));
        }
    };
    let event = read.map(|name| events::read(name, interaction, context));
    Ok((event.transpose()?, said))
}

#[cfg(test)]
pub(super) mod tests;
