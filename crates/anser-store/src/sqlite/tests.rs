//! That what is asked often is answered by one step in an index, whatever waits beside it: asked of SQLite's planner, not
//! of a stopwatch.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::clock::ManualClock;
use anser_core::random::SeededRandom;
use rusqlite::Connection;

use super::{SqliteOptions, SqliteStore, counts, read, writer};

fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let count = statement.parameter_count();
    let steps = statement
        .query_map(rusqlite::params_from_iter(vec![1_i64; count]), |row| {
            row.get::<_, String>(3)
        })
        .unwrap();
    steps
        .map(Result::unwrap)
        .collect::<Vec<String>>()
        .join("; ")
}

/// Asks SQLite how it would answer.
fn expect_plans(expected: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let options = SqliteOptions::new(dir.path(), clock, Arc::new(SeededRandom::new(1)));
    let store = SqliteStore::open(options).unwrap();
    let connection = Connection::open(dir.path().join("anser.db")).unwrap();
    for (sql, index) in expected {
        let plan = plan(&connection, sql);
        assert!(plan.contains(index), "{plan}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
    drop(store);
}

#[test]
fn no_hot_query_scans_or_sorts() {
    expect_plans(&[
        (
            read::CLAIM,
            "COVERING INDEX delivery_open (grp=? AND state=? AND due<?)",
        ),
        (
            read::NEXT_DUE,
            "COVERING INDEX delivery_open (grp=? AND state=? AND due>?)",
        ),
        (
            read::DEAD_NEWEST_FIRST,
            "INDEX delivery_dead (state=? AND rowid<?)",
        ),
        (read::NEWEST_FIRST, "INTEGER PRIMARY KEY (rowid<?)"),
        (writer::LANE_HEAD, "INDEX delivery_lane (lane=? AND pos>?)"),
        (
            writer::OPEN_OF_GROUP,
            "INDEX delivery_open (grp=? AND state=?)",
        ),
        (
            writer::NEXT_OF_TOPIC,
            "INDEX message_topic (topic=? AND rowid>?)",
        ),
        (writer::NEXT_TOPIC, "COVERING INDEX message_topic (topic>?)"),
        (writer::NEXT_DELETE_AT, "INDEX message_delete_at"),
    ]);
}

#[test]
fn no_query_of_a_queue_scans_or_sorts() {
    expect_plans(&[
        (
            writer::DUE_OF_QUEUE,
            "MERGE (UNION ALL); LEFT; SEARCH delivery USING INDEX delivery_open (grp=? AND state=? AND due>? AND due<?); \
             RIGHT; SEARCH delivery USING INDEX delivery_open (grp=? AND state=? AND due>? AND due<?)",
        ),
        (
            writer::FRONT_OF_QUEUE,
            "INDEX delivery_open (grp=? AND state=? AND due<?)",
        ),
        (
            writer::NEXT_DUE_OF_QUEUE,
            "MERGE (UNION ALL); LEFT; SEARCH delivery USING COVERING INDEX delivery_open (grp=? AND state=? AND due>?); \
             RIGHT; SEARCH delivery USING COVERING INDEX delivery_open (grp=? AND state=? AND due>?)",
        ),
        (
            writer::REWINDABLE,
            "INDEX delivery_rewind (grp=? AND due>?)",
        ),
        (
            counts::COUNT_OPEN,
            "COVERING INDEX delivery_open (grp=? AND state=? AND due>? AND due<?)",
        ),
        (
            counts::COUNT_DELAYED,
            "INDEX delivery_open (grp=? AND state=? AND due>?)",
        ),
        (
            counts::COUNT_REWINDABLE,
            "COVERING INDEX delivery_rewind (grp=? AND due>?)",
        ),
    ]);
}

#[test]
fn no_sweep_of_blobs_scans_or_sorts() {
    expect_plans(&[
        (writer::IDLE_BLOBS, "COVERING INDEX blob_idle (touched<?)"),
        (
            writer::DOOMED_BLOBS,
            "COVERING INDEX blob_idle (touched=? AND hash>?)",
        ),
    ]);
}
