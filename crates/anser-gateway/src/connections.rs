//! What is known and decided of channels' connections to their platforms: when one begins, when it is deaf, what is written to
//! the journal and what the operator is told is the pure `plan`. Must not connect, nor know a platform.

mod backoff;
mod entry;
mod link;
mod plan;
mod rate;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::id::ResourceId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use entry::{Cause, Gap, JournalEntry, JournalEvent};
pub use link::JOURNAL_ENTRIES_MAX;
pub(crate) use link::Link;
pub(crate) use plan::{Effect, Ending, Now, Report};
pub use view::{ConnectionState, ConnectionView, LinkView};

/// The channels that are to be connected now.
#[derive(Default)]
pub(crate) struct Connections {
    links: Mutex<BTreeMap<ResourceId, Arc<Link>>>,
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
        let links = self.links();
        links
            .iter()
            .map(|(id, link)| (*id, link.is_live()))
            .collect()
    }

    /// Resolves when the configuration changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// One more channel is to be connected.
    pub(crate) fn add(&self, link: Arc<Link>) {
        self.links().insert(link.id(), link);
    }

    /// A channel is not to be connected any more.
    pub(crate) fn remove(&self, channel: ResourceId) {
        self.links().remove(&channel);
    }

    /// How each stands.
    pub(crate) fn views(&self) -> Vec<ConnectionView> {
        self.links().values().map(|link| link.view()).collect()
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel's.
    pub(crate) fn link(&self, channel: ResourceId) -> Option<Arc<Link>> {
        self.links().get(&channel).cloned()
    }
}
