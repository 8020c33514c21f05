//! What end-to-end tests stand on: the real binary as a process, a receiver with scripted answers, and waiting for a
//! condition under a deadline. Must not know what a test is about, and never sleeps.

mod api;
mod receiver;
mod server;
mod wait;

pub(crate) use api::Api;
pub(crate) use receiver::{Answer, Received, Receiver};
pub(crate) use server::{Ran, Server, ServerOptions, anser};
pub(crate) use wait::{DEADLINE, eventually};
