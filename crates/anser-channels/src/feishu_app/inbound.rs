//! What Feishu and Lark send to an app: the check of the URL, events of both schemas, and clicks on cards. Must not make an
//! event of anything that is not proved.

mod content;
mod envelope;
mod event;
mod message;
mod people;
mod proof;

#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::inbound::{
    Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use http::Method;
use serde_json::json;

use envelope::Envelope;
use proof::Proved;

pub(super) use proof::Proof;

/// What the platform is called in what it sent.
const PLATFORM: &str = "feishu";
/// The media type of answers.
const JSON: &str = "application/json; charset=utf-8";
/// Feishu sends again after 15 seconds, 5 minutes, 1 hour and 6 hours
/// (<https://open.feishu.cn/document/server-docs/event-subscription-guide/overview>); longer than a signature is good.
const REMEMBER: Duration = Duration::from_secs(9 * 3600);

/// The other direction of an app.
pub(super) struct Callback {
    proof: Proof,
    app_id: String,
}

impl Callback {
    /// Takes what `proof` proves, for the app of that id.
    pub(super) const fn new(proof: Proof, app_id: String) -> Self {
        Self { proof, app_id }
    }
}

impl Inbound for Callback {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if request.method != Method::POST {
            let detail = "Feishu calls with POST";
            return Err(Refusal::new(RefusalKind::Method, detail));
        }
        let (envelope, said) = match self.proof.open(request, context.now)? {
            Proved::Check(challenge) => {
                return Ok(Received {
                    events: Vec::new(),
                    answer: answer(JSON, json!({"challenge": challenge}).to_string()),
                });
            }
            Proved::Event(value) => {
                let envelope = Envelope::read(value)?;
                // A card's click is answered with what the card becomes: as it was.
                let said = if envelope.is_callback() {
                    json!({})
                } else {
                    json!({"msg": "success"})
                };
                (envelope, said)
            }
            Proved::Card(value) => (Envelope::of_card(value), json!({})),
        };
        let event = event::normalised(&envelope, &self.app_id, context);
        Ok(Received {
            events: event.into_iter().collect(),
            answer: answer(JSON, said.to_string()),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}
