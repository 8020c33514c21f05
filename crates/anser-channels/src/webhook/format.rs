//! The forms in which a webhook sends a message, and their bodies.

use anser_core::channel::{Context, Plan, Step};
use anser_core::message::{self, Body};
use anser_core::{Message, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cloudevents, cmq};

/// Version of the rendering, kept with a stored plan.
const PLAN_VERSION: u16 = 1;

/// The formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// The whole message as JSON, `application/vnd.anser.message+json`.
    #[default]
    Anser,
    /// The body alone: a string's text, other JSON as the bytes received, `bytes` decoded, segments as their fallback.
    Data,
    /// Tencent CMQ's JSON push: its six members, opaque bytes as base64, and its headers; signature headers only with a
    /// `secret`. What `x-cmq-message-tag` cannot carry of a tag is percent-encoded.
    CmqJson,
    /// Tencent CMQ's SIMPLIFIED push: the body as in `data`, the headers as in `cmq-json`.
    CmqSimplified,
    /// CloudEvents 1.0.2, the body as in `data`, percent-encoded attributes in `ce-` headers: `source` is
    /// `/topics/TOPIC`, `subject` the key, `time` when it happened; extensions `ansertopic`, `anserkey`, `ansertags`
    /// (joined by commas), `anserroutingkey`, `ansercorrelationid`, `anserreplyto`, `ansertargetid` and `traceparent`.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
    /// CloudEvents 1.0.2, one JSON document with the same attributes; opaque bytes in `data_base64`.
    #[serde(rename = "cloudevents-structured")]
    CloudEventsStructured,
}

impl Format {
    /// All of them, the default first.
    pub(super) const ALL: [Self; 6] = [
        Self::Anser,
        Self::Data,
        Self::CmqJson,
        Self::CmqSimplified,
        Self::CloudEventsBinary,
        Self::CloudEventsStructured,
    ];

    /// Its name in settings.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Anser => "anser",
            Self::Data => "data",
            Self::CmqJson => "cmq-json",
            Self::CmqSimplified => "cmq-simplified",
            Self::CloudEventsBinary => "cloudevents-binary",
            Self::CloudEventsStructured => "cloudevents-structured",
        }
    }

    /// By its name.
    ///
    /// # Errors
    /// `invalid_format` at `field`.
    pub(super) fn parse(field: &str, name: &str) -> Result<Self, Problem> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                Problem::invalid("invalid_format", field, "a webhook has no such format")
                    .accepted(Self::ALL.map(Self::name).join(", "))
            })
    }

    /// Looks to the receiver as Tencent's service does.
    pub(super) const fn is_cmq(self) -> bool {
        matches!(self, Self::CmqJson | Self::CmqSimplified)
    }
}

/// The one step that posts `message` in `format`.
pub(super) fn render(format: Format, message: &Message, context: &Context<'_>) -> Plan {
    let mut degraded = Vec::new();
    let (body, media_type) = match format {
        Format::Anser => (message.to_json(), message::MEDIA_TYPE.to_owned()),
        Format::Data => payload(&message.body),
        Format::CmqJson => (cmq::json(message, context), cmq::MEDIA_TYPE.to_owned()),
        Format::CmqSimplified => (payload(&message.body).0, cmq::MEDIA_TYPE.to_owned()),
        Format::CloudEventsBinary if cloudevents::needs_envelope(&message.body) => {
            degraded.push("cloudevents-binary->cloudevents-structured".to_owned());
            structured(message)
        }
        Format::CloudEventsBinary => payload(&message.body),
        Format::CloudEventsStructured => structured(message),
    };
    Plan {
        version: PLAN_VERSION,
        steps: vec![Step::send(body.into(), media_type)],
        degraded,
    }
}

fn payload(body: &Body) -> (Vec<u8>, String) {
    let payload = body.payload();
    (payload.bytes.into_owned(), payload.media_type.into_owned())
}

fn structured(message: &Message) -> (Vec<u8>, String) {
    (
        cloudevents::structured(message),
        cloudevents::MEDIA_TYPE.to_owned(),
    )
}
