//! Deliveries that wait for the turn of their chat or person: in memory in lines, out of the way of others, and on disk until
//! about their turn when that is far off, so that a busy chat takes no memory from the others.

use std::cmp::Reverse;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::store::{DeliveryRow, Group};

use super::group::{Ready, unattempted};
use super::target::{AHEAD, TargetFacts, TargetKey, Turn};
use super::{Now, Plan, Start, StartAction, Timer};

/// What was sent back to disk is looked for at moments so far apart, in milliseconds: at most so much before its turn, and
/// many at once.
const LOOK_EVERY_MILLIS: i64 = 5_000;

impl Plan {
    /// Takes a due delivery into memory, or sends it back to disk if its target's turn is far off. One that is `new` goes
    /// behind those that were sent there.
    pub(super) fn admit(&mut self, group: Group, retry: bool, ready: Ready, new: bool, now: Now) {
        let Some(facts) = self.target_of(group, &ready.row) else {
            return self.push(group, retry, ready, now);
        };
        if unattempted(&ready.row, now.wall).is_none() {
            if self.targets.is_crowded(facts, now.mono) {
                return self.postpone(group, ready, now.mono + AHEAD * 2, now);
            }
            self.targets.learn(facts, now.mono);
            if let Some(at) = self.targets.far_off(facts.key, new, now.mono) {
                return self.postpone(group, ready, at, now);
            }
        }
        self.seat(group, retry, ready, facts, now);
    }

    /// Takes a delivery into memory, however far off its target's turn is.
    pub(super) fn hold(&mut self, group: Group, retry: bool, ready: Ready, now: Now) {
        match self.target_of(group, &ready.row) {
            Some(facts) => self.seat(group, retry, ready, facts, now),
            None => self.push(group, retry, ready, now),
        }
    }

    fn seat(&mut self, group: Group, retry: bool, mut ready: Ready, facts: TargetFacts, now: Now) {
        self.targets.learn(facts, now.mono);
        self.targets.count(facts.key, true);
        ready.target = Some(facts.key);
        self.push(group, retry, ready, now);
    }

    fn target_of(&self, group: Group, row: &DeliveryRow) -> Option<TargetFacts> {
        let facts = self.groups.get(&group)?.facts?;
        if !facts.targets {
            return None;
        }
        self.facts.target(group, row.target.as_deref())
    }

    /// Sends a delivery to disk until about `at` (monotonic).
    fn postpone(&mut self, group: Group, ready: Ready, at: Duration, now: Now) {
        let at = now.wall.plus(at.saturating_sub(now.mono));
        let at = Timestamp::from_millis(at.millis() / LOOK_EVERY_MILLIS * LOOK_EVERY_MILLIS);
        let due = ready.row.expires_at.map_or(at, |expiry| at.min(expiry));
        self.group_mut(group).held.insert(ready.row.id);
        self.postponed.push_back(Start {
            row: ready.row,
            accepted: None,
            action: StartAction::Postpone(due),
        });
    }

    /// Puts those into their lines whose target has no turn to give, until the group's first ones can go.
    pub(super) fn line_up(&mut self, group: Group, now: Now) {
        while let Some(state) = self.groups.get_mut(&group) {
            let targets = &self.targets;
            let blocked = |key| targets.is_blocked(key, now);
            let Some((key, retry)) = state.line_up(now.wall, blocked) else {
                return;
            };
            if let Some(at) = self.targets.line_up(key, (group, retry), now.mono) {
                self.look_again(key, at);
            }
        }
    }

    /// If a target has a turn to give, calls the first of each of its lines, since not every group may go: in the order in
    /// which they had their last turns.
    pub(super) fn call(&mut self, key: TargetKey, now: Now) {
        match self.targets.look(key, now.mono) {
            None | Some(Turn::Busy) => {}
            Some(Turn::At(at)) => self.look_again(key, at),
            Some(Turn::Now) => {
                let mut lines = self.targets.take_lines(key);
                lines.retain(|((group, retry), _)| {
                    let state = self.groups.get_mut(group);
                    let left = state.is_some_and(|state| state.class_mut(*retry).call(key));
                    self.wake_group(*group);
                    left
                });
                self.targets.set_lines(key, lines);
            }
        }
    }

    fn look_again(&mut self, key: TargetKey, at: Duration) {
        if self.targets.set_alarm(key, at) {
            self.mono_timers.push(Reverse((at, Timer::Target(key))));
        }
    }

    /// One that was called will not go: somebody else may.
    pub(super) fn pass_turn(&mut self, key: TargetKey) {
        self.look_again(key, Duration::ZERO);
    }
}
