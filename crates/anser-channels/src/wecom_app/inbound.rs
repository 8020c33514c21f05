//! What WeCom sends to an app: the check of the URL, messages of people and events. Must not make an event of anything that
//! is not verified.

mod event;
mod message;
mod said;
mod xml;

#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::inbound::{
    Inbound, InboundContext, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use http::Method;
use serde_json::Value;

use crate::kit::arrival::query;
use crate::kit::envelope::{Envelope, Signed};
use crate::kit::inbound::malformed;
use said::Said;

/// What the platform is called in what it sent.
const PLATFORM: &str = "wecom";
/// The media type of answers.
const TEXT: &str = "text/plain; charset=utf-8";
/// How old a signature may be. WeCom sends again three times, five seconds apart
/// (<https://developer.work.weixin.qq.com/document/path/90238>).
const SIGNED_MAX: Duration = Duration::from_secs(10 * 60);
/// For how long what was sent is known again.
const REMEMBER: Duration = Duration::from_secs(3600);

/// The other direction of an app.
pub(super) struct Callback {
    envelope: Envelope,
}

impl Callback {
    /// Takes what comes in that envelope.
    pub(super) const fn new(envelope: Envelope) -> Self {
        Self { envelope }
    }

    fn open(
        &self,
        request: &InboundRequest<'_>,
        encrypted: &str,
        context: &InboundContext<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let signed = Signed::read(request, &["msg_signature"])?;
        self.envelope
            .open(&signed, encrypted, SIGNED_MAX, context.now)
    }
}

impl Inbound for Callback {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        match *request.method {
            // The check of the URL wants the text back as it is.
            Method::GET => {
                let encrypted = query(request, "echostr")?;
                let plain = self.open(request, &encrypted, context)?;
                Ok(Received {
                    events: Vec::new(),
                    answer: answer(TEXT, plain),
                })
            }
            Method::POST => {
                let outer = xml::read(request.body)?;
                let encrypted = outer["Encrypt"].as_str().map(str::trim);
                let encrypted =
                    encrypted.ok_or_else(|| malformed("the body has no text \"Encrypt\""))?;
                let inner: Value = xml::read(&self.open(request, encrypted, context)?)?;
                let said = Said::read(inner)?;
                let event = if said.is_event() {
                    event::normalised(&said, context)
                } else {
                    message::normalised(&said, context)
                };
                Ok(Received {
                    events: vec![event],
                    answer: answer(TEXT, ""),
                })
            }
            _ => {
                let detail = "WeCom calls with GET to check the URL, and with POST";
                Err(Refusal::new(RefusalKind::Method, detail))
            }
        }
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}
