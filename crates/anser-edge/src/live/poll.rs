//! `/poll`: long poll, for anything with HTTP. A poll answers what has come, or waits for it; its `after` goes into the next
//! one, which says by it that the answer arrived. An answer that got lost is given again. Between two polls the session
//! waits on the shelf; when it is gone, the next poll opens another one and goes on from the same place.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anser_core::Problem;
use anser_core::live::{Acknowledgements, Event, Hello, Operation, Position, Stream, Subscribe};
use anser_core::name::UserId;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::Live;
use super::door::{Caller, credential};
use super::held::{HANDLE_PREFIX, Held, How, Polled, array};
use super::position::{Positions, streams};
use crate::answer::{self, Answer, JSON};
use crate::query;

/// Seconds that a poll waits, unless it says otherwise.
const WAIT_DEFAULT: u16 = 30;
/// Seconds that it may wait at most: below the idle limits of proxies.
const WAIT_MAX: u16 = 55;
/// Events of one answer.
const EVENTS_MAX: usize = 100;
/// Bytes of events beyond which an answer takes no more.
const EVENTS_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PollQuery {
    /// The key or token, where there is no header.
    token: Option<String>,
    /// Whom a key acts for; a token names its own user.
    user: Option<UserId>,
    /// What tells the session from others of the user.
    resource: Option<String>,
    /// What the poll before answered as `after`: what it gave arrived.
    after: Option<String>,
    /// Seconds to wait for an event; default 30.
    #[schemars(range(min = 0, max = WAIT_MAX))]
    wait: Option<u16>,
    /// Streams to read beside the mailbox, such as `topic:orders,room:team`; of the first poll.
    read: Option<String>,
}

/// What `after` of a poll says: `HANDLE.NUMBER.POSITIONS`, or positions alone.
struct After {
    session: Option<(String, u64)>,
    positions: Positions,
}

impl After {
    fn parse(text: &str) -> Result<Self, Problem> {
        let of_session = text.starts_with(HANDLE_PREFIX);
        let mut parts = text.splitn(3, '.');
        let session = match (parts.next(), parts.next(), parts.next()) {
            (Some(handle), Some(number), Some(positions)) if of_session => {
                let number = number.parse().ok();
                number.map(|number| (handle.to_owned(), number, positions))
            }
            _ => None,
        };
        Ok(match session {
            Some((handle, number, positions)) => Self {
                session: Some((handle, number)),
                positions: Positions::parse("after", positions)?,
            },
            None => Self {
                session: None,
                positions: Positions::parse("after", text)?,
            },
        })
    }
}

pub(super) async fn poll(State(live): State<Arc<Live>>, request: Request<Body>) -> Answer {
    let _counted = live.gateway.metrics().http_request();
    let (parts, _) = request.into_parts();
    match answer(&live, parts).await {
        Ok(json) => {
            let mut answer = answer::bytes(StatusCode::OK, JSON, json);
            let no_store = HeaderValue::from_static("no-store");
            answer.headers_mut().insert(CACHE_CONTROL, no_store);
            answer
        }
        Err(problem) => answer::problem(&problem),
    }
}

async fn answer(live: &Arc<Live>, parts: Parts) -> Result<Bytes, Problem> {
    let mut query: PollQuery = query::read(parts.uri.query())?;
    let wait = query.wait.unwrap_or(WAIT_DEFAULT);
    if wait > WAIT_MAX {
        let detail = format!("must be between 0 and {WAIT_MAX} seconds, is {wait}");
        return Err(Problem::invalid("out_of_range", "wait", detail));
    }
    let wait = Duration::from_secs(wait.into());
    let after = query.after.as_deref().map(After::parse).transpose()?;
    let credential = credential(&parts, query.token.take())?;
    let (session, positions) = match after {
        Some(after) => (after.session, after.positions),
        None => (None, Positions::default()),
    };
    if let Some((handle, number)) = session
        && let Some(held) = live.shelf.find(&handle)
    {
        // A poll that waits keeps neither its head, nor room for what comes before the session.
        drop((parts, query));
        return go_on(live, &held, number, credential, wait).await;
    }
    let held = Box::pin(open(live, parts, query, credential, positions)).await?;
    go_on(live, &held, 0, None, wait).await
}

async fn open(
    live: &Arc<Live>,
    parts: Parts,
    query: PollQuery,
    credential: Option<String>,
    positions: Positions,
) -> Result<Arc<Held>, Problem> {
    let read = streams(query.read.as_deref())?;
    let hello = Hello {
        token: credential.clone(),
        user: query.user,
        resource: query.resource,
        after: positions.mailbox,
        ..Hello::default()
    };
    let mut caller = Caller::of_hello(live, &parts)?;
    let acks = Acknowledgements::Explicit;
    let (session, events) = caller.open(live, hello, "poll", acks).await?;
    // What the client read before it reads again, from where it was, whether it asks again or not.
    let before = positions.streams.iter().map(|(stream, _)| stream);
    let again = before.filter(|stream| !read.contains(stream)).cloned();
    let all: Vec<Stream> = again.chain(read.iter().cloned()).collect();
    for stream in all {
        let after = positions.of(&stream);
        let subscribe = Operation::Subscribe(Subscribe { stream, after });
        session.operate(subscribe).await?;
    }
    let mut how = Held::polls(events);
    if let How::Polls { polled, .. } = &mut how {
        let polled = polled.get_mut();
        polled.positions = positions;
        polled.credential = credential;
    }
    let held = Held::new(&live.gateway, session, caller.place, how);
    live.shelf.put(&held);
    Ok(held)
}

