//! The dispatcher's inbox: commands and offers from other tasks, gathered under one small lock and taken all at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::id::DeliveryId;
use anser_core::store::{DeliveryRow, Group, StoreError};
use tokio::sync::{Notify, oneshot};

use super::plan::Withdrawal;
use super::{Command, Offer, OldestDue, Withdrawn};
use crate::accepted::Accepted;

/// Offers that wait in the inbox; beyond it only their groups are remembered, and they are claimed from the store.
const OFFERS_MAX: usize = 10_000;

/// How the rest of the gateway talks to the dispatcher.
#[derive(Clone, Default)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Notify,
    in_flight: AtomicUsize,
    stalled: std::sync::atomic::AtomicBool,
    oldest_due: Mutex<OldestDue>,
}

/// What has gathered.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) commands: Vec<Command>,
    /// The configuration was replaced, however often.
    pub(super) config_changed: bool,
    pub(super) offers: Vec<Offer>,
    pub(super) overflowed: HashSet<Group>,
}

impl Handle {
    /// Hands over committed deliveries, straight from the commit, so that nothing is read back.
    pub fn offer(&self, rows: impl IntoIterator<Item = (DeliveryRow, Option<Arc<Accepted>>)>) {
        let mut inbox = self.inbox();
        for (row, accepted) in rows {
            if inbox.offers.len() < OFFERS_MAX {
                inbox.offers.push(Offer { row, accepted });
            } else {
                inbox.overflowed.insert(row.group);
            }
        }
        drop(inbox);
        self.shared.wake.notify_one();
    }

    /// The configuration was replaced.
    pub fn config_changed(&self) {
        self.inbox().config_changed = true;
        self.shared.wake.notify_one();
    }

    /// Resolves when each delivery had its first attempt settled, or ended. Call it before [`Handle::offer`].
    #[must_use]
    pub fn watch(&self, deliveries: Vec<DeliveryId>) -> oneshot::Receiver<()> {
        let (done, watched) = oneshot::channel();
        self.command(Command::Watch(deliveries, done));
        watched
    }

    /// Ends every unfinished delivery of a group whose destination is gone as cancelled; answers how many.
    ///
    /// # Errors
    /// The store's; `Retryable` while the gateway stops.
    pub async fn cancel_group(&self, group: Group) -> Result<usize, StoreError> {
        self.ask(|answer| Command::CancelGroup(group, answer)).await
    }

    /// Takes deliveries back: cancels what can still be cancelled; answers what became of each of them.
    ///
    /// # Errors
    /// The store's; `Retryable` while the gateway stops.
    pub async fn withdraw(
        &self,
        withdrawal: Withdrawal,
    ) -> Result<Vec<(DeliveryId, Withdrawn)>, StoreError> {
        self.ask(|answer| Command::Withdraw(withdrawal, answer))
            .await
    }

    /// Starts nothing more; what is in flight may finish within `limit` and is returned after it.
    pub fn stop(&self, limit: Duration) {
        self.command(Command::Stop(limit));
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Whether dispatch waits because the store does not take commits.
    #[must_use]
    pub fn stalled(&self) -> bool {
        self.shared.stalled.load(Ordering::Relaxed)
    }

    /// When the earliest unfinished head of each group that has one was due.
    #[must_use]
    pub fn oldest_due(&self) -> OldestDue {
        self.shared
            .oldest_due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.command(command(answer));
        answered.await.unwrap_or(Err(StoreError::Retryable {
            after: Duration::from_secs(1),
        }))
    }

    fn command(&self, command: Command) {
        self.inbox().commands.push(command);
        self.shared.wake.notify_one();
    }

    fn inbox(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.shared
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Inbox {
        std::mem::take(&mut *self.inbox())
    }

    pub(super) async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    pub(super) fn report(&self, in_flight: usize, stalled: bool) {
        self.shared.in_flight.store(in_flight, Ordering::Relaxed);
        self.shared.stalled.store(stalled, Ordering::Relaxed);
    }

    pub(super) fn report_oldest(&self, oldest: OldestDue) {
        *self
            .shared
            .oldest_due
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}
