//! The dispatcher's decisions, as a state machine without I/O: which due deliveries to hold in memory, which to start
//! next, when to wait and for what. It is told what happened and asked what to do; the shell around it does the rest.
//!
//! A *group* (a subscription, or a directly addressed channel) owns bounded windows of due deliveries, one for first
//! attempts and one for retries; what does not fit stays on disk and is claimed when there is room. A *scope* (a
//! channel, or channels sharing a bucket) owns the endpoint's slots, rate, pause and breaker; a *target* (one chat or
//! person of a scope) has a rate and pauses of its own. Must not read a clock, touch the store or know a channel's kind.

mod breaker;
mod bucket;
mod endpoint;
mod group;
mod lines;
mod scope;
mod target;
mod turns;
mod verdict;
mod windows;
mod withdraw;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::resource::Rate;
use anser_core::store::{Claim, ClaimClass, Claimed, DeliveryRow, Group};

pub use endpoint::Endpoints;
pub use target::{TargetFacts, TargetKey};
pub use verdict::{Policy, Verdict, decide, part_delivered};
pub use withdraw::Withdrawal;

use crate::accepted::Accepted;
use group::{GroupState, Ready};
use scope::ScopeState;
use target::Targets;

/// Settings of the plan. Every one is a bound.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Attempts under way, in all.
    pub in_flight_max: usize,
    /// Deliveries held in memory, in all; a few per group may exceed it, so that no group starves.
    pub window_max: usize,
    /// Deliveries held in memory per group and class.
    pub group_window_max: usize,
    /// Bytes of messages held in memory; beyond it they are read again when their turn comes.
    pub message_bytes_max: usize,
    /// Attempts under way to one endpoint, to begin with.
    pub endpoint_slots_first: usize,
    /// Attempts under way to one endpoint, at most.
    pub endpoint_slots_max: usize,
    /// Claims under way.
    pub claims_max: usize,
    /// Buckets of chats and persons, and pauses that they asked for, in memory; only those that something was sent to
    /// lately, or is to be, are kept. What goes to others waits.
    pub targets_max: usize,
    /// An endpoint that has failed for so long, and so often, is disabled.
    pub disable_after: Duration,
    /// See `disable_after`.
    pub disable_failures: u64,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            in_flight_max: 4_096,
            window_max: 100_000,
            group_window_max: 2_048,
            message_bytes_max: 64 * 1024 * 1024,
            endpoint_slots_first: 4,
            endpoint_slots_max: 32,
            claims_max: 16,
            targets_max: 100_000,
            disable_after: Duration::from_secs(5 * 24 * 3600),
            disable_failures: 100,
        }
    }
}

/// The time, both ways: `wall` for what is stored, `mono` for pauses and rates, which a clock that is set must not touch.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Wall time.
    pub wall: Timestamp,
    /// Monotonic time.
    pub mono: Duration,
}

/// A limiter scope: a channel's number, or the hash of a bucket's name with the top bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub u64);

/// What the plan knows of a group's configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupFacts {
    /// Its limiter scope.
    pub scope: Scope,
    /// Its channel.
    pub channel: ResourceId,
    /// Ordering `gate`.
    pub gate: bool,
    /// Paused, or its channel paused or disabled.
    pub held: bool,
    /// The breaker does not apply.
    pub no_breaker: bool,
    /// The subscription's own rate.
    pub rate: Option<Rate>,
    /// Its channel goes to chats or persons, which have rates of their own or ask for pauses.
    pub targets: bool,
}

/// Configuration, as far as the plan needs it.
pub trait Facts: Send + Sync {
    /// A group's facts; `None` when its destination is gone.
    fn group(&self, group: Group) -> Option<GroupFacts>;
    /// A scope's rate.
    fn scope_rate(&self, scope: Scope) -> Option<Rate>;
    /// What a delivery of this group to this target is limited by; asked only where the group's facts say so. `None`:
    /// its destination is gone.
    fn target(&self, group: Group, target: Option<&str>) -> Option<TargetFacts>;
}

/// What to do with a delivery whose turn has come.
#[derive(Debug)]
pub struct Start {
    /// The delivery.
    pub row: DeliveryRow,
    /// Its message, if it is still in memory.
    pub accepted: Option<Arc<Accepted>>,
    /// What to do.
    pub action: StartAction,
}

/// What to do with a delivery whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAction {
    /// Try it; it holds a slot until [`Plan::finished`].
    Attempt,
    /// Its scheduled time has come: settle it as `Join`. No slot.
    Join,
    /// Its time ran out: settle it as `Expired`. No slot.
    Expire,
    /// Its target's turn is far off: settle it as `Park` until then, as it is. No slot.
    Postpone(Timestamp),
}

