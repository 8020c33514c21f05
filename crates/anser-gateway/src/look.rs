//! Looking things up: messages, deliveries and attempts as users see them, filtered by what the caller may read; and the
//! operator's hand on them: the manual retry. What the caller may not see is answered as not there.

mod cursor;
mod deliveries;
mod gauges;
mod hand;
mod in_force;
mod messages;
mod reported;
mod sight;
mod view;

#[cfg(test)]
mod tests;

use anser_core::attempt::{Attempt, PossibleDuplicate};
use anser_core::id::{DeliveryId, MessageId};
use anser_core::inbound::ReportedState;
use anser_core::limits::{PAGE_DEFAULT, PAGE_MAX};
use anser_core::{Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) use cursor::List;
pub(crate) use reported::reported;
pub use view::Names;

/// A message with its place.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MessageView {
    /// Its place on its topic.
    pub seq: u64,
    /// The message, byte for byte as stored.
    #[schemars(with = "anser_core::Message")]
    pub message: Box<RawValue>,
    /// The ids of its edits, in order; each is a message of its own. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<MessageId>,
    /// When it was edited last. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When it was recalled. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalled_at: Option<Timestamp>,
    /// The ids of the messages that keep files of it, in the order in which these were fetched. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetched: Vec<MessageId>,
}

/// A delivery as users see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The message's id.
    pub message_id: MessageId,
    /// The topic's name; absent once the topic is deleted.
    pub topic: Option<String>,
    /// The subscription's name; absent for a direct address, or once it is deleted.
    pub subscription: Option<String>,
    /// The channel's name; absent once it is deleted, and for a delivery into a queue.
    pub channel: Option<String>,
    /// The queue's name; absent once it is deleted, and for a delivery through a channel.
    pub queue: Option<String>,
    /// Whom in that channel.
    pub target: Option<String>,
    /// Where it stands.
    pub state: ViewState,
    /// When it is tried next, for an unfinished one; in a queue when it can be received next.
    pub next_attempt_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When its message was accepted.
    pub accepted_at: Timestamp,
    /// When it ends as expired.
    pub expires_at: Option<Timestamp>,
    /// Attempts made; in a queue how often it was received.
    pub attempts: u32,
    /// False once it was retried by hand, outside the order.
    pub ordered: bool,
    /// Why the next attempt may repeat an earlier one.
    pub possible_duplicate: Option<PossibleDuplicate>,
    /// How far it got by what its platform said after it took the message, where that is known and asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<ReportedView>,
    /// The attempts, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_log: Option<Vec<Attempt>>,
}

/// What a platform said of a message that it had taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedView {
    /// How far it got: the furthest that was reported.
    pub state: ReportedState,
    /// When that happened, or was reported.
    pub at: Timestamp,
    /// Why it failed, in the platform's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The state of a delivery as users see it: the stored one, or `held`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ViewState {
    /// Not tried yet.
    Pending,
    /// Failed, waits for its next time; in a queue: received and not acknowledged.
    Retrying,
    /// Behind the head of its lane.
    Waiting,
    /// Its subscription is paused or its channel paused or disabled.
    Held,
    /// Done.
    Delivered,
    /// Given up.
    Dead,
    /// Its time ran out.
    Expired,
    /// Recalled, or its subscription was deleted.
    Cancelled,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Page<T> {
    /// The members.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageQuery {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only of types that match this pattern.
    pub r#type: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// Oldest first, to follow a topic: an empty page then still carries a cursor.
    pub follow: bool,
    /// Members of the page; at most [`anser_core::limits::PAGE_MAX`], 0: [`anser_core::limits::PAGE_DEFAULT`].
    pub limit: usize,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only in this state.
    pub state: Option<ViewState>,
    /// Only of this subscription to a channel: `TOPIC/NAME`.
    pub subscription: Option<String>,
    /// Only through this channel.
    pub channel: Option<String>,
    /// Only into this queue; not together with `channel`.
    pub queue: Option<String>,
    /// Only of messages accepted at or after.
    pub since: Option<Timestamp>,
    /// Members of the page; at most [`anser_core::limits::PAGE_MAX`], 0: [`anser_core::limits::PAGE_DEFAULT`].
    pub limit: usize,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// The members of a page as asked for.
fn page_limit(limit: usize) -> Result<usize, Problem> {
    match limit {
        0 => Ok(PAGE_DEFAULT),
        1..=PAGE_MAX => Ok(limit),
        _ => Err(Problem::invalid(
            "out_of_range",
            "limit",
            format!("must be between 1 and {PAGE_MAX}"),
        )),
    }
}

fn no_topic(name: &str) -> Problem {
    missing("topic_not_found", format!("there is no topic {name}"))
}

fn no_message(id: MessageId) -> Problem {
    missing(
        "message_not_found",
        format!("there is no message {id}; it may have been removed by retention"),
    )
}

fn no_delivery(id: DeliveryId) -> Problem {
    missing(
        "delivery_not_found",
        format!("there is no delivery {id}; it may have been removed by retention"),
    )
}

fn missing(code: &'static str, detail: String) -> Problem {
    Problem::new(ProblemKind::NotFound, code, detail)
}
