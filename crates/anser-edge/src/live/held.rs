//! Sessions whose clients hold no connection on which they could speak: server-sent events go one way, polls come and go.
//! Such a session is found by a name that nobody can guess, given to its client with the first event. Here are the shelf on
//! which they lie, the requests that operate them, and the sweep that ends those whose clients do not come back.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::live::CloseReason;
use anser_core::{Problem, ProblemKind, Timestamp};
use anser_gateway::Gateway;
use anser_gateway::sessions::{Events, Session};
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::{Request, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::Live;
use super::door::credential;
use super::pace::{Pace, pause};
use super::places::Place;
use super::position::Positions;
use super::{LIVE_FRAME_BYTES_MAX, LIVE_PING_INTERVAL};
use crate::activity::Connected;
use crate::answer::{self, Answer, JSON};
use crate::{body, query};

/// What every name of a session begins with, so that it is told from a position.
pub(super) const HANDLE_PREFIX: &str = "s_";
/// Random numbers of 64 bits in a name.
const HANDLE_NUMBERS: usize = 2;
/// Frames in one request.
pub(super) const FRAMES_MAX: usize = 100;
/// How often it is looked for clients that do not come back.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long the session of a client that polls waits for the next poll.
pub(super) const POLL_GRACE: Duration = Duration::from_secs(60);
/// A stream that could write nothing for so long, not even its signs of life, is cut.
const STREAM_STALL: Duration = Duration::from_secs(90);

/// Sessions by the names that their clients know.
#[derive(Default)]
pub(super) struct Shelf {
    held: Mutex<HashMap<String, Arc<Held>>>,
}

/// A session that is found by its name.
pub(super) struct Held {
    pub(super) handle: String,
    pub(super) session: Session,
    /// Given back with the session.
    _place: Place,
    pub(super) how: How,
    /// When the client last came or took something, in milliseconds.
    seen: AtomicI64,
    pace: Mutex<Pace>,
    /// One operation after the other.
    operating: tokio::sync::Mutex<()>,
}

/// What the client holds meanwhile.
pub(super) enum How {
    /// A connection, on which events are written.
    Stream(Option<Connected>),
    /// Nothing, between two polls.
    Polls {
        /// What the polls go on from.
        polled: Box<tokio::sync::Mutex<Polled>>,
        /// A newer poll of the session came: the one that waits is to end.
        newer: Notify,
        /// Polls that have come and not begun.
        waiting: AtomicUsize,
    },
}

/// What the polls of a session go on from.
pub(super) struct Polled {
    pub(super) events: Events,
    /// Answers so far.
    pub(super) number: u64,
    /// The last one, until the next poll says that it arrived.
    pub(super) last: Option<Bytes>,
    pub(super) positions: Positions,
    /// The key or token of the last poll.
    pub(super) credential: Option<String>,
    /// It has been told why it is over.
    pub(super) over: bool,
}

impl Polled {
    fn new(events: Events) -> Self {
        Self {
            events,
            number: 0,
            last: None,
            positions: Positions::default(),
            credential: None,
            over: false,
        }
    }
}

impl Held {
    pub(super) fn new(gateway: &Gateway, session: Session, place: Place, how: How) -> Arc<Self> {
        let mut handle = HANDLE_PREFIX.to_owned();
        for _ in 0..HANDLE_NUMBERS {
            let number = gateway.random_number();
            write!(handle, "{number:016x}").expect("a string takes every text");
        }
        let now = gateway.now();
        Arc::new(Self {
            handle,
            session,
            _place: place,
            how,
            seen: AtomicI64::new(now.millis()),
            pace: Mutex::new(Pace::new(now)),
            operating: tokio::sync::Mutex::default(),
        })
    }

    /// What polls go on from.
    pub(super) fn polls(events: Events) -> How {
        How::Polls {
            polled: Box::new(tokio::sync::Mutex::new(Polled::new(events))),
            newer: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The client was there just now.
    pub(super) fn touch(&self, now: Timestamp) {
        self.seen.store(now.millis(), Ordering::Relaxed);
    }

    fn unseen(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_millis(self.seen.load(Ordering::Relaxed)))
    }

    /// Does what one frame asks.
    async fn operate(&self, live: &Live, frame: &[u8]) -> Bytes {
        let wait = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.take(live.gateway.now())
        };
        pause(wait).await;
        self.session.handle(frame).await
    }
}

impl Shelf {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, held: &Arc<Held>) {
        self.held().insert(held.handle.clone(), Arc::clone(held));
    }

    pub(super) fn find(&self, handle: &str) -> Option<Arc<Held>> {
        self.held().get(handle).cloned()
    }

    pub(super) fn remove(&self, handle: &str) {
        // Dropped outside the lock: it may end a session.
        let removed = self.held().remove(handle);
        drop(removed);
    }

    /// Nobody comes back: the gateway ends.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.held());
        drop(all);
    }

    /// Ends what nobody comes back to. Never completes.
    pub(super) async fn sweep(&self, live: &Live) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = live.gateway.now();
            let late: Vec<Arc<Held>> = {
                let held = self.held();
                let late = held.values().filter(|held| held.is_late(now));
                late.cloned().collect()
            };
            for held in late {
                if let How::Stream(Some(connected)) = &held.how {
                    held.session.close(CloseReason::Slow);
                    connected.activity.cut();
                }
                self.remove(&held.handle);
            }
        }
    }
}

