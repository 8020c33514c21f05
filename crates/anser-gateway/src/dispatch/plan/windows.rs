//! What the plan holds in memory: which deliveries fit into a group's windows, which stay on disk, and when those are
//! to be claimed.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::store::{DeliveryRow, Group};

use super::group::{GroupState, Ready};
use super::scope::ScopeState;
use super::{GroupFacts, Now, Plan, Timer};

/// Deliveries that each class of a group may hold even when memory is short, so that none starves.
const WINDOW_MIN: usize = 8;
/// Which part of what is free one class of a group may hold.
const WINDOW_SHARE: usize = 8;
/// Deliveries that each class of a group may hold while its endpoint fails: it will not need more soon.
const WINDOW_FAILING: usize = 32;
/// A delivery that its target has turned away for no longer keeps its place in memory.
const PARKED_MAX: Duration = Duration::from_secs(60);

impl Plan {
    pub(super) fn group_mut(&mut self, group: Group) -> &mut GroupState {
        if !self.groups.contains_key(&group) {
            let facts = self.facts.group(group);
            self.groups.insert(group, GroupState::new(facts));
            self.attach(group, facts);
            self.want_claims(group);
        }
        self.groups
            .entry(group)
            .or_insert_with(|| GroupState::new(None))
    }

    /// Makes the group's scope and puts the group on its round.
    pub(super) fn attach(&mut self, group: Group, facts: Option<GroupFacts>) {
        let Some(facts) = facts else { return };
        let rate = self.facts.scope_rate(facts.scope);
        let slots = self.options.endpoint_slots_first;
        let scope = self
            .scopes
            .entry(facts.scope)
            .or_insert_with(|| ScopeState::new(facts.scope, rate, self.emptied, slots));
        scope.add_group(group);
    }

    pub(super) fn window_cap(&self, group: Group) -> usize {
        let failing = self
            .groups
            .get(&group)
            .and_then(|state| state.facts)
            .and_then(|facts| self.scopes.get(&facts.scope))
            .is_some_and(ScopeState::is_failing);
        // Each group may take a share of what is free, so that few groups get much and many groups all get something.
        let free = self.options.window_max.saturating_sub(self.windowed);
        let most = if failing {
            WINDOW_FAILING
        } else {
            self.options.group_window_max
        };
        (free / WINDOW_SHARE).min(most).max(WINDOW_MIN.min(most))
    }

    /// Takes a delivery into its window, and wakes the group when it is due.
    pub(super) fn push(&mut self, group: Group, retry: bool, mut ready: Ready, now: Now) {
        let bytes = ready.bytes();
        if self.message_bytes + bytes > self.options.message_bytes_max {
            ready.accepted = None;
        } else {
            self.message_bytes += bytes;
        }
        if ready.row.due > now.wall {
            self.wall_timers
                .push(Reverse((ready.row.due, Timer::Group(group, retry))));
        }
        self.windowed += 1;
        let state = self.group_mut(group);
        state.held.insert(ready.row.id);
        state.class_mut(retry).push(ready, now.wall);
    }

    /// A delivery left the windows without being started.
    pub(super) fn released(&mut self, ready: &Ready) {
        self.taken(ready);
        self.group_mut(ready.row.group).held.remove(&ready.row.id);
        if let Some(key) = ready.target {
            self.pass_turn(key);
        }
    }

    pub(super) fn taken(&mut self, ready: &Ready) {
        self.windowed -= 1;
        self.message_bytes -= ready.bytes();
        if let Some(key) = ready.target {
            self.targets.count(key, false);
        }
    }

    /// Lets go of what waits to be sent back to disk.
    pub(super) fn drop_postponed(&mut self, concerned: impl Fn(&DeliveryRow) -> bool) {
        if self.postponed.is_empty() {
            return;
        }
        let (dropped, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|start| concerned(&start.row));
        self.postponed = kept;
        for start in dropped {
            self.group_mut(start.row.group).held.remove(&start.row.id);
        }
    }

    /// An unfinished delivery goes back to wait: in memory where its place must be kept (it was parked for not too long, or
    /// a gate waits for it), else on disk.
    pub(super) fn keep(&mut self, row: DeliveryRow, parked: bool, now: Now) {
        let (group, retry) = (row.group, row.state == DeliveryState::Retrying);
        let gate = self.group_mut(group).facts.is_some_and(|facts| facts.gate);
        if gate && retry {
            self.group_mut(group).failed.insert(row.id);
        }
        let (due, ready) = (row.due, Ready::new(row, None));
        if (parked && due <= now.wall.plus(PARKED_MAX)) || (gate && retry) {
            self.hold(group, retry, ready, now);
        } else if due <= now.wall {
            self.admit(group, retry, ready, false, now);
        } else {
            return self.due_later(group, retry, due, now);
        }
        self.wake_group(group);
    }

    /// Something of the group is on disk, due at `due`.
    pub(super) fn due_later(&mut self, group: Group, retry: bool, due: Timestamp, now: Now) {
        let class = self.group_mut(group).class_mut(retry);
        if let Some(claim) = class.claim.as_mut() {
            claim.missed |= due <= now.wall;
        }
        if due <= now.wall {
            class.more = true;
            self.want_claims(group);
        } else if class.next_due.is_none_or(|next| due < next) {
            class.next_due = Some(due);
            self.wall_timers
                .push(Reverse((due, Timer::Group(group, retry))));
        }
    }

    pub(super) fn want_claims(&mut self, group: Group) {
        let Some(state) = self.groups.get(&group) else {
            return;
        };
        let Some(facts) = state.facts.filter(|facts| !facts.held) else {
            return;
        };
        if facts.gate && !state.retries_known {
            self.claims_wanted.insert((group, true));
            return;
        }
        for retry in [false, true] {
            if state.class(retry).more {
                self.claims_wanted.insert((group, retry));
            }
        }
    }

    /// A group with nothing in memory and nothing on disk needs no state.
    pub(super) fn forget_if_idle(&mut self, group: Group, now: Now) {
        let state = self.groups.get(&group);
        if state.is_some_and(|state| state.is_idle(now)) {
            self.groups.remove(&group);
        }
    }
}
