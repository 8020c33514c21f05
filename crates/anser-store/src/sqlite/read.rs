//! Everything that is read: bounded queries on one connection, each over one snapshot. Rows come back checked. Must not
//! write.

use std::collections::HashSet;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::store::{
    AliasKey, Claim, ClaimClass, Claimed, ConfigRow, DeliveryPage, DeliveryRow, DeliveryScan,
    Group, Known, Linked, MessageRow, MessageScan,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use super::attempts;
use super::failure::Failure;
use super::row::{self, Columns, StoredDelivery, delivery_columns, message_columns};

/// Messages are numbered in the order of their commits, nearly the order of their ids; a search by time starts so many
/// numbers away from where the ids say.
const NUMBERS_OUT_OF_ORDER_MAX: i64 = 100_000;
/// How far an id's time may run ahead of its message's, after the clock was set back, in a search for older messages.
const ID_AHEAD_MAX: Duration = Duration::from_secs(3600);

const DELIVERY: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE id = ?1"
);
const MESSAGE: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message WHERE num = ?1"
);

pub(super) fn claim(connection: &Connection, claim: &Claim) -> Result<Claimed, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let state = match claim.class {
        ClaimClass::First => DeliveryState::Pending,
        ClaimClass::Retry => DeliveryState::Retrying,
    };
    let exclude: HashSet<DeliveryId> = claim.exclude.iter().copied().collect();
    let (group, due_until) = (claim.group.0.cast_signed(), claim.due_until.millis());
    let mut found = Claimed::default();
    let mut statement = snapshot.prepare_cached(CLAIM)?;
    let mut rows = statement.query(params![group, state.code(), due_until])?;
    while let Some(row) = rows.next()? {
        let (id, due): (i64, i64) = (row.get(0)?, row.get(1)?);
        let id = DeliveryId::from_u64(id.cast_unsigned());
        if exclude.contains(&id) {
            continue;
        }
        if found.deliveries.len() >= claim.limit {
            found.more = true;
            break;
        }
        let delivery = stored(&snapshot, id)?.map(|stored| stored.row);
        let matching = delivery.filter(|row| {
            row.group == claim.group && row.state == state && row.due.millis() == due
        });
        found
            .deliveries
            .push(matching.ok_or_else(|| index_damage(id))?);
    }
    found.next_due = snapshot
        .prepare_cached(NEXT_DUE)?
        .query_row(params![group, state.code(), due_until], |row| row.get(0))
        .optional()?
        .map(Timestamp::from_millis);
    Ok(found)
}

/// Reads the index alone, so that what the owner holds already costs no look at its row.
pub(super) const CLAIM: &str = "SELECT id, due FROM delivery INDEXED BY delivery_open \
    WHERE grp = ?1 AND state = ?2 AND state < 3 AND due <= ?3 ORDER BY due, id";
pub(super) const NEXT_DUE: &str = "SELECT due FROM delivery INDEXED BY delivery_open \
    WHERE grp = ?1 AND state = ?2 AND state < 3 AND due > ?3 ORDER BY due LIMIT 1";

fn index_damage(id: DeliveryId) -> Failure {
    Failure::Corrupt(format!(
        "delivery {} is not what the index says",
        id.as_u64()
    ))
}

/// Groups with deliveries that wait for their time or turn, found by leaping from one to the next in the index.
pub(super) fn groups(connection: &Connection) -> Result<Vec<(Group, Timestamp)>, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let mut next_group = snapshot.prepare_cached(
        "SELECT grp FROM delivery INDEXED BY delivery_open WHERE state < 3 AND grp > ?1 ORDER BY grp LIMIT 1",
    )?;
    let mut first_due = snapshot.prepare_cached(
        "SELECT due FROM delivery INDEXED BY delivery_open \
         WHERE grp = ?1 AND state = ?2 AND state < 3 ORDER BY due LIMIT 1",
    )?;
    let mut groups = Vec::new();
    let mut after = i64::MIN;
    while let Some(group) = next_group.query_row([after], |row| row.get(0)).optional()? {
        after = group;
        let mut due: Option<i64> = None;
        for state in [DeliveryState::Pending, DeliveryState::Retrying] {
            let first: Option<i64> = first_due
                .query_row(params![group, state.code()], |row| row.get(0))
                .optional()?;
            due = due.into_iter().chain(first).min();
        }
        if let Some(due) = due {
            groups.push((
                ResourceId(group.cast_unsigned()),
                Timestamp::from_millis(due),
            ));
        }
    }
    Ok(groups)
}

