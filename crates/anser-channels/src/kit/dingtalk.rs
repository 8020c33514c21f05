//! DingTalk's own forms of text and cards, which its group robot and its app share. Must not build whole bodies, which
//! differ.

pub(crate) mod dialect;
pub(crate) mod form;
