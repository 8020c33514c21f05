//! Appending messages with their dedupe records and deliveries, and adding deliveries to stored messages.

use anser_core::Timestamp;
use anser_core::id::{DeliveryId, MessageId, Num};
use anser_core::limits::DELIVERIES_PER_REQUEST_MAX;
use anser_core::message::Fingerprint;
use anser_core::store::{
    Alias, AliasKey, AliasKind, Append, Appended, Dedupe, DeliveryRow, Known, Link, Linked,
    MessageRow, NewDelivery, NewMessage,
};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::Session;
use crate::sqlite::failure::Failure;
use crate::sqlite::row::{self, Columns, StoredDelivery, StoredMessage, Sum};
use crate::transition::{self, Origin};

/// Deliveries that one message can have over its life, replays included: what their numbers can tell apart.
const DELIVERIES_OF_MESSAGE_MAX: u32 = 1 << 17;
/// Bytes of the hash under which a dedupe record is kept; collisions of 128 bits do not happen.
const DEDUPE_KEY_BYTES: usize = 16;

impl Session<'_> {
    /// Appends in order, seeing what the batch has appended before.
    pub(super) fn append(&mut self, append: &Append) -> Result<Vec<Appended>, Failure> {
        let deliveries: usize = append
            .messages
            .iter()
            .map(|message| message.deliveries.len())
            .sum();
        if deliveries > DELIVERIES_PER_REQUEST_MAX {
            return Err(Failure::Refused(format!(
                "{deliveries} deliveries in one request, at most {DELIVERIES_PER_REQUEST_MAX}"
            )));
        }
        if !append.atomic || append.messages.len() < 2 {
            return append
                .messages
                .iter()
                .map(|message| self.append_one(message))
                .collect();
        }
        self.connection
            .prepare_cached("SAVEPOINT atomic")?
            .execute([])?;
        let (counters, changes) = (self.counters, self.changes.len());
        let mut answers = Vec::with_capacity(append.messages.len());
        for message in &append.messages {
            answers.push(self.append_one(message)?);
        }
        if answers.iter().any(|answer| {
            matches!(
                answer,
                Appended::Conflict { .. } | Appended::UnknownBlob { .. }
            )
        }) {
            self.connection
                .prepare_cached("ROLLBACK TO atomic")?
                .execute([])?;
            for answer in &mut answers {
                skip(answer, counters.num);
            }
            self.counters = counters;
            self.changes.truncate(changes);
        }
        self.connection
            .prepare_cached("RELEASE atomic")?
            .execute([])?;
        Ok(answers)
    }

    fn append_one(&mut self, message: &NewMessage) -> Result<Appended, Failure> {
        // Ids rise, so most are known to be new without a look.
        let perhaps_known = self
            .counters
            .highest_id
            .is_some_and(|highest| message.id <= highest);
        if perhaps_known && let Some(duplicate) = self.stored_before(message.id)? {
            return Ok(duplicate);
        }
        let key = message
            .dedupe
            .as_ref()
            .map(|dedupe| dedupe_key(message, dedupe));
        if let (Some(key), Some(dedupe)) = (&key, &message.dedupe)
            && let Some(known) = self.dedupe_record(key, message.time)?
        {
            return Ok(known.answer(&dedupe.fingerprint));
        }
        if let Some(hash) = self.unusable(&message.blobs)? {
            return Ok(Appended::UnknownBlob { hash });
        }
        let num = self.next_num()?;
        let matched = u32::try_from(message.deliveries.len()).unwrap_or(u32::MAX);
        if let (Some(key), Some(dedupe)) = (&key, &message.dedupe) {
            let record = DedupeRecord {
                fingerprint: dedupe.fingerprint,
                id: message.id,
                num,
                matched,
                expires_at: dedupe.expires_at,
            };
            self.put_dedupe(key, &record)?;
        }
        if let Some(link) = message.link {
            self.put_link(num, link, message)?;
        }
        self.insert_message(num, matched, message)?;
        for alias in &message.known_as {
            self.put_alias(num, *alias)?;
        }
        self.refer(num, &message.blobs, message.time)?;
        let origin = Origin {
            topic: message.topic,
            accepted: message.time,
            bytes: u32::try_from(message.document.len()).unwrap_or(u32::MAX),
        };
        let mut deliveries = Vec::with_capacity(message.deliveries.len());
        for (index, delivery) in (0..).zip(&message.deliveries) {
            let id = DeliveryId::new(num, index);
            deliveries.push(self.create_delivery(id, id.as_u64(), delivery, origin)?);
        }
        Ok(Appended::Stored { num, deliveries })
    }

    fn stored_before(&mut self, id: MessageId) -> Result<Option<Appended>, Failure> {
        let found = self
            .statements
            .message_by_id
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found.map(|(num, matched): (i64, u32)| Appended::Duplicate {
            id,
            num: Num(num.cast_unsigned()),
            matched,
        }))
    }

    fn insert_message(
        &mut self,
        num: Num,
        matched: u32,
        message: &NewMessage,
    ) -> Result<(), Failure> {
        let stored = StoredMessage {
            row: MessageRow {
                num,
                id: message.id,
                topic: message.topic,
                time: message.time,
                document: message.document.clone(),
            },
            matched,
            delete_at: message.delete_at,
        };
        self.statements.insert_message.execute(params![
            num.0.cast_signed(),
            message.id.as_bytes().as_slice(),
            message.topic.0.cast_signed(),
            message.time.millis(),
            message.document.as_ref(),
            matched,
            row::millis(message.delete_at),
            row::message_sum(&stored),
        ])?;
        self.counters.highest_id = self.counters.highest_id.max(Some(message.id));
        Ok(())
    }

    /// Remembers what an earlier message's number leads to, as long as that one is there.
    fn put_link(&self, num: Num, link: Link, message: &NewMessage) -> Result<(), Failure> {
        let linked = Linked {
            num,
            id: message.id,
            time: message.time,
            kind: link.kind,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO link(target, num, id, time, kind, sum) SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
                 WHERE EXISTS(SELECT 1 FROM message WHERE num = ?1)",
            )?
            .execute(params![
                link.target.0.cast_signed(),
                num.0.cast_signed(),
                message.id.as_bytes().as_slice(),
                message.time.millis(),
                link.kind.code(),
                row::link_sum(link.target, &linked),
            ])?;
        Ok(())
    }

    /// A message has a name once: a part that is sent again under the name of the first changes nothing.
    fn put_alias(&self, num: Num, alias: Alias) -> Result<(), Failure> {
        let Alias { key, kind } = alias;
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO alias(key, num, kind, sum) VALUES(?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.0.as_slice(),
                num.0.cast_signed(),
                kind.code(),
                row::alias_sum(&key, Known { num, kind }),
            ])?;
        Ok(())
    }

    /// What a platform calls a copy of the message.
    pub(super) fn put_copies(&self, num: Num, keys: &[AliasKey]) -> Result<(), Failure> {
        let kind = AliasKind::Copy;
        keys.iter()
            .try_for_each(|&key| self.put_alias(num, Alias { key, kind }))
    }

    pub(super) fn create_delivery(
        &mut self,
        id: DeliveryId,
        pos: u64,
        new: &NewDelivery,
        origin: Origin,
    ) -> Result<DeliveryRow, Failure> {
        let (row, joins) = transition::created(id, new, origin);
        let mut delivery = StoredDelivery {
            row,
            pos: None,
            log: 0,
        };
        if joins {
            self.join_lane(&mut delivery, pos)?;
        }
        self.insert_delivery(&delivery)?;
        self.changes.note(None, Some(&delivery.row));
        Ok(delivery.row)
    }

    fn insert_delivery(&mut self, delivery: &StoredDelivery) -> Result<(), Failure> {
        let row = &delivery.row;
        self.statements.insert_delivery.execute(params![
            row.id.as_u64().cast_signed(),
            row.topic.0.cast_signed(),
            row.group.0.cast_signed(),
            row.channel.0.cast_signed(),
            row.target,
            row.lane.map(u64::cast_signed),
            delivery.pos.map(u64::cast_signed),
            row.state.code(),
            row.due.millis(),
            row::millis(row.expires_at),
            row.accepted.millis(),
            row::millis(row.first_attempt),
            row.attempts,
            row.attempts_before,
            row::flags(row),
            row.checkpoint.as_deref(),
            row.bytes,
            delivery.log.cast_signed(),
            row::delivery_sum(delivery),
        ])?;
        Ok(())
    }

    /// Adds deliveries to a stored message; `None` when it is gone.
    pub(super) fn enqueue(
        &mut self,
        message: Num,
        deliveries: &[NewDelivery],
    ) -> Result<Option<Vec<DeliveryRow>>, Failure> {
        let Some(stored) = self.message(message)? else {
            return Ok(None);
        };
        let count = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
        let first = self.next_index(message, count)?;
        let origin = Origin {
            topic: stored.row.topic,
            accepted: stored.row.time,
            bytes: u32::try_from(stored.row.document.len()).unwrap_or(u32::MAX),
        };
        let mut rows = Vec::with_capacity(deliveries.len());
        for (index, delivery) in (first..).zip(deliveries) {
            let pos = self.last_place()?;
            rows.push(self.create_delivery(
                DeliveryId::new(message, index),
                pos,
                delivery,
                origin,
            )?);
        }
        Ok(Some(rows))
    }

    fn message(&mut self, num: Num) -> Result<Option<StoredMessage>, Failure> {
        let mut rows = self.statements.message.query([num.0.cast_signed()])?;
        rows.next()?.map(row::message).transpose()
    }

    /// The place of the message's next delivery, if so many more have one.
    pub(super) fn next_index(&self, message: Num, count: u32) -> Result<u32, Failure> {
        let last: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(id) FROM delivery WHERE id BETWEEN ?1 AND ?2")?
            .query_row(row::ids_of(message), |row| row.get(0))?;
        let first = last.map_or(0, |id| DeliveryId::from_u64(id.cast_unsigned()).index() + 1);
        if first.saturating_add(count) > DELIVERIES_OF_MESSAGE_MAX {
            return Err(Failure::Refused(format!(
                "message {} has {first} deliveries; with {count} more it would have over {DELIVERIES_OF_MESSAGE_MAX}",
                message.0
            )));
        }
        Ok(first)
    }

    /// The next number of the installation.
    fn next_num(&mut self) -> Result<Num, Failure> {
        let next = self.counters.num + 1;
        if next >= Num::END.0 {
            return Err(Failure::Refused(
                "the installation has no message numbers left".into(),
            ));
        }
        self.counters.num = next;
        Ok(Num(next))
    }

    /// A place in a lane behind every one given out so far.
    pub(super) fn last_place(&mut self) -> Result<u64, Failure> {
        self.keep_counters = true;
        Ok(DeliveryId::new(self.next_num()?, 0).as_u64())
    }

    fn dedupe_record(&self, key: &[u8], at: Timestamp) -> Result<Option<DedupeRecord>, Failure> {
        let mut statement = self.connection.prepare_cached(
            "SELECT num, id, matched, expires_at, fingerprint, sum FROM dedupe WHERE key = ?1",
        )?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut columns = Columns::of(row, "idempotency record of message");
        let record = DedupeRecord {
            num: Num(columns.int()?.cast_unsigned()),
            id: columns.id()?,
            matched: columns.small()?,
            expires_at: columns.time()?,
            fingerprint: columns.blob()?.try_into().map_err(|_| columns.damage())?,
        };
        if columns.int()? != record.sum(key) {
            return Err(columns.damage());
        }
        Ok((record.expires_at > at).then_some(record))
    }

    fn put_dedupe(&self, key: &[u8], record: &DedupeRecord) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO dedupe(key, fingerprint, id, num, matched, expires_at, sum) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                key,
                record.fingerprint.as_slice(),
                record.id.as_bytes().as_slice(),
                record.num.0.cast_signed(),
                record.matched,
                record.expires_at.millis(),
                record.sum(key),
            ])?;
        Ok(())
    }
}

