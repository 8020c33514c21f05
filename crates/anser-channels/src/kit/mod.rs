//! What several channels need, as functions: judging HTTP answers, signing, writing header values. Must not know any
//! channel.

pub(crate) mod classify;
pub(crate) mod header;
pub(crate) mod signing;
