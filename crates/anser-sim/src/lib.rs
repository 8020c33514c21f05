//! Stand-ins of chat platforms for tests, and for people who write a bot and have no account at hand: they check tokens
//! and signatures, keep the platform's rate windows and size limits, refuse with the platform's own bodies, and can be
//! told to fail. Must not know a channel of ours: what it knows of a platform comes from that platform's documents.

mod book;
mod door;
mod emit;
mod fault;
mod intake;
mod limit;
mod line;
mod options;
mod page;
mod platform;
mod poster;
mod shelf;
mod sim;
mod write;

pub use book::{Counters, Edit, Received};
pub use emit::{Amended, Callback, InvalidCallback, Said, SaidFile, Secrets, Unsaid};
pub use fault::{Fault, FaultKind, InvalidFault};
pub use limit::{Counted, Limit, Shape};
pub use line::Order;
pub use options::SimOptions;
pub use platform::{Chat, ChatKind, Platform, Robot};
pub use shelf::Upload;
pub use sim::Sim;
