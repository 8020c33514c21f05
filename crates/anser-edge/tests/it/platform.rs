//! A kind of channel whose platform sends in what a test writes, and takes nothing out.

use std::sync::Arc;
use std::time::Duration;

use anser_core::channel::{Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::inbound::{
    Inbound, InboundContext, InboundEvent, InboundRequest, Received, Refusal, RefusalKind, answer,
};
use anser_core::message::{Item, Origin, Sender, SenderKind};
use anser_core::outcome::Outcome;
use anser_core::resource::Ordering;
use anser_core::{Message, Problem, Timestamp};
use http::Method;
use serde_json::{Value, json};
use url::Url;

/// The kind `test`. With `settings.secret` it verifies the header `x-proof`.
pub(crate) struct TestPlatform;

impl ChannelKind for TestPlatform {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: "test",
            label: "Test",
            summary: "Takes in what a test writes.",
            links: Vec::new(),
            settings: json!({
                "type": "object",
                "properties": {"secret": {"type": "string", "writeOnly": true}},
            }),
            formats: vec!["anser"],
            capabilities: vec!["receive"],
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: "",
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let secret = settings.get("secret").and_then(Value::as_str);
        Ok(Arc::new(Opened {
            proof: secret.map(str::to_owned).map(Proof),
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
        Err(Problem::not_available("kind", "rotating this"))
    }
}

struct Opened {
    proof: Option<Proof>,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, _: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        Err(Problem::not_available("kind", "sending"))
    }

    fn request(&self, _: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        Err(Problem::not_available("kind", "sending"))
    }

    fn classify(&self, _: &Step, _: &Exchange, _: &Context<'_>) -> Outcome {
        Outcome::Delivered { platform_id: None }
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        self.proof.as_ref().map(|proof| proof as &dyn Inbound)
    }
}

struct Proof(String);

impl Inbound for Proof {
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal> {
        if *request.method == Method::GET {
            let answer = answer("text/plain", request.query.to_owned());
            let events = Vec::new();
            return Ok(Received { events, answer });
        }
        match request.headers.get("x-proof") {
            None => return Err(Refusal::new(RefusalKind::Unsigned, "no proof")),
            Some(proof) if proof.as_bytes() == self.0.as_bytes() => {}
            Some(_) => return Err(Refusal::new(RefusalKind::Forged, "wrong proof")),
        }
        let text = std::str::from_utf8(request.body);
        let text = text.map_err(|_| Refusal::new(RefusalKind::Malformed, "no text"))?;
        let item = json!({"body": {"data": text}}).to_string();
        let item = Item::from_json(item.as_bytes()).unwrap();
        let from = Sender {
            kind: SenderKind::User,
            id: "u1".to_owned(),
            name: None,
            platform: None,
            account: None,
        };
        let origin = Origin {
            platform: "test".to_owned(),
            account: None,
            r#type: None,
            event_id: None,
            message_id: None,
        };
        let event = InboundEvent::new(context, text.to_owned(), from, origin, item);
        let answer = answer("text/plain", "taken");
        let events = vec![event];
        Ok(Received { events, answer })
    }

    fn remember(&self) -> Duration {
        Duration::from_secs(3600)
    }
}
