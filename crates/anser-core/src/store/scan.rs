//! What lists are asked for: bounded views of messages and deliveries.

use super::{DeliveryRow, Group};
use crate::delivery::DeliveryState;
use crate::id::{DeliveryId, Num, ResourceId};
use crate::time::Timestamp;

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageScan {
    /// Only of this topic.
    pub topic: Option<ResourceId>,
    /// Only numbers below this (newest first), or above it (oldest first).
    pub from: Option<Num>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Accepted at or after this.
    pub since: Option<Timestamp>,
    /// Accepted before this.
    pub until: Option<Timestamp>,
    /// At most so many rows.
    pub limit: usize,
}

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryScan {
    /// Only in one of these states; empty: any.
    pub states: Vec<DeliveryState>,
    /// Only of these groups; empty: any.
    pub groups: Vec<Group>,
    /// Only through this channel.
    pub channel: Option<ResourceId>,
    /// Only of messages accepted at or after this.
    pub since: Option<Timestamp>,
    /// Only numbers below this.
    pub before: Option<DeliveryId>,
    /// At most so many results.
    pub limit: usize,
    /// Rows read at most; a page may come short.
    pub rows_read_max: usize,
}

/// A page of deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<DeliveryId>,
}
