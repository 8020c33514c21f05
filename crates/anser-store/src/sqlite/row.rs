//! Rows as SQLite keeps them: their columns, their checksums, and the way back to the contract's values. Every row that
//! leaves this module has matched its checksum.

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::store::{
    AliasKey, AliasKind, ConfigKind, ConfigRow, DeliveryRow, Known, LinkKind, Linked, MessageRow,
};
use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::failure::Failure;

/// The columns of a delivery in the order [`delivery`] reads them.
macro_rules! delivery_columns {
    () => {
        "id, topic, grp, channel, target, lane, pos, state, due, expires_at, accepted, first_attempt, attempts, \
         attempts_before, flags, checkpoint, bytes, log, sum"
    };
}
/// The columns of a message in the order [`message`] reads them.
macro_rules! message_columns {
    () => {
        "num, id, topic, time, document, matched, delete_at, sum"
    };
}
pub(super) use {delivery_columns, message_columns};

const FLAG_SCHEDULED: i64 = 1;
const FLAG_UNORDERED: i64 = 2;
const FLAG_AFTER_RESTART: i64 = 4;
const FLAG_AFTER_UNKNOWN: i64 = 8;
/// The index `delivery_rewind` holds those with this flag.
const FLAG_REWINDABLE: i64 = 16;

/// A delivery with what only the store knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredDelivery {
    pub(super) row: DeliveryRow,
    /// Its place in its lane; `None` when it has none.
    pub(super) pos: Option<u64>,
    /// The record of the attempts log that holds its newest attempt, 0 for none.
    pub(super) log: u64,
}

/// A message with what only the store knows of it.
#[derive(Debug, Clone)]
pub(super) struct StoredMessage {
    pub(super) row: MessageRow,
    pub(super) matched: u32,
    pub(super) delete_at: Option<Timestamp>,
}

/// A checksum over fields, each with its length or kind, so that no two rows share their bytes.
pub(super) struct Sum(crc32fast::Hasher);

impl Sum {
    pub(super) fn new() -> Self {
        Self(crc32fast::Hasher::new())
    }

    pub(super) fn ints<const N: usize>(mut self, values: [i64; N]) -> Self {
        let mut buffer = [[0; 8]; N];
        for (slot, value) in buffer.iter_mut().zip(values) {
            *slot = value.to_le_bytes();
        }
        self.0.update(buffer.as_flattened());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(super) fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.ints([1]).bytes(bytes),
            None => self.ints([0]),
        }
    }

    pub(super) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

/// A time as a column holds it; `NULL` is -1 in checksums.
pub(super) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::millis)
}

pub(super) fn message_sum(message: &StoredMessage) -> i64 {
    Sum::new()
        .ints([
            message.row.num.0.cast_signed(),
            message.row.topic.0.cast_signed(),
            message.row.time.millis(),
            i64::from(message.matched),
            millis(message.delete_at).unwrap_or(-1),
        ])
        .bytes(message.row.id.as_bytes())
        .bytes(&message.row.document)
        .finish()
}

pub(super) fn flags(row: &DeliveryRow) -> i64 {
    let mut flags = 0;
    if row.scheduled {
        flags |= FLAG_SCHEDULED;
    }
    if !row.ordered {
        flags |= FLAG_UNORDERED;
    }
    if row.rewindable {
        flags |= FLAG_REWINDABLE;
    }
    match row.possible_duplicate {
        Some(PossibleDuplicate::Restart) => flags |= FLAG_AFTER_RESTART,
        Some(PossibleDuplicate::Unknown) => flags |= FLAG_AFTER_UNKNOWN,
        None => {}
    }
    flags
}

pub(super) fn delivery_sum(delivery: &StoredDelivery) -> i64 {
    let row = &delivery.row;
    Sum::new()
        .ints([
            row.id.as_u64().cast_signed(),
            row.topic.0.cast_signed(),
            row.group.0.cast_signed(),
            row.channel.0.cast_signed(),
            i64::from(row.lane.is_some()),
            row.lane.unwrap_or(0).cast_signed(),
            delivery.pos.map_or(-1, u64::cast_signed),
            i64::from(row.state.code()),
            row.due.millis(),
            millis(row.expires_at).unwrap_or(-1),
            row.accepted.millis(),
            millis(row.first_attempt).unwrap_or(-1),
            i64::from(row.attempts),
            i64::from(row.attempts_before),
            flags(row),
            i64::from(row.bytes),
            delivery.log.cast_signed(),
        ])
        .optional(row.target.as_deref().map(str::as_bytes))
        .optional(row.checkpoint.as_deref())
        .finish()
}

