//! Leases and those who wait for them: receives that wait cost nothing until something arrives, what nobody took in time
//! is looked after, and what consumers gave back is to be had at once. Decisions are in `waiting` and `alarms`, which
//! are pure. Must not know who may receive (`queues`) nor where messages come from.

mod alarms;
mod keeper;
mod receive;
mod spent;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::Clock;
use anser_core::delivery::DeliveryState;
use anser_core::id::Receipt;
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, DeliveryRow, Diversion, Group, SharedStore,
    StoreError,
};
use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::config::{QueueEntry, Snapshot};
use crate::metrics::Metrics;

use alarms::Alarms;
use waiting::Waiting;

pub(crate) use receive::{Ask, Lent, Taken};
pub(crate) use spent::into_queue;

/// Receives that may wait at the same time, over all queues.
pub const RECEIVERS_MAX: usize = 10_000;
/// Messages of one queue that may be leased at the same time.
pub const LEASED_MAX: u64 = 100_000;

/// What is shared by all who lease.
pub(crate) struct Leasing {
    store: SharedStore,
    config: Arc<ArcSwap<Snapshot>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    /// An alarm is earlier than the keeper thinks, or there are no more.
    changed: Notify,
    /// What was leased for somebody who is gone.
    unclaimed: mpsc::UnboundedSender<Unclaimed>,
    /// For those of us who receive by themselves.
    duty: watch::Sender<Duty>,
    /// Until the keeper takes it.
    returned: Mutex<Option<mpsc::UnboundedReceiver<Unclaimed>>>,
}

/// What those who receive for the gateway itself must know.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Duty {
    /// Rises whenever the configuration is replaced.
    pub(crate) configured: u64,
    /// Nothing more is to be received.
    pub(crate) closed: bool,
    /// What is under way may go on for so long.
    pub(crate) limit: Option<Duration>,
}

/// Leases to give back.
#[derive(Debug)]
struct Unclaimed {
    queue: Group,
    receipts: Vec<Receipt>,
}

struct State {
    waiting: Waiting<oneshot::Sender<()>>,
    /// When to look for messages of a queue that were received too often.
    chores: Alarms,
    /// For each queue at least as many as are leased: what was when they were counted, and those leased since.
    leased: HashMap<Group, u64>,
    /// Queues that count the receives of a message.
    counting: HashSet<Group>,
}

impl State {
    fn next(&self) -> Option<Timestamp> {
        let nexts = [self.waiting.next_alarm(), self.chores.next()];
        nexts.into_iter().flatten().min()
    }
}

impl Leasing {
    /// Nothing is leased and nobody waits.
    pub(crate) fn new(
        store: SharedStore,
        config: Arc<ArcSwap<Snapshot>>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (unclaimed, returned) = mpsc::unbounded_channel();
        let leasing = Self {
            store,
            config,
            clock,
            metrics,
            state: Mutex::new(State {
                waiting: Waiting::new(RECEIVERS_MAX),
                chores: Alarms::default(),
                leased: HashMap::new(),
                counting: HashSet::new(),
            }),
            changed: Notify::new(),
            duty: watch::Sender::default(),
            unclaimed,
            returned: Mutex::new(Some(returned)),
        };
        leasing.configured();
        Arc::new(leasing)
    }

    /// The configuration was replaced: who waits for a queue that is gone is woken, and a queue that begins to count
    /// receives is looked after.
    pub(crate) fn configured(&self) {
        let snapshot = self.config.load_full();
        let now = self.clock.now();
        let counting: HashSet<Group> = snapshot
            .queues_by_id
            .values()
            .filter(|entry| spent::counts_receives(entry))
            .map(|entry| entry.meta.id)
            .collect();
        let woken = self.change(|state| {
            for queue in counting.difference(&state.counting) {
                state.chores.arm(*queue, now);
            }
            for queue in state.counting.difference(&counting) {
                state.chores.disarm(*queue);
            }
            state.counting = counting;
            let exists = |queue: &Group| snapshot.queues_by_id.contains_key(queue);
            state.leased.retain(|queue, _| exists(queue));
            state.waiting.wake_all(|queue| !exists(&queue))
        });
        signal(woken);
        self.duty.send_modify(|duty| duty.configured += 1);
    }

    /// What those who receive for the gateway itself must know.
    pub(crate) fn duty(&self) -> watch::Receiver<Duty> {
        self.duty.subscribe()
    }

    /// What the gateway received for itself may be under way for so long.
    pub(crate) fn limit_duty(&self, limit: Duration) {
        self.duty.send_modify(|duty| duty.limit = Some(limit));
    }

    /// These deliveries are committed, or due again: each wakes one who waits, or sets the alarm.
    pub(crate) fn arrived(&self, rows: &[DeliveryRow]) {
        if rows.is_empty() {
            return;
        }
        let now = self.clock.now();
        let woken = self.change(|state| {
            let mut woken = Vec::new();
            for row in rows {
                match row.state {
                    DeliveryState::Pending | DeliveryState::Retrying if row.due <= now => {
                        woken.append(&mut state.waiting.wake(row.group, 1));
                    }
                    DeliveryState::Pending | DeliveryState::Retrying => {
                        state.waiting.arm(row.group, row.due);
                    }
                    _ => {}
                }
            }
            woken
        });
        signal(woken);
    }

