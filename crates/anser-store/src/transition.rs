//! What a delivery becomes when it is made, settled or re-opened: pure functions on one row, the same for every store.
//! Lanes, indexes and durability are the stores' own.

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, ResourceId};
use anser_core::store::{DeliveryRow, NewDelivery, Settle, Settlement};

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
    if row.token() != settlement.token || row.state.is_final() {
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
        } if !waiting => {
            next.due = *at;
            next.possible_duplicate = *possible_duplicate;
            LaneMove::Stay
        }
        Settle::Join if row.scheduled => {
            next.scheduled = false;
            if row.lane.is_some() {
                LaneMove::Join
            } else {
                LaneMove::Stay
            }
        }
        Settle::Retry { .. } | Settle::Park { .. } | Settle::Join => return None,
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
