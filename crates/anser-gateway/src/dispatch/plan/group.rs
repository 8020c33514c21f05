//! One group's due deliveries in memory: a window of first attempts and a window of retries, and the gate.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::DeliveryId;
use anser_core::resource::Rate;
use anser_core::store::DeliveryRow;

use super::bucket::Bucket;
use super::target::TargetKey;
use super::{GroupFacts, Now, StartAction, Withdrawal};
use crate::accepted::Accepted;

/// A due delivery in memory.
pub(super) struct Ready {
    pub(super) row: DeliveryRow,
    pub(super) accepted: Option<Arc<Accepted>>,
    /// What its target is limited by; `None`: it is not.
    pub(super) target: Option<TargetKey>,
}

impl Ready {
    /// One of which it is not known yet what its target is limited by.
    pub(super) fn new(row: DeliveryRow, accepted: Option<Arc<Accepted>>) -> Self {
        Self {
            row,
            accepted,
            target: None,
        }
    }

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
    window: VecDeque<Ready>,
    /// What waits for its target's turn, apart, so that it is in nobody's way. None is empty.
    lines: HashMap<TargetKey, VecDeque<Ready>>,
    /// How many wait in lines.
    lined: usize,
    /// More of it is due on disk.
    pub(super) more: bool,
    /// When the earliest of it on disk is due.
    pub(super) next_due: Option<Timestamp>,
    pub(super) claim: Option<ClaimUnderWay>,
}

impl Class {
    /// Deliveries that it holds.
    pub(super) fn len(&self) -> usize {
        self.window.len() + self.lined
    }

    /// Puts a delivery in its place: behind others for its target that wait, else among those that are examined. One that
    /// is not due yet stands in nobody's way there.
    pub(super) fn push(&mut self, ready: Ready, now: Timestamp) {
        let line = ready.target.filter(|_| ready.row.due <= now);
        match line.and_then(|key| self.lines.get_mut(&key)) {
            Some(line) => {
                self.lined += 1;
                insert(line, ready);
            }
            None => insert(&mut self.window, ready),
        }
    }

    /// Moves the delivery at this place of the window to the line of its target.
    fn line_up(&mut self, key: TargetKey, place: usize) {
        if let Some(ready) = self.window.remove(place) {
            self.lined += 1;
            insert(self.lines.entry(key).or_default(), ready);
        }
    }

    /// Calls the first of a line back into the window. Answers whether others are left.
    pub(super) fn call(&mut self, key: TargetKey) -> bool {
        let Some(line) = self.lines.get_mut(&key) else {
            return false;
        };
        if let Some(ready) = line.pop_front() {
            self.lined -= 1;
            insert(&mut self.window, ready);
        }
        let left = !line.is_empty();
        if !left {
            self.lines.remove(&key);
        }
        left
    }

    fn is_idle(&self) -> bool {
        self.len() == 0 && !self.more && self.next_due.is_none() && self.claim.is_none()
    }

    /// The place of the first delivery that is due.
    fn due(&self, now: Timestamp) -> Option<usize> {
        self.window.iter().position(|ready| ready.row.due <= now)
    }

    fn all(&self) -> impl Iterator<Item = &Ready> {
        self.window.iter().chain(self.lines.values().flatten())
    }

    /// Everything it holds, taken out.
    pub(super) fn drain(&mut self) -> Vec<Ready> {
        self.lined = 0;
        let lines = std::mem::take(&mut self.lines);
        let mut all: Vec<Ready> = self.window.drain(..).collect();
        all.extend(lines.into_values().flatten());
        all
    }