/// An idempotency record as stored.
struct DedupeRecord {
    fingerprint: Fingerprint,
    id: MessageId,
    num: Num,
    matched: u32,
    expires_at: Timestamp,
}

impl DedupeRecord {
    fn answer(&self, fingerprint: &Fingerprint) -> Appended {
        if self.fingerprint == *fingerprint {
            Appended::Duplicate {
                id: self.id,
                num: self.num,
                matched: self.matched,
            }
        } else {
            Appended::Conflict { id: self.id }
        }
    }

    fn sum(&self, key: &[u8]) -> i64 {
        Sum::new()
            .ints([
                self.num.0.cast_signed(),
                i64::from(self.matched),
                self.expires_at.millis(),
            ])
            .bytes(key)
            .bytes(self.id.as_bytes())
            .bytes(&self.fingerprint)
            .finish()
    }
}

fn dedupe_key(message: &NewMessage, dedupe: &Dedupe) -> [u8; DEDUPE_KEY_BYTES] {
    let hash = Sha256::new()
        .chain_update(dedupe.lineage.to_le_bytes())
        .chain_update(message.topic.0.to_le_bytes())
        .chain_update(dedupe.key.as_bytes())
        .finalize();
    let mut key = [0; DEDUPE_KEY_BYTES];
    key.copy_from_slice(&hash[..DEDUPE_KEY_BYTES]);
    key
}

/// The answer of a member that a refusal elsewhere kept out. Refusals and repeats of what was stored before the batch
/// stay what they are; `before` is the last number given out before it.
fn skip(answer: &mut Appended, before: u64) {
    let kept_out = match answer {
        Appended::Stored { .. } => true,
        Appended::Duplicate { num, .. } => num.0 > before,
        Appended::Conflict { .. } | Appended::UnknownBlob { .. } | Appended::Skipped => false,
    };
    if kept_out {
        *answer = Appended::Skipped;
    }
}
