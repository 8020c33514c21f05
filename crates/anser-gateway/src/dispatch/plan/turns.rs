//! Whose turn it is: waking scopes and groups, and starting one delivery of a scope if its slots, pause, breaker and
//! rates allow it.

use std::cmp::Reverse;

use anser_core::id::DeliveryId;
use anser_core::store::Group;

use super::scope::{Permit, ScopeState};
use super::{Flight, Now, Plan, PlanOptions, Scope, Start, StartAction, Timer};

impl Plan {
    pub(super) fn wake_group(&mut self, group: Group) {
        if let Some(facts) = self.groups.get(&group).and_then(|state| state.facts) {
            if let Some(scope) = self.scopes.get_mut(&facts.scope) {
                scope.add_group(group);
            }
            self.wake_scope(facts.scope);
        }
    }

    pub(super) fn wake_scope(&mut self, scope: Scope) {
        if let Some(state) = self.scopes.get_mut(&scope)
            && !state.queued
        {
            state.queued = true;
            self.ready.push_back(scope);
        }
    }

    pub(super) fn fire(&mut self, timer: &Timer, now: Now) {
        match *timer {
            Timer::Scope(scope) => self.wake_scope(scope),
            Timer::Target(key) => self.call(key, now),
            Timer::Group(group, retry) => {
                if let Some(state) = self.groups.get_mut(&group) {
                    let class = state.class_mut(retry);
                    if class.next_due.is_some_and(|due| due <= now.wall) {
                        class.next_due = None;
                        class.more = true;
                        if let Some(claim) = class.claim.as_mut() {
                            claim.missed = true;
                        }
                    }
                    self.want_claims(group);
                    self.wake_group(group);
                }
            }
        }
    }

    /// Starts one delivery of a scope, or finds out why it cannot.
    pub(super) fn start_from(&mut self, scope: Scope, now: Now) -> Option<Start> {
        let state = self.scopes.get_mut(&scope)?;
        state.queued = false;
        for _ in 0..state.group_count() {
            let mut state = self.scopes.get_mut(&scope)?;
            let group = state.next_group()?;
            let Some(mut group_state) = self.groups.get_mut(&group) else {
                state.remove_group(group);
                continue;
            };
            let Some(facts) = group_state.facts.filter(|facts| facts.scope == scope) else {
                state.remove_group(group);
                continue;
            };
            if facts.targets && !facts.held {
                self.line_up(group, now);
                state = self.scopes.get_mut(&scope)?;
                group_state = self.groups.get_mut(&group)?;
            }
            if facts.held || !group_state.has_ready(now.wall) {
                if !group_state.has_any() {
                    state.remove_group(group);
                }
                continue;
            }
            if let Some((ready, action)) = group_state.take_unattempted(now.wall) {
                self.taken(&ready);
                if let Some(key) = ready.target {
                    self.call(key, now);
                }
                self.wake_scope(scope);
                self.refill(group);
                return Some(Start {
                    row: ready.row,
                    accepted: ready.accepted,
                    action,
                });
            }
            match state.permit(facts.no_breaker, now) {
                Permit::Full => return None,
                Permit::At(at) => {
                    self.mono_timers.push(Reverse((at, Timer::Scope(scope))));
                    return None;
                }
                Permit::Yes => {}
            }
            let doubtful = state.is_doubtful(now);
            if must_yield(
                &self.options,
                self.flights.len(),
                self.doubtful_in_flight,
                state,
                doubtful,
            ) {
                state.queued = true;
                self.yielding.push_back(scope);
                return None;
            }
            if let Some(at) = group_state.rate_wait(facts.rate, self.emptied, now) {
                self.mono_timers.push(Reverse((at, Timer::Scope(scope))));
                continue;
            }
            return self.begin(scope, group, doubtful, now);
        }
        None
    }

    pub(super) fn begin(
        &mut self,
        scope: Scope,
        group: Group,
        doubtful: bool,
        now: Now,
    ) -> Option<Start> {
        let (slots, retries) = self
            .scopes
            .get(&scope)
            .map(|state| (state.slots(), state.retries_in_flight()))?;
        let (ready, retry) = self.groups.get_mut(&group)?.take(now, slots, retries)?;
        self.taken(&ready);
        let no_breaker = self
            .groups
            .get(&group)
            .and_then(|state| state.facts)
            .is_some_and(|facts| facts.no_breaker);
        if let Some(state) = self.scopes.get_mut(&scope) {
            state.began(retry, no_breaker, now);
        }
        if let Some(key) = ready.target {
            self.targets.began(key, group, retry);
            self.call(key, now);
        }
        self.doubtful_in_flight += usize::from(doubtful);
        self.flights.insert(
            ready.row.id,
            Flight {
                group,
                scope,
                target: ready.target,
                retry,
                doubtful,
                began: now.mono,
                cancelled: false,
            },
        );
        self.wake_scope(scope);
        self.refill(group);
        Some(Start {
            row: ready.row,
            accepted: ready.accepted,
            action: StartAction::Attempt,
        })
    }

    pub(super) fn refill(&mut self, group: Group) {
        let cap = self.window_cap(group);
        if let Some(state) = self.groups.get(&group)
            && [false, true]
                .into_iter()
                .any(|retry| state.class(retry).more && state.class(retry).len() <= cap / 2)
        {
            self.want_claims(group);
        }
    }

    pub(super) fn flag_flights(&mut self, concerned: impl Fn(&Flight, DeliveryId) -> bool) {
        for (id, flight) in &mut self.flights {
            flight.cancelled |= concerned(flight, *id);
        }
    }

    /// An attempt ended: lets scopes that yielded look again. Two for one, so that room which came free at once is found
    /// soon, and all of them when nothing is left that could wake them.
    pub(super) fn wake_yielding(&mut self) {
        let count = if self.flights.is_empty() {
            self.yielding.len()
        } else {
            2
        };
        for _ in 0..count {
            let Some(scope) = self.yielding.pop_front() else {
                return;
            };
            if let Some(state) = self.scopes.get_mut(&scope) {
                state.queued = false;
            }
            self.wake_scope(scope);
        }
    }

    /// At the first sign of a failure, before it is even stored, nothing more passes the gate.
    pub(super) fn close_gate(&mut self, group: Group, delivery: DeliveryId) {
        if let Some(state) = self.groups.get_mut(&group)
            && state.facts.is_some_and(|facts| facts.gate)
        {
            state.failed.insert(delivery);
        }
    }
}

/// Whether a scope must leave what is free to others. What hangs is known only when it times out, and must not have
/// taken every attempt by then: a scope that failed last, or has been silent, starts only in the first half (or among
/// a few, so that it is never shut out), and one with more than an endpoint's first slots only in the first three
/// quarters.
fn must_yield(
    options: &PlanOptions,
    in_flight: usize,
    doubtful_in_flight: usize,
    scope: &ScopeState,
    doubtful: bool,
) -> bool {
    let most = options.in_flight_max;
    let few = (most / 16).max(1);
    (doubtful && in_flight >= most / 2 && doubtful_in_flight >= few)
        || (scope.in_flight() >= options.endpoint_slots_first && in_flight >= most / 4 * 3)
}