pub(super) fn message(
    connection: &Connection,
    id: MessageId,
) -> Result<Option<MessageRow>, Failure> {
    let found = all(
        connection.prepare_cached(concat!(
            "SELECT ",
            message_columns!(),
            " FROM message WHERE id = ?1"
        ))?,
        [id.as_bytes().as_slice()],
        row::message,
    )?;
    Ok(found.into_iter().next().map(|stored| stored.row))
}

pub(super) fn linked(connection: &Connection, target: Num) -> Result<Vec<Linked>, Failure> {
    all(
        connection.prepare_cached(
            "SELECT target, num, id, time, kind, sum FROM link WHERE target = ?1 ORDER BY num",
        )?,
        [target.0.cast_signed()],
        row::linked,
    )
}

pub(super) fn known_as(connection: &Connection, key: AliasKey) -> Result<Vec<Known>, Failure> {
    all(
        connection
            .prepare_cached("SELECT num, key, kind, sum FROM alias WHERE key = ?1 ORDER BY num")?,
        [key.0.as_slice()],
        row::known,
    )
}

pub(super) fn messages(connection: &Connection, nums: &[Num]) -> Result<Vec<MessageRow>, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let mut found = Vec::with_capacity(nums.len());
    for num in nums {
        let rows = all(
            snapshot.prepare_cached(MESSAGE)?,
            [num.0.cast_signed()],
            row::message,
        )?;
        found.extend(rows.into_iter().map(|stored| stored.row));
    }
    Ok(found)
}

pub(super) fn scan_messages(
    connection: &Connection,
    scan: &MessageScan,
) -> Result<Vec<MessageRow>, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let (low, high) = number_range(&snapshot, scan)?;
    let topic = if scan.topic.is_some() {
        " FROM message INDEXED BY message_topic WHERE topic = ?1 AND"
    } else {
        " FROM message WHERE ?1 IS NULL AND"
    };
    let order = if scan.ascending { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {}{topic} num > ?2 AND num < ?3 AND (?4 IS NULL OR time >= ?4) AND (?5 IS NULL OR time < ?5) \
         ORDER BY num {order} LIMIT ?6",
        message_columns!()
    );
    let found = all(
        snapshot.prepare_cached(&sql)?,
        params![
            scan.topic.map(|topic| topic.0.cast_signed()),
            low,
            high,
            row::millis(scan.since),
            row::millis(scan.until),
            i64::try_from(scan.limit).unwrap_or(i64::MAX),
        ],
        row::message,
    )?;
    Ok(found.into_iter().map(|stored| stored.row).collect())
}

/// The numbers between which a scan looks, both excluded. Times narrow them through the ids, which carry the time.
fn number_range(connection: &Connection, scan: &MessageScan) -> Result<(i64, i64), Failure> {
    let (mut low, mut high) = (0, i64::MAX);
    match scan.from {
        Some(from) if scan.ascending => low = from.0.cast_signed(),
        Some(from) => high = from.0.cast_signed(),
        None => {}
    }
    if let Some(since) = scan.since {
        let first: Option<i64> = connection
            .prepare_cached("SELECT num FROM message WHERE id >= ?1 ORDER BY id LIMIT 1")?
            .query_row([MessageId::lowest_at(since).as_bytes().as_slice()], |row| {
                row.get(0)
            })
            .optional()?;
        // No id that late: no message of that time either.
        low = low.max(first.map_or(i64::MAX, |num| num - NUMBERS_OUT_OF_ORDER_MAX));
    }
    if let Some(until) = scan.until {
        let last: Option<i64> = connection
            .prepare_cached("SELECT num FROM message WHERE id < ?1 ORDER BY id DESC LIMIT 1")?
            .query_row(
                [MessageId::lowest_at(until.plus(ID_AHEAD_MAX))
                    .as_bytes()
                    .as_slice()],
                |row| row.get(0),
            )
            .optional()?;
        high = high.min(last.map_or(0, |num| num.saturating_add(NUMBERS_OUT_OF_ORDER_MAX)));
    }
    Ok((low, high))
}

