//! Discord's own forms of messages and what its answers mean, which its webhook and its bot share. Must not know where
//! messages are sent.

pub(crate) mod answer;
mod dialect;
mod embed;
pub(crate) mod file;
pub(crate) mod forms;
pub(crate) mod request;

/// Who writes, which decides what a message may have and what a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// A webhook: one channel, no buttons.
    Webhook,
    /// A bot: many channels, each with limits of its own.
    Bot,
}

/// Discord's ids are numbers of 64 bits.
pub(crate) fn is_number(id: &str) -> bool {
    id.len() <= 20 && id.parse::<u64>().is_ok() && !id.starts_with('+')
}

#[cfg(test)]
mod tests;
