//! Rate windows, as platforms keep them: how many requests a robot or chat may make in which time, and what follows when
//! it makes more. Knows no clock: it is told the time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What a limit is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// All requests of one robot, bot or webhook.
    Robot,
    /// All messages of one app.
    App,
    /// The messages to one chat.
    Chat,
    /// The messages to one chat that is a group; other chats are not counted.
    Group,
    /// The calls of one method of an API by one app, where messages have windows of their own.
    Method,
}

/// How a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Never more than `max` in any stretch of `per`.
    Sliding,
    /// A window opens with a request and ends `per` later; `max` fit into it.
    Fixed,
    /// `max` at once, refilled evenly, all of it in `per`.
    Bucket,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What it is counted by.
    pub counted: Counted,
    /// How it counts.
    pub shape: Shape,
    /// How many.
    pub max: u32,
    /// In which time.
    pub per: Duration,
    /// How long nothing at all is taken once it was exceeded; zero when only the excess is refused.
    pub penalty: Duration,
}

impl Limit {
    /// Never more than `max` in any stretch of `per`, with only the excess refused.
    #[must_use]
    pub const fn sliding(counted: Counted, max: u32, per: Duration) -> Self {
        Self {
            counted,
            shape: Shape::Sliding,
            max,
            per,
            penalty: Duration::ZERO,
        }
    }

    /// The same limit that counts in another way.
    #[must_use]
    pub const fn shaped(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The same limit, with nothing taken for `penalty` once it was exceeded.
    #[must_use]
    pub const fn with_penalty(mut self, penalty: Duration) -> Self {
        self.penalty = penalty;
        self
    }
}

/// A limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// What it is counted by.
    pub(crate) counted: Counted,
    /// When a request may be taken again.
    pub(crate) wait: Duration,
}

/// What a limit leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// How many in all.
    pub(crate) max: u32,
    /// How many more now.
    pub(crate) remaining: u32,
    /// When all of it is free again.
    pub(crate) reset: Duration,
}

/// What was counted under one limit for one key.
#[derive(Debug, Default)]
struct Count {
    /// When requests were taken; for [`Shape::Bucket`] one moment: when the bucket will be full again.
    taken: VecDeque<Duration>,
    blocked_until: Duration,
}

/// The limits of a platform and what was counted under them.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Vec<Limit>,
    counts: HashMap<(usize, String), Count>,
}

impl Limiter {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        Self {
            limits,
            counts: HashMap::new(),
        }
    }

    /// Counts one request under every limit that one of `keys` names, or under none when one of them is exceeded.
    pub(crate) fn take(&mut self, keys: &[(Counted, &str)], now: Duration) -> Result<(), Over> {
        let mut over: Option<Over> = None;
        for (index, limit) in self.limits.iter().enumerate() {
            for (counted, key) in keys.iter().filter(|(counted, _)| *counted == limit.counted) {
                let count = self.counts.entry((index, (*key).to_owned())).or_default();
                if let Err(wait) = count.room(limit, now) {
                    let longer = over.is_none_or(|over| over.wait < wait);
                    if longer {
                        over = Some(Over {
                            counted: *counted,
                            wait,
                        });
                    }
                }
            }
        }
        if let Some(over) = over {
            return Err(over);
        }
        for (index, limit) in self.limits.iter().enumerate() {
            for (_, key) in keys.iter().filter(|(counted, _)| *counted == limit.counted) {
                let count = self.counts.entry((index, (*key).to_owned())).or_default();
                count.spend(limit, now);
            }
        }
        Ok(())
    }

    /// What the first limit that is counted in this way leaves.
    pub(crate) fn left(&self, counted: Counted, key: &str, now: Duration) -> Option<Left> {
        let (index, limit) = self
            .limits
            .iter()
            .enumerate()
            .find(|(_, limit)| limit.counted == counted)?;
        let (mut used, mut reset) = (0, Duration::ZERO);
        if let Some(count) = self.counts.get(&(index, key.to_owned()))
            && let Some(first) = count.taken.front()
            && *first + limit.per > now
        {
            used = u32::try_from(count.taken.len()).unwrap_or(u32::MAX);
            reset = (*first + limit.per).saturating_sub(now);
        }
        Some(Left {
            max: limit.max,
            remaining: limit.max.saturating_sub(used),
            reset,
        })
    }
}

