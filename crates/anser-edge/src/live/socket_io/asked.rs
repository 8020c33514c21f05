//! What a client says, in its order, until its session's loop takes it: the library gives each event to a task of its own, and
//! before it does takes the event apart; that is where it is put in the queue. Must not know what is asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::{Problem, ProblemKind};
use bytes::Bytes;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::sync::Notify;

use super::told;

/// Events of a client that wait to be served; past it they are refused one by one.
const ASKED_MAX: usize = 64;

/// An event of the client.
pub(super) struct Asked {
    pub(super) name: String,
    /// Its first argument, JSON.
    pub(super) frame: Result<Bytes, Problem>,
    /// Where the answer goes.
    pub(super) answer: AckSender,
    /// The client gave a callback.
    pub(super) called_back: bool,
}

/// What the loop is told.
pub(super) enum Said {
    /// The client asks.
    Asked(Asked),
    /// It is gone.
    Gone(DisconnectReason),
}

/// The queue of a socket's events. It takes no room while nothing is asked, as it is most of the time.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Default)]
struct Waiting {
    asked: VecDeque<Asked>,
    gone: Option<DisconnectReason>,
    /// Nobody serves it any more.
    over: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event at the end; gives it back when there is no room.
    fn put(&self, asked: Asked) -> Option<Asked> {
        let mut waiting = self.waiting();
        if waiting.over {
            return None;
        }
        if waiting.asked.len() >= ASKED_MAX {
            return Some(asked);
        }
        waiting.asked.push_back(asked);
        drop(waiting);
        self.came.notify_one();
        None
    }

    /// The client is gone.
    pub(super) fn leave(&self, reason: DisconnectReason) {
        self.waiting().gone = Some(reason);
        self.came.notify_one();
    }

    /// What comes next; events only when they are asked for. May be dropped and called again.
    pub(super) async fn next(&self, events: bool) -> Said {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(reason) = waiting.gone {
                    return Said::Gone(reason);
                }
                if events && let Some(asked) = waiting.asked.pop_front() {
                    return Said::Asked(asked);
                }
            }
            self.came.notified().await;
        }
    }

    /// The next event, if one is there.
    pub(super) fn take(&self) -> Option<Asked> {
        self.waiting().asked.pop_front()
    }

    /// Nobody serves it any more.
    pub(super) fn end(&self) {
        let mut waiting = self.waiting();
        waiting.over = true;
        let left = std::mem::take(&mut waiting.asked);
        drop(waiting);
        // Outside the lock: each may be the last that holds the socket.
        drop(left);
    }
}

/// An event, put in its session's queue while it was taken apart; what is left is to refuse it where it had no room.
pub(super) struct Queued(Option<Asked>);

impl FromMessageParts<LocalAdapter> for Queued {
    type Error = Infallible;

    fn from_message_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        let answer = AckSender::from_message_parts(socket, value, ack)?;
        let (name, frame) = match taken_apart(value) {
            Ok((name, frame)) => (name, Ok(frame)),
            Err(problem) => (String::new(), Err(problem)),
        };
        let asked = Asked {
            name,
            frame,
            answer,
            called_back: ack.is_some(),
        };
        let queue = socket.extensions.get::<Arc<Queue>>();
        Ok(Self(queue.and_then(|queue| queue.put(asked))))
    }
}

impl Queued {
    /// Tells the client that it asks too much.
    pub(super) fn refuse(self, socket: &SocketRef) {
        let Some(asked) = self.0 else { return };
        let detail =
            format!("at most {ASKED_MAX} operations wait for their answers; wait for some of them");
        let problem = Problem::new(ProblemKind::TooMany, "too_many_operations", detail);
        // A client that does not even take this is found too slow by its own events.
        drop(told(socket, &Err(problem), asked.answer, asked.called_back));
    }
}

/// The name and the first argument of an event: `["name", {…}]`.
fn taken_apart(value: &Value) -> Result<(String, Bytes), Problem> {
    let malformed = |detail: &str| Problem::new(ProblemKind::Malformed, "malformed_json", detail);
    let Value::Str(text, binaries) = value else {
        return Err(malformed("an event is sent as JSON"));
    };
    if binaries
        .as_ref()
        .is_some_and(|binaries| !binaries.is_empty())
    {
        let detail = "binary arguments are not taken: the message format carries bytes as base64, or as an attachment";
        return Err(malformed(detail));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(text.as_str()).map_err(|error| {
        malformed(&format!(
            "an event is an array of its name and one object: {error}"
        ))
    })?;
    let mut parts = parts.into_iter();
    let name = parts.next().map(|name| serde_json::from_str(name.get()));
    let Some(Ok(name)) = name else {
        return Err(malformed("an event begins with its name"));
    };
    let frame = parts.next().map_or("{}", RawValue::get);
    if parts.next().is_some() {
        return Err(malformed(
            "an event has one argument, the object of the operation",
        ));
    }
    Ok((name, Bytes::copy_from_slice(frame.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &'static str) -> Value {
        Value::Str(json.into(), None)
    }

    #[test]
    fn an_event_is_its_name_and_one_frame_byte_for_byte() {
        let (name, frame) = taken_apart(&text("[\"publish\",{\"a\": 1.0}]")).unwrap();
        assert_eq!(
            (name.as_str(), &frame[..]),
            ("publish", &b"{\"a\": 1.0}"[..])
        );
        let (name, frame) = taken_apart(&text("[\"ping\"]")).unwrap();
        assert_eq!((name.as_str(), &frame[..]), ("ping", &b"{}"[..]));
        for bad in ["", "{}", "[]", "[1]", "[\"a\",{},{}]", "[\"a\",{}"] {
            assert_eq!(
                taken_apart(&text(bad)).unwrap_err().code,
                "malformed_json",
                "{bad}"
            );
        }
        let binary = Value::Str("[\"a\",{}]".into(), Some([Bytes::from("x")].into()));
        assert_eq!(taken_apart(&binary).unwrap_err().code, "malformed_json");
        assert!(taken_apart(&Value::Bytes(Bytes::from("x"))).is_err());
    }
}
