//! What passes between the application's side of a client and its session: what is told, and what is wanted.

use std::time::Duration;

use anser_core::live::{IbEvent, IqType, Offset, PresenceEvent, PresenceUpdate, Stream};
use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::{Ask, Given, Iq};
use crate::error::Refusal;

/// What the application is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A message, and the ticket that acknowledges it; a transient one has none.
    Message(Box<Given>, Option<u64>),
    /// About somebody's presence.
    Presence(PresenceEvent),
    /// A question to it.
    Question(Iq),
    /// News of the server.
    News(IbEvent),
    /// There is a session; what the server said in its welcome.
    Connected(Value),
    /// There is none any more, and the next is being opened; in words why.
    Disconnected(String),
    /// A stream is not read any more.
    Unsubscribed(Stream, Option<Refusal>),
}

impl Told {
    /// Whether it is of use only now: it is left out when the application does not keep up.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Message(_, ticket) => ticket.is_none(),
            Self::Presence(_)
            | Self::News(_)
            | Self::Question(_)
            | Self::Connected(_)
            | Self::Disconnected(_) => true,
            Self::Unsubscribed(..) => false,
        }
    }
}

/// What the application wants.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// A request that is sent again when it is cut off.
    Again(Ask),
    /// A request that must not be done twice.
    Once(Ask),
    /// How available it is.
    Presence(PresenceUpdate),
    /// A topic or room to read.
    Subscribe(Stream, Option<Offset>),
    /// A topic or room to read no more.
    Unsubscribe(Stream),
    /// A question.
    Question {
        /// Who is asked; `None`: the server.
        to: Option<String>,
        /// What it is.
        r#type: IqType,
        /// What is asked.
        payload: Option<Box<RawValue>>,
        /// How long the application waits.
        within: Duration,
    },
}
