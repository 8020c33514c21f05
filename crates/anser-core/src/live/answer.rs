//! What a request is answered: exactly one frame, which repeats the request's `ref`.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::event::frame;
use super::names::{Offset, Stream};
use super::presence::{Presence, Subscription};
use crate::id::MessageId;
use crate::name::UserId;
use crate::problem::Problem;
use crate::time::Timestamp;

/// What became of a request that was not refused.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Answer {
    /// It was done; there is nothing else to say.
    Done {},
    /// The stream is read from now on.
    Subscribed {
        /// The stream, its name in the case it was created with.
        stream: Stream,
        /// What comes is later than this.
        offset: Offset,
    },
    /// The message was taken.
    Published {
        /// Its id.
        id: MessageId,
        /// Its topic; absent when it is transient.
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        /// Its place on the topic; absent when it is transient.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// How many destinations it goes to; of a transient one, how many sessions of its topic or room it went to, and one
        /// for each user, who may be there or not.
        matched: u32,
        /// It was published before, under the same dedupe key.
        duplicate: bool,
        /// It is stored.
        durable: bool,
    },
    /// How available somebody is.
    Presence {
        /// Who.
        user: UserId,
        /// How available.
        #[serde(flatten)]
        presence: Presence,
        /// Who sees whom, from this session's side.
        subscription: Subscription,
    },
    /// Everybody whom this session's user sees, is seen by, or asked.
    Roster {
        /// In the order of their ids.
        roster: Vec<Contact>,
    },
    /// The server is there.
    Pong {
        /// Its time.
        time: Timestamp,
    },
}

/// One of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Contact {
    /// Who.
    pub user: UserId,
    /// Who sees whom, from this session's side.
    pub subscription: Subscription,
    /// This one asked, and has no answer yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// The other one asked, and has no answer yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
    /// How available the other one is; absent when it may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
}

/// An error as a client sees it; the members are those of problem+json (RFC 9457) that say something here.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemBody<'a> {
    /// The HTTP status that the same refusal has.
    pub status: u16,
    /// Stable, for programs.
    pub code: &'a str,
    /// The rule that was broken and how to mend it.
    pub detail: &'a str,
    /// The path of the field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    /// What would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<&'a str>,
}

impl<'a> From<&'a Problem> for ProblemBody<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            status: problem.kind.status(),
            code: problem.code,
            detail: &problem.detail,
            field: problem.field.as_deref().filter(|field| !field.is_empty()),
            accepted: problem.accepted.as_deref(),
        }
    }
}

/// The frame that answers a request: `{"op":"ok","ref":…,…}` or `{"op":"error","ref":…,"status":…,"code":…,…}`.
#[must_use]
pub fn answer_json(r#ref: Option<&str>, answer: &Result<Answer, Problem>) -> Bytes {
    #[derive(Serialize)]
    struct Marked<'a, T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        #[serde(flatten)]
        body: T,
    }
    match answer {
        Ok(body) => frame("ok", &Marked { r#ref, body }),
        Err(problem) => {
            let body = ProblemBody::from(problem);
            frame("error", &Marked { r#ref, body })
        }
    }
}