pub(super) fn link_sum(target: Num, linked: &Linked) -> i64 {
    Sum::new()
        .ints([
            target.0.cast_signed(),
            linked.num.0.cast_signed(),
            linked.time.millis(),
            i64::from(linked.kind.code()),
        ])
        .bytes(linked.id.as_bytes())
        .finish()
}

pub(super) fn alias_sum(key: &AliasKey, known: Known) -> i64 {
    Sum::new()
        .ints([known.num.0.cast_signed(), i64::from(known.kind.code())])
        .bytes(&key.0)
        .finish()
}

pub(super) fn config_sum(row: &ConfigRow) -> i64 {
    Sum::new()
        .ints([row.id.0.cast_signed(), row.revision.cast_signed()])
        .bytes(row.kind.as_str().as_bytes())
        .bytes(row.key.as_bytes())
        .bytes(&row.document)
        .finish()
}

pub(super) fn log_sum(number: u64, time: Timestamp, count: u32, data: &[u8]) -> i64 {
    Sum::new()
        .ints([number.cast_signed(), time.millis(), i64::from(count)])
        .bytes(data)
        .finish()
}

/// The first and last number that a delivery of the message can have.
pub(super) fn ids_of(message: Num) -> [i64; 2] {
    // Numbers from outside may be greater than any that was given out.
    let message = message.min(Num(Num::END.0 - 1));
    let end = Num(message.0 + 1);
    [
        DeliveryId::new(message, 0).as_u64().cast_signed(),
        DeliveryId::new(end, 0).as_u64().cast_signed() - 1,
    ]
}

/// Columns of one row, read in order. A column of another kind than expected is damage.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
    what: &'static str,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) fn of(row: &'r Row<'s>, what: &'static str) -> Self {
        Self { row, next: 0, what }
    }

    fn value(&mut self) -> Result<ValueRef<'r>, Failure> {
        let value = self.row.get_ref(self.next)?;
        self.next += 1;
        Ok(value)
    }

    pub(super) fn damage(&self) -> Failure {
        let key = match self.row.get_ref(0) {
            Ok(ValueRef::Integer(number)) => format!(" {number}"),
            _ => String::new(),
        };
        Failure::Corrupt(format!("{}{key} does not match its checksum", self.what))
    }

    pub(super) fn int(&mut self) -> Result<i64, Failure> {
        match self.value()? {
            ValueRef::Integer(number) => Ok(number),
            _ => Err(self.damage()),
        }
    }

    pub(super) fn int_or_null(&mut self) -> Result<Option<i64>, Failure> {
        match self.value()? {
            ValueRef::Integer(number) => Ok(Some(number)),
            ValueRef::Null => Ok(None),
            _ => Err(self.damage()),
        }
    }

    pub(super) fn small(&mut self) -> Result<u32, Failure> {
        u32::try_from(self.int()?).map_err(|_| self.damage())
    }

    pub(super) fn blob(&mut self) -> Result<&'r [u8], Failure> {
        match self.value()? {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(self.damage()),
        }
    }

    pub(super) fn blob_or_null(&mut self) -> Result<Option<&'r [u8]>, Failure> {
        match self.value()? {
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            ValueRef::Null => Ok(None),
            _ => Err(self.damage()),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Failure> {
        self.text_or_null()?.ok_or_else(|| self.damage())
    }

    fn text_or_null(&mut self) -> Result<Option<String>, Failure> {
        match self.value()? {
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(self.damage()),
            },
            ValueRef::Null => Ok(None),
            _ => Err(self.damage()),
        }
    }

    pub(super) fn id(&mut self) -> Result<MessageId, Failure> {
        let bytes = self.blob()?.try_into().map_err(|_| self.damage())?;
        Ok(MessageId::from_bytes(bytes))
    }

    pub(super) fn resource(&mut self) -> Result<ResourceId, Failure> {
        Ok(ResourceId(self.int()?.cast_unsigned()))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Failure> {
        Ok(Timestamp::from_millis(self.int()?))
    }

    fn time_or_null(&mut self) -> Result<Option<Timestamp>, Failure> {
        Ok(self.int_or_null()?.map(Timestamp::from_millis))
    }
}

/// Reads the columns of [`message_columns`].
pub(super) fn message(row: &Row<'_>) -> Result<StoredMessage, Failure> {
    let mut columns = Columns::of(row, "message");
    let num = Num(columns.int()?.cast_unsigned());
    let id = columns.id()?;
    let topic = columns.resource()?;
    let time = columns.time()?;
    let document = Bytes::copy_from_slice(columns.blob()?);
    let message = StoredMessage {
        row: MessageRow {
            num,
            id,
            topic,
            time,
            document,
        },
        matched: columns.small()?,
        delete_at: columns.time_or_null()?,
    };
    if columns.int()? == message_sum(&message) {
        Ok(message)
    } else {
        Err(columns.damage())
    }
}

