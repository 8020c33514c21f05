//! The model's state and what each call does to it. Written to be read beside the contract, not to be fast; only lanes
//! and due times have an index.

mod blob;
mod journal;
mod queue;

use std::collections::{BTreeMap, BTreeSet};

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::blob::BlobHash;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::limits::DELIVERIES_PER_REQUEST_MAX;
use anser_core::message::Fingerprint;
use anser_core::store::{
    Alias, AliasKey, AliasKind, Append, Appended, Claim, ClaimClass, Claimed, ConfigChange,
    ConfigKind, ConfigRow, Dedupe, DeliveryPage, DeliveryRow, DeliveryScan, Depth, Group, Known,
    Lane, Linked, MessageRow, MessageScan, NewDelivery, NewMessage, Result, Retention, Settled,
    Settlement, StoreError, Swept,
};

use bytes::Bytes;

use crate::transition::{self, LaneMove, Origin};

/// Deliveries that one message can have over its life: what their numbers can tell apart.
const DELIVERIES_OF_MESSAGE_MAX: u32 = 1 << 17;
/// The order in which a group is cancelled.
const CANCEL_ORDER: [DeliveryState; 3] = [
    DeliveryState::Waiting,
    DeliveryState::Pending,
    DeliveryState::Retrying,
];

#[derive(Debug, Clone)]
struct Kept {
    row: MessageRow,
    matched: u32,
    delete_at: Option<Timestamp>,
    blobs: Vec<BlobHash>,
}

#[derive(Debug, Clone)]
struct DedupeRecord {
    fingerprint: Fingerprint,
    id: MessageId,
    num: Num,
    matched: u32,
    expires_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Logged {
    delivery: DeliveryId,
    attempt: Attempt,
    /// When the newest attempt of the same call was settled: they are kept and removed together.
    at: Timestamp,
}

/// Everything a store knows.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) closed: bool,
    num: u64,
    resource: u64,
    revision: u64,
    messages: BTreeMap<Num, Kept>,
    ids: BTreeMap<MessageId, Num>,
    deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    /// Places in lanes, first to last.
    lanes: BTreeMap<(Lane, u64), DeliveryId>,
    places: BTreeMap<DeliveryId, (Lane, u64)>,
    /// Unfinished deliveries by group, state and due time.
    open: BTreeSet<(Group, u8, Timestamp, DeliveryId)>,
    dedupes: BTreeMap<(u64, ResourceId, String), DedupeRecord>,
    blobs: BTreeMap<BlobHash, blob::Known>,
    /// By the message that they are about.
    links: BTreeMap<Num, Vec<Linked>>,
    /// Names of messages.
    aliases: BTreeMap<(AliasKey, Num), AliasKind>,
    log: Vec<Logged>,
    config: BTreeMap<(&'static str, String), ConfigRow>,
    /// Entries of journals, by their number.
    journals: BTreeMap<(ResourceId, u64), Bytes>,
}

impl State {
    pub(super) fn append(&mut self, append: &Append) -> Result<Vec<Appended>> {
        let deliveries: usize = append
            .messages
            .iter()
            .map(|message| message.deliveries.len())
            .sum();
        if deliveries > DELIVERIES_PER_REQUEST_MAX {
            return Err(StoreError::Permanent(format!(
                "{deliveries} deliveries in one request"
            )));
        }
        let mut next = self.clone_for(append);
        let state = next.as_mut().unwrap_or(self);
        let before = state.num;
        let mut answers: Vec<Appended> = append
            .messages
            .iter()
            .map(|message| state.append_one(message))
            .collect();
        if let Some(next) = next {
            if answers.iter().any(|answer| {
                matches!(
                    answer,
                    Appended::Conflict { .. } | Appended::UnknownBlob { .. }
                )
            }) {
                for answer in &mut answers {
                    let kept_out = match answer {
                        Appended::Stored { .. } => true,
                        Appended::Duplicate { num, .. } => num.0 > before,
                        Appended::Conflict { .. }
                        | Appended::UnknownBlob { .. }
                        | Appended::Skipped => false,
                    };
                    if kept_out {
                        *answer = Appended::Skipped;
                    }
                }
            } else {
                *self = next;
            }
        }
        Ok(answers)
    }

    /// A copy to work on when the batch may have to be taken back.
    fn clone_for(&self, append: &Append) -> Option<Self> {
        let may_fail = append
            .messages
            .iter()
            .any(|message| message.dedupe.is_some() || !message.blobs.is_empty());
        (append.atomic && may_fail).then(|| self.clone())
    }

