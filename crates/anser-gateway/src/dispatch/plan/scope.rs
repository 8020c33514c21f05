//! One limiter scope: the slots of an endpoint, its rate, its pause and its breaker, shared by the groups that send
//! through it, which take turns. Also who is silent: an endpoint that does not answer gets hardly more to answer.

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::resource::Rate;
use anser_core::store::Group;

use super::breaker::{Breaker, Gate};
use super::bucket::Bucket;
use super::{Ending, Flight, Now, Scope};

/// An endpoint that answers nothing for so long may be hanging.
const SILENCE: Duration = Duration::from_millis(500);
/// An endpoint that usually takes long is silent only when it has taken so many times as long.
const SILENCE_TIMES: u32 = 4;
/// How slowly a long answer is forgotten: each shorter one takes this part off the difference.
const USUAL_DECAY: u32 = 16;
/// A silent endpoint is asked once more after so long: one request that it cannot answer must not keep the others from
/// it until the time runs out.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// At most so much later, each scope at its own time, since endpoints often fall silent together.
const ASK_AGAIN_SPREAD_BITS: u32 = 12;

/// Whether a scope may start an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// Yes.
    Yes,
    /// Not before this (monotonic).
    At(Duration),
    /// Not before an attempt ends.
    Full,
}

/// A scope's state.
pub(super) struct ScopeState {
    /// In the plan's ready queue, or among those that yield.
    pub(super) queued: bool,
    groups: VecDeque<Group>,
    slots: usize,
    in_flight: usize,
    retries_in_flight: usize,
    failing: bool,
    /// When the first attempt since one ended last began: since then the endpoint owes an answer. What began before, and
    /// is still under way, is a slow request of an endpoint that does answer.
    asked: Option<Duration>,
    /// An attempt began while it was silent.
    asked_again: bool,
    /// How long after its silence was noticed it is asked again.
    ask_again_after: Duration,
    /// The longest answer of late.
    usual: Duration,
    paused_until: Duration,
    bucket: Option<Bucket>,
    breaker: Breaker,
}

impl ScopeState {
    /// `emptied`: when somebody before may have used up its rate.
    pub(super) fn new(
        scope: Scope,
        rate: Option<Rate>,
        emptied: Option<Duration>,
        slots: usize,
    ) -> Self {
        // Fibonacci hashing: numbers that follow one another are far apart.
        let spread = scope.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ASK_AGAIN_SPREAD_BITS);
        Self {
            queued: false,
            groups: VecDeque::new(),
            slots,
            in_flight: 0,
            retries_in_flight: 0,
            failing: false,
            asked: None,
            asked_again: false,
            ask_again_after: ASK_AGAIN + Duration::from_millis(spread),
            usual: Duration::ZERO,
            paused_until: Duration::ZERO,
            bucket: rate.map(|rate| Bucket::new(rate, emptied)),
            breaker: Breaker::default(),
        }
    }

    pub(super) fn set_rate(&mut self, rate: Option<Rate>) {
        match (rate, self.bucket.as_mut()) {
            (Some(rate), Some(bucket)) => bucket.set_rate(rate),
            (Some(rate), None) => self.bucket = Some(Bucket::new(rate, None)),
            (None, _) => self.bucket = None,
        }
    }

    pub(super) fn add_group(&mut self, group: Group) {
        if !self.groups.contains(&group) {
            self.groups.push_back(group);
        }
    }

    pub(super) fn remove_group(&mut self, group: Group) {
        self.groups.retain(|other| *other != group);
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The group whose turn it is.
    pub(super) fn next_group(&mut self) -> Option<Group> {
        let group = self.groups.pop_front()?;
        self.groups.push_back(group);
        Some(group)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn retries_in_flight(&self) -> usize {
        self.retries_in_flight
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it may be hanging: its last attempt failed, or it has owed an answer for a while.
    pub(super) fn is_doubtful(&self, now: Now) -> bool {
        self.failing || self.asked.is_some_and(|at| now.mono > at + SILENCE)
    }

    /// Since when it is silent: it owes an answer for far longer than it usually takes.
    fn silent_since(&self, now: Now) -> Option<Duration> {
        let since = self.asked? + SILENCE.max(self.usual * SILENCE_TIMES);
        (now.mono > since).then_some(since)
    }

    /// Whether its last attempt failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Whether an attempt may start now. Takes nothing.
    pub(super) fn permit(&self, no_breaker: bool, now: Now) -> Permit {
        if self.in_flight >= self.slots {
            return Permit::Full;
        }
        if now.mono < self.paused_until {
            return Permit::At(self.paused_until);
        }
        if !no_breaker {
            match self.breaker.check(now.mono) {
                Gate::Open => {}
                Gate::Until(at) => return Permit::At(at),
                Gate::Probing => return Permit::Full,
            }
        }
        if let Some(since) = self.silent_since(now) {
            let again_at = since + self.ask_again_after;
            if self.asked_again {
                return Permit::Full;
            } else if now.mono < again_at {
                return Permit::At(again_at);
            }
        }
        self.bucket
            .as_ref()
            .and_then(|bucket| bucket.wait(now.mono))
            .map_or(Permit::Yes, Permit::At)
    }

    /// An attempt that [`ScopeState::permit`] allowed starts.
    pub(super) fn began(&mut self, retry: bool, no_breaker: bool, now: Now) {
        self.asked_again |= self.silent_since(now).is_some();
        self.asked.get_or_insert(now.mono);
        self.in_flight += 1;
        self.retries_in_flight += usize::from(retry);
        if !no_breaker {
            self.breaker.began(now.mono);
        }
        if let Some(bucket) = self.bucket.as_mut() {
            // `permit` saw the token, so this cannot fail.
            let _ = bucket.take(now.mono);
        }
    }

    /// An attempt ended. Slots grow with success up to `slots_max` if they were all in use, shrink to one after a
    /// time-out and halve after another failure.
    pub(super) fn ended(
        &mut self,
        flight: &Flight,
        ending: Ending,
        no_breaker: bool,
        slots_max: usize,
        now: Now,
    ) {
        let all_in_use = self.in_flight >= self.slots;
        self.asked = None;
        self.asked_again = false;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.retries_in_flight = self
            .retries_in_flight
            .saturating_sub(usize::from(flight.retry));
        match ending {
            Ending::Success | Ending::Refusal => {
                if all_in_use {
                    self.slots = (self.slots + 1).min(slots_max);
                }
                self.failing = false;
                self.answered(now.mono.saturating_sub(flight.began));
            }
            Ending::Failure => {
                self.slots = (self.slots / 2).max(1);
                self.failing = true;
            }
            Ending::TimedOut => {
                self.slots = 1;
                self.failing = true;
            }
            Ending::Limited(wait) => self.paused_until = self.paused_until.max(now.mono + wait),
            Ending::TargetLimited(_) | Ending::Unsent => {}
        }
        if !no_breaker {
            match ending {
                Ending::Success | Ending::Refusal => self.breaker.ended(false, now.mono),
                Ending::Failure | Ending::TimedOut => self.breaker.ended(true, now.mono),
                Ending::Limited(_) | Ending::TargetLimited(_) | Ending::Unsent => {
                    self.breaker.undecided(now.mono);
                }
            }
        }
    }

    /// A longer answer counts at once, a shorter one little by little: who is slow now and then is not silent then.
    fn answered(&mut self, took: Duration) {
        self.usual = if took < self.usual {
            self.usual - (self.usual - took) / USUAL_DECAY
        } else {
            took
        };
    }
}
