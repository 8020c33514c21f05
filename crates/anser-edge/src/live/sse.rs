//! `/sse`: server-sent events (WHATWG HTML §9.2). Each event has the operation's name, the frame as data, and the position
//! as its id where one is passed, which a client gives back as `Last-Event-ID`. What the client asks, it posts.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::live::{Acknowledgements, CloseReason, Event, Hello, Operation, Subscribe};
use anser_core::name::UserId;
use anser_gateway::sessions::Events;
use axum::body::Body;
use axum::extract::State;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::LIVE_PING_INTERVAL;
use super::Live;
use super::door::{Caller, credential};
use super::held::{Held, How};
use super::position::{Positions, streams};
use crate::activity::{Connected, UnderWay};
use crate::answer::{self, Answer};
use crate::query;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx not to gather what is streamed.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long a client waits before it connects again, in milliseconds.
const RETRY_MILLIS: u32 = 2_000;
/// A comment, which no client shows.
const SIGN_OF_LIFE: Bytes = Bytes::from_static(b":\n\n");

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct StreamQuery {
    /// The key or token, where there is no header.
    token: Option<String>,
    /// Whom a key acts for; a token names its own user.
    user: Option<UserId>,
    /// What tells the session from others of the user.
    resource: Option<String>,
    /// The id of the last event that arrived, where there is no `Last-Event-ID`.
    after: Option<String>,
    /// Streams to read beside the mailbox, such as `topic:orders,room:team`.
    read: Option<String>,
}

pub(super) async fn stream(State(live): State<Arc<Live>>, request: Request<Body>) -> Answer {
    let _counted = live.gateway.metrics().http_request();
    let (parts, _) = request.into_parts();
    match open(live, &parts).await {
        Ok(streaming) => streaming.into_answer(),
        Err(problem) => answer::problem(&problem),
    }
}

async fn open(live: Arc<Live>, parts: &Parts) -> Result<Streaming, Problem> {
    let query: StreamQuery = query::read(parts.uri.query())?;
    let positions = positions(parts, query.after.as_deref())?;
    let read = streams(query.read.as_deref())?;
    let hello = Hello {
        token: credential(parts, query.token)?,
        user: query.user,
        resource: query.resource,
        after: positions.mailbox,
        ..Hello::default()
    };
    let mut caller = Caller::of_hello(&live, parts)?;
    let acks = Acknowledgements::Resume;
    let (session, events) = caller.open(&live, hello, "sse", acks).await?;
    for stream in read {
        let after = positions.of(&stream);
        let subscribe = Operation::Subscribe(Subscribe { stream, after });
        session.operate(subscribe).await?;
    }
    let connected = parts.extensions.get::<Connected>().cloned();
    let under_way = connected.as_ref().map(|connected| {
        // The answer is given at once and goes on for long: the connection is not idle meanwhile.
        connected
            .activity
            .begin(parts.version == http::Version::HTTP_2)
    });
    let held = Held::new(&live.gateway, session, caller.place, How::Stream(connected));
    live.shelf.put(&held);
    Ok(Streaming {
        live,
        held,
        events,
        positions,
        begun: false,
        over: false,
        _under_way: under_way,
    })
}

/// Where the client got to: `Last-Event-ID`, which a browser sends by itself when it connects again, or `after`.
fn positions(parts: &Parts, after: Option<&str>) -> Result<Positions, Problem> {
    let header = parts.headers.get(LAST_EVENT_ID);
    let header = header.and_then(|value| value.to_str().ok());
    match header.filter(|text| !text.is_empty()).or(after) {
        Some(text) => Positions::parse("after", text),
        None => Ok(Positions::default()),
    }
}

/// An answer that goes on. Dropping it ends the session: as lost, unless it was closed.
struct Streaming {
    live: Arc<Live>,
    held: Arc<Held>,
    events: Events,
    positions: Positions,
    begun: bool,
    over: bool,
    _under_way: Option<UnderWay>,
}

impl Streaming {
    fn into_answer(self) -> Answer {
        let body = stream::unfold(self, |mut streaming| async move {
            let piece = streaming.next().await?;
            Some((Ok::<Bytes, std::convert::Infallible>(piece), streaming))
        });
        let mut answer = Response::new(Body::from_stream(body));
        let headers = answer.headers_mut();
        let event_stream = HeaderValue::from_static("text/event-stream");
        headers.insert(CONTENT_TYPE, event_stream);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        answer
    }

    /// The next bytes of the answer.
    async fn next(&mut self) -> Option<Bytes> {
        self.held.touch(self.live.gateway.now());
        if !self.begun {
            self.begun = true;
            let opened = json!({"session": self.held.handle}).to_string();
            let text = format!("retry: {RETRY_MILLIS}\nevent: session\ndata: {opened}\n\n");
            return Some(text.into());
        }
        if self.over {
            return None;
        }
        match timeout(LIVE_PING_INTERVAL, self.events.next()).await {
            Ok(Some(event)) => {
                self.over = matches!(event, Event::Closed(_));
                Some(written(&event, &mut self.positions))
            }
            Ok(None) => None,
            Err(_) => Some(SIGN_OF_LIFE),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.held.session.close(CloseReason::Lost);
        self.live.shelf.remove(&self.held.handle);
    }
}

/// One event. Frames are JSON without line breaks outside strings, and inside strings they are escaped.
fn written(event: &Event, positions: &mut Positions) -> Bytes {
    let json = event.to_json();
    let mut text = BytesMut::with_capacity(json.len() + 64);
    text.put_slice(b"event: ");
    text.put_slice(event.name().as_bytes());
    if let Event::Message(message) = event
        && let Some(offset) = message.offset
    {
        positions.pass(&message.stream, offset);
        text.put_slice(b"\nid: ");
        text.put_slice(positions.to_string().as_bytes());
    }
    // A document is kept as it was published, line breaks between its members too (HTML §9.2.6: one `data` a line).
    for line in json.split(|byte| matches!(byte, b'\n' | b'\r')) {
        text.put_slice(b"\ndata: ");
        text.put_slice(line);
    }
    text.put_slice(b"\n\n");
    text.freeze()
}

#[cfg(test)]
mod tests {
    use anser_core::live::{MessageEvent, Stream};

    use super::*;

    fn message(stream: &str, offset: Option<&str>, document: &'static str) -> Event {
        let stream: Stream = stream.parse().unwrap();
        let offset = offset.map(|offset| offset.parse().unwrap());
        let id = "01a20962-55c6-7000-8c8b-ff2bad1a53ab".parse().unwrap();
        Event::Message(Arc::new(MessageEvent::new(
            stream,
            offset,
            id,
            None,
            Bytes::from_static(document.as_bytes()),
        )))
    }

    #[test]
    fn an_event_has_its_name_its_position_and_its_frame() {
        let mut positions = Positions::default();
        let mut text = |event: &Event| {
            let text = written(event, &mut positions);
            String::from_utf8(text.to_vec()).unwrap()
        };
        let first = text(&message("mailbox", Some("7"), "{\"a\":\n1}"));
        assert_eq!(
            first,
            "event: message\nid: 7\ndata: {\"op\":\"message\",\"stream\":\"mailbox\",\"offset\":\"7\",\"message\":{\"a\":\ndata: 1}}\n\n"
        );
        let second = text(&message("topic:orders", Some("9"), "{}"));
        assert!(second.contains("\nid: 7,topic:orders=9\n"), "{second}");
        let transient = text(&message("mailbox", None, "{}"));
        assert!(!transient.contains("id:"), "{transient}");
    }
}