    fn append_one(&mut self, message: &NewMessage) -> Appended {
        if let Some(num) = self.ids.get(&message.id) {
            return Appended::Duplicate {
                id: message.id,
                num: *num,
                matched: self.messages[num].matched,
            };
        }
        if let Some(dedupe) = &message.dedupe
            && let Some(record) = self.dedupes.get(&dedupe_key(message, dedupe))
            && record.expires_at > message.time
        {
            return if record.fingerprint == dedupe.fingerprint {
                Appended::Duplicate {
                    id: record.id,
                    num: record.num,
                    matched: record.matched,
                }
            } else {
                Appended::Conflict { id: record.id }
            };
        }
        if let Some(hash) = message.blobs.iter().find(|hash| !self.is_usable(hash)) {
            return Appended::UnknownBlob { hash: *hash };
        }
        self.touch(&message.blobs, message.time);
        let num = self.next_num();
        let matched = u32::try_from(message.deliveries.len()).unwrap_or(u32::MAX);
        if let Some(dedupe) = &message.dedupe {
            let record = DedupeRecord {
                fingerprint: dedupe.fingerprint,
                id: message.id,
                num,
                matched,
                expires_at: dedupe.expires_at,
            };
            self.dedupes.insert(dedupe_key(message, dedupe), record);
        }
        self.ids.insert(message.id, num);
        let kept = Kept {
            row: MessageRow {
                num,
                id: message.id,
                topic: message.topic,
                time: message.time,
                document: message.document.clone(),
            },
            matched,
            delete_at: message.delete_at,
            blobs: message.blobs.clone(),
        };
        self.put_link(num, message);
        for alias in &message.known_as {
            self.put_alias(num, *alias);
        }
        let origin = origin(&kept);
        self.messages.insert(num, kept);
        let place = |(index, delivery)| {
            let id = DeliveryId::new(num, index);
            self.create(id, id.as_u64(), delivery, origin)
        };
        let deliveries = (0..).zip(&message.deliveries).map(place).collect();
        Appended::Stored { num, deliveries }
    }

    fn put_link(&mut self, num: Num, message: &NewMessage) {
        let Some(link) = message.link else { return };
        if self.messages.contains_key(&link.target) {
            self.links.entry(link.target).or_default().push(Linked {
                num,
                id: message.id,
                time: message.time,
                kind: link.kind,
            });
        }
    }

    fn put_alias(&mut self, num: Num, alias: Alias) {
        self.aliases.entry((alias.key, num)).or_insert(alias.kind);
    }

    fn create(
        &mut self,
        id: DeliveryId,
        pos: u64,
        new: &NewDelivery,
        origin: Origin,
    ) -> DeliveryRow {
        let (mut row, joins) = transition::created(id, new, origin);
        if joins {
            self.join(&mut row, pos);
        }
        self.put(row.clone());
        row
    }

    fn next_num(&mut self) -> Num {
        self.num += 1;
        Num(self.num)
    }

    /// Takes a place in the lane; the row waits unless it is the first there.
    fn join(&mut self, row: &mut DeliveryRow, pos: u64) {
        let Some(lane) = row.lane else { return };
        if self.head(lane).is_some() {
            row.state = DeliveryState::Waiting;
        }
        self.lanes.insert((lane, pos), row.id);
        self.places.insert(row.id, (lane, pos));
    }

    fn head(&self, lane: Lane) -> Option<DeliveryId> {
        self.lanes
            .range((lane, 0)..=(lane, u64::MAX))
            .next()
            .map(|(_, id)| *id)
    }

    /// Stores a row in place of what was there.
    fn put(&mut self, row: DeliveryRow) {
        if let Some(old) = self.deliveries.get(&row.id) {
            self.open
                .remove(&(old.group, old.state.code(), old.due, old.id));
        }
        if !row.state.is_final() {
            self.open
                .insert((row.group, row.state.code(), row.due, row.id));
        }
        self.deliveries.insert(row.id, row);
    }

    pub(super) fn settle(&mut self, settlements: &[Settlement]) -> Vec<Settled> {
        let logged = self.log.len();
        let settled = settlements
            .iter()
            .map(|settlement| self.settle_one(settlement))
            .collect();
        let newest = self.log[logged..].iter().map(|entry| entry.at).max();
        for entry in &mut self.log[logged..] {
            entry.at = newest.unwrap_or(entry.at);
        }
        settled
    }

