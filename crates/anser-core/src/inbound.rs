//! The contract of what a platform sends in: a request becomes events and an answer, or a refusal. Pure: no I/O, clock or
//! randomness of its own; reading, committing and answering are written once, for all platforms.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::id::DeliveryId;
use crate::message::{Item, Origin, Sender};
use crate::response::HttpResponse;
use crate::time::Timestamp;

pub use crate::delivery::ReportedState;

/// Bytes of a request that a platform sends in.
pub const INBOUND_BYTES_MAX: usize = 1024 * 1024;
/// Events in one request.
pub const INBOUND_EVENTS_MAX: usize = 1_000;
/// Times that a message may be an answer to a message that is an answer: what answers itself ends there.
pub const HOPS_MAX: u8 = 8;

/// A channel's other direction: what its platform sends to `/in/CHANNEL`.
///
/// The order of work is fixed: the signature over the bytes as they came, then decryption, then parsing. What is not
/// verified is never parsed further than verification itself needs.
pub trait Inbound: Send + Sync {
    /// What a request brings. Nothing of it may be believed before its signature, or the platform's other proof, was
    /// verified.
    ///
    /// # Errors
    /// Why it is refused; nothing is stored then.
    fn receive(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<Received, Refusal>;

    /// For how long the platform may send the same event again: dedupe keys are remembered at least so long.
    fn remember(&self) -> Duration;
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct InboundRequest<'a> {
    /// Method.
    pub method: &'a Method,
    /// The query as written, without `?`; empty when there is none.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte; at most [`INBOUND_BYTES_MAX`].
    pub body: &'a Bytes,
}

/// What an adapter may know of the request.
#[derive(Debug, Clone, Copy)]
pub struct InboundContext<'a> {
    /// The time now.
    pub now: Timestamp,
    /// The channel's name: conversations are `CHANNEL/TARGET`.
    pub channel: &'a str,
    /// Fresh random bytes, for answers that are encrypted.
    pub random: [u8; 16],
}

/// What a request brought.
#[derive(Debug, Clone)]
pub struct Received {
    /// What happened, in order; none for a platform's check of the URL. At most [`INBOUND_EVENTS_MAX`].
    pub events: Vec<InboundEvent>,
    /// What the platform is answered once the events are durable.
    pub answer: HttpResponse,
}

/// One thing that happened on a platform.
#[derive(Debug, Clone)]
pub struct InboundEvent {
    /// What the platform repeats when it sends the event again, and nothing else; 1 to 256 bytes, unique in the channel.
    pub dedupe_key: String,
    /// Who did it, as the platform says. `platform` and `account` are set by [`InboundEvent::new`].
    pub from: Sender,
    /// Where it comes from.
    pub origin: Origin,
    /// The event in the standard format. It has no address and no dedupe key of its own.
    pub item: Item,
    /// What became of one of our deliveries, when the event is about that.
    pub report: Option<DeliveryReport>,
}

impl InboundEvent {
    /// An event of the channel in the context.
    #[must_use]
    pub fn new(
        context: &InboundContext<'_>,
        dedupe_key: String,
        from: Sender,
        origin: Origin,
        item: Item,
    ) -> Self {
        let account = Some(context.channel.to_owned());
        let from = Sender {
            platform: Some(origin.platform.clone()),
            account: account.clone(),
            ..from
        };
        Self {
            dedupe_key,
            from,
            origin: Origin { account, ..origin },
            item,
            report: None,
        }
    }
}

/// What a platform says, after it took a message, has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Our delivery, which the platform names.
    pub delivery: DeliveryId,
    /// What became of it.
    pub state: ReportedState,
    /// The platform's code and words, when it failed.
    pub reason: Option<String>,
}

/// Why a request is not taken. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// What is wrong with it.
    pub kind: RefusalKind,
    /// More, for the operator; never a secret, nor what the right signature would have been.
    pub detail: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// There is no signature, or no other proof, where one is needed.
    Unsigned,
    /// The signature or other proof is wrong.
    Forged,
    /// It is signed, but for too long ago or for a time to come.
    Stale,
    /// It is verified, but cannot be read.
    Malformed,
    /// This method is not used by the platform.
    Method,
}

impl RefusalKind {
    /// The status of the answer: 401 for what is not verified, which Discord's check of the URL demands and the others take.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unsigned | Self::Forged | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Its stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "wrong_signature",
            Self::Stale => "stale_signature",
            Self::Malformed => "malformed_event",
            Self::Method => "method_not_allowed",
        }
    }
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

/// An answer of status 200.
#[must_use]
pub fn answer(media_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(media_type),
    );
    HttpResponse {
        status: StatusCode::OK,
        headers,
        body: body.into(),
    }
}