/// How an attempt ended, as far as the plan minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The endpoint took it.
    Success,
    /// The endpoint answered, but will never take this one: no sign of ill health.
    Refusal,
    /// It failed.
    Failure,
    /// It failed by running out of time.
    TimedOut,
    /// The endpoint asks for a pause.
    Limited(Duration),
    /// It asks for a pause for this target only.
    TargetLimited(Duration),
    /// Nothing was sent that anybody could see or count.
    Unsent,
}

/// A delivery as it was settled.
#[derive(Debug, Clone)]
pub struct Kept {
    /// As it stands now.
    pub row: DeliveryRow,
    /// Its endpoint asked for a pause: it keeps its place in front.
    pub parked: bool,
}

struct Flight {
    group: Group,
    scope: Scope,
    target: Option<TargetKey>,
    retry: bool,
    doubtful: bool,
    /// Monotonic.
    began: Duration,
    cancelled: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Group(Group, bool),
    Scope(Scope),
    Target(TargetKey),
}

/// Deliveries that wait to be sent back to disk; beyond it what comes is left there.
const POSTPONED_MAX: usize = 4_096;

/// The state machine.
pub struct Plan {
    options: PlanOptions,
    facts: Arc<dyn Facts>,
    groups: HashMap<Group, GroupState>,
    scopes: HashMap<Scope, ScopeState>,
    targets: Targets,
    /// When an earlier run may have used up every rate.
    emptied: Option<Duration>,
    /// What is to be sent back to disk.
    postponed: VecDeque<Start>,
    /// Scopes that may be able to start something, each once.
    ready: VecDeque<Scope>,
    /// Scopes that left the attempts still free to others.
    yielding: VecDeque<Scope>,
    flights: HashMap<DeliveryId, Flight>,
    doubtful_in_flight: usize,
    windowed: usize,
    message_bytes: usize,
    /// What is being taken back: nothing of it is taken in.
    withdrawing: Vec<Arc<Withdrawal>>,
    /// What was under way when it was taken back: it does not go on.
    ending: HashSet<DeliveryId>,
    claims: usize,
    claims_wanted: BTreeSet<(Group, bool)>,
    wall_timers: BinaryHeap<Reverse<(Timestamp, Timer)>>,
    mono_timers: BinaryHeap<Reverse<(Duration, Timer)>>,
}

impl Plan {
    /// An empty plan. Where there was an earlier run, `emptied` is a moment (monotonic) after its end: it may have used up
    /// every rate by then, so that none begins with a burst.
    #[must_use]
    pub fn new(options: PlanOptions, facts: Arc<dyn Facts>, emptied: Option<Duration>) -> Self {
        Self {
            options,
            facts,
            groups: HashMap::new(),
            scopes: HashMap::new(),
            targets: Targets::new(options.targets_max, emptied),
            emptied,
            postponed: VecDeque::new(),
            ready: VecDeque::new(),
            yielding: VecDeque::new(),
            flights: HashMap::new(),
            doubtful_in_flight: 0,
            windowed: 0,
            message_bytes: 0,
            withdrawing: Vec::new(),
            ending: HashSet::new(),
            claims: 0,
            claims_wanted: BTreeSet::new(),
            wall_timers: BinaryHeap::new(),
            mono_timers: BinaryHeap::new(),
        }
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Deliveries held in memory.
    #[must_use]
    pub fn windowed(&self) -> usize {
        self.windowed
    }

    /// Takes a new configuration; answers the groups whose destination is gone.
    pub fn configure(&mut self, facts: Arc<dyn Facts>, now: Now) -> Vec<Group> {
        self.facts = facts;
        let mut gone = Vec::new();
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            let facts = self.facts.group(group);
            if facts.is_none() {
                gone.push(group);
            }
            if let Some(state) = self.groups.get_mut(&group) {
                state.facts = facts;
            }
            self.attach(group, facts);
            self.want_claims(group);
        }
        for scope in self.scopes.keys().copied().collect::<Vec<_>>() {
            let rate = self.facts.scope_rate(scope);
            if let Some(state) = self.scopes.get_mut(&scope) {
                state.set_rate(rate);
            }
            self.wake_scope(scope);
        }
        self.aim_anew(now);
        gone
    }

    /// What is in memory goes where the new configuration says that it is limited.
    fn aim_anew(&mut self, now: Now) {
        self.targets.clear_lines();
        let concerned = |(group, state): (&Group, &GroupState)| {
            let limited = state.facts.is_some_and(|facts| facts.targets);
            (limited || state.has_targets()).then_some(*group)
        };
        let concerned: Vec<Group> = self.groups.iter().filter_map(concerned).collect();
        for group in concerned {
            for retry in [false, true] {
                for mut ready in self.group_mut(group).class_mut(retry).drain() {
                    self.taken(&ready);
                    ready.target = None;
                    self.hold(group, retry, ready, now);
                }
            }
        }
    }

