//! What operators do with a queue: deliver again what was acknowledged, empty it, move dead letters back, look at it.
//! Each in bounded steps, so that a large queue holds nobody up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::id::{DeliveryId, ResourceId};
use anser_core::resource::Scope;
use anser_core::store::{
    Claim, ClaimClass, Claimed, DeliveryRow, Diversion, Rewind, Rewound, StoreError,
};
use anser_core::{Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::queue_for;
use crate::auth::Principal;
use crate::config::{QueueEntry, Snapshot};
use crate::gateway::Gateway;
use crate::leasing::into_queue;
use crate::refusal::store_problem;

/// Messages that one redrive moves at most.
pub const REDRIVE_MAX: usize = 10_000;
/// Deliveries of one step.
const STEP: usize = 500;

/// What is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QueueState {
    /// Messages that can be received now, and those behind them in their order.
    pub active: u64,
    /// Messages received and not acknowledged, whose lease goes on.
    pub leased: u64,
    /// Messages that can be received later.
    pub delayed: u64,
    /// Acknowledged messages that a rewind delivers again.
    pub rewindable: u64,
    /// Bytes of the messages that are not acknowledged.
    pub bytes: u64,
    /// When the oldest message that is not acknowledged was accepted.
    pub oldest: Option<Timestamp>,
}

impl Gateway {
    /// What is in a queue now.
    ///
    /// # Errors
    /// 403 without the right to read or to consume, 404 `queue_not_found`, 500 and 503 from the store.
    pub async fn queue_state(
        &self,
        principal: &Principal,
        queue: &str,
    ) -> Result<QueueState, Problem> {
        let snapshot = self.config.load_full();
        let scopes = [Scope::Consume, Scope::Read];
        let entry = queue_for(&snapshot, principal, queue, &scopes)?;
        let (id, now) = (entry.meta.id, self.clock.now());
        let counts = self.store.queue_counts(id, now, ended_from(entry, now));
        let counts = counts.await.map_err(store_problem)?;
        let depths = self.store.depths_of(id).into_iter();
        Ok(QueueState {
            active: counts.active,
            leased: counts.leased,
            delayed: counts.delayed,
            rewindable: counts.rewindable,
            bytes: depths.map(|depth| depth.bytes).sum(),
            oldest: counts.oldest,
        })
    }