impl Count {
    /// Whether one more fits; otherwise how long until it does.
    fn room(&mut self, limit: &Limit, now: Duration) -> Result<(), Duration> {
        if now < self.blocked_until {
            return Err(self.blocked_until - now);
        }
        let wait = match limit.shape {
            Shape::Bucket => {
                let room = limit.per.saturating_sub(limit.per / limit.max.max(1));
                let full = self.taken.front().copied().unwrap_or_default();
                full.saturating_sub(now + room)
            }
            Shape::Sliding => {
                while self.taken.front().is_some_and(|at| *at + limit.per <= now) {
                    self.taken.pop_front();
                }
                self.wait_for_first(limit, now)
            }
            Shape::Fixed => {
                if self.taken.front().is_some_and(|at| *at + limit.per <= now) {
                    self.taken.clear();
                }
                self.wait_for_first(limit, now)
            }
        };
        if wait.is_zero() {
            return Ok(());
        }
        if limit.penalty.is_zero() {
            return Err(wait);
        }
        self.blocked_until = now + limit.penalty;
        // What was taken before is paid for by the penalty.
        self.taken.clear();
        Err(limit.penalty)
    }

    fn wait_for_first(&self, limit: &Limit, now: Duration) -> Duration {
        if self.taken.len() < limit.max as usize {
            return Duration::ZERO;
        }
        let first = self.taken.front().copied().unwrap_or(now);
        (first + limit.per).saturating_sub(now)
    }

    fn spend(&mut self, limit: &Limit, now: Duration) {
        if limit.shape == Shape::Bucket {
            let full = self.taken.pop_front().unwrap_or_default().max(now);
            self.taken.push_back(full + limit.per / limit.max.max(1));
        } else {
            self.taken.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many of the requests at these moments are taken.
    fn taken(limit: Limit, moments: &[u64]) -> Vec<bool> {
        let mut limiter = Limiter::new(vec![limit]);
        let take = |moment: &u64| {
            limiter
                .take(&[(Counted::Robot, "r")], at(10_000 + moment))
                .is_ok()
        };
        moments.iter().map(take).collect()
    }

    #[test]
    fn a_sliding_window_holds_in_every_stretch_of_its_length() {
        let limit = Limit::sliding(Counted::Robot, 2, SECOND);
        let moments = [0, 900, 999, 1000, 1500, 1900, 2000];
        assert_eq!(
            taken(limit, &moments),
            [true, true, false, true, false, true, true]
        );
    }

    #[test]
    fn a_fixed_window_opens_with_the_first_request() {
        let limit = Limit::sliding(Counted::Robot, 2, SECOND).shaped(Shape::Fixed);
        assert_eq!(
            taken(limit, &[0, 900, 950, 1000, 1001, 1002]),
            [true, true, false, true, true, false]
        );
    }

    #[test]
    fn a_bucket_refills_evenly() {
        let limit = Limit::sliding(Counted::Robot, 3, 3 * SECOND).shaped(Shape::Bucket);
        assert_eq!(
            taken(
                limit,
                &[0, 0, 0, 0, 999, 1000, 1500, 2000, 9000, 9000, 9000, 9000]
            ),
            [
                true, true, true, false, false, true, false, true, true, true, true, false
            ]
        );
    }

    #[test]
    fn a_penalty_refuses_everything_for_its_length() {
        let limit = Limit::sliding(Counted::Robot, 1, SECOND).with_penalty(10 * SECOND);
        assert_eq!(
            taken(limit, &[0, 500, 2000, 10_499, 10_500]),
            [true, false, false, false, true]
        );
    }

    #[test]
    fn every_limit_counts_by_itself_and_a_refusal_counts_nowhere() {
        let limits = vec![
            Limit::sliding(Counted::Robot, 3, SECOND),
            Limit::sliding(Counted::Chat, 1, SECOND),
        ];
        let mut limiter = Limiter::new(limits);
        let mut take = |chat| limiter.take(&[(Counted::Robot, "r"), (Counted::Chat, chat)], at(5));
        assert!(take("a").is_ok());
        let over = take("a").unwrap_err();
        assert_eq!((over.counted, over.wait), (Counted::Chat, SECOND));
        assert!(take("b").is_ok());
        assert!(take("c").is_ok(), "the refused one was not counted");
        assert_eq!(take("d").unwrap_err().counted, Counted::Robot);
    }

    #[test]
    fn what_is_left_counts_down_and_comes_back() {
        let mut limiter = Limiter::new(vec![
            Limit::sliding(Counted::Robot, 5, 2 * SECOND).shaped(Shape::Fixed),
        ]);
        assert_eq!(
            limiter.left(Counted::Robot, "r", at(0)).unwrap().remaining,
            5
        );
        limiter.take(&[(Counted::Robot, "r")], at(100)).unwrap();
        let left = limiter.left(Counted::Robot, "r", at(600)).unwrap();
        assert_eq!((left.max, left.remaining, left.reset), (5, 4, at(1500)));
        assert_eq!(
            limiter
                .left(Counted::Robot, "r", at(2100))
                .unwrap()
                .remaining,
            5
        );
    }
}
