//! Messages that a queue gives no more: received too often, too old, expired, damaged. They go to the dead-letter queue
//! or end. Which of the two is decided here; when somebody looks is not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::id::Num;
use anser_core::message::Header;
use anser_core::resource::{DeadLetterSpec, Ordering, QueueOrdering};
use anser_core::store::{
    DeliveryRow, Diversion, Lane, NewDelivery, Settle, Settled, Settlement, StoreError,
};
use anser_core::{Message, Timestamp};

use super::Leasing;
use crate::config::{QueueEntry, Snapshot};
use crate::lane::lane;

/// When a queue gives a message no more.
pub(super) struct Rules<'a> {
    queue: &'a QueueEntry,
    /// Where to, by which rule.
    dead_letter: Option<(&'a QueueEntry, &'a DeadLetterSpec)>,
    now: Timestamp,
}

/// What becomes of a spent delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Expire,
    Divert,
}

/// Whether the queue counts how often a message was received.
pub(super) fn counts_receives(queue: &QueueEntry) -> bool {
    let rule = queue.spec.dead_letter.as_ref();
    queue.dead_letter.is_some() && rule.is_some_and(|rule| rule.max_receives.is_some())
}

/// The lane of a message in a queue, by the queue's ordering.
fn lane_in(queue: &QueueEntry, header: &Header) -> Option<Lane> {
    let ordering = match queue.spec.ordering {
        QueueOrdering::None => Ordering::None,
        QueueOrdering::Key => Ordering::Key,
    };
    lane(ordering, queue.meta.id, None, false, header)
}

impl<'a> Rules<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, queue: &'a QueueEntry, now: Timestamp) -> Self {
        let target = queue.dead_letter;
        let target = target.and_then(|id| snapshot.queues_by_id.get(&id));
        Self {
            queue,
            dead_letter: target
                .map(AsRef::as_ref)
                .zip(queue.spec.dead_letter.as_ref()),
            now,
        }
    }

    /// A message accepted before this is too old.
    pub(super) fn accepted_from(&self) -> Timestamp {
        let kept = self.before(self.queue.spec.retention);
        let aged = self.dead_letter.and_then(|(_, rule)| rule.max_age);
        aged.map_or(kept, |age| kept.max(self.before(age)))
    }

    /// A message received so often is given no more.
    pub(super) fn receives_max(&self) -> Option<u32> {
        self.dead_letter.and_then(|(_, rule)| rule.max_receives)
    }

    /// A message whose own time is up has no use as a dead letter; one that fits the rule has, however old.
    fn end(&self, row: &DeliveryRow) -> End {
        let expired = row.expires_at.is_some_and(|at| at <= self.now);
        let Some((_, rule)) = self.dead_letter.filter(|_| !expired) else {
            return End::Expire;
        };
        let receives = row.attempts.saturating_sub(row.attempts_before);
        let aged = rule.max_age.map(|age| self.before(age));
        if rule.max_receives.is_some_and(|most| receives >= most)
            || aged.is_some_and(|from| row.accepted < from)
        {
            End::Divert
        } else {
            End::Expire
        }
    }

    fn before(&self, seconds: u64) -> Timestamp {
        self.now.minus(Duration::from_secs(seconds))
    }
}

impl Leasing {
    /// Ends what a queue gives no more; answers how many.
    pub(super) async fn end_spent(
        self: &Arc<Self>,
        rules: &Rules<'_>,
        spent: Vec<DeliveryRow>,
    ) -> usize {
        let (diverted, expired): (Vec<_>, Vec<_>) = spent
            .into_iter()
            .partition(|row| rules.end(row) == End::Divert);
        let expired = self.end(rules, &expired, Settle::Expired).await;
        expired + self.divert_spent(rules, diverted).await
    }

    /// Ends messages that cannot be read.
    pub(super) async fn end_damaged(&self, rules: &Rules<'_>, damaged: &[DeliveryRow]) -> usize {
        for row in damaged {
            tracing::error!(
                delivery = %row.id,
                queue = %rules.queue.meta.name,
                "a queue's message is damaged; it is given up"
            );
        }
        self.end(rules, damaged, Settle::Dead).await
    }