    fn settle_one(&mut self, settlement: &Settlement) -> Settled {
        let Some(before) = self.deliveries.get(&settlement.token.delivery).cloned() else {
            return Settled::Fenced;
        };
        let Some((mut row, moved)) = transition::settled(&before, settlement) else {
            return Settled::Fenced;
        };
        let mut promoted = None;
        match moved {
            LaneMove::Stay => {}
            LaneMove::Leave => promoted = self.leave(&before, settlement.at),
            LaneMove::Join => {
                let pos = DeliveryId::new(self.next_num(), 0).as_u64();
                self.join(&mut row, pos);
            }
        }
        if let Some(attempt) = settlement.attempt.as_ref().filter(|_| !settlement.unlogged) {
            self.log.push(Logged {
                delivery: row.id,
                attempt: attempt.clone(),
                at: settlement.at,
            });
        }
        let kind = AliasKind::Copy;
        for &key in &settlement.known_as {
            self.put_alias(row.id.num(), Alias { key, kind });
        }
        self.put(row.clone());
        Settled::Done { row, promoted }
    }

    /// Gives up the place in the lane; when it was the head's, the next one is promoted.
    fn leave(&mut self, row: &DeliveryRow, at: Timestamp) -> Option<DeliveryRow> {
        let place = self.places.remove(&row.id)?;
        self.lanes.remove(&place);
        if row.state == DeliveryState::Waiting {
            return None;
        }
        let next = self.deliveries[&self.head(place.0)?].clone();
        if next.state != DeliveryState::Waiting {
            return None;
        }
        let head = transition::promoted(&next, at);
        self.put(head.clone());
        Some(head)
    }

    pub(super) fn claim(&self, claim: &Claim) -> Claimed {
        let state = match claim.class {
            ClaimClass::First => DeliveryState::Pending,
            ClaimClass::Retry => DeliveryState::Retrying,
        };
        let mut found = Claimed::default();
        for (_, _, due, id) in self.open_of(claim.group, state) {
            if due > claim.due_until {
                found.next_due = Some(due);
                break;
            }
            if claim.exclude.contains(&id) {
                continue;
            }
            if found.deliveries.len() < claim.limit {
                found.deliveries.push(self.deliveries[&id].clone());
            } else {
                found.more = true;
            }
        }
        found
    }

    fn open_of(
        &self,
        group: Group,
        state: DeliveryState,
    ) -> impl Iterator<Item = (Group, u8, Timestamp, DeliveryId)> + '_ {
        let first = (
            group,
            state.code(),
            Timestamp::EPOCH,
            DeliveryId::from_u64(0),
        );
        let last = (
            group,
            state.code(),
            Timestamp::FAR_FUTURE,
            DeliveryId::from_u64(u64::MAX),
        );
        self.open.range(first..=last).copied()
    }

    pub(super) fn groups(&self) -> Vec<(Group, Timestamp)> {
        let mut groups: BTreeMap<Group, Timestamp> = BTreeMap::new();
        for (group, state, due, _) in &self.open {
            if *state != DeliveryState::Waiting.code() {
                let earliest = groups.entry(*group).or_insert(*due);
                *earliest = (*earliest).min(*due);
            }
        }
        groups.into_iter().collect()
    }

    pub(super) fn reopen(&mut self, delivery: DeliveryId, due: Timestamp) -> Option<DeliveryRow> {
        let row = transition::reopened(self.deliveries.get(&delivery)?, due)?;
        self.put(row.clone());
        Some(row)
    }

    pub(super) fn enqueue(
        &mut self,
        message: Num,
        deliveries: &[NewDelivery],
    ) -> Result<Option<Vec<DeliveryRow>>> {
        let Some(origin) = self.messages.get(&message).map(origin) else {
            return Ok(None);
        };
        let count = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
        let first = self.next_index(message, count)?;
        let mut rows = Vec::new();
        for (index, delivery) in (first..).zip(deliveries) {
            let pos = DeliveryId::new(self.next_num(), 0).as_u64();
            rows.push(self.create(DeliveryId::new(message, index), pos, delivery, origin));
        }
        Ok(Some(rows))
    }

    /// The place of the message's next delivery, if so many more have one.
    fn next_index(&self, message: Num, count: u32) -> Result<u32> {
        let first = self
            .of_message(message)
            .next_back()
            .map_or(0, |row| row.id.index() + 1);
        if first.saturating_add(count) > DELIVERIES_OF_MESSAGE_MAX {
            return Err(StoreError::Permanent(
                "too many deliveries of one message".into(),
            ));
        }
        Ok(first)
    }

    fn of_message(&self, message: Num) -> impl DoubleEndedIterator<Item = &DeliveryRow> {
        let message = message.min(Num(Num::END.0 - 1));
        let ends = DeliveryId::new(message, 0)..DeliveryId::new(Num(message.0 + 1), 0);
        self.deliveries.range(ends).map(|(_, row)| row)
    }