/// A message that is known by a name. Reads `num, key, kind, sum`.
pub(super) fn known(row: &Row<'_>) -> Result<Known, Failure> {
    let mut columns = Columns::of(row, "name of message");
    let num = Num(columns.int()?.cast_unsigned());
    let key = AliasKey(columns.blob()?.try_into().map_err(|_| columns.damage())?);
    let kind = u8::try_from(columns.small()?).ok();
    let kind = kind.and_then(AliasKind::from_code);
    let known = Known {
        num,
        kind: kind.ok_or_else(|| columns.damage())?,
    };
    if columns.int()? != alias_sum(&key, known) {
        return Err(columns.damage());
    }
    Ok(known)
}

/// A message that is about another.
pub(super) fn linked(row: &Row<'_>) -> Result<Linked, Failure> {
    let mut columns = Columns::of(row, "link to message");
    let target = Num(columns.int()?.cast_unsigned());
    let linked = Linked {
        num: Num(columns.int()?.cast_unsigned()),
        id: columns.id()?,
        time: columns.time()?,
        kind: u8::try_from(columns.small()?)
            .ok()
            .and_then(LinkKind::from_code)
            .ok_or_else(|| columns.damage())?,
    };
    if columns.int()? != link_sum(target, &linked) {
        return Err(columns.damage());
    }
    Ok(linked)
}

/// Reads the columns of [`delivery_columns`].
pub(super) fn delivery(row: &Row<'_>) -> Result<StoredDelivery, Failure> {
    let mut columns = Columns::of(row, "delivery");
    let id = DeliveryId::from_u64(columns.int()?.cast_unsigned());
    let topic = columns.resource()?;
    let group = columns.resource()?;
    let channel = columns.resource()?;
    let target = columns.text_or_null()?;
    let lane = columns.int_or_null()?.map(i64::cast_unsigned);
    let pos = columns.int_or_null()?.map(i64::cast_unsigned);
    let state = u8::try_from(columns.int()?).ok();
    let state = state.and_then(DeliveryState::from_code);
    let due = columns.time()?;
    let expires_at = columns.time_or_null()?;
    let accepted = columns.time()?;
    let first_attempt = columns.time_or_null()?;
    let attempts = columns.small()?;
    let attempts_before = columns.small()?;
    let flags = columns.int()?;
    let checkpoint = columns.blob_or_null()?.map(Bytes::copy_from_slice);
    let bytes = columns.small()?;
    let log = columns.int()?.cast_unsigned();
    let row = DeliveryRow {
        id,
        topic,
        group,
        channel,
        target,
        lane,
        state: state.ok_or_else(|| columns.damage())?,
        due,
        expires_at,
        accepted,
        first_attempt,
        attempts,
        attempts_before,
        scheduled: flags & FLAG_SCHEDULED != 0,
        ordered: flags & FLAG_UNORDERED == 0,
        possible_duplicate: possible_duplicate(flags),
        checkpoint,
        bytes,
        rewindable: flags & FLAG_REWINDABLE != 0,
    };
    let delivery = StoredDelivery { row, pos, log };
    if columns.int()? == delivery_sum(&delivery) {
        Ok(delivery)
    } else {
        Err(columns.damage())
    }
}

fn possible_duplicate(flags: i64) -> Option<PossibleDuplicate> {
    if flags & FLAG_AFTER_RESTART != 0 {
        Some(PossibleDuplicate::Restart)
    } else if flags & FLAG_AFTER_UNKNOWN != 0 {
        Some(PossibleDuplicate::Unknown)
    } else {
        None
    }
}

/// Reads `kind, key, id, revision, document, sum`.
pub(super) fn config(row: &Row<'_>) -> Result<ConfigRow, Failure> {
    let mut columns = Columns::of(row, "configuration document");
    let kind = columns.text()?;
    let kind = ConfigKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind);
    let config = ConfigRow {
        kind: kind.ok_or_else(|| columns.damage())?,
        key: columns.text()?,
        id: columns.resource()?,
        revision: columns.int()?.cast_unsigned(),
        document: Bytes::copy_from_slice(columns.blob()?),
    };
    if columns.int()? == config_sum(&config) {
        Ok(config)
    } else {
        Err(columns.damage())
    }
}