    async fn end(&self, rules: &Rules<'_>, rows: &[DeliveryRow], to: Settle) -> usize {
        if rows.is_empty() {
            return 0;
        }
        let settlement = |row: &DeliveryRow| Settlement {
            token: row.token(),
            to: to.clone(),
            at: rules.now,
            attempt: None,
            unlogged: true,
            known_as: Vec::new(),
        };
        let settled = self.store.settle(rows.iter().map(settlement).collect());
        let settled = match settled.await {
            Ok(settled) => settled,
            Err(error) => {
                self.not_ended(rules, &error);
                return 0;
            }
        };
        let mut ended = 0;
        for settled in settled {
            if let Settled::Done { row, promoted } = settled {
                ended += 1;
                self.arrived(promoted.as_slice());
                match row.state {
                    DeliveryState::Expired => self.metrics.queue_expired(row.group, 1),
                    _ => self.metrics.dead(row.topic, row.channel),
                }
            }
        }
        ended
    }

    async fn divert_spent(self: &Arc<Self>, rules: &Rules<'_>, rows: Vec<DeliveryRow>) -> usize {
        let Some((to, _)) = rules.dead_letter.filter(|_| !rows.is_empty()) else {
            return 0;
        };
        let lanes = match self.lanes(to, &rows).await {
            Ok(lanes) => lanes,
            Err(error) => {
                self.not_ended(rules, &error);
                return 0;
            }
        };
        let (known, damaged): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| lanes.contains_key(&row.id.num()));
        let diversion = |row: &DeliveryRow| Diversion {
            token: row.token(),
            to: into_queue(to, lanes[&row.id.num()], row, rules.now),
            at: rules.now,
        };
        let ended = self.end_damaged(rules, &damaged).await;
        if known.is_empty() {
            return ended;
        }
        let moved = match self.divert(known.iter().map(diversion).collect()).await {
            Ok(moved) => moved.iter().flatten().count(),
            Err(error) => {
                self.not_ended(rules, &error);
                return ended;
            }
        };
        let queue = rules.queue.meta.id;
        self.metrics.queue_dead_lettered(queue, moved);
        if known.iter().any(|row| row.lane.is_some()) {
            // Those behind them are the heads of their lanes now.
            self.wake(queue, moved);
        }
        ended + moved
    }

    /// The lane of each row's message in another queue. A message that cannot be read has no entry.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn lanes(
        &self,
        to: &QueueEntry,
        rows: &[DeliveryRow],
    ) -> Result<HashMap<Num, Option<Lane>>, StoreError> {
        let nums = rows.iter().map(|row| row.id.num());
        if to.spec.ordering == QueueOrdering::None {
            return Ok(nums.map(|num| (num, None)).collect());
        }
        let mut lanes = HashMap::with_capacity(rows.len());
        for num in nums {
            // One by one: a damaged one must not hide the others.
            let message = match self.store.messages(vec![num]).await {
                Ok(mut found) => found.pop(),
                Err(StoreError::Corrupt(_)) => None,
                Err(error) => return Err(error),
            };
            let message = message.and_then(|row| Message::from_json(&row.document).ok());
            if let Some(message) = message {
                lanes.insert(num, lane_in(to, &message.header));
            }
        }
        Ok(lanes)
    }

    fn not_ended(&self, rules: &Rules<'_>, error: &StoreError) {
        let queue = &rules.queue.meta.name;
        tracing::warn!(%queue, %error, "messages that the queue gives no more could not be moved or ended yet");
    }
}

/// Another delivery of a row's message, into a queue.
pub(crate) fn into_queue(
    to: &QueueEntry,
    lane: Option<Lane>,
    row: &DeliveryRow,
    now: Timestamp,
) -> NewDelivery {
    NewDelivery {
        group: to.meta.id,
        channel: to.meta.id,
        target: None,
        lane,
        due: now,
        scheduled: false,
        expires_at: row.expires_at,
    }
}
