//! What may go to one chat or person of a channel: a bucket for each, shared by all groups of its limiter scope, and who
//! waits for its turns. Must not know what a target is to a platform, nor hold a delivery.
//!
//! An attempt counts against its target's bucket from its start on, and its token begins to come back when it ends. So the
//! rate holds for the moments at which the platform sees the requests, however long each is on its way.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anser_core::resource::Rate;
use anser_core::store::Group;

use super::bucket::Bucket;
use super::{Ending, Now};

/// What has to wait longer than that for its target's turn waits on disk.
pub(super) const AHEAD: Duration = Duration::from_secs(10);
/// Its turn is worked out anew after so long: rates change and pauses end.
const BOOKED_MAX: Duration = Duration::from_secs(600);
/// Buckets that are kept before it is worth looking for those that are full again.
const SWEEP_FIRST: usize = 1_024;
/// Between two such looks when hardly any was.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A target of a limiter scope, by a hash of both: two that fall together share a rate, which keeps both of their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey(pub u64);

/// What the plan knows of a target's configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetFacts {
    /// Which it is.
    pub key: TargetKey,
    /// Its rate; `None`: only the pauses hold that its platform asks for.
    pub rate: Option<Rate>,
}

/// Whether a target has a turn to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// Not before this (monotonic).
    At(Duration),
    /// Not before an attempt ends.
    Busy,
}

/// A target that something was sent to lately, or is to be.
#[derive(Default)]
struct Target {
    bucket: Option<Bucket>,
    in_flight: u32,
    /// Deliveries in memory for it.
    waiting: u32,
    /// When the last of those on disk has its turn, as far as can be told.
    booked: Duration,
    paused_until: Duration,
    /// When it is looked at next.
    alarm: Option<Duration>,
    /// Which classes of which groups have a line for it, and since when they have not had a turn.
    lines: BTreeMap<(Group, bool), u64>,
}

impl Target {
    fn turn(&self, now: Duration) -> Turn {
        if now < self.paused_until {
            return Turn::At(self.paused_until);
        }
        let Some(bucket) = &self.bucket else {
            return Turn::Now;
        };
        if self.in_flight >= bucket.burst() {
            return Turn::Busy;
        }
        bucket
            .wait_behind(self.in_flight, now)
            .map_or(Turn::Now, Turn::At)
    }

    /// About when one has its turn who comes now.
    fn turn_of_next(&self, now: Duration) -> Duration {
        let ahead = self.in_flight.saturating_add(self.waiting);
        let bucket = self.bucket.as_ref();
        let turn = bucket.and_then(|bucket| bucket.wait_behind(ahead, now));
        turn.unwrap_or(now).max(self.paused_until)
    }

    /// Whether it is as good as unknown.
    fn is_idle(&self, now: Duration) -> bool {
        self.in_flight == 0
            && self.waiting == 0
            && self.lines.is_empty()
            && self.paused_until.max(self.booked) <= now
            && self
                .bucket
                .as_ref()
                .is_none_or(|bucket| bucket.is_full(now))
    }
}

/// The targets that something was sent to lately, or is to be.
pub(super) struct Targets {
    known: HashMap<TargetKey, Target>,
    /// When somebody before may have used up every rate.
    emptied: Option<Duration>,
    most: usize,
    /// How many there are when those are forgotten that are idle, and not before when.
    sweep_at: usize,
    sweep_after: Duration,
    /// Rises with every turn.
    turns: u64,
}

impl Targets {
    pub(super) fn new(most: usize, emptied: Option<Duration>) -> Self {
        Self {
            known: HashMap::new(),
            emptied,
            most,
            sweep_at: SWEEP_FIRST.min(most),
            sweep_after: Duration::ZERO,
            turns: 0,
        }
    }

    /// Takes note of a target's rate.
    pub(super) fn learn(&mut self, facts: TargetFacts, now: Duration) {
        let Some(rate) = facts.rate else {
            if let Some(target) = self.known.get_mut(&facts.key) {
                target.bucket = None;
            }
            return;
        };
        self.sweep(now);
        let emptied = self.emptied;
        let target = self.known.entry(facts.key).or_default();
        match &mut target.bucket {
            Some(bucket) => bucket.set_rate(rate),
            None => target.bucket = Some(Bucket::new(rate, emptied)),
        }
    }

    /// Whether no more can be known of than are.
    pub(super) fn is_crowded(&mut self, facts: TargetFacts, now: Duration) -> bool {
        self.sweep(now);
        facts.rate.is_some()
            && self.known.len() >= self.most
            && !self.known.contains_key(&facts.key)
    }

