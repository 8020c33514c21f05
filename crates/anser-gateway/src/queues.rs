//! What consumers do with a queue: receive, acknowledge, give back, keep for longer. What operators do with one is in
//! `operate`. Checks who may and what is asked; leasing itself is `leasing`.

mod operate;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::id::{Num, Receipt};
use anser_core::resource::{LEASE_MAX, RECEIVE_WAIT_MAX, Scope};
use anser_core::store::{Acknowledge, DeliveryRow};
use anser_core::{Message, Problem, ProblemKind, Timestamp};
use bytes::Bytes;

use crate::auth::Principal;
use crate::config::{QueueEntry, Snapshot};
use crate::gateway::Gateway;
use crate::leasing::{Ask, Taken};
use crate::refusal::store_problem;

pub use crate::leasing::{LEASED_MAX, RECEIVERS_MAX};
pub use operate::{QueueState, REDRIVE_MAX};

/// Messages of one receive, and receipts of one call.
pub const RECEIVE_MAX: usize = 100;
/// Longest delay with which a message is given back.
pub const RELEASE_DELAY_MAX: Duration = Duration::from_secs(LEASE_MAX);
/// Deliveries of a message before a dead letter's own that are looked at for where it was.
const ORIGIN_LOOK_MAX: u32 = 1_000;

/// What to receive.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// Messages at most, 1 to [`RECEIVE_MAX`].
    pub max: usize,
    /// How long to wait while there is none, at most [`RECEIVE_WAIT_MAX`] seconds; `None`: as the queue says.
    pub wait: Option<Duration>,
    /// For how long they are the caller's, a second to [`LEASE_MAX`] seconds; `None`: as the queue says.
    pub lease: Option<Duration>,
}

/// A message received, and the caller's hold on it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Proves the hold.
    pub receipt: Receipt,
    /// The message's number, its `seq`.
    pub num: Num,
    /// The message.
    pub message: Message,
    /// The message as stored: its JSON, byte for byte.
    pub document: Bytes,
    /// Its delivery: received `attempts` - `attempts_before` times, leased until `due`.
    pub row: DeliveryRow,
    /// For a dead letter: where it was.
    pub dead_letter: Option<DeadLetterOrigin>,
}

/// Where a dead letter was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterOrigin {
    /// The queue's name.
    pub queue: String,
    /// When the message was accepted.
    pub accepted: Timestamp,
    /// How often it was received there.
    pub receives: u32,
}

