//! Long connections: for each channel whose events come that way one that is kept open, and a journal of what became of it.
//! What a connection does is its channel's state machine; when it begins, when it is deaf and what is written is the pure
//! `plan`. Must not know a platform.

mod backoff;
mod drive;
mod entry;
mod line;
mod look;
mod plan;
mod rate;
mod supervise;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::id::ResourceId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use line::Line;

pub use entry::{Cause, Gap, JournalEntry, JournalEvent};
pub use line::JOURNAL_ENTRIES_MAX;
pub(crate) use supervise::supervise;
pub use view::{ConnectionState, ConnectionView, LinkView};

/// The channels that are to be connected now.
#[derive(Default)]
pub(crate) struct Connections {
    lines: Mutex<BTreeMap<ResourceId, Arc<Line>>>,
    changed: Notify,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Connections {
    /// The configuration changed.
    pub(crate) fn configured(&self) {
        self.changed.notify_one();
    }

    /// Keeps the handle of the task that supervises them.
    pub(crate) fn supervised_by(&self, task: JoinHandle<()>) {
        *self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// The task that supervises them, for who waits for its end.
    pub(crate) fn take_supervisor(&self) -> Option<JoinHandle<()>> {
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Which of them are live, by channel.
    pub(crate) fn live(&self) -> Vec<(ResourceId, bool)> {
        let lines = self.lines();
        lines
            .iter()
            .map(|(id, line)| (*id, line.is_live()))
            .collect()
    }

    fn views(&self) -> Vec<ConnectionView> {
        self.lines().values().map(|line| line.view()).collect()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, channel: ResourceId) -> Option<Arc<Line>> {
        self.lines().get(&channel).cloned()
    }
}
