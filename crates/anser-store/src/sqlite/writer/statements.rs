//! The statements on the way of every message, prepared once; the rare ones go through the connection's cache.

use rusqlite::{Connection, Statement};

use super::queue::{DUE_OF_QUEUE, NEXT_DUE_OF_QUEUE};
use crate::sqlite::row::{delivery_columns, message_columns};

/// The first of a lane.
pub(in crate::sqlite) const LANE_HEAD: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery INDEXED BY delivery_lane WHERE lane = ?1 AND pos IS NOT NULL ORDER BY pos LIMIT 1"
);

/// The hot statements.
pub(super) struct Statements<'c> {
    pub(super) begin: Statement<'c>,
    pub(super) commit: Statement<'c>,
    pub(super) message_by_id: Statement<'c>,
    pub(super) insert_message: Statement<'c>,
    pub(super) insert_delivery: Statement<'c>,
    pub(super) delivery: Statement<'c>,
    /// Of a delivery that keeps its lane and place.
    pub(super) update_delivery: Statement<'c>,
    /// Of one that changes them.
    pub(super) move_delivery: Statement<'c>,
    pub(super) lane_head: Statement<'c>,
    pub(super) insert_log: Statement<'c>,
    pub(super) due_of_queue: Statement<'c>,
    pub(super) next_due_of_queue: Statement<'c>,
    pub(super) message: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            message_by_id: prepare("SELECT num, matched FROM message WHERE id = ?1")?,
            insert_message: prepare(
                "INSERT INTO message(num, id, topic, time, document, matched, delete_at, sum) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            insert_delivery: prepare(concat!(
                "INSERT INTO delivery(",
                delivery_columns!(),
                ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
            ))?,
            delivery: prepare(concat!(
                "SELECT ",
                delivery_columns!(),
                " FROM delivery WHERE id = ?1"
            ))?,
            update_delivery: prepare(
                "UPDATE delivery SET state = ?2, due = ?3, first_attempt = ?4, attempts = ?5, flags = ?6, \
                 checkpoint = ?7, log = ?8, sum = ?9 WHERE id = ?1",
            )?,
            move_delivery: prepare(
                "UPDATE delivery SET state = ?2, due = ?3, first_attempt = ?4, attempts = ?5, flags = ?6, \
                 checkpoint = ?7, log = ?8, sum = ?9, lane = ?10, pos = ?11, attempts_before = ?12 WHERE id = ?1",
            )?,
            lane_head: prepare(LANE_HEAD)?,
            insert_log: prepare(
                "INSERT INTO attempt_log(num, time, count, data, sum) VALUES(?1, ?2, ?3, ?4, ?5)",
            )?,
            due_of_queue: prepare(DUE_OF_QUEUE)?,
            next_due_of_queue: prepare(NEXT_DUE_OF_QUEUE)?,
            message: prepare(concat!(
                "SELECT ",
                message_columns!(),
                " FROM message WHERE num = ?1"
            ))?,
        })
    }
}
