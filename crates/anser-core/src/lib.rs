//! The vocabulary of Anser: the message format, ids, topics, filters, retry schedules, outcomes, limits and the
//! contracts (`Channel`, `Inbound`, `Store`) that every other crate is written against. Everything here is a value or a pure
//! function: no I/O, no async runtime, no clock or randomness of its own (they come in through [`clock`] and [`random`]).

pub mod attempt;
pub mod blob;
pub mod channel;
pub mod clock;
pub mod connection;
pub mod delivery;
pub mod exchange;
pub mod filter;
pub mod id;
pub mod inbound;
pub mod limits;
pub mod live;
pub mod message;
pub mod name;
pub mod outcome;
pub mod pattern;
pub mod problem;
pub mod random;
pub mod resource;
pub mod response;
pub mod retry;
pub mod store;
pub mod time;

pub use message::Message;
pub use problem::{Problem, ProblemKind};
pub use time::Timestamp;
