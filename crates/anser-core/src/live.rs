//! The words of live clients, the same on every wire: what a client asks ([`Request`], [`Operation`]), what it is
//! answered ([`Answer`]) and what it is told ([`Event`]). A wire frames these bytes and knows nothing of their meaning;
//! the model behind them is the gateway's `sessions`. Must not know of sockets, storage or rights.
//!
//! Every frame is one JSON object that names itself by `op`. A request may carry a `ref` of the client's own, which its
//! answer repeats; every request has exactly one answer.

mod answer;
mod event;
mod names;
mod operation;
mod presence;

#[cfg(test)]
mod tests;

pub use crate::name::{UserId, check_resource};
pub use answer::{Answer, Contact, ProblemBody, answer_json};
pub use event::{CloseReason, Closed, Event, IbEvent, IqEvent, MessageEvent, PresenceEvent};
pub use names::{Offset, Scheduled, Stream};
pub use operation::{
    Acknowledgements, Hello, IqType, Operation, Position, PresenceUpdate, Publication, Question,
    Request, Subscribe,
};
pub use presence::{Presence, PresenceType, Show, Subscription};
