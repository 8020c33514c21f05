//! What the tests of incoming requests share: a request, its events as accepted messages, and what no mutation may do.
//! Tests only.

use anser_core::channel::{Channel, Context};
use anser_core::id::MessageId;
use anser_core::inbound::{InboundContext, InboundRequest, Received, Refusal};
use anser_core::limits::Limits;
use anser_core::message::Stamp;
use anser_core::name::check_text;
use anser_core::{Message, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

/// The name of the channel.
pub(crate) const CHANNEL: &str = "ours";

/// A request that can be changed.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) now: i64,
}

impl Call {
    /// A POST of that body at that second.
    pub(crate) fn post(body: impl Into<Vec<u8>>, now: i64) -> Self {
        Self {
            method: Method::POST,
            query: Vec::new(),
            headers: Vec::new(),
            body: body.into(),
            now,
        }
    }

    /// With these headers.
    pub(crate) fn headers(mut self, headers: &[(&'static str, &str)]) -> Self {
        let owned = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        self.headers = owned.collect();
        self
    }

    /// With this query.
    pub(crate) fn query(mut self, query: &[(&str, &str)]) -> Self {
        let owned = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.query = owned.collect();
        self
    }

    /// What the channel makes of it; `None` when it cannot be a request at all.
    pub(crate) fn sent(&self, channel: &dyn Channel) -> Option<Result<Received, Refusal>> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::try_from(value.as_bytes()).ok()?;
            headers.append(HeaderName::from_static(name), value);
        }
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)));
        let request = InboundRequest {
            method: &self.method,
            query: &pairs.collect::<Vec<String>>().join("&"),
            headers: &headers,
            body: &Bytes::from(self.body.clone()),
        };
        let context = InboundContext {
            now: Timestamp::from_millis(self.now * 1_000),
            channel: CHANNEL,
            random: *b"0123456789abcdef",
        };
        Some(
            channel
                .inbound()
                .expect("it receives")
                .receive(&request, &context),
        )
    }

    /// What it brings.
    pub(crate) fn taken(&self, channel: &dyn Channel) -> Received {
        let sent = self.sent(channel).expect("is a request");
        sent.unwrap_or_else(|refusal| panic!("{refusal}: {self:?}"))
    }

    /// The code of the refusal.
    pub(crate) fn refused(&self, channel: &dyn Channel) -> &'static str {
        match self.sent(channel).expect("is a request") {
            Ok(received) => panic!("taken: {received:?}"),
            Err(refusal) => refusal.kind.code(),
        }
    }

    /// The messages that it brings, as the format accepts them, each with its dedupe key.
    pub(crate) fn messages(&self, channel: &dyn Channel) -> Vec<(String, Message)> {
        accepted(self.taken(channel), self.now)
    }
}

/// The messages of events. Each must be one, and its conversation must be an address that the channel takes.
pub(crate) fn accepted(received: Received, now: i64) -> Vec<(String, Message)> {
    let events = received.events.into_iter().map(|event| {
        check_text("key", "dedupe_key", &event.dedupe_key, 256).unwrap();
        assert!(event.item.dedupe_key.is_none() && event.item.header.routing_key.is_none());
        assert_eq!(event.origin.account.as_deref(), Some(CHANNEL));
        let time = Timestamp::from_millis(now * 1_000);
        let stamp = Stamp {
            id: MessageId::lowest_at(time),
            time,
            topic: "in".to_owned(),
            from: event.from,
            target_id: None,
            origin: Some(event.origin),
            hops: 0,
            blobs: Default::default(),
        };
        let message = Message::accept(event.item, stamp, &Limits::default());
        let message = message.unwrap_or_else(|problem| panic!("{problem}"));
        Message::from_json(&message.to_json()).expect("is read back");
        (event.dedupe_key, message)
    });
    events.collect()
}

/// The target of the message's conversation.
pub(crate) fn target(message: &Message) -> Option<&str> {
    let id = &message.header.conversation.as_ref()?.id;
    let (channel, target) = id.split_once('/').expect("has a target");
    assert_eq!(channel, CHANNEL);
    Some(target)
}

/// The URL and the body with which the channel answers a message, in the same chat.
pub(crate) fn answer(channel: &dyn Channel, message: &Message) -> (String, Value) {
    let header = &message.header;
    let origin = header.origin.as_ref().expect("comes from a platform");
    let mut answer =
        super::message(&serde_json::json!({"segments": [{"type": "text", "text": "yes"}]}));
    answer.header.to = header
        .conversation
        .iter()
        .map(|chat| chat.id.clone())
        .collect();
    answer.header.conversation.clone_from(&header.conversation);
    answer.header.reply_to.clone_from(&origin.message_id);
    let context = Context {
        target: target(message),
        ..super::context(0)
    };
    let plan = channel.render(&answer, &context).unwrap();
    let request = channel.request(&plan.steps[0], &answer, &context).unwrap();
    let request = request.into_http().unwrap();
    let body = serde_json::from_slice(&request.body).unwrap();
    (request.url.to_string(), body)
}

/// A message without what differs each time, for a snapshot.
pub(crate) fn shown((key, message): &(String, Message)) -> Value {
    let mut value = serde_json::to_value(message).unwrap();
    for member in ["id", "time", "topic"] {
        value["header"]
            .as_object_mut()
            .unwrap()
            .shift_remove(member);
    }
    value["dedupe_key"] = key.as_str().into();
    value.as_object_mut().unwrap().shift_remove("v");
    value
}

/// Bytes with one flipped, put in or taken out, as `choice` says.
pub(crate) fn mutated(bytes: &[u8], choice: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = u64::try_from(bytes.len()).unwrap();
    let at = |most: u64| usize::try_from((choice >> 16) % most.max(1)).unwrap();
    let byte = u8::try_from((choice >> 8) & 0xff).unwrap();
    match choice % 3 {
        0 if length > 0 => bytes[at(length)] ^= byte.max(1),
        1 if length > 0 => {
            bytes.remove(at(length));
        }
        _ => bytes.insert(at(length + 1), byte),
    }
    bytes
}