    /// So many messages of a queue can be received now.
    pub(crate) fn wake(&self, queue: Group, messages: usize) {
        if messages > 0 {
            signal(self.change(|state| state.waiting.wake(queue, messages)));
        }
    }

    /// Receives that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.count()
    }

    /// Nobody waits any more; the keeper gives back what is unclaimed and ends.
    pub(crate) fn close(&self) {
        self.duty.send_modify(|duty| duty.closed = true);
        signal(self.change(|state| state.waiting.close()));
        self.changed.notify_one();
    }

    /// Whether another message may be leased.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn has_room(&self, queue: Group) -> Result<bool, StoreError> {
        let known = self.state().leased.get(&queue).copied();
        if known.is_some_and(|at_most| at_most < LEASED_MAX) {
            return Ok(true);
        }
        let received = self.store.depths_of(queue).into_iter();
        let mut at_most: u64 = received.map(|depth| depth.retrying).sum();
        if at_most >= LEASED_MAX {
            let now = self.clock.now();
            at_most = self.store.queue_counts(queue, now, now).await?.leased;
        }
        // What is leased meanwhile is not in it: the bound may be passed by what is under way.
        self.state().leased.insert(queue, at_most);
        Ok(at_most < LEASED_MAX)
    }

    /// Acknowledges, gives back or prolongs; answers whether each receipt held. Goes on when the caller goes away: what
    /// becomes due by it must wake somebody.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn acknowledge(
        self: &Arc<Self>,
        entry: &QueueEntry,
        receipts: &[Receipt],
        to: Acknowledge,
    ) -> Result<Vec<bool>, StoreError> {
        let (queue, at) = (entry.meta.id, self.clock.now());
        let all = receipts.iter().map(|&receipt| Acknowledgement {
            queue,
            receipt,
            at,
            to,
        });
        let (all, leasing) = (all.collect(), Arc::clone(self));
        finish(async move { leasing.acknowledge_all(queue, all).await }).await
    }

    async fn acknowledge_all(
        &self,
        queue: Group,
        all: Vec<Acknowledgement>,
    ) -> Result<Vec<bool>, StoreError> {
        let done = self.store.acknowledge(all).await?;
        let now = self.clock.now();
        let receives_max = self.receives_max(queue);
        let mut acknowledged = 0;
        let woken = self.change(|state| {
            let mut due = 0;
            for done in &done {
                let Acknowledged::Done { row, promoted } = done else {
                    continue;
                };
                due += usize::from(*promoted);
                if row.state == DeliveryState::Delivered {
                    acknowledged += 1;
                } else if row.due <= now {
                    due += 1;
                } else {
                    state.arm(row, receives_max);
                }
            }
            state.waiting.wake(queue, due)
        });
        signal(woken);
        self.metrics.queue_acknowledged(queue, acknowledged);
        let held = |done: &Acknowledged| matches!(done, Acknowledged::Done { .. });
        Ok(done.iter().map(held).collect())
    }

    /// Moves deliveries into other queues and wakes who waits there; answers the new ones, `None` where somebody else
    /// was faster. Goes on when the caller goes away.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn divert(
        self: &Arc<Self>,
        diversions: Vec<Diversion>,
    ) -> Result<Vec<Option<DeliveryRow>>, StoreError> {
        let leasing = Arc::clone(self);
        finish(async move {
            let moved = leasing.store.divert(diversions).await?;
            let new: Vec<DeliveryRow> = moved.iter().flatten().cloned().collect();
            leasing.arrived(&new);
            Ok(moved)
        })
        .await
    }

    /// The bound of a queue's receives of one message, when there is one.
    fn receives_max(&self, queue: Group) -> Option<u32> {
        let snapshot = self.config.load();
        let entry = snapshot.queues_by_id.get(&queue)?;
        entry.spec.dead_letter.as_ref()?.max_receives
    }

    /// Changes the state; the keeper is told when it must wake earlier for it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = state.next();
        let answer = change(&mut state);
        let after = state.next();
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.changed.notify_one();
        }
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A delivery was leased, prolonged or given back with a delay.
    fn arm(&mut self, row: &DeliveryRow, receives_max: Option<u32>) {
        self.waiting.arm(row.group, row.due);
        let receives = row.attempts.saturating_sub(row.attempts_before);
        if receives_max.is_some_and(|most| receives >= most) {
            self.chores.arm(row.group, row.due);
        }
    }
}

/// Tells those who sleep. One that went away meanwhile finds so itself, and wakes the next.
fn signal(woken: Vec<oneshot::Sender<()>>) {
    for sleeper in woken {
        let _ = sleeper.send(());
    }
}

/// Runs to the end, also when the caller goes away.
async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "lasts some commits, and is waited for unless the client goes away"
    )]
    let task = tokio::spawn(work);
    task.await.unwrap_or(Err(StoreError::Unknown))
}
