//! What a delivery becomes when it is made, settled or re-opened: pure functions on one row, the same for every store.
//! Lanes, indexes and durability are the stores' own.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, ResourceId};
use anser_core::store::{
    Acknowledge, Acknowledgement, DeliveryRow, Diversion, Lease, NewDelivery, Rewind, Settle,
    Settlement,
};

/// Scheduled deliveries that one lease moves behind the heads of their lanes before it ends early.
pub(crate) const LEASE_MOVES_MAX: usize = 1_000;
/// The shortest lease: with none at all one call would get the same delivery twice.
const LEASE_MIN: Duration = Duration::from_millis(1);

/// What happens to a delivery's place in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneMove {
    /// It keeps the place it has, if it has one.
    Stay,
    /// It gives up its place.
    Leave,
    /// It goes to the end; the store makes it `Waiting` unless the lane is empty.
    Join,
}

/// The message a new delivery belongs to, as far as its row repeats it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) topic: ResourceId,
    pub(crate) accepted: Timestamp,
    pub(crate) bytes: u32,
}

impl Origin {
    /// As another delivery of the message repeats it.
    pub(crate) const fn of(row: &DeliveryRow) -> Self {
        Self {
            topic: row.topic,
            accepted: row.accepted,
            bytes: row.bytes,
        }
    }
}

/// The row of a new delivery, `Pending`; and whether it takes a place in its lane now.
pub(crate) fn created(id: DeliveryId, new: &NewDelivery, origin: Origin) -> (DeliveryRow, bool) {
    let row = DeliveryRow {
        id,
        topic: origin.topic,
        group: new.group,
        channel: new.channel,
        target: new.target.clone(),
        lane: new.lane,
        state: DeliveryState::Pending,
        due: new.due,
        expires_at: new.expires_at,
        accepted: origin.accepted,
        first_attempt: None,
        attempts: 0,
        attempts_before: 0,
        scheduled: new.scheduled,
        ordered: true,
        possible_duplicate: None,
        checkpoint: None,
        bytes: origin.bytes,
        rewindable: false,
    };
    let joins = row.lane.is_some() && !row.scheduled;
    (row, joins)
}

/// The row after a settlement and its move in its lane; `None` when the token is stale or the row can no longer become
/// what is asked (a final one nothing, one behind its head no retry, one that has joined no second joining).
pub(crate) fn settled(
    row: &DeliveryRow,
    settlement: &Settlement,
) -> Option<(DeliveryRow, LaneMove)> {
    if row.token() != settlement.token {
        return None;
    }
    if settlement.to == Settle::Note {
        return Some((row.clone(), LaneMove::Stay));
    }
    if row.state.is_final() {
        return None;
    }
    let mut next = row.clone();
    if let Some(attempt) = &settlement.attempt {
        next.first_attempt = next.first_attempt.or(Some(attempt.started));
        if !matches!(settlement.to, Settle::Park { .. } | Settle::Join) {
            next.attempts = next.attempts.saturating_add(1);
        }
    }
    let waiting = row.state == DeliveryState::Waiting;
    let moved = match &settlement.to {
        Settle::Delivered => {
            next.checkpoint = None;
            next.possible_duplicate = None;
            finish(&mut next, DeliveryState::Delivered, settlement.at)
        }
        Settle::Dead => finish(&mut next, DeliveryState::Dead, settlement.at),
        Settle::Expired => finish(&mut next, DeliveryState::Expired, settlement.at),
        Settle::Cancelled => finish(&mut next, DeliveryState::Cancelled, settlement.at),
        Settle::Retry {
            at,
            possible_duplicate,
            checkpoint,
        } if !waiting => {
            next.state = DeliveryState::Retrying;
            next.due = *at;
            next.possible_duplicate = *possible_duplicate;
            next.checkpoint.clone_from(checkpoint);
            LaneMove::Stay
        }
        Settle::Park {
            at,
            possible_duplicate,
            checkpoint,
        } if !waiting => {
            next.due = *at;
            next.possible_duplicate = *possible_duplicate;
            next.checkpoint.clone_from(checkpoint);
            LaneMove::Stay
        }
        // One that was given back with a delay is scheduled as well, and keeps its place.
        Settle::Join if row.scheduled && row.state == DeliveryState::Pending => {
            next.scheduled = false;
            if row.lane.is_some() {
                LaneMove::Join
            } else {
                LaneMove::Stay
            }
        }
        Settle::Retry { .. } | Settle::Park { .. } | Settle::Join | Settle::Note => return None,
    };
    Some((next, moved))
}