    fn sweep(&mut self, now: Duration) {
        if self.known.len() >= self.sweep_at && now >= self.sweep_after {
            self.known.retain(|_, target| !target.is_idle(now));
            self.sweep_after = now + SWEEP_EVERY;
            self.sweep_at = (self.known.len() * 2).max(SWEEP_FIRST).min(self.most);
        }
    }

    /// When a delivery has its turn, if that is so late that it waits on disk. One that is `new` goes behind those there.
    pub(super) fn far_off(&mut self, key: TargetKey, new: bool, now: Duration) -> Option<Duration> {
        let target = self.known.get_mut(&key)?;
        let turn = target.turn_of_next(now);
        let at = if new { turn.max(target.booked) } else { turn };
        if at <= now + AHEAD {
            return None;
        }
        let at = at.max(target.booked).min(now + BOOKED_MAX);
        let interval = target.bucket.as_ref().map(Bucket::interval);
        target.booked = at.saturating_add(interval.unwrap_or_default());
        Some(at)
    }

    /// A delivery is in memory now, or no longer.
    pub(super) fn count(&mut self, key: TargetKey, comes: bool) {
        if let Some(target) = self.known.get_mut(&key) {
            target.waiting = if comes {
                target.waiting.saturating_add(1)
            } else {
                target.waiting.saturating_sub(1)
            };
        }
    }

    pub(super) fn is_blocked(&self, key: TargetKey, now: Now) -> bool {
        let target = self.known.get(&key);
        target.is_some_and(|target| target.turn(now.mono) != Turn::Now)
    }

    /// An attempt starts: its group has had a turn.
    pub(super) fn began(&mut self, key: TargetKey, group: Group, retry: bool) {
        self.turns += 1;
        if let Some(target) = self.known.get_mut(&key) {
            target.in_flight = target.in_flight.saturating_add(1);
            if let Some(since) = target.lines.get_mut(&(group, retry)) {
                *since = self.turns;
            }
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, key: TargetKey, ending: Ending, now: Duration) {
        let pause = match ending {
            Ending::TargetLimited(wait) if !wait.is_zero() => now + wait,
            _ => Duration::ZERO,
        };
        if !pause.is_zero() {
            self.sweep(now);
            self.known.entry(key).or_default();
        }
        let Some(target) = self.known.get_mut(&key) else {
            return;
        };
        target.in_flight = target.in_flight.saturating_sub(1);
        target.paused_until = target.paused_until.max(pause);
        if let (Some(bucket), true) = (&mut target.bucket, ending != Ending::Unsent) {
            bucket.charge(now);
        }
    }

    /// A class of a group has a line for a target. Answers when the target has a turn, if that is known.
    pub(super) fn line_up(
        &mut self,
        key: TargetKey,
        who: (Group, bool),
        now: Duration,
    ) -> Option<Duration> {
        self.turns += 1;
        let target = self.known.get_mut(&key)?;
        target.lines.entry(who).or_insert(self.turns);
        match target.turn(now) {
            Turn::At(at) => Some(at),
            Turn::Now | Turn::Busy => None,
        }
    }

    /// What is to be done about the lines of a target now; `None`: it has none.
    pub(super) fn look(&mut self, key: TargetKey, now: Duration) -> Option<Turn> {
        let target = self.known.get_mut(&key)?;
        target.alarm = target.alarm.filter(|at| *at > now);
        (!target.lines.is_empty()).then(|| target.turn(now))
    }

    /// The lines of a target, the one first that has had no turn for longest. They are to be given back.
    pub(super) fn take_lines(&mut self, key: TargetKey) -> Vec<((Group, bool), u64)> {
        let Some(target) = self.known.get_mut(&key) else {
            return Vec::new();
        };
        let mut lines: Vec<_> = std::mem::take(&mut target.lines).into_iter().collect();
        lines.sort_unstable_by_key(|(_, since)| *since);
        lines
    }

    /// The lines of a target that are left.
    pub(super) fn set_lines(&mut self, key: TargetKey, lines: Vec<((Group, bool), u64)>) {
        if let Some(target) = self.known.get_mut(&key) {
            target.lines = lines.into_iter().collect();
        }
    }

    /// Notes that a target is to be looked at then. Answers whether that is news.
    pub(super) fn set_alarm(&mut self, key: TargetKey, at: Duration) -> bool {
        let Some(target) = self.known.get_mut(&key) else {
            return false;
        };
        let news = target.alarm.is_none_or(|alarm| at < alarm);
        if news {
            target.alarm = Some(at);
        }
        news
    }

    /// Nobody stands in a line any more.
    pub(super) fn clear_lines(&mut self) {
        for target in self.known.values_mut() {
            target.lines.clear();
        }
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
