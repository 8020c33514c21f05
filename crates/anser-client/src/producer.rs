//! The producer: messages are gathered into batches, sent over HTTP, and sent again under the same key until the server says
//! what became of them.
//!
//! # What is promised
//! - **Accepted once.** Every message has a dedupe key, its own or a random one. What was sent and not answered is sent again
//!   as it was, and the server answers a repeat as the first (`duplicate`), as long as the `dedupe_window` of its topic (a day
//!   unless set) lasts.
//! - **In order.** There is one request at a time for a topic, for each room, and for all other addresses together, and what
//!   is behind it waits until every message in it was accepted, refused or given up. So messages of one topic are accepted in
//!   the order in which one producer was given them, whatever had to be sent again; that holds for each ordering key all the
//!   more. A message that was refused or given up is passed over, and its sender told.
//! - **Everything ends.** Each message has one outcome: its confirm, the server's refusal, or an error once
//!   `give_up_after` has passed; then it is not known whether it was accepted.
//! - **Bounded.** At most [`BUFFER_MESSAGES_MAX`] messages and [`BUFFER_BYTES_MAX`] bytes wait. [`Producer::send`] waits for a
//!   place; [`Producer::send_and_forget`] and [`Producer::send_with`] never wait and answer [`crate::Error::Full`].

mod client;
mod drive;
mod http;
mod plan;
mod watch;

pub use client::{BUFFER_BYTES_MAX, BUFFER_MESSAGES_MAX, Producer, ProducerBuilder};
pub use watch::{Counts, Interceptor, Sent};
