//! When something was held (paused or disabled): the intervals in which a delivery's age stands still. Pure.

use std::time::Duration;

use anser_core::Timestamp;
use serde::{Deserialize, Serialize};

/// When something was paused or disabled, newest last; age stands still meanwhile. Bounded by [`HELD_INTERVALS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held(pub Vec<(Timestamp, Option<Timestamp>)>);

/// Held intervals that are remembered of one resource; the two oldest are merged beyond it, which makes a delivery as
/// old as both younger than it is: it is rather tried for too long than given up too early.
pub const HELD_INTERVALS_MAX: usize = 32;

impl Held {
    /// Whether it is held now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.0.last(), Some((_, None)))
    }

    /// The history after `now`, from which on it is held or not.
    #[must_use]
    pub fn turned(&self, held: bool, now: Timestamp) -> Self {
        let mut next = self.clone();
        match (next.0.last_mut(), held) {
            (Some((_, end @ None)), false) => *end = Some(now),
            (Some((_, None)), true) | (None | Some((_, Some(_))), false) => {}
            (None | Some((_, Some(_))), true) => next.0.push((now, None)),
        }
        if next.0.len() > HELD_INTERVALS_MAX {
            let (oldest, _) = next.0.remove(0);
            next.0[0].0 = oldest;
        }
        next
    }
}

/// For how long, between two moments, at least one of `histories` was held.
pub(super) fn union_between(histories: &[&Held], from: Timestamp, until: Timestamp) -> Duration {
    let mut intervals: Vec<(Timestamp, Timestamp)> = histories
        .iter()
        .flat_map(|held| &held.0)
        .map(|(start, end)| ((*start).max(from), end.unwrap_or(until).min(until)))
        .filter(|(start, end)| start < end)
        .collect();
    intervals.sort_unstable();
    let mut total = Duration::ZERO;
    let mut counted_until = from;
    for (start, end) in intervals {
        let start = start.max(counted_until);
        total += end.since(start);
        counted_until = counted_until.max(end);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn intervals_open_and_close_and_stay_bounded() {
        let mut held = Held::default();
        for i in 0..100 {
            held = held.turned(true, at(2 * i)).turned(true, at(2 * i + 1));
            assert!(held.is_open());
            held = held
                .turned(false, at(2 * i + 1))
                .turned(false, at(2 * i + 2));
            assert!(!held.is_open() && held.0.len() <= HELD_INTERVALS_MAX);
        }
        assert_eq!(held.0[0].0, at(0));
        assert_eq!(held.0[HELD_INTERVALS_MAX - 1], (at(198), Some(at(199))));
    }

    #[test]
    fn overlapping_intervals_count_once() {
        let channel = Held(vec![(at(10), Some(at(20))), (at(50), None)]);
        let subscription = Held(vec![(at(15), Some(at(30))), (at(16), Some(at(18)))]);
        let between =
            |from, until| union_between(&[&channel, &subscription], at(from), at(until)).as_secs();
        assert_eq!(between(0, 40), 20);
        assert_eq!(between(12, 14), 2);
        assert_eq!(between(0, 60), 30);
        assert_eq!(between(30, 50), 0);
        assert_eq!(between(40, 30), 0);
    }
}