/// Makes a row final.
pub(crate) fn finish(row: &mut DeliveryRow, state: DeliveryState, at: Timestamp) -> LaneMove {
    row.state = state;
    row.due = at;
    LaneMove::Leave
}

/// The row after a manual retry; `None` when it is `Waiting`. An unfinished one keeps its place and state.
pub(crate) fn reopened(row: &DeliveryRow, due: Timestamp) -> Option<DeliveryRow> {
    let mut next = row.clone();
    next.due = due;
    match row.state {
        DeliveryState::Waiting => return None,
        DeliveryState::Pending | DeliveryState::Retrying => {}
        DeliveryState::Delivered
        | DeliveryState::Dead
        | DeliveryState::Expired
        | DeliveryState::Cancelled => {
            next.state = DeliveryState::Pending;
            next.lane = None;
            next.scheduled = false;
            next.ordered = false;
            next.attempts_before = row.attempts;
            next.first_attempt = None;
            next.rewindable = false;
        }
    }
    Some(next)
}

/// The row as the new head of its lane.
pub(crate) fn promoted(row: &DeliveryRow, at: Timestamp) -> DeliveryRow {
    DeliveryRow {
        state: DeliveryState::Pending,
        due: at,
        ..row.clone()
    }
}

/// Whether a due delivery is no longer to be leased: too old, expired or received too often.
pub(crate) fn is_spent(row: &DeliveryRow, lease: &Lease) -> bool {
    let receives = row.attempts.saturating_sub(row.attempts_before);
    row.accepted < lease.accepted_from
        || row.expires_at.is_some_and(|at| at <= lease.now)
        || lease.receives_max.is_some_and(|max| receives >= max)
}

/// The row once a consumer has it.
pub(crate) fn leased(row: DeliveryRow, lease: &Lease) -> DeliveryRow {
    DeliveryRow {
        state: DeliveryState::Retrying,
        due: lease.until.max(lease.now.plus(LEASE_MIN)),
        first_attempt: row.first_attempt.or(Some(lease.now)),
        attempts: row.attempts.saturating_add(1),
        scheduled: false,
        ..row
    }
}

/// The row after an acknowledgement and its move in its lane; `None` when the lease does not hold.
pub(crate) fn acknowledged(
    row: &DeliveryRow,
    acknowledgement: &Acknowledgement,
) -> Option<(DeliveryRow, LaneMove)> {
    let Acknowledgement {
        queue,
        receipt,
        at,
        to,
    } = *acknowledgement;
    let holds = row.group == queue
        && row.state == DeliveryState::Retrying
        && !row.scheduled
        && row.due > at
        && receipt.is_of(row.attempts);
    if !holds {
        return None;
    }
    let mut next = row.clone();
    let moved = match to {
        Acknowledge::Done { rewindable } => {
            next.rewindable = rewindable;
            finish(&mut next, DeliveryState::Delivered, at)
        }
        Acknowledge::Release { at: due } => {
            next.due = due;
            next.scheduled = due > at;
            LaneMove::Stay
        }
        Acknowledge::Extend { until } => {
            next.due = until;
            LaneMove::Stay
        }
    };
    Some((next, moved))
}

/// The row once it has left for another queue; `None` when the token is stale or it had ended.
pub(crate) fn diverted(row: &DeliveryRow, diversion: &Diversion) -> Option<DeliveryRow> {
    if row.token() != diversion.token || row.state.is_final() {
        return None;
    }
    let mut next = row.clone();
    finish(&mut next, DeliveryState::Dead, diversion.at);
    Some(next)
}

/// The row of an acknowledged delivery that is to be received again; `None` when the rewind does not reach it.
pub(crate) fn rewound(row: &DeliveryRow, rewind: &Rewind) -> Option<DeliveryRow> {
    let reached = row.group == rewind.queue
        && row.state == DeliveryState::Delivered
        && row.rewindable
        && row.accepted >= rewind.accepted_from
        && row.due >= rewind.ended_from;
    reached.then(|| DeliveryRow {
        state: DeliveryState::Pending,
        lane: None,
        due: row.accepted,
        first_attempt: None,
        attempts_before: row.attempts,
        scheduled: false,
        ordered: false,
        rewindable: false,
        ..row.clone()
    })
}