    /// There may be deliveries of `group` on disk, the earliest due at `due`. Answers whether its destination exists.
    pub fn backlog(&mut self, group: Group, due: Timestamp, now: Now) -> bool {
        let known = self.group_mut(group).facts.is_some();
        for retry in [false, true] {
            self.due_later(group, retry, due, now);
        }
        known
    }

    /// A committed delivery that is due or will be.
    pub fn offer(&mut self, row: DeliveryRow, accepted: Option<Arc<Accepted>>, now: Now) {
        let done = row.state.is_final()
            || row.state == DeliveryState::Waiting
            || self.is_withdrawing(row.id);
        if done || self.group_mut(row.group).held.contains(&row.id) {
            return;
        }
        let retry = row.state == DeliveryState::Retrying;
        let (group, due) = (row.group, row.due);
        let cap = self.window_cap(group);
        let class = self.group_mut(group).class_mut(retry);
        let fits = class.len() < cap;
        let known = !class.more && class.claim.is_none();
        if due <= now.wall && known && fits && self.postponed.len() < POSTPONED_MAX {
            self.admit(group, retry, Ready::new(row, accepted), true, now);
            self.wake_group(group);
            return;
        }
        self.due_later(group, retry, due, now);
    }

    /// What a claim found.
    pub fn loaded(
        &mut self,
        group: Group,
        class: ClaimClass,
        found: Claimed,
        mut messages: HashMap<Num, Arc<Accepted>>,
        now: Now,
    ) {
        self.claims = self.claims.saturating_sub(1);
        let retry = class == ClaimClass::Retry;
        let state = self.group_mut(group);
        let gate = state.facts.is_some_and(|facts| facts.gate);
        let Some(claim) = state.class_mut(retry).claim.take() else {
            return;
        };
        if retry {
            state.retries_known = true;
        }
        let class = state.class_mut(retry);
        class.more = found.more || claim.missed;
        for row in found.deliveries {
            let withdrawn = |withdrawal: &Arc<Withdrawal>| withdrawal.covers(row.id);
            if self.is_withdrawing(row.id)
                || claim.withdrawn.iter().any(withdrawn)
                || claim.released.contains(&row.id)
                || self.group_mut(group).held.contains(&row.id)
            {
                continue;
            }
            if gate && retry {
                self.group_mut(group).failed.insert(row.id);
            }
            let accepted = messages.get(&row.id.num()).cloned();
            let ready = Ready::new(row, accepted);
            if gate {
                self.hold(group, retry, ready, now);
            } else {
                self.admit(group, retry, ready, false, now);
            }
        }
        messages.clear();
        if let Some(due) = found.next_due {
            self.due_later(group, retry, due, now);
        }
        self.want_claims(group);
        self.wake_group(group);
        self.forget_if_idle(group, now);
    }

    /// A claim failed; it is wanted again.
    pub fn load_failed(&mut self, group: Group, class: ClaimClass) {
        self.claims = self.claims.saturating_sub(1);
        let class = self.group_mut(group).class_mut(class == ClaimClass::Retry);
        class.claim = None;
        class.more = true;
        self.want_claims(group);
    }

    /// The next claim to make, if any.
    pub fn next_claim(&mut self, now: Now) -> Option<Claim> {
        while self.claims < self.options.claims_max {
            let (group, retry) = self.claims_wanted.pop_first()?;
            let cap = self.window_cap(group);
            let Some(state) = self.groups.get_mut(&group) else {
                continue;
            };
            let Some(facts) = state.facts else { continue };
            // A gate must know of every failed delivery before it lets anything else through.
            let gate_retries = facts.gate && retry && !state.retries_known;
            let class = state.class_mut(retry);
            if class.claim.is_some() || (!class.more && !gate_retries) || class.len() > cap / 2 {
                continue;
            }
            class.claim = Some(group::ClaimUnderWay::default());
            class.more = false;
            let limit = cap.saturating_sub(class.len()).max(1);
            let exclude = state.held.iter().copied().collect();
            self.claims += 1;
            return Some(Claim {
                group,
                class: if retry {
                    ClaimClass::Retry
                } else {
                    ClaimClass::First
                },
                due_until: if facts.gate && retry {
                    Timestamp::FAR_FUTURE
                } else {
                    now.wall
                },
                exclude,
                limit,
            });
        }
        None
    }

