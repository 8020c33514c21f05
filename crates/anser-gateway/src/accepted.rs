//! A message just accepted, shared by publish and dispatch so that the first attempt reads nothing back from the store.
//! Must not hold anything that the store does not hold too.

use anser_core::Message;
use anser_core::id::{Num, ResourceId};
use bytes::Bytes;

/// A stored message, still in memory.
#[derive(Debug)]
pub struct Accepted {
    /// Its number in the store.
    pub num: Num,
    /// Its topic's number.
    pub topic: ResourceId,
    /// The message.
    pub message: Message,
    /// The message as stored: its JSON, byte for byte.
    pub document: Bytes,
}