impl Gateway {
    /// Receives messages from a queue, each leased to the caller: nobody else gets it until its lease ends. With nothing
    /// there it waits; empty when the time is up, or the gateway stops.
    ///
    /// # Errors
    /// 403 without the right, 404 `queue_not_found`, 422 `out_of_range`, 429 `too_many_leased` or
    /// `too_many_receives`, 503 and 507 when the store cannot take it.
    pub async fn receive(
        &self,
        principal: &Principal,
        queue: &str,
        receive: Receive,
    ) -> Result<Vec<Received>, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Consume])?;
        let wait = receive.wait;
        let wait = wait.unwrap_or(Duration::from_secs(entry.spec.wait));
        check_receive(&receive, wait)?;
        let id = entry.meta.id;
        if !self.leasing.has_room(id).await.map_err(store_problem)? {
            return Err(too_many_leased());
        }
        let ask = Ask {
            queue: id,
            max: receive.max,
            wait,
            lease: receive.lease,
        };
        let lent = self.leasing.receive(ask).await?;
        let mut origins = Vec::with_capacity(lent.taken().len());
        for taken in lent.taken() {
            origins.push(self.dead_letter_origin(&snapshot, &taken.row).await);
        }
        let taken = lent.keep().into_iter().zip(origins);
        Ok(taken
            .map(|(taken, dead_letter)| received(taken, dead_letter))
            .collect())
    }

    /// Acknowledges messages: they are done. Answers for each receipt whether it held; a void one changes nothing.
    ///
    /// # Errors
    /// 403 without the right, 404 `queue_not_found`, 422 `too_many`, 503 and 507 when the store cannot take it.
    pub async fn acknowledge(
        &self,
        principal: &Principal,
        queue: &str,
        receipts: Vec<Receipt>,
    ) -> Result<Vec<bool>, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Consume])?;
        let rewindable = entry.spec.rewind > 0;
        let to = Acknowledge::Done { rewindable };
        self.change_leases(entry, &receipts, to).await
    }

    /// Gives messages back: they can be received again after `delay`, at most [`RELEASE_DELAY_MAX`]. Answers for each
    /// receipt whether it held.
    ///
    /// # Errors
    /// As [`Gateway::acknowledge`], and 422 `out_of_range`.
    pub async fn release(
        &self,
        principal: &Principal,
        queue: &str,
        receipts: Vec<Receipt>,
        delay: Duration,
    ) -> Result<Vec<bool>, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Consume])?;
        if delay > RELEASE_DELAY_MAX {
            return Err(out_of_range("delay", 0, RELEASE_DELAY_MAX.as_secs()));
        }
        let at = self.clock.now().plus(delay);
        let to = Acknowledge::Release { at };
        self.change_leases(entry, &receipts, to).await
    }

    /// Keeps messages for `lease` from now, a second to [`LEASE_MAX`] seconds; `None`: as the queue says. Answers for
    /// each receipt whether it held.
    ///
    /// # Errors
    /// As [`Gateway::acknowledge`], and 422 `out_of_range`.
    pub async fn extend(
        &self,
        principal: &Principal,
        queue: &str,
        receipts: Vec<Receipt>,
        lease: Option<Duration>,
    ) -> Result<Vec<bool>, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Consume])?;
        check_lease(lease)?;
        let lease = lease.unwrap_or(Duration::from_secs(entry.spec.lease));
        let until = self.clock.now().plus(lease);
        let to = Acknowledge::Extend { until };
        self.change_leases(entry, &receipts, to).await
    }

    async fn change_leases(
        &self,
        entry: &QueueEntry,
        receipts: &[Receipt],
        to: Acknowledge,
    ) -> Result<Vec<bool>, Problem> {
        if receipts.len() > RECEIVE_MAX {
            return Err(Problem::invalid(
                "too_many",
                "receipts",
                format!(
                    "may have at most {RECEIVE_MAX} members, has {}; send them in several calls",
                    receipts.len()
                ),
            ));
        }
        if receipts.is_empty() {
            return Ok(Vec::new());
        }
        let done = self.leasing.acknowledge(entry, receipts, to).await;
        done.map_err(store_problem)
    }

    /// Where a message was before it became a dead letter: the last delivery before its own that died in a queue whose
    /// dead letters come here. The message is received all the same when that cannot be read.
    async fn dead_letter_origin(
        &self,
        snapshot: &Snapshot,
        row: &DeliveryRow,
    ) -> Option<DeadLetterOrigin> {
        if row.id.index() == 0 {
            return None;
        }
        let (_, origin) = self.source_of(snapshot, row).await?;
        Some(origin)
    }

    /// The queue that a dead letter comes from, and what became of it there.
    pub(super) async fn source_of<'a>(
        &self,
        snapshot: &'a Snapshot,
        row: &DeliveryRow,
    ) -> Option<(&'a Arc<QueueEntry>, DeadLetterOrigin)> {
        let queues = &snapshot.queues_by_id;
        let mut sources = queues.values();
        if !sources.any(|entry| entry.dead_letter == Some(row.group)) {
            return None;
        }
        let index = row.id.index();
        let from = index.saturating_sub(ORIGIN_LOOK_MAX);
        let limit = usize::try_from(index - from).unwrap_or(usize::MAX);
        let earlier = self.store.deliveries_of(row.id.num(), from, limit).await;
        let earlier = earlier
            .inspect_err(|error| {
                tracing::warn!(delivery = %row.id, %error, "where a dead letter comes from cannot be read");
            })
            .ok()?;
        earlier.iter().rev().find_map(|dead| {
            let source = queues.get(&dead.group)?;
            let is_source = dead.state == DeliveryState::Dead
                && dead.id < row.id
                && source.dead_letter == Some(row.group);
            is_source.then(|| {
                let origin = DeadLetterOrigin {
                    queue: source.meta.name.clone(),
                    accepted: dead.accepted,
                    receives: dead.attempts.saturating_sub(dead.attempts_before),
                };
                (source, origin)
            })
        })
    }
}

/// The queue of that name, for a caller with one of these rights.
///
/// # Errors
/// 403, 404 `queue_not_found`.
fn queue_for<'a>(
    snapshot: &'a Snapshot,
    principal: &Principal,
    name: &str,
    scopes: &[Scope],
) -> Result<&'a Arc<QueueEntry>, Problem> {
    let mut refused = None;
    for scope in scopes {
        refused = principal.require(*scope).err();
        if refused.is_none() {
            break;
        }
    }
    if let Some(problem) = refused {
        return Err(problem);
    }
    principal.require_queue("queue", name)?;
    snapshot.queue(name).ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "queue_not_found",
            format!("there is no queue {name}; create it first"),
        )
    })
}

fn received(taken: Taken, dead_letter: Option<DeadLetterOrigin>) -> Received {
    Received {
        receipt: taken.receipt(),
        num: taken.num,
        message: taken.message,
        document: taken.document,
        row: taken.row,
        dead_letter,
    }
}

fn check_receive(receive: &Receive, wait: Duration) -> Result<(), Problem> {
    if !(1..=RECEIVE_MAX).contains(&receive.max) {
        return Err(out_of_range("max", 1, RECEIVE_MAX as u64));
    }
    if wait > Duration::from_secs(RECEIVE_WAIT_MAX) {
        return Err(out_of_range("wait", 0, RECEIVE_WAIT_MAX));
    }
    check_lease(receive.lease)
}

fn check_lease(lease: Option<Duration>) -> Result<(), Problem> {
    let range = Duration::from_secs(1)..=Duration::from_secs(LEASE_MAX);
    match lease {
        Some(lease) if !range.contains(&lease) => Err(out_of_range("lease", 1, LEASE_MAX)),
        _ => Ok(()),
    }
}

fn out_of_range(field: &str, least: u64, most: u64) -> Problem {
    Problem::invalid(
        "out_of_range",
        field,
        format!("must be between {least} and {most}"),
    )
    .accepted(format!("{least} to {most}"))
}

fn too_many_leased() -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "too_many_leased",
        format!(
            "{LEASED_MAX} messages of this queue are received and not acknowledged; acknowledge some, or wait for their leases to end"
        ),
    )
}
