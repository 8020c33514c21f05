//! How many deliveries of a queue are in which state: counted in the indexes, except for those that are due later after a
//! receive, whose flags tell a lease from a delay. Must not write.

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::store::{Group, QueueCounts};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;

/// A queue's unfinished deliveries in a state, due behind one time and by another, and the lowest number among them.
pub(super) const COUNT_OPEN: &str = "SELECT count(*), min(id) FROM delivery INDEXED BY delivery_open \
    WHERE grp = ?1 AND state = ?2 AND state < 3 AND due > ?3 AND due <= ?4";

/// As [`COUNT_OPEN`] for those that were received; `flags & 1` is set in those given back with a delay.
pub(super) const COUNT_DELAYED: &str = "SELECT count(*), min(id), count(*) FILTER (WHERE flags & 1) \
    FROM delivery INDEXED BY delivery_open WHERE grp = ?1 AND state = 1 AND state < 3 AND due > ?2";

/// A queue's deliveries that were acknowledged at or after a time and can be rewound.
pub(super) const COUNT_REWINDABLE: &str = "SELECT count(*) FROM delivery INDEXED BY delivery_rewind \
    WHERE grp = ?1 AND flags & 16 AND due >= ?2";

pub(super) fn queue_counts(
    connection: &Connection,
    queue: Group,
    now: Timestamp,
    ended_from: Timestamp,
) -> Result<QueueCounts, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let (queue, now) = (queue.0.cast_signed(), now.millis());
    let mut open = snapshot.prepare_cached(COUNT_OPEN)?;
    let mut count = |state: DeliveryState, after: i64, until: i64| {
        open.query_row(params![queue, state.code(), after, until], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })
    };
    let waiting = count(DeliveryState::Waiting, i64::MIN, i64::MAX)?;
    let fresh = count(DeliveryState::Pending, i64::MIN, now)?;
    let returned = count(DeliveryState::Retrying, i64::MIN, now)?;
    let scheduled = count(DeliveryState::Pending, now, i64::MAX)?;
    let (received, first, given_back): (i64, Option<i64>, i64) = snapshot
        .prepare_cached(COUNT_DELAYED)?
        .query_row(params![queue, now], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let rewindable: i64 = snapshot
        .prepare_cached(COUNT_REWINDABLE)?
        .query_row(params![queue, ended_from.millis()], |row| row.get(0))?;
    let oldest = [waiting.1, fresh.1, returned.1, scheduled.1, first];
    Ok(QueueCounts {
        active: (waiting.0 + fresh.0 + returned.0).cast_unsigned(),
        leased: (received - given_back).cast_unsigned(),
        delayed: (scheduled.0 + given_back).cast_unsigned(),
        rewindable: rewindable.cast_unsigned(),
        oldest: accepted(&snapshot, oldest.into_iter().flatten().min())?,
    })
}

/// When the message of a delivery was accepted.
fn accepted(connection: &Connection, id: Option<i64>) -> Result<Option<Timestamp>, Failure> {
    let accepted: Option<i64> = connection
        .prepare_cached("SELECT accepted FROM delivery WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(accepted.map(Timestamp::from_millis))
}
