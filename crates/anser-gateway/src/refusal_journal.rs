//! Which refusals are logged: anybody can send forged requests, as many as they like, and the log must not grow with them.
//! Must not log anything itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::inbound::RefusalKind;

/// Between two lines about refusals of one kind at one channel.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What was logged last, by channel and kind; as many as there are channels that were ever sent something wrong.
#[derive(Debug, Default)]
pub(crate) struct RefusalJournal(Mutex<HashMap<(ResourceId, RefusalKind), Line>>);

#[derive(Debug)]
struct Line {
    at: Duration,
    unlogged: u64,
}

impl RefusalJournal {
    /// Notes a refusal at `now` (monotonic): if it is to be logged, how many before it were not.
    pub(crate) fn note(
        &self,
        channel: ResourceId,
        kind: RefusalKind,
        now: Duration,
    ) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(&(channel, kind)) {
            Some(line) if now < line.at + LINE_EVERY => {
                line.unlogged += 1;
                None
            }
            Some(line) => {
                line.at = now;
                Some(std::mem::take(&mut line.unlogged))
            }
            None => {
                let line = Line {
                    at: now,
                    unlogged: 0,
                };
                lines.insert((channel, kind), line);
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_forgeries_makes_a_line_every_ten_seconds() {
        let journal = RefusalJournal::default();
        let (one, other) = (ResourceId(1), ResourceId(2));
        let note = |channel, seconds| {
            journal.note(channel, RefusalKind::Forged, Duration::from_secs(seconds))
        };
        assert_eq!(note(one, 0), Some(0));
        assert_eq!(note(one, 0), None);
        assert_eq!(note(one, 9), None);
        assert_eq!(note(other, 9), Some(0), "another channel has its own line");
        assert_eq!(note(one, 10), Some(2));
        assert_eq!(note(one, 30), Some(0));
    }
}
