//! Settling, re-opening and cancelling deliveries: lanes, promotion and the attempts log, all in the transaction.

use std::collections::HashSet;

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::delivery::DeliveryState;
use anser_core::id::DeliveryId;
use anser_core::store::{DeliveryRow, Group, Settled, Settlement};
use rusqlite::params;

use super::Session;
use crate::sqlite::attempts;
use crate::sqlite::failure::Failure;
use crate::sqlite::row::{self, StoredDelivery};
use crate::transition::{self, LaneMove};

/// Bytes after which a record of the attempts log is closed and the next one begun.
const LOG_RECORD_BYTES_MAX: usize = 256 * 1024;
/// The order in which a group is cancelled: those behind heads first, so that nobody is promoted for nothing.
const CANCEL_ORDER: [DeliveryState; 3] = [
    DeliveryState::Waiting,
    DeliveryState::Pending,
    DeliveryState::Retrying,
];

/// A group's unfinished deliveries in one state.
pub(in crate::sqlite) const OPEN_OF_GROUP: &str = "SELECT id FROM delivery INDEXED BY delivery_open \
             WHERE grp = ?1 AND state = ?2 AND state < 3 ORDER BY due, id";

/// The record of the attempts log under construction.
#[derive(Debug, Default)]
pub(super) struct LogRecord {
    data: Vec<u8>,
    count: u32,
    newest: Timestamp,
}

impl LogRecord {
    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.count = 0;
        self.newest = Timestamp::EPOCH;
    }
}

