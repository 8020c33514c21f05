//! Retention in bounded steps: each is one member of a commit like any other, so publishing goes on between them.
//!
//! Messages go in the order of their numbers, which is the order of their times unless the clock was set back: then they
//! go when the older ones around them do.

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::id::{Num, ResourceId};
use anser_core::store::{Retention, Swept};
use rusqlite::{OptionalExtension, params};

use super::Session;
use crate::sqlite::failure::Failure;
use crate::sqlite::row::{self, StoredMessage, delivery_columns, message_columns};

/// Rows looked at for each row that may be removed: those that must stay are passed over in later steps as well.
const LOOKS_PER_ROW: usize = 4;
/// Pages given back to the file system in one step.
const PAGES_GIVEN_BACK_MAX: u32 = 256;
/// Pages are given back when the free ones are more than one in so many; fewer are soon used again.
const FREE_SHARE: u32 = 4;

/// The next message whose own time has come.
pub(in crate::sqlite) const NEXT_DELETE_AT: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message INDEXED BY message_delete_at WHERE delete_at IS NOT NULL AND delete_at <= ?1 \
             AND (delete_at, num) > (?2, ?3) ORDER BY delete_at, num LIMIT 1"
);

/// The next message of a topic.
pub(in crate::sqlite) const NEXT_OF_TOPIC: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message INDEXED BY message_topic WHERE topic = ?1 AND num > ?2 ORDER BY num LIMIT 1"
);

/// The next topic that has messages.
pub(in crate::sqlite) const NEXT_TOPIC: &str =
    "SELECT topic FROM message INDEXED BY message_topic WHERE topic > ?1 ORDER BY topic LIMIT 1";

/// How far the current pass has come, so that what stays is not looked at again in every step.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// Topic and number of the last message looked at.
    kept: Option<(i64, i64)>,
    /// Time and number of the last message looked at whose own time had come.
    due: Option<(i64, i64)>,
}

/// What a step may still do.
struct Budget {
    rows: usize,
    looks: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.rows == 0 || self.looks == 0
    }
}

