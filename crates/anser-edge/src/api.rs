//! The native HTTP API, version 1: one module per noun, each with its rows of the route table and their handlers.
//! Handlers read, call the gateway and answer; what is decided is decided in the gateway.

mod blob;
mod change;
mod channel;
mod cloud_event;
mod connection;
mod event;
mod event_type;
mod issuer;
mod key;
mod kind;
mod lease;
mod look;
mod media;
mod paging;
mod payload;
mod publish;
mod queue;
mod resource;
mod robot;
mod room;
mod session;
mod subscription;
mod system;
mod topic;

use crate::route::Route;

/// The route table.
pub(crate) fn routes() -> Vec<Route> {
    [
        publish::routes(),
        event::routes(),
        look::routes(),
        change::routes(),
        media::routes(),
        blob::routes(),
        topic::routes(),
        subscription::routes(),
        channel::routes(),
        connection::routes(),
        queue::routes(),
        lease::routes(),
        robot::routes(),
        issuer::routes(),
        room::routes(),
        session::routes(),
        event_type::routes(),
        key::routes(),
        system::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
