//! Live clients: sessions, what they read, presence, questions and answers. One model for every wire: a wire opens a
//! session for whom it authenticated, hands over what the client asks and sends what the session is told. Must not know
//! a wire, a frame or a socket.

mod admission;
mod departing;
mod identity;
mod keeper;
mod minting;
mod open;
mod operate;
mod operators;
mod presence;
mod question;
mod recall;
mod renewal;
mod room;
mod session;
mod subscribing;
mod sweep;
mod transient;

#[cfg(test)]
mod tests;

use anser_core::live::{Acknowledgements, Offset, PresenceUpdate};

pub use crate::live::{
    ANSWER_WITHIN, Allowed, CONTACTS_MAX, GRACE, QUESTIONS_MAX, ROOM_NEWS_MAX, ROSTER_MAX, Rights,
    SESSIONS_MAX, STALL_MAX, SUBSCRIPTIONS_MAX, SessionId, SessionView, UNSENT_BYTES_MAX,
    USER_SESSIONS_MAX, WINDOW_BYTES, WINDOW_MESSAGES,
};
pub use identity::Identity;
pub use minting::{MintedToken, TokenDraft};
pub use operators::{SessionQuery, UserView};
pub use session::{Events, Session};

/// A session to open.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who it is and what they may do.
    pub identity: Identity,
    /// The wire, for operators: `ws`, `socket.io`, `sse`, `poll`, `tcp`.
    pub transport: &'static str,
    /// The address of the client, for operators.
    pub peer: Option<String>,
    /// What tells it from other sessions of the user; `None`: the session's number. A session that has it already is
    /// closed as replaced.
    pub resource: Option<String>,
    /// Where the mailbox goes on: what is up to it is acknowledged. `None`: everything that is not acknowledged.
    pub after: Option<Offset>,
    /// Presence to begin with.
    pub presence: PresenceUpdate,
    /// How messages are acknowledged.
    pub acks: Acknowledgements,
    /// Ids of questions of an earlier session that had no answer: each gets its one outcome.
    pub questions: Vec<String>,
}
