//! Running a gateway: settings, keys at rest, logs, wiring, the life of the process. Must not talk HTTP to anyone.

mod entropy;
mod files;
mod keys;
pub(crate) mod node;
pub(crate) mod runtime;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod telemetry;

pub(crate) use entropy::OsRandom;
