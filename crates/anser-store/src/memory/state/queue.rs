//! What the model does with queues: leases, acknowledgements, diversions, rewinds, counts.

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::DeliveryId;
use anser_core::store::{
    Acknowledged, Acknowledgement, DeliveryRow, Diversion, Group, Lease, Leased, LeasedDelivery,
    QueueCounts, Result, Rewind, RewindCursor, Rewound, SPENT_LOOK_MAX,
};

use super::State;
use crate::transition::{self, LEASE_MOVES_MAX, LaneMove, Origin};

impl State {
    pub(in crate::memory) fn lease(&mut self, lease: &Lease) -> Leased {
        let mut found = if lease.max == 0 {
            self.look(lease)
        } else {
            self.take_due(lease)
        };
        found.next_due = self
            .received_or_not(lease.queue)
            .filter(|(due, _)| *due > lease.now)
            .map(|(due, _)| due)
            .min();
        found
    }

    /// Tells spent ones without leasing any.
    fn look(&self, lease: &Lease) -> Leased {
        let mut front: Vec<&DeliveryRow> = Vec::new();
        for state in [DeliveryState::Pending, DeliveryState::Retrying] {
            let due = self
                .open_of(lease.queue, state)
                .filter(|(_, _, due, _)| *due <= lease.now);
            front.extend(
                due.take(SPENT_LOOK_MAX)
                    .map(|(_, _, _, id)| &self.deliveries[&id]),
            );
        }
        let looked = front.len();
        front.retain(|row| transition::is_spent(row, lease));
        front.sort_unstable_by_key(|row| (row.due, row.id));
        let spent: Vec<DeliveryRow> = front.into_iter().take(lease.spent_max).cloned().collect();
        Leased {
            more: looked > spent.len(),
            spent,
            ..Leased::default()
        }
    }

    fn take_due(&mut self, lease: &Lease) -> Leased {
        let mut found = Leased::default();
        let mut moved = 0;
        for id in self.due_of(lease) {
            if found.deliveries.len() >= lease.max || moved >= LEASE_MOVES_MAX {
                found.more = true;
                break;
            }
            let mut row = self.deliveries[&id].clone();
            if transition::is_spent(&row, lease) {
                if found.spent.len() >= lease.spent_max {
                    found.more = true;
                    break;
                }
                found.spent.push(row);
                continue;
            }
            if row.scheduled && row.lane.is_some() && !self.places.contains_key(&id) {
                row.scheduled = false;
                let pos = DeliveryId::new(self.next_num(), 0).as_u64();
                self.join(&mut row, pos);
                if row.state == DeliveryState::Waiting {
                    self.put(row);
                    moved += 1;
                    continue;
                }
            }
            let row = transition::leased(row, lease);
            self.put(row.clone());
            let message = self.messages.get(&id.num()).map(|kept| kept.row.clone());
            found.deliveries.push(LeasedDelivery { row, message });
        }
        found
    }

    /// A queue's deliveries that are not behind a head.
    fn received_or_not(&self, queue: Group) -> impl Iterator<Item = (Timestamp, DeliveryId)> + '_ {
        [DeliveryState::Pending, DeliveryState::Retrying]
            .into_iter()
            .flat_map(move |state| self.open_of(queue, state))
            .map(|(_, _, due, id)| (due, id))
    }

    fn due_of(&self, lease: &Lease) -> Vec<DeliveryId> {
        let mut due: Vec<(Timestamp, DeliveryId)> = self
            .received_or_not(lease.queue)
            .filter(|(due, _)| *due <= lease.now)
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    pub(in crate::memory) fn acknowledge(
        &mut self,
        acknowledgements: &[Acknowledgement],
    ) -> Vec<Acknowledged> {
        acknowledgements
            .iter()
            .map(|acknowledgement| self.acknowledge_one(acknowledgement))
            .collect()
    }

    fn acknowledge_one(&mut self, acknowledgement: &Acknowledgement) -> Acknowledged {
        let delivery = acknowledgement.receipt.delivery();
        let Some(before) = self.deliveries.get(&delivery).cloned() else {
            return Acknowledged::Void;
        };
        let Some((row, moved)) = transition::acknowledged(&before, acknowledgement) else {
            return Acknowledged::Void;
        };
        let promoted =
            moved == LaneMove::Leave && self.leave(&before, acknowledgement.at).is_some();
        self.put(row.clone());
        Acknowledged::Done { row, promoted }
    }

    pub(in crate::memory) fn divert(
        &mut self,
        diversions: &[Diversion],
    ) -> Result<Vec<Option<DeliveryRow>>> {
        diversions
            .iter()
            .map(|diversion| self.divert_one(diversion))
            .collect()
    }

    fn divert_one(&mut self, diversion: &Diversion) -> Result<Option<DeliveryRow>> {
        let Some(before) = self.deliveries.get(&diversion.token.delivery).cloned() else {
            return Ok(None);
        };
        let Some(row) = transition::diverted(&before, diversion) else {
            return Ok(None);
        };
        let num = before.id.num();
        let index = self.next_index(num, 1)?;
        self.leave(&before, diversion.at);
        self.put(row);
        let pos = DeliveryId::new(self.next_num(), 0).as_u64();
        let id = DeliveryId::new(num, index);
        Ok(Some(self.create(
            id,
            pos,
            &diversion.to,
            Origin::of(&before),
        )))
    }

    pub(in crate::memory) fn rewind(&mut self, rewind: &Rewind) -> Rewound {
        let mut rewound = Rewound::default();
        let mut looked = rewind.after;
        let mut left = rewind.limit;
        for (cursor, row) in self.rewindable(rewind) {
            if left == 0 {
                rewound.next = looked;
                break;
            }
            left -= 1;
            looked = Some(cursor);
            if let Some(row) = transition::rewound(&row, rewind) {
                self.put(row);
                rewound.count += 1;
            }
        }
        rewound
    }

    fn rewindable(&self, rewind: &Rewind) -> Vec<(RewindCursor, DeliveryRow)> {
        let rows = self.deliveries.values().filter(|row| {
            row.group == rewind.queue && row.rewindable && row.due >= rewind.ended_from
        });
        let mut found: Vec<(RewindCursor, DeliveryRow)> = rows
            .map(|row| {
                let cursor = RewindCursor {
                    ended: row.due,
                    delivery: row.id,
                };
                (cursor, row.clone())
            })
            .filter(|(cursor, _)| rewind.after.is_none_or(|after| *cursor > after))
            .collect();
        found.sort_unstable_by_key(|(cursor, _)| *cursor);
        found
    }

    pub(in crate::memory) fn queue_counts(
        &self,
        queue: Group,
        now: Timestamp,
        ended_from: Timestamp,
    ) -> QueueCounts {
        let mut counts = QueueCounts::default();
        let mut oldest: Option<&DeliveryRow> = None;
        for row in self.deliveries.values().filter(|row| row.group == queue) {
            match row.state {
                DeliveryState::Waiting => counts.active += 1,
                DeliveryState::Pending | DeliveryState::Retrying if row.due <= now => {
                    counts.active += 1;
                }
                DeliveryState::Retrying if !row.scheduled => counts.leased += 1,
                DeliveryState::Pending | DeliveryState::Retrying => counts.delayed += 1,
                DeliveryState::Delivered if row.rewindable && row.due >= ended_from => {
                    counts.rewindable += 1;
                }
                _ => {}
            }
            if !row.state.is_final() {
                oldest = oldest.or(Some(row));
            }
        }
        counts.oldest = oldest.map(|row| row.accepted);
        counts
    }
}
