//! The dispatcher's work on the store: claims, settlements, cancelling and recalling, each a future that reports back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{DeliveryId, Num};
use anser_core::store::{
    Claim, ClaimClass, Claimed, DeliveryRow, Group, Settle, Settled, Settlement, Store, StoreError,
};

use super::attempt::read;
use super::{Answer, Recalled};
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
    Recalled {
        num: Num,
        promoted: Vec<DeliveryRow>,
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

/// Cancels what can still be cancelled of a message; `busy` is in flight or being settled.
pub(super) async fn recall(
    store: Arc<dyn Store>,
    num: Num,
    busy: HashSet<DeliveryId>,
    at: Timestamp,
    answer: Answer<Vec<(DeliveryId, Recalled)>>,
) -> JobDone {
    let (mut results, mut promoted) = (Vec::new(), Vec::new());
    let outcome = recall_all(&*store, num, &busy, at, &mut results, &mut promoted).await;
    let _ = answer.send(outcome.map(|()| results));
    JobDone::Recalled { num, promoted }
}

async fn recall_all(
    store: &dyn Store,
    num: Num,
    busy: &HashSet<DeliveryId>,
    at: Timestamp,
    results: &mut Vec<(DeliveryId, Recalled)>,
    promoted: &mut Vec<DeliveryRow>,
) -> Result<(), StoreError> {
    let mut from = 0;
    loop {
        let rows = store.deliveries_of(num, from, STEP).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        from = last.id.index() + 1;
        let mut settlements = Vec::new();
        for row in &rows {
            if row.state.is_final() {
                results.push((row.id, Recalled::Ended(row.state)));
            } else if busy.contains(&row.id) {
                results.push((row.id, Recalled::InFlight));
            } else {
                settlements.push(Settlement {
                    token: row.token(),
                    to: Settle::Cancelled,
                    at,
                    attempt: None,
                    unlogged: true,
                });
            }
        }
        let ids: Vec<DeliveryId> = settlements
            .iter()
            .map(|settlement| settlement.token.delivery)
            .collect();
        for (id, settled) in ids.into_iter().zip(store.settle(settlements).await?) {
            match settled {
                Settled::Done { promoted: next, .. } => {
                    results.push((id, Recalled::Cancelled));
                    promoted.extend(next);
                }
                Settled::Fenced => results.push((id, Recalled::InFlight)),
            }
        }
    }
}
