//! Feishu's own forms of cards and text, which its robot and its app share. Must not build whole bodies, which differ.

pub(crate) mod card;
pub(crate) mod dialect;
