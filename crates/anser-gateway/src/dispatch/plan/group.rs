//! One group's due deliveries in memory: a window of first attempts and a window of retries, and the gate.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::DeliveryId;
use anser_core::resource::Rate;
use anser_core::store::DeliveryRow;

use super::bucket::Bucket;
use super::{GroupFacts, Now, StartAction, Withdrawal};
use crate::accepted::Accepted;

/// A due delivery in memory.
pub(super) struct Ready {
    pub(super) row: DeliveryRow,
    pub(super) accepted: Option<Arc<Accepted>>,
}

impl Ready {
    /// Bytes of the message that it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        self.accepted
            .as_ref()
            .map_or(0, |accepted| accepted.document.len())
    }
}

/// A claim that was asked for and is not answered yet. Its answer is a view of the past: what was released meanwhile
/// must not be taken from it, and what was added meanwhile is missing in it.
#[derive(Default)]
pub(super) struct ClaimUnderWay {
    pub(super) released: HashSet<DeliveryId>,
    pub(super) withdrawn: Vec<Arc<Withdrawal>>,
    pub(super) missed: bool,
}

/// One class of a group's deliveries.
#[derive(Default)]
pub(super) struct Class {
    pub(super) window: VecDeque<Ready>,
    /// More of it is due on disk.
    pub(super) more: bool,
    /// When the earliest of it on disk is due.
    pub(super) next_due: Option<Timestamp>,
    pub(super) claim: Option<ClaimUnderWay>,
}

impl Class {
    /// Puts a delivery in its place, by number: the newest go to the end, one that comes back goes where it was.
    pub(super) fn push(&mut self, ready: Ready) {
        let behind = self
            .window
            .iter()
            .rev()
            .take_while(|other| other.row.id > ready.row.id)
            .count();
        self.window.insert(self.window.len() - behind, ready);
    }

    fn is_idle(&self) -> bool {
        self.window.is_empty() && !self.more && self.next_due.is_none() && self.claim.is_none()
    }

    /// The place of the first delivery that is due.
    fn due(&self, now: Timestamp) -> Option<usize> {
        self.window.iter().position(|ready| ready.row.due <= now)
    }
}

/// A group's state.
pub(super) struct GroupState {
    /// `None` when its destination is gone.
    pub(super) facts: Option<GroupFacts>,
    first: Class,
    retry: Class,
    /// Every delivery in a window, in flight or being settled.
    pub(super) held: HashSet<DeliveryId>,
    /// Deliveries that failed and have not ended; while there is one, a gate lets nothing else start.
    pub(super) failed: HashSet<DeliveryId>,
    /// Whether the failed ones on disk are all in memory: a gate stays shut until they are.
    pub(super) retries_known: bool,
    retry_turn: bool,
    bucket: Option<Bucket>,
}

impl GroupState {
    pub(super) fn new(facts: Option<GroupFacts>) -> Self {
        Self {
            facts,
            first: Class::default(),
            retry: Class::default(),
            held: HashSet::new(),
            failed: HashSet::new(),
            retries_known: false,
            retry_turn: false,
            bucket: None,
        }
    }

    pub(super) fn class(&self, retry: bool) -> &Class {
        if retry { &self.retry } else { &self.first }
    }

    pub(super) fn class_mut(&mut self, retry: bool) -> &mut Class {
        if retry {
            &mut self.retry
        } else {
            &mut self.first
        }
    }

    fn is_gate(&self) -> bool {
        self.facts.is_some_and(|facts| facts.gate)
    }

    /// Whether first attempts may start.
    fn is_open(&self) -> bool {
        !self.is_gate() || (self.retries_known && self.failed.is_empty())
    }