/// The answer to a poll that says that answer `number` arrived.
async fn go_on(
    live: &Live,
    held: &Arc<Held>,
    number: u64,
    credential: Option<String>,
    wait: Duration,
) -> Result<Bytes, Problem> {
    let How::Polls {
        polled,
        newer,
        waiting,
    } = &held.how
    else {
        let detail = "this session is a stream of events; poll without its name";
        return Err(Problem::invalid("invalid_offset", "after", detail));
    };
    // One poll at a time: the client has given up an older one that still waits.
    let comes = Comes::new(waiting);
    newer.notify_waiters();
    let mut polled = polled.lock().await;
    drop(comes);
    held.touch(live.gateway.now());
    if credential.is_some() && credential != polled.credential {
        let hello = Hello {
            token: credential.clone(),
            ..Hello::default()
        };
        let renewed = Operation::Auth(Box::new(hello));
        Box::pin(held.session.operate(renewed)).await?;
        polled.credential = credential;
    }
    if number != polled.number {
        if let Some(last) = &polled.last {
            return Ok(last.clone());
        }
    } else if polled.last.take().is_some() {
        Box::pin(acknowledge(held, &polled.positions)).await;
        if polled.over {
            live.shelf.remove(&held.handle);
        }
    }
    let mut given_up = pin!(newer.notified());
    given_up.as_mut().enable();
    let first = if waiting.load(Ordering::SeqCst) > 0 {
        None
    } else {
        tokio::select! {
            first = timeout(wait, polled.events.next()) => first.ok(),
            () = given_up => None,
        }
    };
    let answer = gather(&mut polled, first, &held.handle);
    held.touch(live.gateway.now());
    if polled.over {
        live.shelf.remove(&held.handle);
    }
    Ok(answer)
}

/// A poll that has come and not begun.
struct Comes<'a>(&'a AtomicUsize);

impl<'a> Comes<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Comes<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What arrived with the last answer.
async fn acknowledge(held: &Held, positions: &Positions) {
    let mailbox = positions.mailbox.map(|at| (Stream::Mailbox, at));
    let streams = positions.streams.iter().cloned();
    for (stream, offset) in mailbox.into_iter().chain(streams) {
        let arrived = Operation::Ack(Position::UpTo { stream, offset });
        if let Err(problem) = held.session.operate(arrived).await {
            tracing::debug!(%problem, "what a poll took is not acknowledged");
        }
    }
}

/// The events that are there. `first` is `None` when none came, and `Some(None)` when none ever will.
fn gather(polled: &mut Polled, first: Option<Option<Event>>, handle: &str) -> Bytes {
    let mut events: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    let mut next = first;
    while let Some(event) = next.take() {
        let Some(event) = event else {
            polled.over = true;
            break;
        };
        polled.over |= matches!(event, Event::Closed(_));
        if let Event::Message(message) = &event
            && let Some(offset) = message.offset
        {
            polled.positions.pass(&message.stream, offset);
        }
        let json = event.to_json();
        bytes += json.len();
        events.push(json);
        if !polled.over && events.len() < EVENTS_MAX && bytes < EVENTS_BYTES_MAX {
            next = polled.events.next().now_or_never();
        }
    }
    polled.number += 1;
    let after = if polled.over {
        polled.positions.to_string()
    } else {
        format!("{handle}.{}.{}", polled.number, polled.positions)
    };
    let mut json = serde_json::json!({"session": handle, "after": after}).to_string();
    json.pop();
    let mut answer = json.into_bytes();
    answer.extend_from_slice(b",\"events\":");
    answer.extend_from_slice(&array(&events));
    answer.push(b'}');
    let answer = Bytes::from(answer);
    polled.last = Some(answer.clone());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_is_a_position_or_an_answer_of_a_session() {
        let plain = After::parse("12.5.7,topic:orders=3").unwrap();
        assert!(plain.session.is_none());
        assert_eq!(plain.positions.to_string(), "12.5.7,topic:orders=3");
        let held = After::parse("s_0a.4.12.5.7").unwrap();
        assert_eq!(held.session, Some(("s_0a".to_owned(), 4)));
        assert_eq!(held.positions.to_string(), "12.5.7");
        for bad in ["", "s_0a", "s_0a.4", "s_0a.x.1", "s_0a.4.x", "x.4.1"] {
            assert!(After::parse(bad).is_err(), "{bad}");
        }
    }
}
