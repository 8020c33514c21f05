//! What several channels need, as functions: judging HTTP answers, signing, writing header values, reading settings, and
//! a chat message from its segments to parts that fit. Must not know any channel.

pub(crate) mod arrival;
pub(crate) mod cbc;
pub(crate) mod change;
pub(crate) mod classify;
pub(crate) mod connecting;
pub(crate) mod content;
pub(crate) mod dialect;
pub(crate) mod dingtalk;
pub(crate) mod discord;
pub(crate) mod draft;
pub(crate) mod envelope;
pub(crate) mod feishu;
pub(crate) mod fetching;
pub(crate) mod header;
pub(crate) mod idempotency;
pub(crate) mod inbound;
pub(crate) mod media;
pub(crate) mod multipart;
pub(crate) mod plan;
pub(crate) mod post;
pub(crate) mod reach;
pub(crate) mod settings;
pub(crate) mod signing;
pub(crate) mod slack;
pub(crate) mod socket;
pub(crate) mod split;
pub(crate) mod verifying;
pub(crate) mod wecom;

#[cfg(test)]
pub(crate) mod testing;