    /// Whether it can be forgotten. A gate cannot: what it knows of failures would have to be read again.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.first.is_idle() && self.retry.is_idle() && !self.is_gate()
    }

    pub(super) fn has_any(&self) -> bool {
        !self.first.window.is_empty() || !self.retry.window.is_empty()
    }

    /// Whether something could start now, slots permitting.
    pub(super) fn has_ready(&self, now: Timestamp) -> bool {
        (self.is_open() && self.first.due(now).is_some()) || self.retry.due(now).is_some()
    }

    /// The first due delivery that needs no attempt: its time ran out, or it must join its lane first.
    pub(super) fn take_unattempted(&mut self, now: Timestamp) -> Option<(Ready, StartAction)> {
        let open = self.is_open();
        for retry in [false, true] {
            if !retry && !open {
                continue;
            }
            let class = self.class_mut(retry);
            let Some(place) = class.due(now) else {
                continue;
            };
            let row = &class.window[place].row;
            let action = if row.expires_at.is_some_and(|at| at <= now) {
                StartAction::Expire
            } else if row.scheduled && row.lane.is_some() {
                StartAction::Join
            } else {
                continue;
            };
            return class.window.remove(place).map(|ready| (ready, action));
        }
        None
    }

    /// The delivery whose turn it is, and whether it is a retry. While first attempts wait, retries get a quarter of
    /// the endpoint's slots; with fewer than four slots they take turns.
    pub(super) fn take(
        &mut self,
        now: Now,
        slots: usize,
        retries_in_flight: usize,
    ) -> Option<(Ready, bool)> {
        let first = if self.is_open() {
            self.first.due(now.wall)
        } else {
            None
        };
        let retry = self.retry.due(now.wall);
        let share = slots / 4;
        let take_retry = match (first, retry) {
            (None, None) => return None,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(_), Some(_)) if share > 0 => retries_in_flight < share,
            (Some(_), Some(_)) => {
                self.retry_turn = !self.retry_turn;
                self.retry_turn
            }
        };
        let place = if take_retry { retry } else { first }?;
        self.class_mut(take_retry)
            .window
            .remove(place)
            .map(|ready| (ready, take_retry))
    }

    /// When the subscription's own rate allows the next attempt, if not now; takes the token if it does.
    pub(super) fn rate_wait(&mut self, rate: Option<Rate>, now: Now) -> Option<Duration> {
        let Some(rate) = rate else {
            self.bucket = None;
            return None;
        };
        let bucket = self
            .bucket
            .get_or_insert_with(|| Bucket::new(rate, now.mono));
        bucket.set_rate(rate);
        bucket.take(now.mono).err()
    }

    /// Everything in the windows, taken out.
    pub(super) fn drain(&mut self) -> Vec<Ready> {
        self.first.more = false;
        self.retry.more = false;
        self.first
            .window
            .drain(..)
            .chain(self.retry.window.drain(..))
            .collect()
    }

    /// What is to be taken back of the windows, taken out.
    pub(super) fn remove(&mut self, withdrawal: &Withdrawal) -> Vec<Ready> {
        let mut removed = Vec::new();
        for retry in [false, true] {
            let class = self.class_mut(retry);
            let covered = |ready: &Ready| withdrawal.covers(ready.row.id);
            if !class.window.iter().any(covered) {
                continue;
            }
            for ready in std::mem::take(&mut class.window) {
                if covered(&ready) {
                    removed.push(ready);
                } else {
                    class.window.push_back(ready);
                }
            }
        }
        removed
    }

    /// A withdrawal is done: failures of what it took back hold up nothing any more, and a claim that is under way may
    /// still answer with it. Answers whether that opened the gate.
    pub(super) fn withdrawn(&mut self, withdrawal: &Arc<Withdrawal>) -> bool {
        for retry in [false, true] {
            if let Some(claim) = self.class_mut(retry).claim.as_mut() {
                claim.withdrawn.push(Arc::clone(withdrawal));
            }
        }
        let failed = self.failed.len();
        let held = &self.held;
        self.failed
            .retain(|id| held.contains(id) || !withdrawal.covers(*id));
        self.failed.is_empty() && failed > 0
    }

    pub(super) fn oldest_due(&self) -> Option<Timestamp> {
        self.first
            .window
            .iter()
            .chain(&self.retry.window)
            .map(|ready| ready.row.due)
            .min()
    }
}
