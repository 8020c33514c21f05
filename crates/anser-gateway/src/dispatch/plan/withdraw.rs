//! Deliveries that are to be taken back before they go out: nothing of them starts, and what is under way does not go on
//! when it ends.

use std::collections::HashSet;
use std::sync::Arc;

use anser_core::id::{DeliveryId, Num};
use anser_core::store::{DeliveryRow, Group};

use super::{Now, Plan};

/// Which deliveries of a message are to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The message.
    pub message: Num,
    /// Only these of its deliveries; `None`: all.
    pub only: Option<HashSet<DeliveryId>>,
}

impl Withdrawal {
    /// Whether this delivery is one of them.
    #[must_use]
    pub fn covers(&self, delivery: DeliveryId) -> bool {
        delivery.num() == self.message
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&delivery))
    }
}

impl Plan {
    /// Begins a withdrawal: drops what waits, takes nothing of it in until [`Plan::withdrawn`]. Answers what is in
    /// flight or being settled, which is left to end by itself, and will not go on then.
    pub fn withdraw(&mut self, withdrawal: Arc<Withdrawal>) -> HashSet<DeliveryId> {
        let mut dropped = Vec::new();
        for state in self.groups.values_mut() {
            dropped.extend(state.remove(&withdrawal));
        }
        for ready in dropped {
            self.released(&ready);
        }
        self.drop_postponed(|row| withdrawal.covers(row.id));
        let busy: HashSet<DeliveryId> = self
            .groups
            .values()
            .flat_map(|state| state.held.iter().copied())
            .filter(|id| withdrawal.covers(*id))
            .collect();
        self.ending.extend(&busy);
        self.withdrawing.push(withdrawal);
        busy
    }

    /// A withdrawal is done. `left` are the groups of deliveries that moved on meanwhile: they are looked for again.
    pub fn withdrawn(&mut self, withdrawal: &Arc<Withdrawal>, left: &[Group], now: Now) {
        self.withdrawing
            .retain(|other| !Arc::ptr_eq(other, withdrawal));
        let gates: Vec<Group> = self
            .groups
            .iter_mut()
            .filter_map(|(group, state)| state.withdrawn(withdrawal).then_some(*group))
            .collect();
        for group in gates {
            self.wake_group(group);
        }
        for group in left {
            self.backlog(*group, now.wall, now);
        }
    }

    /// Whether a delivery is being taken back.
    pub(super) fn is_withdrawing(&self, delivery: DeliveryId) -> bool {
        self.withdrawing
            .iter()
            .any(|withdrawal| withdrawal.covers(delivery))
    }

    /// A delivery that was under way when it was taken back has been settled as `row`. Answers whether it must be
    /// cancelled now: it was not known yet when it was settled.
    #[must_use]
    pub fn must_end(&mut self, delivery: DeliveryId, row: Option<&DeliveryRow>) -> bool {
        if self.ending.is_empty() || !self.ending.contains(&delivery) {
            return false;
        }
        let goes_on = row.is_some_and(|row| !row.state.is_final());
        if !goes_on {
            self.ending.remove(&delivery);
        }
        goes_on
    }
}
