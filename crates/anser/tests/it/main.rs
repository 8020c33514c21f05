//! End-to-end tests: the real binary, real sockets, real files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds what it did not expect stops there, also in what the tests share"
)]

mod apps;
mod attachments;
mod bad_input;
mod blobs_cli;
mod bridged;
mod chat;
mod cli;
mod client_sdk;
mod connected;
mod crash;
mod demo;
mod discord_bot;
mod emitted;
mod exec;
#[cfg(feature = "external")]
mod external;
mod feishu_app;
mod formats;
mod harness;
mod http_channel;
mod inbound;
mod life;
mod live;
mod outcomes;
mod polled;
mod queues;
mod readme;
mod robot;
mod slack_app;