    pub(super) fn cancel_group(
        &mut self,
        group: Group,
        keep: &[DeliveryId],
        at: Timestamp,
        limit: usize,
    ) -> usize {
        let mut cancelled = 0;
        for state in CANCEL_ORDER {
            let found: Vec<DeliveryId> = self
                .open_of(group, state)
                .map(|(_, _, _, id)| id)
                .filter(|id| !keep.contains(id))
                .take(limit - cancelled)
                .collect();
            for id in found {
                let before = self.deliveries[&id].clone();
                let mut row = before.clone();
                transition::finish(&mut row, DeliveryState::Cancelled, at);
                self.put(row);
                self.leave(&before, at);
                cancelled += 1;
            }
        }
        cancelled
    }

    pub(super) fn message(&self, id: MessageId) -> Option<MessageRow> {
        Some(self.messages[self.ids.get(&id)?].row.clone())
    }

    pub(super) fn messages(&self, nums: &[Num]) -> Vec<MessageRow> {
        let found = nums.iter().filter_map(|num| self.messages.get(num));
        found.map(|kept| kept.row.clone()).collect()
    }

    pub(super) fn linked(&self, target: Num) -> Vec<Linked> {
        self.links.get(&target).cloned().unwrap_or_default()
    }

    pub(super) fn known_as(&self, key: AliasKey) -> Vec<Known> {
        let named = self.aliases.range((key, Num(0))..=(key, Num(u64::MAX)));
        named
            .map(|(&(_, num), &kind)| Known { num, kind })
            .collect()
    }

    pub(super) fn scan_messages(&self, scan: &MessageScan) -> Vec<MessageRow> {
        let wanted = |row: &&MessageRow| {
            scan.topic.is_none_or(|topic| row.topic == topic)
                && scan.since.is_none_or(|since| row.time >= since)
                && scan.until.is_none_or(|until| row.time < until)
                && scan.from.is_none_or(|from| {
                    if scan.ascending {
                        row.num > from
                    } else {
                        row.num < from
                    }
                })
        };
        let rows = self.messages.values().map(|kept| &kept.row);
        if scan.ascending {
            rows.filter(wanted).take(scan.limit).cloned().collect()
        } else {
            rows.rev()
                .filter(wanted)
                .take(scan.limit)
                .cloned()
                .collect()
        }
    }

    pub(super) fn delivery(&self, id: DeliveryId) -> Option<DeliveryRow> {
        self.deliveries.get(&id).cloned()
    }

    pub(super) fn deliveries_of(&self, message: Num, from: u32, limit: usize) -> Vec<DeliveryRow> {
        let rows = self
            .of_message(message)
            .filter(|row| row.id.index() >= from);
        rows.take(limit).cloned().collect()
    }

    pub(super) fn scan_deliveries(&self, scan: &DeliveryScan) -> DeliveryPage {
        let only_dead = scan.states == [DeliveryState::Dead];
        let rows = self.deliveries.values().rev();
        let mut page = DeliveryPage::default();
        let mut last = None;
        let mut read = 0;
        for row in rows.filter(|row| scan.before.is_none_or(|before| row.id < before)) {
            if only_dead && row.state != DeliveryState::Dead {
                continue;
            }
            if page.deliveries.len() >= scan.limit || read >= scan.rows_read_max {
                page.next = last;
                break;
            }
            read += 1;
            last = Some(row.id);
            let wanted = (scan.states.is_empty() || scan.states.contains(&row.state))
                && (scan.groups.is_empty() || scan.groups.contains(&row.group))
                && scan.channel.is_none_or(|channel| row.channel == channel)
                && scan.since.is_none_or(|since| row.accepted >= since);
            if wanted {
                page.deliveries.push(row.clone());
            }
        }
        page
    }

    pub(super) fn attempts(&self, delivery: DeliveryId) -> Vec<Attempt> {
        if !self.deliveries.contains_key(&delivery) {
            return Vec::new();
        }
        let logged = self.log.iter().filter(|entry| entry.delivery == delivery);
        logged.map(|entry| entry.attempt.clone()).collect()
    }

    pub(super) fn depths(&self) -> Vec<Depth> {
        let mut depths: BTreeMap<(ResourceId, ResourceId), Depth> = BTreeMap::new();
        for (_, _, _, id) in &self.open {
            let row = &self.deliveries[id];
            let empty = Depth {
                topic: row.topic,
                channel: row.channel,
                count: 0,
                retrying: 0,
                bytes: 0,
            };
            let depth = depths.entry((row.topic, row.channel)).or_insert(empty);
            depth.count += 1;
            depth.retrying += u64::from(row.state == DeliveryState::Retrying);
            depth.bytes += u64::from(row.bytes);
        }
        depths.into_values().collect()
    }

