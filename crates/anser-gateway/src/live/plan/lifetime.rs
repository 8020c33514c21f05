//! How long sessions go on. Must not know of tokens.

use anser_core::Timestamp;

use super::{Plan, Timer};

impl Plan {
    /// A session goes on until `until`, or for as long as it likes; answers whether it was there and not over.
    pub(crate) fn prolong(&mut self, number: u64, until: Option<Timestamp>) -> bool {
        if !self.is_open(number) {
            return false;
        }
        self.timers
            .retain(|(_, timer)| *timer != Timer::Expire(number));
        if let Some(at) = until {
            self.timers.insert((at, Timer::Expire(number)));
        }
        true
    }
}
