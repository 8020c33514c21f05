//! Those who wait for the first attempts of their deliveries (`wait=delivered`).

use std::collections::HashMap;

use anser_core::id::DeliveryId;
use tokio::sync::oneshot;

/// Everyone who waits.
#[derive(Default)]
pub(super) struct Watchers {
    waiting: HashMap<u64, (usize, oneshot::Sender<()>)>,
    by_delivery: HashMap<DeliveryId, u64>,
    next: u64,
}

impl Watchers {
    /// Tells `done` when each of `deliveries` has been tried once. A delivery is watched by one at a time: the newest.
    pub(super) fn add(&mut self, deliveries: Vec<DeliveryId>, done: oneshot::Sender<()>) {
        self.forget_closed();
        if deliveries.is_empty() {
            let _ = done.send(());
            return;
        }
        self.next += 1;
        self.waiting.insert(self.next, (deliveries.len(), done));
        for id in deliveries {
            self.by_delivery.insert(id, self.next);
        }
    }

    /// A delivery has been tried, or ended.
    pub(super) fn tried(&mut self, delivery: DeliveryId) {
        if self.by_delivery.is_empty() {
            return;
        }
        let Some(watcher) = self.by_delivery.remove(&delivery) else {
            return;
        };
        let Some((left, _)) = self.waiting.get_mut(&watcher) else {
            return;
        };
        *left -= 1;
        if *left == 0
            && let Some((_, done)) = self.waiting.remove(&watcher)
        {
            let _ = done.send(());
        }
    }

    /// Those whose patience ended need nothing more.
    fn forget_closed(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|_, (_, done)| !done.is_closed());
        if self.waiting.len() < before {
            let waiting = &self.waiting;
            self.by_delivery
                .retain(|_, watcher| waiting.contains_key(watcher));
        }
    }
}