    /// The next delivery whose turn has come, if any.
    pub fn next_start(&mut self, now: Now) -> Option<Start> {
        if let Some(start) = self.postponed.pop_front() {
            return Some(start);
        }
        for _ in 0..self.ready.len() {
            if self.flights.len() >= self.options.in_flight_max {
                return None;
            }
            let scope = self.ready.pop_front()?;
            if let Some(start) = self.start_from(scope, now) {
                return Some(start);
            }
        }
        None
    }

    /// An attempt ended; its slot is free, its delivery is being settled.
    pub fn finished(&mut self, delivery: DeliveryId, ending: Ending, now: Now) {
        let Some(flight) = self.flights.remove(&delivery) else {
            return;
        };
        self.doubtful_in_flight -= usize::from(flight.doubtful);
        self.wake_yielding();
        if matches!(ending, Ending::Failure | Ending::TimedOut) {
            self.close_gate(flight.group, delivery);
        }
        let no_breaker = self
            .groups
            .get(&flight.group)
            .and_then(|group| group.facts)
            .is_some_and(|facts| facts.no_breaker);
        if let Some(scope) = self.scopes.get_mut(&flight.scope) {
            scope.ended(
                &flight,
                ending,
                no_breaker,
                self.options.endpoint_slots_max,
                now,
            );
        }
        if let Some(key) = flight.target {
            self.targets.ended(key, ending, now.mono);
            self.call(key, now);
        }
        self.wake_scope(flight.scope);
    }

    /// Whether a delivery in flight was taken back meanwhile, or its destination deleted.
    #[must_use]
    pub fn is_cancelled(&self, delivery: DeliveryId) -> bool {
        self.ending.contains(&delivery)
            || self
                .flights
                .get(&delivery)
                .is_some_and(|flight| flight.cancelled)
    }

    /// A settlement was committed (`Some`), or found stale (`None`).
    pub fn settled(
        &mut self,
        delivery: DeliveryId,
        group: Group,
        row: Option<Kept>,
        promoted: Option<DeliveryRow>,
        now: Now,
    ) {
        self.group_mut(group).held.remove(&delivery);
        for retry in [false, true] {
            if let Some(claim) = self.group_mut(group).class_mut(retry).claim.as_mut() {
                claim.released.insert(delivery);
                // What was released may be due again by the time the claim is answered.
                claim.missed = true;
            }
        }
        match row {
            None => self.due_later(group, true, now.wall, now),
            Some(Kept { row, .. })
                if row.state.is_final() || row.state == DeliveryState::Waiting =>
            {
                let state = self.group_mut(group);
                if state.failed.remove(&delivery) && state.failed.is_empty() {
                    self.wake_group(group);
                }
            }
            Some(Kept { row, parked }) => self.keep(row, parked, now),
        }
        if let Some(row) = promoted {
            self.offer(row, None, now);
        }
        self.forget_if_idle(group, now);
    }

    /// Drops what waits of a group whose destination is gone and marks what is in flight; answers what is in flight or
    /// being settled, which must be left to end by itself.
    pub fn drop_group(&mut self, group: Group) -> Vec<DeliveryId> {
        let dropped = self
            .groups
            .get_mut(&group)
            .map(GroupState::drain)
            .unwrap_or_default();
        for ready in dropped {
            self.released(&ready);
        }
        self.drop_postponed(|row| row.group == group);
        self.flag_flights(|flight, _| flight.group == group);
        self.groups
            .get(&group)
            .map(|state| state.held.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Fires what has come due. Call before asking for claims and starts.
    pub fn tick(&mut self, now: Now) {
        while self
            .wall_timers
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now.wall)
        {
            if let Some(Reverse((_, timer))) = self.wall_timers.pop() {
                self.fire(&timer, now);
            }
        }
        while self
            .mono_timers
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now.mono)
        {
            if let Some(Reverse((_, timer))) = self.mono_timers.pop() {
                self.fire(&timer, now);
            }
        }
    }

    /// How long nothing will change by time alone; `None`: for ever.
    #[must_use]
    pub fn sleep(&self, now: Now) -> Option<Duration> {
        let wall = self
            .wall_timers
            .peek()
            .map(|Reverse((at, _))| at.since(now.wall));
        let mono = self
            .mono_timers
            .peek()
            .map(|Reverse((at, _))| at.saturating_sub(now.mono));
        wall.into_iter().chain(mono).min()
    }

    /// When the earliest delivery in memory of each group was due.
    pub fn oldest_due(&self) -> impl Iterator<Item = (Group, Timestamp)> + '_ {
        self.groups
            .iter()
            .filter_map(|(group, state)| state.oldest_due().map(|due| (*group, due)))
    }
}
