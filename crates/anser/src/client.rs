//! The commands that talk to a running gateway over its HTTP API. Must not open data files; `key create --data` goes
//! through `server`.

mod answer;
mod api;
mod blob;
mod channel;
mod connection;
mod delivery;
mod issuer;
mod key;
mod listen;
mod message;
mod publish;
mod queue;
mod resource;
mod robot;
mod room;
mod send;
mod session;
mod subscription;
mod tail;
mod topic;

pub(crate) use api::{Api, Remote};
pub(crate) use blob::BlobCommand;
pub(crate) use channel::ChannelCommand;
pub(crate) use delivery::DeliveryCommand;
pub(crate) use issuer::{IssuerCommand, TokenCommand};
pub(crate) use key::KeyCommand;
pub(crate) use listen::ListenArguments;
pub(crate) use message::MessageCommand;
pub(crate) use publish::PublishArguments;
pub(crate) use queue::QueueCommand;
pub(crate) use robot::RobotCommand;
pub(crate) use room::RoomCommand;
pub(crate) use send::SendArguments;
pub(crate) use session::SessionCommand;
pub(crate) use subscription::SubscriptionCommand;
pub(crate) use tail::TailArguments;
pub(crate) use topic::TopicCommand;
