//! Queues with a trigger: the gateway itself receives their messages and gives them to a channel's program by the batch.
//! A batch is leased as a consumer would lease it, so that no end of the process can lose it; the leases are kept as long as
//! it is under way. Must not know what a program does, nor when a message becomes a dead letter: that is the queue's.

mod batch;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::resource::{RECEIVE_WAIT_MAX, TriggerSpec};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;

use crate::config::{ChannelEntry, QueueEntry, Snapshot};
use crate::gateway::Gateway;
use crate::leasing::{Ask, Duty, Lent, Taken};
use crate::refusal::store_problem;

use batch::Batch;

/// For how long a batch is leased; prolonged while it is under way. What a crash interrupts can be received again after it.
const LEASE: Duration = Duration::from_secs(20);
/// The pause after a batch of which nothing was done, doubled with each in a row …
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// … up to this: what is wrong is then wrong with the program, and receiving more would only wear the messages out.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The pause after messages could not be received.
const RECEIVE_AGAIN: Duration = Duration::from_secs(1);

/// What is to be done for a queue, by the configuration in force.
#[derive(Clone)]
struct Job {
    queue: Arc<QueueEntry>,
    channel: Arc<ChannelEntry>,
    batch: usize,
    wait: Duration,
    concurrency: usize,
}

/// What a queue's trigger is to do now.
enum Order {
    Work(Job),
    /// The channel is held.
    Wait,
    /// There is no trigger any more.
    End,
}

impl Order {
    fn of(snapshot: &Snapshot, queue: ResourceId) -> Self {
        let entry = snapshot.queues_by_id.get(&queue);
        let Some((queue, trigger)) = entry.and_then(|entry| triggered(entry)) else {
            return Self::End;
        };
        let Some(channel) = snapshot.channel(&trigger.channel) else {
            return Self::End;
        };
        let Some(program) = channel.channel.program() else {
            return Self::End;
        };
        if snapshot.is_held(&[channel.meta.id]) {
            return Self::Wait;
        }
        Self::Work(Job {
            queue: Arc::clone(queue),
            channel: Arc::clone(channel),
            batch: usize::try_from(trigger.batch).unwrap_or(1),
            wait: Duration::from_millis(trigger.wait),
            concurrency: program.concurrency,
        })
    }
}

fn triggered(queue: &Arc<QueueEntry>) -> Option<(&Arc<QueueEntry>, &TriggerSpec)> {
    Some((queue, queue.spec.trigger.as_ref()?))
}

impl Gateway {
    /// Works for every queue with a trigger, until the gateway stops. For one task.
    pub(crate) async fn pull_triggers(self: Arc<Self>) {
        let mut duty = self.leasing.duty();
        let mut pulled = HashSet::new();
        let mut pulls: FuturesUnordered<BoxFuture<'static, ResourceId>> = FuturesUnordered::new();
        loop {
            let closed = duty.borrow_and_update().closed;
            if closed && pulls.is_empty() {
                return;
            }
            let snapshot = self.config.load_full();
            let queues = snapshot.queues_by_id.values();
            for (queue, _) in queues.filter_map(triggered).filter(|_| !closed) {
                let id = queue.meta.id;
                if matches!(Order::of(&snapshot, id), Order::End) || !pulled.insert(id) {
                    continue;
                }
                pulls.push(pull(Arc::clone(&self), id, self.leasing.duty()).boxed());
            }
            tokio::select! {
                Some(queue) = pulls.next(), if !pulls.is_empty() => {
                    pulled.remove(&queue);
                }
                changed = duty.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Works for one queue, until it has no trigger any more or the gateway stops.
async fn pull(
    gateway: Arc<Gateway>,
    queue: ResourceId,
    mut duty: watch::Receiver<Duty>,
) -> ResourceId {
    let mut batches: FuturesUnordered<BoxFuture<'static, bool>> = FuturesUnordered::new();
    let mut gathering: Option<BoxFuture<'static, Vec<Lent>>> = None;
    let mut failures = 0;
    loop {
        let closed = duty.borrow_and_update().closed;
        let order = match closed {
            true => Order::End,
            false => Order::of(&gateway.config.load(), queue),
        };
        match &order {
            Order::Work(job) if gathering.is_none() && batches.len() < job.concurrency => {
                let gather = gather(Arc::clone(&gateway), job.clone(), pause(failures));
                gathering = Some(gather.boxed());
            }
            Order::End if batches.is_empty() => return queue,
            Order::Work(_) => {}
            // What is gathered is given back.
            Order::Wait | Order::End => gathering = None,
        }
        tokio::select! {
            biased;
            // What is being gathered goes on: to give it back would count as a receive.
            changed = duty.changed() => if changed.is_err() { return queue },
            Some(well) = batches.next(), if !batches.is_empty() => {
                failures = if well { 0 } else { failures + 1 };
            }
            lent = gathered(&mut gathering), if gathering.is_some() => {
                gathering = None;
                let taken: Vec<Taken> = lent.into_iter().flat_map(Lent::keep).collect();
                if let (Order::Work(job), false) = (order, taken.is_empty()) {
                    let batch = Batch::new(Arc::clone(&gateway), job, taken);
                    batches.push(batch.work(duty.clone()).boxed());
                }
            }
        }
    }
}

async fn gathered(gathering: &mut Option<BoxFuture<'static, Vec<Lent>>>) -> Vec<Lent> {
    match gathering {
        Some(gather) => gather.await,
        None => std::future::pending().await,
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(before) => PAUSE_MIN.saturating_mul(1 << before.min(16)).min(PAUSE_MAX),
    }
}

/// Receives a batch: what is there, and what comes while it waits to be full. None when nothing came for a while.
async fn gather(gateway: Arc<Gateway>, job: Job, pause: Duration) -> Vec<Lent> {
    tokio::time::sleep(pause).await;
    let ask = Ask {
        queue: job.queue.meta.id,
        max: job.batch,
        wait: Duration::from_secs(RECEIVE_WAIT_MAX),
        lease: Some(LEASE + job.wait),
    };
    let first = match receive(&gateway, ask).await {
        Some(lent) => lent,
        None => {
            tokio::time::sleep(RECEIVE_AGAIN).await;
            return Vec::new();
        }
    };
    let missing = job.batch - first.taken().len();
    if first.taken().is_empty() || missing == 0 || job.wait.is_zero() {
        return vec![first];
    }
    tokio::time::sleep(job.wait).await;
    let ask = Ask {
        max: missing,
        wait: Duration::ZERO,
        lease: Some(LEASE),
        ..ask
    };
    let more = receive(&gateway, ask).await;
    std::iter::once(first).chain(more).collect()
}

async fn receive(gateway: &Gateway, ask: Ask) -> Option<Lent> {
    let received = match gateway.leasing.has_room(ask.queue).await {
        Ok(true) => gateway.leasing.receive(ask).await,
        // Consumers hold as much as may be held.
        Ok(false) => return None,
        Err(error) => Err(store_problem(error)),
    };
    received
        .inspect_err(|problem| {
            tracing::warn!(queue = ask.queue.0, %problem, "messages for a trigger could not be received");
        })
        .ok()
}
