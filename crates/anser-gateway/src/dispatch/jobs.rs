//! The dispatcher's work on the store: claims, settlements, cancelling and taking back, each a future that reports back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::Checkpoint;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num};
use anser_core::store::{
    Claim, ClaimClass, Claimed, DeliveryRow, Group, Settle, Settled, Settlement, Store, StoreError,
};

use super::attempt::read;
use super::plan::Withdrawal;
use super::{Answer, Withdrawn};
use crate::accepted::Accepted;

/// Messages read between two turns of the dispatcher's other work.
const READ_STEP: usize = 64;
/// Deliveries read or cancelled in one step.
const STEP: usize = 1_000;
/// Between two probes of a store that does not take commits.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A settlement on its way to the store, with what is to be done once it is there.
pub(super) struct Settling {
    pub(super) settlement: Settlement,
    pub(super) group: Group,
    pub(super) dead: Option<String>,
}

/// What a job found or did.
pub(super) enum JobDone {
    Claimed {
        group: Group,
        class: ClaimClass,
        found: Result<Claimed, StoreError>,
        messages: HashMap<Num, Arc<Accepted>>,
    },
    Settled {
        batch: Vec<Settling>,
        result: Result<Vec<Settled>, StoreError>,
    },
    Probed(Result<(), StoreError>),
    Cancelled(Group),
    Withdrawn {
        withdrawal: Arc<Withdrawal>,
        promoted: Vec<DeliveryRow>,
        left: Vec<Group>,
    },
}

/// Claims due deliveries and reads their messages in one go.
pub(super) async fn claim(store: Arc<dyn Store>, claim: Claim) -> JobDone {
    let (group, class) = (claim.group, claim.class);
    let found = store.claim(claim).await;
    let mut messages = HashMap::new();
    if let Ok(found) = &found {
        let nums: HashSet<Num> = found.deliveries.iter().map(|row| row.id.num()).collect();
        // A message that cannot be read is found out by its attempt, which reports it.
        let rows = store.messages(nums.into_iter().collect()).await;
        for (read_so_far, row) in rows.unwrap_or_default().into_iter().enumerate() {
            if read_so_far % READ_STEP == READ_STEP - 1 {
                tokio::task::yield_now().await;
            }
            if let Ok(accepted) = read(row) {
                messages.insert(accepted.num, accepted);
            }
        }
    }
    JobDone::Claimed {
        group,
        class,
        found,
        messages,
    }
}

/// Settles a batch.
pub(super) async fn settle(store: Arc<dyn Store>, batch: Vec<Settling>) -> JobDone {
    let settlements: Vec<Settlement> = batch
        .iter()
        .map(|settling| settling.settlement.clone())
        .collect();
    let result = store.settle(settlements).await;
    JobDone::Settled { batch, result }
}

/// Asks after a while whether the store takes commits again.
pub(super) async fn probe(store: Arc<dyn Store>) -> JobDone {
    tokio::time::sleep(PROBE_EVERY).await;
    JobDone::Probed(store.probe().await)
}

/// Cancels what is unfinished of a group, apart from `keep`.
pub(super) async fn cancel_group(
    store: Arc<dyn Store>,
    group: Group,
    keep: Vec<DeliveryId>,
    at: Timestamp,
    answer: Option<Answer<usize>>,
) -> JobDone {
    let mut cancelled = 0;
    let result = loop {
        match store.cancel_group(group, keep.clone(), at, STEP).await {
            Ok(0) => break Ok(cancelled),
            Ok(some) => cancelled += some,
            Err(error) => break Err(error),
        }
    };
    if let Err(error) = &result {
        tracing::warn!(%error, group = group.0, "deliveries of a deleted destination could not be cancelled");
    }
    if let Some(answer) = answer {
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }
    JobDone::Cancelled(group)
}

/// Takes deliveries back; `busy` is in flight or being settled.
pub(super) async fn withdraw(
    store: Arc<dyn Store>,
    withdrawal: Arc<Withdrawal>,
    busy: HashSet<DeliveryId>,
    at: Timestamp,
    answer: Answer<Vec<(DeliveryId, Withdrawn)>>,
) -> JobDone {
    let mut work = Withdrawing {
        store: &*store,
        busy: &busy,
        at,
        results: Vec::new(),
        promoted: Vec::new(),
        left: Vec::new(),
    };
    let outcome = work.all(&withdrawal).await;
    let Withdrawing {
        results,
        promoted,
        left,
        ..
    } = work;
    // Whoever asked may have gone.
    let _ = answer.send(outcome.map(|()| results));
    JobDone::Withdrawn {
        withdrawal,
        promoted,
        left,
    }
}

/// A withdrawal at work.
struct Withdrawing<'a> {
    store: &'a dyn Store,
    busy: &'a HashSet<DeliveryId>,
    at: Timestamp,
    results: Vec<(DeliveryId, Withdrawn)>,
    /// The next of their lanes.
    promoted: Vec<DeliveryRow>,
    /// Groups of those that moved on meanwhile.
    left: Vec<Group>,
}

impl Withdrawing<'_> {
    async fn all(&mut self, withdrawal: &Withdrawal) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let store = self.store;
            let mut rows = store.deliveries_of(withdrawal.message, from, STEP).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            from = last.id.index() + 1;
            rows.retain(|row| withdrawal.covers(row.id));
            self.some(rows).await?;
        }
    }

    async fn some(&mut self, rows: Vec<DeliveryRow>) -> Result<(), StoreError> {
        let (ended, open): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.state.is_final());
        let ended = ended
            .iter()
            .map(|row| (row.id, Withdrawn::Ended(row.state)));
        self.results.extend(ended);
        let settlements = open.iter().map(|row| self.settlement(row)).collect();
        let settled = self.store.settle(settlements).await?;
        for (row, settled) in open.iter().zip(settled) {
            let withdrawn = match settled {
                Settled::Done { promoted, .. } => {
                    self.promoted.extend(promoted);
                    if self.busy.contains(&row.id) {
                        Withdrawn::InFlight
                    } else {
                        Withdrawn::Cancelled
                    }
                }
                Settled::Fenced => self.fenced(row).await?,
            };
            self.results.push((row.id, withdrawn));
        }
        Ok(())
    }

    /// What is under way is marked, so that it does not go on even after a crash; the rest is cancelled.
    fn settlement(&self, row: &DeliveryRow) -> Settlement {
        let to = if self.busy.contains(&row.id) {
            let checkpoint = row.checkpoint.as_deref().and_then(Checkpoint::read);
            let checkpoint = Checkpoint {
                withdrawn: true,
                ..checkpoint.unwrap_or_default()
            };
            Settle::Park {
                at: row.due,
                possible_duplicate: row.possible_duplicate,
                checkpoint: Some(checkpoint.write()),
            }
        } else {
            Settle::Cancelled
        };
        Settlement {
            token: row.token(),
            to,
            at: self.at,
            attempt: None,
            unlogged: true,
            known_as: Vec::new(),
        }
    }

    /// It changed between the look at it and the commit.
    async fn fenced(&mut self, row: &DeliveryRow) -> Result<Withdrawn, StoreError> {
        match self.store.delivery(row.id).await? {
            Some(row) if row.state.is_final() => Ok(Withdrawn::Ended(row.state)),
            // It will not go on: the plan knows.
            Some(_) if self.busy.contains(&row.id) => Ok(Withdrawn::InFlight),
            Some(row) => {
                self.left.push(row.group);
                Ok(Withdrawn::Moved)
            }
            None => Ok(Withdrawn::Ended(DeliveryState::Cancelled)),
        }
    }
}
