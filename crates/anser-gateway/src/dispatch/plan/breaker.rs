//! The circuit breaker of a scope: it opens when most attempts of the last five minutes failed, then lets one probe
//! through at a time, less and less often, until one succeeds.

use std::time::Duration;

/// How far back it looks.
const WINDOW: Duration = Duration::from_secs(300);
/// Parts of the window that are forgotten one by one.
const PARTS: usize = 10;
/// Fewer attempts than this say nothing.
const ATTEMPTS_MIN: u32 = 10;
/// Failed share, in percent, from which it opens.
const FAILED_PERCENT: u32 = 70;
/// First time it stays open.
const OPEN_FIRST: Duration = Duration::from_secs(30);
/// Longest time it stays open.
const OPEN_MAX: Duration = Duration::from_secs(600);

/// The breaker.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker {
    state: State,
    parts: [(u32, u32); PARTS],
    part: u64,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Duration,
        length: Duration,
    },
    Probing {
        length: Duration,
    },
}

/// Whether an attempt may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Yes.
    Open,
    /// Not before this.
    Until(Duration),
    /// Not before the probe ends.
    Probing,
}

impl Breaker {
    /// Whether an attempt may start now.
    pub(super) fn check(&self, now: Duration) -> Gate {
        match self.state {
            State::Open { until, .. } if now < until => Gate::Until(until),
            State::Closed | State::Open { .. } => Gate::Open,
            State::Probing { .. } => Gate::Probing,
        }
    }

    /// An attempt started; the first after the open time is the probe.
    pub(super) fn began(&mut self, now: Duration) {
        if let State::Open { until, length } = self.state
            && now >= until
        {
            self.state = State::Probing { length };
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, failed: bool, now: Duration) {
        match (self.state, failed) {
            (State::Probing { .. }, false) => *self = Self::default(),
            (State::Probing { length }, true) => {
                let length = (length * 2).min(OPEN_MAX);
                self.state = State::Open {
                    until: now + length,
                    length,
                };
            }
            (State::Closed, _) => self.count(failed, now),
            // An attempt from before the opening ended.
            (State::Open { .. }, _) => {}
        }
    }

    /// The endpoint asked for a pause during the probe: the next attempt probes again.
    pub(super) fn undecided(&mut self, now: Duration) {
        if let State::Probing { length } = self.state {
            self.state = State::Open { until: now, length };
        }
    }

    fn count(&mut self, failed: bool, now: Duration) {
        let part = u64::try_from(now.as_millis() / (WINDOW.as_millis() / PARTS as u128))
            .unwrap_or(u64::MAX);
        let passed = usize::try_from(part.saturating_sub(self.part))
            .unwrap_or(PARTS)
            .min(PARTS);
        for step in 0..passed {
            self.parts[index(part - step as u64)] = (0, 0);
        }
        self.part = self.part.max(part);
        let current = &mut self.parts[index(self.part)];
        current.0 += 1;
        current.1 += u32::from(failed);
        let (all, bad) = self
            .parts
            .iter()
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        if failed && all >= ATTEMPTS_MIN && bad * 100 >= all * FAILED_PERCENT {
            self.state = State::Open {
                until: now + OPEN_FIRST,
                length: OPEN_FIRST,
            };
            self.parts = [(0, 0); PARTS];
        }
    }
}

fn index(part: u64) -> usize {
    usize::try_from(part % PARTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn opens_at_seven_of_ten_and_probes_with_doubling_pauses() {
        let mut breaker = Breaker::default();
        for i in 0..9 {
            breaker.ended(i >= 3, s(i));
        }
        assert_eq!(breaker.check(s(9)), Gate::Open);
        breaker.ended(true, s(9));
        assert_eq!(breaker.check(s(10)), Gate::Until(s(39)));
        let (mut now, mut length) = (s(39), 30);
        for _ in 0..8 {
            assert_eq!(breaker.check(now), Gate::Open);
            breaker.began(now);
            assert_eq!(breaker.check(now), Gate::Probing);
            breaker.ended(true, now);
            length = (length * 2).min(600);
            assert_eq!(breaker.check(now), Gate::Until(now + s(length)));
            now += s(length);
        }
        breaker.began(now);
        breaker.ended(false, now);
        assert_eq!(breaker.check(now), Gate::Open);
        breaker.ended(true, now);
        assert_eq!(breaker.check(now), Gate::Open);
    }

    #[test]
    fn forgets_after_five_minutes() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            breaker.ended(true, s(1));
        }
        breaker.ended(true, s(302));
        assert_eq!(breaker.check(s(302)), Gate::Open);
    }
}