    /// What is to be taken back, taken out.
    fn remove(&mut self, withdrawal: &Withdrawal) -> Vec<Ready> {
        let covered = |ready: &Ready| withdrawal.covers(ready.row.id);
        if !self.all().any(covered) {
            return Vec::new();
        }
        let mut removed = Vec::new();
        let mut sort = |ready: Ready| {
            if covered(&ready) {
                removed.push(ready);
                return None;
            }
            Some(ready)
        };
        let mut keep = |from: VecDeque<Ready>| -> VecDeque<Ready> {
            from.into_iter().filter_map(&mut sort).collect()
        };
        self.window = keep(std::mem::take(&mut self.window));
        for line in self.lines.values_mut() {
            *line = keep(std::mem::take(line));
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.lined = self.lines.values().map(VecDeque::len).sum();
        removed
    }
}

/// By number: the newest go to the end, one that comes back goes where it was.
fn insert(among: &mut VecDeque<Ready>, ready: Ready) {
    let behind = among
        .iter()
        .rev()
        .take_while(|other| other.row.id > ready.row.id)
        .count();
    among.insert(among.len() - behind, ready);
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

    /// Whether it can be forgotten. A gate cannot: what it knows of failures would have to be read again. Nor can one
    /// with a rate of which something was taken.
    pub(super) fn is_idle(&self, now: Now) -> bool {
        let rests = self
            .bucket
            .as_ref()
            .is_none_or(|bucket| bucket.is_full(now.mono));
        rests
            && self.held.is_empty()
            && self.first.is_idle()
            && self.retry.is_idle()
            && !self.is_gate()
    }

    /// Whether there is anything to be examined.
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
            let Some(action) = unattempted(&class.window[place].row, now) else {
                continue;
            };
            return class.window.remove(place).map(|ready| (ready, action));
        }
        None
    }

    /// Puts the first due delivery whose target has no turn to give, by `blocked`, into the line of its target. Answers
    /// which one and of which class.
    pub(super) fn line_up(
        &mut self,
        now: Timestamp,
        blocked: impl Fn(TargetKey) -> bool,
    ) -> Option<(TargetKey, bool)> {
        let open = self.is_open();
        for retry in [false, true] {
            if !retry && !open {
                continue;
            }
            let class = self.class_mut(retry);
            let Some(place) = class.due(now) else {
                continue;
            };
            let ready = &class.window[place];
            if unattempted(&ready.row, now).is_none()
                && let Some(key) = ready.target.filter(|key| blocked(*key))
            {
                class.line_up(key, place);
                return Some((key, retry));
            }
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
    /// `emptied` is when an earlier run may have used it up.
    pub(super) fn rate_wait(
        &mut self,
        rate: Option<Rate>,
        emptied: Option<Duration>,
        now: Now,
    ) -> Option<Duration> {
        let Some(rate) = rate else {
            self.bucket = None;
            return None;
        };
        let bucket = self
            .bucket
            .get_or_insert_with(|| Bucket::new(rate, emptied));
        bucket.set_rate(rate);
        bucket.take(now.mono).err()
    }

    /// Everything in memory, taken out; what is on disk is not wanted any more.
    pub(super) fn drain(&mut self) -> Vec<Ready> {
        self.first.more = false;
        self.retry.more = false;
        let mut all = self.first.drain();
        all.extend(self.retry.drain());
        all
    }

    /// Whether something in memory has a limited target.
    pub(super) fn has_targets(&self) -> bool {
        let mut all = self.first.all().chain(self.retry.all());
        all.any(|ready| ready.target.is_some())
    }

    /// What is to be taken back of what is in memory, taken out.
    pub(super) fn remove(&mut self, withdrawal: &Withdrawal) -> Vec<Ready> {
        let mut removed = self.first.remove(withdrawal);
        removed.extend(self.retry.remove(withdrawal));
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
            .all()
            .chain(self.retry.all())
            .map(|ready| ready.row.due)
            .min()
    }
}

/// What is to be done about a due delivery that needs no attempt: its time ran out, or it must join its lane first.
pub(super) fn unattempted(row: &DeliveryRow, now: Timestamp) -> Option<StartAction> {
    if row.expires_at.is_some_and(|at| at <= now) {
        Some(StartAction::Expire)
    } else if row.scheduled && row.lane.is_some() {
        Some(StartAction::Join)
    } else {
        None
    }
}