impl Session<'_> {
    pub(super) fn settle(&mut self, settlements: &[Settlement]) -> Result<Vec<Settled>, Failure> {
        settlements
            .iter()
            .map(|settlement| self.settle_one(settlement))
            .collect()
    }

    fn settle_one(&mut self, settlement: &Settlement) -> Result<Settled, Failure> {
        let Some(before) = self.delivery(settlement.token.delivery)? else {
            return Ok(Settled::Fenced);
        };
        let Some((row, moved)) = transition::settled(&before.row, settlement) else {
            return Ok(Settled::Fenced);
        };
        let mut after = StoredDelivery {
            row,
            pos: before.pos,
            log: before.log,
        };
        match moved {
            LaneMove::Stay => {}
            LaneMove::Leave => after.pos = None,
            LaneMove::Join => {
                let pos = self.last_place()?;
                self.join_lane(&mut after, pos)?;
            }
        }
        if let Some(attempt) = settlement.attempt.as_ref().filter(|_| !settlement.unlogged) {
            after.log = self.log_attempt(after.row.id, before.log, attempt, settlement.at)?;
        }
        self.update(&before, &after)?;
        self.put_copies(after.row.id.num(), &settlement.known_as)?;
        let promoted = self.promote(&before, &after, settlement.at)?;
        Ok(Settled::Done {
            row: after.row,
            promoted,
        })
    }

    /// Puts a delivery at a place of its lane; it is `Waiting` unless the lane is empty.
    pub(super) fn join_lane(
        &mut self,
        delivery: &mut StoredDelivery,
        pos: u64,
    ) -> Result<(), Failure> {
        let Some(lane) = delivery.row.lane else {
            return Ok(());
        };
        if self.head(lane)?.is_some() {
            delivery.row.state = DeliveryState::Waiting;
        }
        delivery.pos = Some(pos);
        Ok(())
    }

    /// Makes the next of the lane its head when its head has left.
    pub(super) fn promote(
        &mut self,
        before: &StoredDelivery,
        after: &StoredDelivery,
        at: Timestamp,
    ) -> Result<Option<DeliveryRow>, Failure> {
        let left = before.pos.is_some() && after.pos.is_none();
        let (Some(lane), true) = (
            before.row.lane,
            left && before.row.state != DeliveryState::Waiting,
        ) else {
            return Ok(None);
        };
        let Some(waiting) = self
            .head(lane)?
            .filter(|head| head.row.state == DeliveryState::Waiting)
        else {
            return Ok(None);
        };
        let head = StoredDelivery {
            row: transition::promoted(&waiting.row, at),
            ..waiting.clone()
        };
        self.update(&waiting, &head)?;
        Ok(Some(head.row))
    }

    fn head(&mut self, lane: u64) -> Result<Option<StoredDelivery>, Failure> {
        let mut rows = self.statements.lane_head.query([lane.cast_signed()])?;
        rows.next()?.map(row::delivery).transpose()
    }

    pub(super) fn delivery(&mut self, id: DeliveryId) -> Result<Option<StoredDelivery>, Failure> {
        let mut rows = self
            .statements
            .delivery
            .query([id.as_u64().cast_signed()])?;
        rows.next()?.map(row::delivery).transpose()
    }

    pub(super) fn update(
        &mut self,
        before: &StoredDelivery,
        after: &StoredDelivery,
    ) -> Result<(), Failure> {
        let row = &after.row;
        let (id, sum) = (row.id.as_u64().cast_signed(), row::delivery_sum(after));
        let placed = |delivery: &StoredDelivery| {
            (
                delivery.row.lane,
                delivery.pos,
                delivery.row.attempts_before,
            )
        };
        if placed(before) == placed(after) {
            self.statements.update_delivery.execute(params![
                id,
                row.state.code(),
                row.due.millis(),
                row::millis(row.first_attempt),
                row.attempts,
                row::flags(row),
                row.checkpoint.as_deref(),
                after.log.cast_signed(),
                sum,
            ])?;
        } else {
            self.statements.move_delivery.execute(params![
                id,
                row.state.code(),
                row.due.millis(),
                row::millis(row.first_attempt),
                row.attempts,
                row::flags(row),
                row.checkpoint.as_deref(),
                after.log.cast_signed(),
                sum,
                row.lane.map(u64::cast_signed),
                after.pos.map(u64::cast_signed),
                row.attempts_before,
            ])?;
        }
        self.changes.note(Some(&before.row), Some(row));
        Ok(())
    }

    /// Re-opens or brings forward; see [`transition::reopened`].
    pub(super) fn reopen(
        &mut self,
        id: DeliveryId,
        due: Timestamp,
    ) -> Result<Option<DeliveryRow>, Failure> {
        let Some(before) = self.delivery(id)? else {
            return Ok(None);
        };
        let Some(row) = transition::reopened(&before.row, due) else {
            return Ok(None);
        };
        let after = StoredDelivery {
            row,
            ..before.clone()
        };
        self.update(&before, &after)?;
        Ok(Some(after.row))
    }

    /// Cancels unfinished deliveries of a group; see [`CANCEL_ORDER`].
    pub(super) fn cancel_group(
        &mut self,
        group: Group,
        keep: &[DeliveryId],
        at: Timestamp,
        limit: usize,
    ) -> Result<usize, Failure> {
        let keep: HashSet<DeliveryId> = keep.iter().copied().collect();
        let mut cancelled = 0;
        for state in CANCEL_ORDER {
            let found = self.open_of(group, state, &keep, limit - cancelled)?;
            for id in found {
                let Some(before) = self.delivery(id)? else {
                    return Err(Failure::Corrupt(format!(
                        "delivery {} is in an index only",
                        id.as_u64()
                    )));
                };
                let mut after = before.clone();
                transition::finish(&mut after.row, DeliveryState::Cancelled, at);
                after.pos = None;
                self.update(&before, &after)?;
                self.promote(&before, &after, at)?;
                cancelled += 1;
            }
        }
        Ok(cancelled)
    }

    fn open_of(
        &self,
        group: Group,
        state: DeliveryState,
        keep: &HashSet<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeliveryId>, Failure> {
        let mut statement = self.connection.prepare_cached(OPEN_OF_GROUP)?;
        let mut rows = statement.query(params![group.0.cast_signed(), state.code()])?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let id = DeliveryId::from_u64(row.get::<_, i64>(0)?.cast_unsigned());
            if !keep.contains(&id) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Adds an attempt to the record of this commit and answers its number.
    fn log_attempt(
        &mut self,
        delivery: DeliveryId,
        before: u64,
        attempt: &Attempt,
        at: Timestamp,
    ) -> Result<u64, Failure> {
        let number = self.counters.log + 1;
        attempts::push(&mut self.log.data, delivery, before, attempt);
        self.log.count += 1;
        self.log.newest = self.log.newest.max(at);
        if self.log.data.len() >= LOG_RECORD_BYTES_MAX {
            self.flush_log()?;
        }
        Ok(number)
    }

    /// Writes the record under construction, if it holds anything.
    pub(super) fn flush_log(&mut self) -> Result<(), Failure> {
        if self.log.count == 0 {
            return Ok(());
        }
        let number = self.counters.log + 1;
        self.statements.insert_log.execute(params![
            number.cast_signed(),
            self.log.newest.millis(),
            self.log.count,
            self.log.data,
            row::log_sum(number, self.log.newest, self.log.count, &self.log.data),
        ])?;
        self.counters.log = number;
        self.log.clear();
        Ok(())
    }
}