pub(super) fn delivery(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, Failure> {
    Ok(stored(connection, id)?.map(|stored| stored.row))
}

fn stored(connection: &Connection, id: DeliveryId) -> Result<Option<StoredDelivery>, Failure> {
    let found = all(
        connection.prepare_cached(DELIVERY)?,
        [id.as_u64().cast_signed()],
        row::delivery,
    )?;
    Ok(found.into_iter().next())
}

pub(super) fn deliveries_of(
    connection: &Connection,
    message: Num,
    from: u32,
    limit: usize,
) -> Result<Vec<DeliveryRow>, Failure> {
    let [first, last] = row::ids_of(message);
    let found = all(
        connection.prepare_cached(concat!(
            "SELECT ",
            delivery_columns!(),
            " FROM delivery WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3"
        ))?,
        params![
            first + i64::from(from),
            last,
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
        row::delivery,
    )?;
    Ok(found.into_iter().map(|stored| stored.row).collect())
}

pub(super) fn scan_deliveries(
    connection: &Connection,
    scan: &DeliveryScan,
) -> Result<DeliveryPage, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let sql = if scan.states == [DeliveryState::Dead] {
        DEAD_NEWEST_FIRST
    } else {
        NEWEST_FIRST
    };
    let before = scan.before.map_or(i64::MAX, |id| id.as_u64().cast_signed());
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut rows = statement.query([before])?;
    let mut page = DeliveryPage::default();
    let mut last = None;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        if page.deliveries.len() >= scan.limit || read >= scan.rows_read_max {
            page.next = last;
            break;
        }
        read += 1;
        let delivery = row::delivery(row)?.row;
        last = Some(delivery.id);
        if matches(scan, &delivery) {
            page.deliveries.push(delivery);
        }
    }
    Ok(page)
}

pub(super) const NEWEST_FIRST: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE id < ?1 ORDER BY id DESC"
);
pub(super) const DEAD_NEWEST_FIRST: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_dead WHERE state = 4 AND id < ?1 ORDER BY id DESC"
);

fn matches(scan: &DeliveryScan, row: &DeliveryRow) -> bool {
    (scan.states.is_empty() || scan.states.contains(&row.state))
        && (scan.groups.is_empty() || scan.groups.contains(&row.group))
        && scan.channel.is_none_or(|channel| channel == row.channel)
        && scan.since.is_none_or(|since| row.accepted >= since)
}

/// Follows the chain of records from the newest attempt back; retention may have cut it.
pub(super) fn attempts(
    connection: &Connection,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>, Failure> {
    let snapshot = connection.unchecked_transaction()?;
    let mut record = stored(&snapshot, delivery)?.map_or(0, |stored| stored.log);
    let mut newest_first = Vec::new();
    while record != 0 {
        let Some(data) = log_record(&snapshot, record)? else {
            break;
        };
        let damage = || Failure::Corrupt(format!("record {record} of the attempts log"));
        let (found, before) = attempts::find(&data, delivery).ok_or_else(damage)?;
        newest_first.extend(found.into_iter().rev());
        record = if before < record { before } else { 0 };
    }
    newest_first.reverse();
    Ok(newest_first)
}

fn log_record(connection: &Connection, number: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT num, time, count, data, sum FROM attempt_log WHERE num = ?1")?;
    let mut rows = statement.query([number.cast_signed()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut columns = Columns::of(row, "attempts log record");
    let (num, time, count) = (columns.int()?, columns.time()?, columns.small()?);
    let data = columns.blob()?;
    if columns.int()? == row::log_sum(num.cast_unsigned(), time, count, data) {
        Ok(Some(data.to_vec()))
    } else {
        Err(columns.damage())
    }
}

pub(super) fn config_list(connection: &Connection) -> Result<Vec<ConfigRow>, Failure> {
    all(
        connection.prepare_cached(
            "SELECT kind, key, id, revision, document, sum FROM config ORDER BY kind, key",
        )?,
        [],
        row::config,
    )
}

fn all<T>(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    read: fn(&rusqlite::Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
