//! What Feishu and Lark send to an app: the check of the URL, events of both schemas, and clicks on cards; by callbacks, and what
//! they hold also over a long connection. Must not make an event of a request that is not proved.

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
    Inbound, InboundContext, InboundEvent, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use http::Method;
use serde_json::{Value, json};

use envelope::Envelope;
use proof::Proved;

pub(super) use proof::Proof;

/// What the platform is called in what it sent.
const PLATFORM: &str = "feishu";
/// The media type of answers.
const JSON: &str = "application/json; charset=utf-8";
/// Feishu sends again after 15 seconds, 5 minutes, 1 hour and 6 hours
/// (<https://open.feishu.cn/document/server-docs/event-subscription-guide/overview>); longer than a signature is good.
pub(super) const REMEMBER: Duration = Duration::from_secs(9 * 3600);

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
        let Said {
            event,
            answer: said,
        } = match self.proof.open(request, context.now)? {
            Proved::Check(challenge) => {
                return Ok(Received {
                    events: Vec::new(),
                    answer: answer(JSON, json!({"challenge": challenge}).to_string()),
                });
            }
            Proved::Event(value) => said(value, false, &self.app_id, context)?,
            Proved::Card(value) => said(value, true, &self.app_id, context)?,
        };
        let said = said.unwrap_or_else(|| json!({"msg": "success"}));
        Ok(Received {
            events: event.into_iter().collect(),
            answer: answer(JSON, said.to_string()),
        })
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// What Feishu said, however it came.
pub(super) struct Said {
    /// What happened; nothing for what the app did itself.
    pub(super) event: Option<InboundEvent>,
    /// What it waits for as an answer, if it does.
    pub(super) answer: Option<Value>,
}

/// Reads what is proved to be Feishu's, for the app of that id. What comes as a card may be a click on an old one, which has no
/// envelope.
///
/// # Errors
/// `malformed_event`.
pub(super) fn said(
    value: Value,
    is_card: bool,
    app_id: &str,
    context: &InboundContext<'_>,
) -> Result<Said, Refusal> {
    let envelope = if is_card && proof::is_card(&value) {
        Envelope::of_card(value)
    } else {
        Envelope::read(value)?
    };
    Ok(Said {
        event: event::normalised(&envelope, app_id, context),
        // A card's click is answered with what the card becomes: as it was.
        answer: envelope.is_callback().then(|| json!({})),
    })
}
