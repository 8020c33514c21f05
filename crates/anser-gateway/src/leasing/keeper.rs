//! The one task beside the receives: wakes them by the alarm, gives back what nobody claimed, and ends messages that were
//! received too often when nobody receives any more. Sleeps until one of these is due.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::store::{Acknowledge, Acknowledgement, Group, Lease};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::receive::SPENT_STEP;
use super::spent::Rules;
use super::{Leasing, Unclaimed, signal};

/// Longest sleep, so that a wall clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// Between two looks at a queue that nobody receives from, when the store says that something is due.
const CHORE_PAUSE: Duration = Duration::from_secs(1);
/// Queues that are looked after at the same time.
const CHORES_MAX: usize = 8;
/// Steps of one look at a queue; beyond them it goes on after a pause.
const STEPS_MAX: usize = 20;

impl Leasing {
    /// Runs until the leasing is closed and what was unclaimed by then is given back. For one task.
    pub(crate) async fn keep(self: Arc<Self>) {
        let returned = self.returned.lock();
        let Some(mut returned) = returned.unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut jobs: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut due = Vec::new();
        while !self.state().waiting.is_closed() {
            let sleep = self.ring(&mut due);
            while jobs.len() < CHORES_MAX
                && let Some(queue) = due.pop()
            {
                let leasing = Arc::clone(&self);
                jobs.push(async move { leasing.look_after(queue).await }.boxed());
            }
            tokio::select! {
                biased;
                Some(unclaimed) = returned.recv() => {
                    jobs.push(Arc::clone(&self).give_back(unclaimed).boxed());
                }
                Some(()) = jobs.next(), if !jobs.is_empty() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        while let Ok(unclaimed) = returned.try_recv() {
            jobs.push(Arc::clone(&self).give_back(unclaimed).boxed());
        }
        while jobs.next().await.is_some() {}
    }

    /// Wakes whose alarm is due and notes which queues are to be looked after; answers how long to sleep.
    fn ring(&self, due: &mut Vec<Group>) -> Duration {
        let now = self.clock.now();
        let mut state = self.state();
        let woken = state.waiting.ring(now);
        due.extend(state.chores.take_due(now));
        let next = state.next();
        drop(state);
        signal(woken);
        next.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX))
    }

    async fn give_back(self: Arc<Self>, unclaimed: Unclaimed) {
        let (queue, at) = (unclaimed.queue, self.clock.now());
        let receipts = unclaimed.receipts.into_iter();
        let all = receipts.map(|receipt| Acknowledgement {
            queue,
            receipt,
            at,
            to: Acknowledge::Release { at },
        });
        if let Err(error) = self.acknowledge_all(queue, all.collect()).await {
            tracing::warn!(%error, "messages of a consumer that went away stay leased until their leases end");
        }
    }

    /// Ends what a queue gives no more, in bounded steps, without receiving anything.
    pub(crate) async fn look_after(self: &Arc<Self>, queue: Group) {
        for _ in 0..STEPS_MAX {
            let snapshot = self.config.load_full();
            let Some(entry) = snapshot.queues_by_id.get(&queue) else {
                return;
            };
            let now = self.clock.now();
            let rules = Rules::of(&snapshot, entry, now);
            let look = Lease {
                queue,
                max: 0,
                spent_max: SPENT_STEP,
                now,
                until: now.plus(CHORE_PAUSE),
                accepted_from: rules.accepted_from(),
                receives_max: rules.receives_max(),
            };
            let looked = match self.store.lease(look).await {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::warn!(queue = %entry.meta.name, %error, "a queue could not be looked after");
                    self.again(queue, Some(now), now);
                    return;
                }
            };
            if self.end_spent(&rules, looked.spent).await == 0 {
                self.again(queue, looked.next_due, now);
                return;
            }
        }
        let now = self.clock.now();
        self.again(queue, Some(now), now);
    }

    /// Looks again when something is due, after a pause; only where receives are counted, the rest is the sweep's.
    fn again(&self, queue: Group, due: Option<Timestamp>, now: Timestamp) {
        if let Some(due) = due
            && self.receives_max(queue).is_some()
        {
            let due = due.max(now.plus(CHORE_PAUSE));
            self.change(|state| state.chores.arm(queue, due));
        }
    }

    /// Ends what has become too old, queue by queue. For the regular sweep.
    pub(crate) async fn sweep(self: &Arc<Self>) {
        let mut queues: Vec<Group> = {
            let snapshot = self.config.load();
            let depths = self.store.depths().into_iter();
            let filled = depths.filter(|depth| depth.count > 0);
            let queues = filled.map(|depth| depth.channel);
            queues
                .filter(|queue| snapshot.queues_by_id.contains_key(queue))
                .collect()
        };
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            if self.state().waiting.is_closed() {
                return;
            }
            self.look_after(queue).await;
        }
    }
}
