//! The live consumer: a session over WebSocket that connects again by itself and goes on where the application got to.
//!
//! # What is promised
//! - **Nothing is lost.** After a cut, a restart of the server or a kill of either side, each stream goes on behind what the
//!   application has acknowledged: [`Message::ack`]. The server keeps what is not acknowledged; of a topic or room as long as
//!   its retention says, of a mailbox 30 days.
//! - **In order.** The messages of a stream come in the order of their offsets, and a message is given after all before it.
//! - **Not twice to one run.** A message that this process was given is not given to it again over a reconnect, acknowledged
//!   or not. One exception is a message that was scheduled, whose acknowledgement was cut off while the server was killed:
//!   it may come again with [`Message::duplicate`] set. Another run of the program gets again what the last one did not
//!   acknowledge; from a mailbox, what the server may have given before it was killed is marked.
//! - **A publish is accepted once.** [`Handle::publish`] gives each message a key; one that is cut off before its confirm is
//!   sent again under the same key, which the server remembers for the `dedupe_window` of the topic (a day unless set).
//! - **A question has one outcome**, an answer or an error, also when either side or the server dies.
//!
//! An acknowledgement covers the messages of its stream up to the first that is not acknowledged. Once 256 messages or a
//! megabyte are in the application's hands, the server gives no more until it acknowledges: that is the back pressure.
//! Presence, news, questions and transient messages are not stored; an application that is 1,024 events behind is told how many of
//! them it missed ([`Event::Skipped`]).

mod client;
mod drive;
mod event;
mod frame;
mod link;
mod plan;
mod told;

#[cfg(test)]
mod tests;

pub use client::{Handle, Live, LiveBuilder, PENDING_MAX, QUESTIONS_MAX};
pub use event::{Event, Message, Outcome, Question};
pub use frame::{Confirm, Contact, Seen};
