//! When to look at which queue again: one alarm a queue, the earliest. Pure: it is told the time.

use std::collections::{BTreeSet, HashMap};

use anser_core::Timestamp;
use anser_core::store::Group;

/// At most one alarm for each queue.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    by_due: BTreeSet<(Timestamp, Group)>,
    by_queue: HashMap<Group, Timestamp>,
}

impl Alarms {
    /// Sets a queue's alarm, unless it has an earlier one.
    pub(super) fn arm(&mut self, queue: Group, due: Timestamp) {
        match self.by_queue.get(&queue) {
            Some(armed) if *armed <= due => return,
            Some(armed) => {
                self.by_due.remove(&(*armed, queue));
            }
            None => {}
        }
        self.by_queue.insert(queue, due);
        self.by_due.insert((due, queue));
    }

    /// Takes a queue's alarm away.
    pub(super) fn disarm(&mut self, queue: Group) {
        if let Some(due) = self.by_queue.remove(&queue) {
            self.by_due.remove(&(due, queue));
        }
    }

    /// The earliest alarm.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// The queues whose alarm is due, which they have no more.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Group> {
        let mut queues = Vec::new();
        while let Some((due, queue)) = self.by_due.first().copied()
            && due <= now
        {
            self.disarm(queue);
            queues.push(queue);
        }
        queues
    }
}

#[cfg(test)]
mod tests {
    use anser_core::id::ResourceId;

    use super::*;

    #[test]
    fn a_queue_keeps_its_earliest_alarm() {
        let at = Timestamp::from_millis;
        let mut alarms = Alarms::default();
        alarms.arm(ResourceId(1), at(50));
        alarms.arm(ResourceId(1), at(70));
        alarms.arm(ResourceId(2), at(60));
        assert_eq!(alarms.next(), Some(at(50)));
        alarms.arm(ResourceId(2), at(40));
        assert_eq!(alarms.next(), Some(at(40)));
        assert!(alarms.take_due(at(39)).is_empty());
        let due = alarms.take_due(at(50));
        assert_eq!(due, [ResourceId(2), ResourceId(1)]);
        assert_eq!(alarms.next(), None);
        alarms.arm(ResourceId(1), at(10));
        alarms.disarm(ResourceId(1));
        assert_eq!(alarms.next(), None);
    }
}
