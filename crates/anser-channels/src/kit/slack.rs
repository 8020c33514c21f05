//! Slack's own forms of text and cards, which its webhook and its app share. Must not know where they are sent.

pub(crate) mod blocks;
pub(crate) mod forms;
mod mention;

#[cfg(test)]
mod tests;
