//! What is measured: one module a scenario, each with its own gateway on an empty folder and its own endpoints.
//!
//! A scenario is bounded in time and count, fails when a message did not arrive, and never fails for being slow.

pub(crate) mod blocked;
pub(crate) mod callbacks;
pub(crate) mod chat;
pub(crate) mod floor;
pub(crate) mod hanging;
pub(crate) mod idle;
pub(crate) mod live;
pub(crate) mod queue;
pub(crate) mod steady;
pub(crate) mod throughput;
