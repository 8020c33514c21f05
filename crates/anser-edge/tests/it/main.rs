//! The edge against a real listener and a real gateway on the model store. Every answer that these tests get is also held
//! against the OpenAPI document: its status must be listed and its body must fit the schema.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds what it did not expect stops there, also in what the tests share"
)]

mod bad_input;
mod callback;
mod change;
mod client;
mod cmq;
mod connections;
mod documents;
mod events;
mod harness;
mod look;
mod platform;
mod publish;
mod queues;
mod resources;
mod tls;