    /// Delivers again, in the order in which they were accepted, what was acknowledged and accepted at or after `from`;
    /// answers how many. `from` lies within the queue's `rewind`, and not behind its oldest message that is not
    /// acknowledged. Both are compared by the second, in which Tencent CMQ's clients count.
    ///
    /// # Errors
    /// 403 without the right to administrate, 404 `queue_not_found`, 409 `rewind_off`, 422 `invalid_rewind_time`, 503
    /// and 507 when the store cannot take it.
    pub async fn rewind(
        &self,
        principal: &Principal,
        queue: &str,
        from: Timestamp,
    ) -> Result<u64, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Admin])?;
        if entry.spec.rewind == 0 {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "rewind_off",
                "this queue keeps no acknowledged messages; give it `rewind` for those to come",
            ));
        }
        let now = self.clock.now();
        self.check_rewind(entry, from, now).await?;
        let mut step = Rewind {
            queue: entry.meta.id,
            accepted_from: from,
            ended_from: ended_from(entry, now),
            after: None,
            limit: STEP,
        };
        let mut count = 0;
        loop {
            let rewound = self.rewind_step(step.clone()).await;
            let rewound = rewound.map_err(store_problem)?;
            count += rewound.count as u64;
            if rewound.next.is_none() {
                return Ok(count);
            }
            step.after = rewound.next;
        }
    }

    async fn check_rewind(
        &self,
        entry: &QueueEntry,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let counts = self.store.queue_counts(entry.meta.id, now, now).await;
        let latest = counts.map_err(store_problem)?.oldest.unwrap_or(now);
        let earliest = now.minus(Duration::from_secs(entry.spec.rewind));
        if (earliest.seconds()..=latest.seconds()).contains(&from.seconds()) {
            return Ok(());
        }
        Err(Problem::invalid(
            "invalid_rewind_time",
            "from",
            "must lie within the queue's `rewind`, and not behind its oldest message that is not acknowledged",
        )
        .accepted(format!("{earliest} to {latest}")))
    }

    /// Goes on when the caller goes away: what is due again must wake somebody.
    async fn rewind_step(&self, step: Rewind) -> Result<Rewound, StoreError> {
        let (store, leasing) = (Arc::clone(&self.store), Arc::clone(&self.leasing));
        let rewind = async move {
            let queue = step.queue;
            let rewound = store.rewind(step).await?;
            leasing.wake(queue, rewound.count);
            Ok(rewound)
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "lasts one commit, and is waited for unless the client goes away"
        )]
        let task = tokio::spawn(rewind);
        task.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Ends every message of a queue that is not acknowledged, received or not; answers how many.
    ///
    /// # Errors
    /// 403 without the right to administrate, 404 `queue_not_found`, 503 and 507 when the store cannot take it.
    pub async fn purge(&self, principal: &Principal, queue: &str) -> Result<u64, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, queue, &[Scope::Admin])?;
        let (id, at) = (entry.meta.id, self.clock.now());
        let mut count = 0;
        loop {
            let cancelled = self.store.cancel_group(id, Vec::new(), at, STEP).await;
            let cancelled = cancelled.map_err(store_problem)?;
            count += cancelled as u64;
            // Less than a step: what came meanwhile may stay.
            if cancelled < STEP {
                return Ok(count);
            }
        }
    }

    /// Moves dead letters that nobody has leased back to the queues that they came from, the oldest first, at most
    /// `limit` (1 to [`REDRIVE_MAX`]); answers how many. Those whose queue is gone, or has its dead letters elsewhere
    /// now, stay.
    ///
    /// # Errors
    /// 403 without the right to administrate, 404 `queue_not_found`, 422 `out_of_range`, 503 and 507 when the store
    /// cannot take it.
    pub async fn redrive(
        &self,
        principal: &Principal,
        dead_letter_queue: &str,
        limit: usize,
    ) -> Result<u64, Problem> {
        let snapshot = self.config.load_full();
        let entry = queue_for(&snapshot, principal, dead_letter_queue, &[Scope::Admin])?;
        if !(1..=REDRIVE_MAX).contains(&limit) {
            return Err(super::out_of_range("limit", 1, REDRIVE_MAX as u64));
        }
        let (mut looked, mut moved) = (Vec::new(), 0);
        let mut queues = snapshot.queues.values();
        if !queues.any(|source| source.dead_letter == Some(entry.meta.id)) {
            return Ok(0);
        }
        for class in [ClaimClass::First, ClaimClass::Retry] {
            while looked.len() < REDRIVE_MAX && moved < limit {
                let found = self
                    .dead_letters(entry, class, &looked)
                    .await
                    .map_err(store_problem)?;
                if found.is_empty() {
                    break;
                }
                looked.extend(found.iter().map(|row| row.id));
                moved += self.move_back(&snapshot, found, limit - moved).await?;
            }
        }
        // Those behind them in their order can be received now.
        self.leasing.wake(entry.meta.id, moved);
        Ok(moved as u64)
    }

    async fn dead_letters(
        &self,
        entry: &QueueEntry,
        class: ClaimClass,
        looked: &[DeliveryId],
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let claim = Claim {
            group: entry.meta.id,
            class,
            due_until: self.clock.now(),
            exclude: looked.to_vec(),
            // Also for a small limit: before those that go back there may be many that stay.
            limit: STEP,
        };
        let Claimed { deliveries, .. } = self.store.claim(claim).await?;
        Ok(deliveries)
    }

    async fn move_back(
        &self,
        snapshot: &Snapshot,
        rows: Vec<DeliveryRow>,
        most: usize,
    ) -> Result<usize, Problem> {
        let mut by_source: HashMap<ResourceId, (&Arc<QueueEntry>, Vec<DeliveryRow>)> =
            HashMap::new();
        let mut chosen = 0;
        for row in rows {
            if chosen == most {
                break;
            }
            if let Some((source, _)) = self.source_of(snapshot, &row).await {
                let of_source = by_source.entry(source.meta.id);
                let (_, rows) = of_source.or_insert_with(|| (source, Vec::new()));
                rows.push(row);
                chosen += 1;
            }
        }
        let now = self.clock.now();
        let mut diversions = Vec::new();
        for (source, rows) in by_source.into_values() {
            let lanes = self.leasing.lanes(source, &rows).await;
            let lanes = lanes.map_err(store_problem)?;
            for row in rows {
                // One that cannot be read stays where it is.
                if let Some(lane) = lanes.get(&row.id.num()) {
                    diversions.push(Diversion {
                        token: row.token(),
                        to: into_queue(source, *lane, &row, now),
                        at: now,
                    });
                }
            }
        }
        if diversions.is_empty() {
            return Ok(0);
        }
        let moved = self.leasing.divert(diversions).await;
        Ok(moved.map_err(store_problem)?.iter().flatten().count())
    }
}

/// Messages acknowledged before this cannot be had again.
fn ended_from(entry: &QueueEntry, now: Timestamp) -> Timestamp {
    let kept = now.minus(Duration::from_secs(entry.spec.rewind));
    kept.max(entry.rewind_since)
}
