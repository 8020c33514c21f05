//! WeCom's own forms of cards and text, and its codes, which its robot and its app share. Must not build whole bodies or
//! requests, which differ.

pub(crate) mod answer;
pub(crate) mod card;
pub(crate) mod dialect;
pub(crate) mod media;