    pub(super) fn config_apply(&mut self, changes: &[ConfigChange]) -> Result<Vec<ConfigRow>> {
        let mut next = (self.config.clone(), self.revision, self.resource);
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for change in changes {
            next.1 += 1;
            let (kind, key, expected) = match change {
                ConfigChange::Put {
                    kind,
                    key,
                    expected,
                    ..
                }
                | ConfigChange::Delete {
                    kind,
                    key,
                    expected,
                } => (*kind, key, *expected),
            };
            let current = next.0.get(&config_key(kind, key));
            let revision = current.map_or(0, |row| row.revision);
            if expected.is_some_and(|expected| expected != revision) {
                return Err(StoreError::Fenced);
            }
            match change {
                ConfigChange::Put { document, .. } => {
                    let id = current.map(|row| row.id).unwrap_or_else(|| {
                        next.2 += 1;
                        ResourceId(next.2)
                    });
                    let row = ConfigRow {
                        kind,
                        key: key.clone(),
                        id,
                        revision: next.1,
                        document: document.clone(),
                    };
                    next.0.insert(config_key(kind, key), row.clone());
                    put.push(row);
                }
                ConfigChange::Delete { .. } => {
                    removed.extend(next.0.remove(&config_key(kind, key)));
                }
            }
        }
        (self.config, self.revision, self.resource) = next;
        for row in removed {
            if row.kind == ConfigKind::Channel {
                self.journal_forget(row.id);
            }
        }
        Ok(put)
    }

    pub(super) fn config_list(&self) -> Vec<ConfigRow> {
        self.config.values().cloned().collect()
    }

    pub(super) fn sweep(&mut self, retention: &Retention) -> Swept {
        let mut swept = Swept::default();
        let mut rows = retention.limit;
        for num in self.removable(retention) {
            if rows == 0 {
                swept.more = true;
                break;
            }
            let ids: Vec<DeliveryId> = self.of_message(num).map(|row| row.id).collect();
            rows = rows.saturating_sub(ids.len() + 1);
            for id in ids {
                self.deliveries.remove(&id);
            }
            if let Some(kept) = self.messages.remove(&num) {
                self.ids.remove(&kept.row.id);
            }
            self.links.remove(&num);
            self.aliases.retain(|(_, named), _| *named != num);
            swept.messages += 1;
        }
        while self
            .log
            .first()
            .is_some_and(|entry| entry.at < retention.attempts_before)
        {
            if swept.attempts >= retention.limit {
                swept.more = true;
                break;
            }
            self.log.remove(0);
            swept.attempts += 1;
        }
        let expired: Vec<_> = self
            .dedupes
            .iter()
            .filter(|(_, record)| record.expires_at <= retention.now)
            .map(|(key, _)| key.clone())
            .take(retention.limit)
            .collect();
        swept.dedupes = expired.len();
        swept.more |= expired.len() >= retention.limit;
        for key in expired {
            self.dedupes.remove(&key);
        }
        swept
    }

    fn removable(&self, retention: &Retention) -> Vec<Num> {
        let gone = |kept: &&Kept| {
            let topic = kept.row.topic;
            let named = retention
                .messages_before
                .iter()
                .find(|(named, _)| *named == topic);
            let before = named.map_or(retention.default_before, |(_, before)| *before);
            let due = kept.delete_at.is_some_and(|at| at <= retention.now);
            let stays = |row: &DeliveryRow| {
                let kept_dead =
                    row.state == DeliveryState::Dead && row.due >= retention.dead_before && !due;
                !row.state.is_final() || kept_dead
            };
            (due || kept.row.time < before) && !self.of_message(kept.row.num).any(stays)
        };
        self.messages
            .values()
            .filter(gone)
            .map(|kept| kept.row.num)
            .collect()
    }
}

fn origin(kept: &Kept) -> Origin {
    Origin {
        topic: kept.row.topic,
        accepted: kept.row.time,
        bytes: u32::try_from(kept.row.document.len()).unwrap_or(u32::MAX),
    }
}

fn dedupe_key(message: &NewMessage, dedupe: &Dedupe) -> (u64, ResourceId, String) {
    (dedupe.lineage, message.topic, dedupe.key.clone())
}

fn config_key(kind: ConfigKind, key: &str) -> (&'static str, String) {
    (kind.as_str(), key.to_owned())
}