impl Session<'_> {
    pub(super) fn sweep(&mut self, retention: &Retention) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        let mut budget = Budget {
            rows: retention.limit,
            looks: retention.limit.saturating_mul(LOOKS_PER_ROW),
        };
        self.sweep_due(retention, &mut budget, &mut swept)?;
        self.sweep_topics(retention, &mut budget, &mut swept)?;
        self.sweep_attempts(retention, &mut swept)?;
        self.sweep_dedupes(retention, &mut swept)?;
        self.give_pages_back()?;
        Ok(swept)
    }

    /// Messages whose `delete_at` has come.
    fn sweep_due(
        &mut self,
        retention: &Retention,
        budget: &mut Budget,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        while let Some(message) = self.next_due(retention.now)? {
            if budget.is_spent() {
                swept.more = true;
                return Ok(());
            }
            let num = message.row.num;
            if self.may_go(num, Timestamp::FAR_FUTURE, budget)? {
                self.remove(num, budget, swept)?;
            } else {
                self.cursors.due = Some((
                    row::millis(message.delete_at).unwrap_or(0),
                    num.0.cast_signed(),
                ));
            }
        }
        self.cursors.due = None;
        Ok(())
    }

    fn next_due(&self, now: Timestamp) -> Result<Option<StoredMessage>, Failure> {
        let (time, num) = self.cursors.due.unwrap_or((i64::MIN, 0));
        let mut statement = self.connection.prepare_cached(NEXT_DELETE_AT)?;
        let mut rows = statement.query(params![now.millis(), time, num])?;
        rows.next()?.map(row::message).transpose()
    }

    /// Messages older than their topic keeps them, topic by topic.
    fn sweep_topics(
        &mut self,
        retention: &Retention,
        budget: &mut Budget,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let (mut topic, mut after) = self.cursors.kept.unwrap_or((i64::MIN, 0));
        loop {
            if budget.is_spent() {
                self.cursors.kept = Some((topic, after));
                swept.more = true;
                return Ok(());
            }
            let cutoff = cutoff(retention, topic);
            match self.next_of_topic(topic, after)? {
                Some(message) if message.row.time < cutoff => {
                    budget.looks -= 1;
                    let num = message.row.num;
                    let stays = !self.may_go(num, retention.dead_before, budget)?;
                    if stays || self.remove(num, budget, swept)? {
                        after = num.0.cast_signed();
                    }
                }
                _ => match self.next_topic(topic)? {
                    Some(next) => (topic, after) = (next, 0),
                    None => break,
                },
            }
        }
        self.cursors.kept = None;
        Ok(())
    }

    fn next_of_topic(&self, topic: i64, after: i64) -> Result<Option<StoredMessage>, Failure> {
        let mut statement = self.connection.prepare_cached(NEXT_OF_TOPIC)?;
        let mut rows = statement.query(params![topic, after])?;
        rows.next()?.map(row::message).transpose()
    }

    fn next_topic(&self, after: i64) -> Result<Option<i64>, Failure> {
        let mut statement = self.connection.prepare_cached(NEXT_TOPIC)?;
        let mut rows = statement.query([after])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    /// Whether all of a message's deliveries are final, and none died at or after `dead_before`.
    fn may_go(
        &self,
        message: Num,
        dead_before: Timestamp,
        budget: &mut Budget,
    ) -> Result<bool, Failure> {
        let mut statement = self.connection.prepare_cached(concat!(
            "SELECT ",
            delivery_columns!(),
            " FROM delivery WHERE id BETWEEN ?1 AND ?2 ORDER BY id"
        ))?;
        let mut rows = statement.query(row::ids_of(message))?;
        while let Some(found) = rows.next()? {
            budget.looks = budget.looks.saturating_sub(1);
            let delivery = row::delivery(found)?.row;
            let kept_dead = delivery.state == DeliveryState::Dead && delivery.due >= dead_before;
            if kept_dead || !delivery.state.is_final() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes a message with its deliveries; false when the budget took only some of the deliveries.
    fn remove(
        &mut self,
        message: Num,
        budget: &mut Budget,
        swept: &mut Swept,
    ) -> Result<bool, Failure> {
        let [first, last] = row::ids_of(message);
        let most = i64::try_from(budget.rows).unwrap_or(i64::MAX);
        let removed = self
            .connection
            .prepare_cached(
                "DELETE FROM delivery WHERE id IN \
                 (SELECT id FROM delivery WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3)",
            )?
            .execute(params![first, last, most])?;
        let whole = removed < budget.rows;
        budget.rows -= removed;
        if whole {
            self.let_go(message)?;
            self.connection
                .prepare_cached("DELETE FROM link WHERE target = ?1")?
                .execute([message.0.cast_signed()])?;
            self.connection
                .prepare_cached("DELETE FROM alias WHERE num = ?1")?
                .execute([message.0.cast_signed()])?;
            self.connection
                .prepare_cached("DELETE FROM message WHERE num = ?1")?
                .execute([message.0.cast_signed()])?;
            self.keep_counters = true;
            budget.rows -= 1;
            swept.messages += 1;
        }
        Ok(whole)
    }

    /// Records of the attempts log, from the oldest on.
    fn sweep_attempts(&mut self, retention: &Retention, swept: &mut Swept) -> Result<(), Failure> {
        while let Some((num, time, count)) = self.oldest_record()? {
            if time >= retention.attempts_before.millis() {
                break;
            }
            if swept.attempts >= retention.limit {
                swept.more = true;
                break;
            }
            self.connection
                .prepare_cached("DELETE FROM attempt_log WHERE num = ?1")?
                .execute([num])?;
            swept.attempts += count as usize;
        }
        Ok(())
    }

    fn oldest_record(&self) -> Result<Option<(i64, i64, u32)>, Failure> {
        let oldest = self
            .connection
            .prepare_cached("SELECT num, time, count FROM attempt_log ORDER BY num LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        Ok(oldest)
    }

    fn sweep_dedupes(&mut self, retention: &Retention, swept: &mut Swept) -> Result<(), Failure> {
        let most = i64::try_from(retention.limit).unwrap_or(i64::MAX);
        swept.dedupes = self
            .connection
            .prepare_cached(
                "DELETE FROM dedupe WHERE key IN (SELECT key FROM dedupe INDEXED BY dedupe_expires_at \
                 WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?
            .execute(params![retention.now.millis(), most])?;
        swept.more |= swept.dedupes >= retention.limit;
        Ok(())
    }

    fn give_pages_back(&self) -> Result<(), Failure> {
        let count = |sql| -> Result<u32, Failure> {
            Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
        };
        if count("PRAGMA freelist_count")? > count("PRAGMA page_count")? / FREE_SHARE {
            let sql = format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK_MAX})");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

fn cutoff(retention: &Retention, topic: i64) -> Timestamp {
    let topic = ResourceId(topic.cast_unsigned());
    let named = retention
        .messages_before
        .iter()
        .find(|(named, _)| *named == topic);
    named.map_or(retention.default_before, |(_, before)| *before)
}
