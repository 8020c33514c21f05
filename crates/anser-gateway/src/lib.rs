//! The use cases of Anser: publish, dispatch, administration, look-ups, authentication. Doors (`anser-edge`) call
//! [`Gateway`]; it calls the store, the channels and the one HTTP sender. Must not know a platform's name, an HTTP
//! route or a command-line flag.

pub mod accepted;
pub mod admin;
mod answers;
pub mod auth;
pub mod blobs;
mod bridge;
pub mod change;
pub mod config;
mod connecting;
pub mod connections;
mod credentials;
pub mod dispatch;
pub mod fetch;
mod files;
#[cfg(test)]
mod fixture;
pub mod gateway;
mod glob;
pub mod inbound;
mod intake;
pub mod lane;
mod leasing;
mod life;
mod live;
pub mod look;
pub mod mailbox;
pub mod metrics;
pub mod oneshot;
mod people;
pub mod publish;
pub mod queues;
mod refusal;
mod refusal_journal;
pub mod robots;
mod scheduled;
pub mod secrets;
pub mod sender;
pub mod sessions;
pub mod tokens;
mod trigger;
mod turns;

pub use gateway::{Gateway, GatewayOptions, Parts, Phase, StartError};
