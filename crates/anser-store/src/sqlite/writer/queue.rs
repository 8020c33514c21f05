//! Queues: leasing what is due with its messages, acknowledging it, moving it to another queue, and taking back what was
//! acknowledged, all in the transaction. A damaged row or message never keeps a consumer from the others.

use std::collections::HashSet;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num};
use anser_core::store::{
    Acknowledged, Acknowledgement, DeliveryRow, Diversion, Group, Lease, Leased, LeasedDelivery,
    MessageRow, Rewind, RewindCursor, Rewound, SPENT_LOOK_MAX,
};
use rusqlite::{Row, params};

use super::Session;
use crate::sqlite::failure::Failure;
use crate::sqlite::row::{self, StoredDelivery, delivery_columns};
use crate::transition::{self, LEASE_MOVES_MAX, LaneMove, Origin};

/// Damaged deliveries that are remembered, so that each is logged once.
const DAMAGED_MAX: usize = 1_000;
/// How far a clock may have been set back between a message and its acknowledgement and a rewind still find it. It need
/// not look at what was acknowledged earlier than the messages it is for.
const CLOCK_BACK_MAX: Duration = Duration::from_secs(3600);

/// A queue's deliveries due by a time, in the order in which they are leased, behind a due time and number.
pub(in crate::sqlite) const DUE_OF_QUEUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_open \
     WHERE grp = ?1 AND state = 0 AND state < 3 AND due <= ?2 AND (due, id) > (?3, ?4) UNION ALL SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_open \
     WHERE grp = ?1 AND state = 1 AND state < 3 AND due <= ?2 AND (due, id) > (?3, ?4) ORDER BY due, id"
);

/// A queue's deliveries of one state due by a time, from the front.
pub(in crate::sqlite) const FRONT_OF_QUEUE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_open \
     WHERE grp = ?1 AND state = ?2 AND state < 3 AND due <= ?3 ORDER BY due, id LIMIT ?4"
);

/// When the next of a queue is due.
pub(in crate::sqlite) const NEXT_DUE_OF_QUEUE: &str = "SELECT due FROM delivery INDEXED BY delivery_open \
     WHERE grp = ?1 AND state = 0 AND state < 3 AND due > ?2 UNION ALL \
     SELECT due FROM delivery INDEXED BY delivery_open \
     WHERE grp = ?1 AND state = 1 AND state < 3 AND due > ?2 ORDER BY due LIMIT 1";

/// A queue's acknowledged deliveries that can be rewound, by the time of their acknowledgement.
pub(in crate::sqlite) const REWINDABLE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_rewind \
     WHERE grp = ?1 AND flags & 16 AND (due, id) > (?2, ?3) ORDER BY due, id"
);

/// Where a lease has come to: it goes on behind this due time and number.
#[derive(Clone, Copy)]
struct Place(i64, i64);

impl Place {
    const FIRST: Self = Self(-1, 0);

    fn of(row: &DeliveryRow) -> Self {
        Self(row.due.millis(), row.id.as_u64().cast_signed())
    }
}