impl Held {
    fn is_late(&self, now: Timestamp) -> bool {
        match &self.how {
            How::Stream(_) => self.unseen(now) > STREAM_STALL,
            // A poll that waits holds the lock.
            How::Polls { polled, .. } => self.unseen(now) > POLL_GRACE && polled.try_lock().is_ok(),
        }
    }
}

// A stream that is idle writes a sign of life each interval: only one that cannot write stands still for so long.
const _: () = assert!(STREAM_STALL.as_secs() > 2 * LIVE_PING_INTERVAL.as_secs());

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct OperateQuery {
    /// The name of the session, from its first event or poll.
    session: String,
}

/// `POST /sse` and `POST /poll`: one frame, or an array of frames, for the session named in the query. Answers as many.
pub(super) async fn operate(State(live): State<Arc<Live>>, request: Request<Body>) -> Answer {
    let _counted = live.gateway.metrics().http_request();
    let (parts, body) = request.into_parts();
    let held = query::read::<OperateQuery>(parts.uri.query()).and_then(|query| {
        let held = live.shelf.find(&query.session).ok_or_else(no_session)?;
        if let Some(credential) = credential(&parts, None)? {
            held.session.check_owner(&credential)?;
        }
        Ok(held)
    });
    let held = match held {
        Ok(held) => held,
        Err(problem) => {
            body::discard(body).await;
            return answer::problem(&problem);
        }
    };
    let answered = async {
        let bytes = body::read(body, LIVE_FRAME_BYTES_MAX, live.options.body_timeout).await?;
        held.touch(live.gateway.now());
        let _one_after_the_other = held.operating.lock().await;
        match frames(&bytes)? {
            None => Ok(held.operate(&live, &bytes).await),
            Some(frames) => {
                let mut answers = Vec::with_capacity(frames.len());
                for frame in frames {
                    answers.push(held.operate(&live, frame.get().as_bytes()).await);
                }
                Ok(Bytes::from(array(&answers)))
            }
        }
    };
    match answered.await {
        Ok(json) => answer::bytes(StatusCode::OK, JSON, json),
        Err(problem) => answer::problem(&problem),
    }
}

/// The frames of an array; `None` when it is no array.
fn frames(json: &[u8]) -> Result<Option<Vec<&RawValue>>, Problem> {
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(None);
    }
    let frames: Vec<&RawValue> = serde_json::from_slice(json).map_err(|error| {
        let detail = format!("the body is a frame or a JSON array of frames: {error}");
        Problem::new(ProblemKind::Malformed, "malformed_json", detail)
    })?;
    if frames.len() > FRAMES_MAX {
        let detail = format!("a request has at most {FRAMES_MAX} frames");
        return Err(Problem::new(ProblemKind::Invalid, "too_many", detail));
    }
    Ok(Some(frames))
}

/// JSON texts as an array of them.
pub(super) fn array(texts: &[Bytes]) -> Vec<u8> {
    let bytes = texts.iter().map(|text| text.len() + 1).sum::<usize>() + 2;
    let mut array = Vec::with_capacity(bytes);
    array.push(b'[');
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            array.push(b',');
        }
        array.extend_from_slice(text);
    }
    array.push(b']');
    array
}

fn no_session() -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "session_not_found",
        "there is no such session any more; open another one and go on from the last position",
    )
    .field("session")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_frame_or_an_array_of_frames() {
        assert!(frames(b" {\"op\":\"ping\"}").unwrap().is_none());
        assert!(frames(b"").unwrap().is_none());
        let two = frames(b" [{\"op\":\"ping\"}, 7]").unwrap().unwrap();
        assert_eq!((two.len(), two[1].get()), (2, "7"));
        assert_eq!(frames(b"[{}").unwrap_err().code, "malformed_json");
        let many = format!("[{}0]", "0,".repeat(FRAMES_MAX));
        assert_eq!(frames(many.as_bytes()).unwrap_err().code, "too_many");
        assert_eq!(array(&[]), b"[]");
        assert_eq!(array(&[Bytes::from("1"), Bytes::from("{}")]), b"[1,{}]");
    }
}