impl Session<'_> {
    /// Leases what is due, a run of rows at a time: first read, then changed, since a row must not move in an index that
    /// is being read.
    pub(super) fn lease(&mut self, lease: &Lease) -> Result<Leased, Failure> {
        let mut found = if lease.max == 0 {
            self.look(lease)?
        } else {
            self.take_due(lease)?
        };
        found.next_due = self.next_due_of(lease.queue, lease.now)?;
        Ok(found)
    }

    /// Tells spent ones without leasing any.
    fn look(&mut self, lease: &Lease) -> Result<Leased, Failure> {
        let (mut spent, mut looked) = (Vec::new(), 0);
        for state in [DeliveryState::Pending, DeliveryState::Retrying] {
            let front = self.front(lease, state)?;
            looked += front.len();
            spent.extend(
                front
                    .into_iter()
                    .filter(|row| transition::is_spent(row, lease)),
            );
        }
        spent.sort_unstable_by_key(|row| (row.due, row.id));
        spent.truncate(lease.spent_max);
        Ok(Leased {
            more: looked > spent.len(),
            spent,
            ..Leased::default()
        })
    }

    fn front(&mut self, lease: &Lease, state: DeliveryState) -> Result<Vec<DeliveryRow>, Failure> {
        let mut statement = self.connection.prepare_cached(FRONT_OF_QUEUE)?;
        let most = i64::try_from(SPENT_LOOK_MAX).unwrap_or(i64::MAX);
        let (queue, now) = (lease.queue.0.cast_signed(), lease.now.millis());
        let mut rows = statement.query(params![queue, state.code(), now, most])?;
        let mut front = Vec::new();
        while let Some(row) = rows.next()? {
            front.extend(sound(row, lease.queue, &mut self.damaged)?.map(|stored| stored.row));
        }
        Ok(front)
    }

    fn take_due(&mut self, lease: &Lease) -> Result<Leased, Failure> {
        let mut found = Leased::default();
        let (mut moved, mut place) = (0, Place::FIRST);
        'due: loop {
            // One more than can be leased tells whether there are more.
            let run = (lease.max - found.deliveries.len()).saturating_add(1);
            let due = self.due(lease, place, run)?;
            let ended = due.len() < run;
            for delivery in due {
                place = Place::of(&delivery.row);
                if found.deliveries.len() >= lease.max || moved >= LEASE_MOVES_MAX {
                    found.more = true;
                    break 'due;
                }
                if transition::is_spent(&delivery.row, lease) {
                    if found.spent.len() >= lease.spent_max {
                        found.more = true;
                        break 'due;
                    }
                    found.spent.push(delivery.row);
                    continue;
                }
                match self.lease_one(delivery, lease)? {
                    Some(leased) => found.deliveries.push(leased),
                    None => moved += 1,
                }
            }
            if ended {
                break;
            }
        }
        Ok(found)
    }

    /// The next `run` due deliveries behind a place, without the damaged ones.
    fn due(
        &mut self,
        lease: &Lease,
        behind: Place,
        run: usize,
    ) -> Result<Vec<StoredDelivery>, Failure> {
        let mut rows = self.statements.due_of_queue.query(params![
            lease.queue.0.cast_signed(),
            lease.now.millis(),
            behind.0,
            behind.1,
        ])?;
        let mut due = Vec::new();
        while due.len() < run
            && let Some(found) = rows.next()?
        {
            due.extend(sound(found, lease.queue, &mut self.damaged)?);
        }
        Ok(due)
    }

    /// Leases one delivery; `None` when it was scheduled and goes behind the head of its lane.
    fn lease_one(
        &mut self,
        before: StoredDelivery,
        lease: &Lease,
    ) -> Result<Option<LeasedDelivery>, Failure> {
        let mut after = before.clone();
        if after.row.scheduled && after.row.lane.is_some() && after.pos.is_none() {
            after.row.scheduled = false;
            let pos = self.last_place()?;
            self.join_lane(&mut after, pos)?;
            if after.row.state == DeliveryState::Waiting {
                self.update(&before, &after)?;
                return Ok(None);
            }
        }
        after.row = transition::leased(after.row, lease);
        self.update(&before, &after)?;
        let message = self.message_of(after.row.id.num())?;
        Ok(Some(LeasedDelivery {
            row: after.row,
            message,
        }))
    }

    /// A delivery's message; `None` when it is damaged.
    fn message_of(&mut self, num: Num) -> Result<Option<MessageRow>, Failure> {
        let mut rows = self.statements.message.query([num.0.cast_signed()])?;
        let read = match rows.next() {
            Ok(found) => found.map(row::message).transpose(),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(message) => Ok(message.map(|stored| stored.row)),
            Err(failure) if failure.is_damage() => {
                tracing::error!(num = num.0, %failure, "a message cannot be handed out");
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    fn next_due_of(&mut self, queue: Group, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let mut rows = self
            .statements
            .next_due_of_queue
            .query(params![queue.0.cast_signed(), now.millis()])?;
        let due: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(due.map(Timestamp::from_millis))
    }

    pub(super) fn acknowledge(
        &mut self,
        acknowledgements: &[Acknowledgement],
    ) -> Result<Vec<Acknowledged>, Failure> {
        acknowledgements
            .iter()
            .map(|acknowledgement| self.acknowledge_one(acknowledgement))
            .collect()
    }

    fn acknowledge_one(
        &mut self,
        acknowledgement: &Acknowledgement,
    ) -> Result<Acknowledged, Failure> {
        let Some(before) = self.delivery(acknowledgement.receipt.delivery())? else {
            return Ok(Acknowledged::Void);
        };
        let Some((row, moved)) = transition::acknowledged(&before.row, acknowledgement) else {
            return Ok(Acknowledged::Void);
        };
        let after = StoredDelivery {
            row,
            pos: before.pos.filter(|_| moved == LaneMove::Stay),
            log: before.log,
        };
        self.update(&before, &after)?;
        let promoted = self.promote(&before, &after, acknowledgement.at)?.is_some();
        Ok(Acknowledged::Done {
            row: after.row,
            promoted,
        })
    }

    pub(super) fn divert(
        &mut self,
        diversions: &[Diversion],
    ) -> Result<Vec<Option<DeliveryRow>>, Failure> {
        diversions
            .iter()
            .map(|diversion| self.divert_one(diversion))
            .collect()
    }

    fn divert_one(&mut self, diversion: &Diversion) -> Result<Option<DeliveryRow>, Failure> {
        let Some(before) = self.delivery(diversion.token.delivery)? else {
            return Ok(None);
        };
        let Some(row) = transition::diverted(&before.row, diversion) else {
            return Ok(None);
        };
        let after = StoredDelivery {
            row,
            pos: None,
            log: before.log,
        };
        self.update(&before, &after)?;
        self.promote(&before, &after, diversion.at)?;
        let message = before.row.id.num();
        let id = DeliveryId::new(message, self.next_index(message, 1)?);
        let pos = self.last_place()?;
        let made = self.create_delivery(id, pos, &diversion.to, Origin::of(&before.row))?;
        Ok(Some(made))
    }

    pub(super) fn rewind(&mut self, rewind: &Rewind) -> Result<Rewound, Failure> {
        let mut rewound = Rewound::default();
        let mut run = self.rewindable(rewind)?;
        if run.len() > rewind.limit {
            run.truncate(rewind.limit);
            rewound.next = run.last().map_or(rewind.after, |last| {
                Some(RewindCursor {
                    ended: last.row.due,
                    delivery: last.row.id,
                })
            });
        }
        for before in run {
            if let Some(row) = transition::rewound(&before.row, rewind) {
                let after = StoredDelivery {
                    row,
                    ..before.clone()
                };
                self.update(&before, &after)?;
                rewound.count += 1;
            }
        }
        Ok(rewound)
    }

    /// The deliveries that a step looks at, and one more when there are more.
    fn rewindable(&mut self, rewind: &Rewind) -> Result<Vec<StoredDelivery>, Failure> {
        let from = rewind
            .ended_from
            .max(rewind.accepted_from.minus(CLOCK_BACK_MAX));
        let behind = rewind
            .after
            .map_or(Place(from.millis() - 1, i64::MAX), |after| {
                Place(after.ended.millis(), after.delivery.as_u64().cast_signed())
            });
        let mut statement = self.connection.prepare_cached(REWINDABLE)?;
        let mut rows =
            statement.query(params![rewind.queue.0.cast_signed(), behind.0, behind.1,])?;
        let mut found = Vec::new();
        while found.len() <= rewind.limit
            && let Some(row) = rows.next()?
        {
            found.extend(sound(row, rewind.queue, &mut self.damaged)?);
        }
        Ok(found)
    }
}

/// The delivery in a row; `None` when it is damaged, which is logged the first time.
fn sound(
    row: &Row<'_>,
    queue: Group,
    damaged: &mut HashSet<i64>,
) -> Result<Option<StoredDelivery>, Failure> {
    match row::delivery(row) {
        Ok(delivery) => Ok(Some(delivery)),
        Err(Failure::Corrupt(what)) => {
            if damaged.len() < DAMAGED_MAX && damaged.insert(row.get(0)?) {
                tracing::error!(
                    queue = queue.0,
                    "{what}: it is passed over and stays in its queue"
                );
            }
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}
