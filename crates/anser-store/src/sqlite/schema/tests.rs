//! That data of every earlier version is brought forward and works.

use std::path::Path;
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::blob::BlobHash;
use anser_core::clock::ManualClock;
use anser_core::delivery::DeliveryState;
use anser_core::id::{IdGenerator, Receipt, ResourceId};
use anser_core::random::SeededRandom;
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, Append, Appended, BlobDoom, BlobIndex,
    DeliveryScan, Lease, NewDelivery, NewMessage, Rewind, Settle, Settlement, Store,
};
use bytes::Bytes;
use rusqlite::Connection;

use super::{STEPS, prepare_new, stored_version, version};
use crate::sqlite::{SqliteOptions, SqliteStore};

const GROUP: ResourceId = ResourceId(2);
const NOW: Timestamp = Timestamp::from_millis(1_763_859_600_000);
const TABLES: [&str; 6] = [
    "meta",
    "config",
    "message",
    "delivery",
    "dedupe",
    "attempt_log",
];

fn open(dir: &Path) -> SqliteStore {
    let clock = Arc::new(ManualClock::at(NOW));
    let options = SqliteOptions::new(dir, clock, Arc::new(SeededRandom::new(1)));
    SqliteStore::open(options).unwrap()
}

fn message(ids: &IdGenerator) -> NewMessage {
    NewMessage {
        id: ids.next(NOW, &SeededRandom::new(1)),
        topic: ResourceId(1),
        time: NOW,
        document: Bytes::from_static(b"{}"),
        dedupe: None,
        blobs: Vec::new(),
        link: None,
        known_as: Vec::new(),
        delete_at: None,
        deliveries: vec![NewDelivery {
            group: GROUP,
            channel: ResourceId(3),
            target: None,
            lane: None,
            due: NOW,
            scheduled: false,
            expires_at: None,
        }],
    }
}

/// Data with one pending and one delivered message, as an earlier version has it: its rows are those of today, in the
/// tables that the first steps alone make.
async fn write_version(dir: &Path, version: u32) {
    let today = tempfile::tempdir().unwrap();
    let store = open(today.path());
    let ids = IdGenerator::above(None);
    let append = Append {
        messages: vec![message(&ids), message(&ids)],
        atomic: false,
    };
    store.append(append).await.unwrap();
    let settlement = Settlement {
        token: newest(&store).await[0].token(),
        to: Settle::Delivered,
        at: NOW,
        attempt: None,
        unlogged: false,
        known_as: Vec::new(),
    };
    store.settle(vec![settlement]).await.unwrap();
    store.close().await.unwrap();

    let connection = Connection::open(dir.join("anser.db")).unwrap();
    prepare_new(&connection).unwrap();
    for step in &STEPS[..version as usize] {
        connection.execute_batch(step).unwrap();
    }
    connection
        .pragma_update(None, "user_version", version)
        .unwrap();
    let newer = today.path().join("anser.db");
    connection
        .execute("ATTACH ?1 AS newer", [newer.to_str()])
        .unwrap();
    for table in TABLES {
        let copy = format!("INSERT INTO main.{table} SELECT * FROM newer.{table}");
        connection.execute(&copy, []).unwrap();
    }
}

async fn newest(store: &SqliteStore) -> Vec<anser_core::store::DeliveryRow> {
    let scan = DeliveryScan {
        limit: 10,
        rows_read_max: 10,
        ..DeliveryScan::default()
    };
    store.scan_deliveries(scan).await.unwrap().deliveries
}

#[tokio::test]
async fn data_of_version_1_is_brought_forward() {
    let dir = tempfile::tempdir().unwrap();
    write_version(dir.path(), 1).await;
    let store = open(dir.path());
    assert!(store.info().clean);
    assert_eq!((store.info().epoch, store.info().highest_num.0), (2, 2));
    let rows = newest(&store).await;
    assert_eq!(
        rows.iter().map(|row| row.state).collect::<Vec<_>>(),
        [DeliveryState::Delivered, DeliveryState::Pending]
    );
    // What came with the second step works on what was there before it.
    let lease = Lease {
        queue: GROUP,
        max: 9,
        spent_max: 0,
        now: NOW,
        until: Timestamp::FAR_FUTURE,
        accepted_from: NOW,
        receives_max: None,
    };
    let leased = store.lease(lease).await.unwrap().deliveries;
    assert_eq!(leased.len(), 1);
    let done = Acknowledgement {
        queue: GROUP,
        receipt: Receipt::new(leased[0].row.id, 1),
        at: NOW,
        to: Acknowledge::Done { rewindable: true },
    };
    let answers = store.acknowledge(vec![done]).await.unwrap();
    assert!(matches!(answers[..], [Acknowledged::Done { .. }]));
    let rewind = Rewind {
        queue: GROUP,
        accepted_from: NOW,
        ended_from: NOW,
        after: None,
        limit: 9,
    };
    assert_eq!(store.rewind(rewind).await.unwrap().count, 1);
    store.close().await.unwrap();
    let connection = Connection::open(dir.path().join("anser.db")).unwrap();
    assert_eq!(stored_version(&connection).unwrap(), version());
}

#[tokio::test]
async fn data_of_version_2_learns_of_blobs() {
    let dir = tempfile::tempdir().unwrap();
    write_version(dir.path(), 2).await;
    let store = open(dir.path());
    assert!(store.info().clean);
    let hash = BlobHash([7; 32]);
    store.blob_put(hash, 5, NOW).await.unwrap();
    let mut referring = message(&IdGenerator::above(store.info().highest_id));
    referring.blobs = vec![hash];
    let append = Append {
        messages: vec![referring],
        atomic: false,
    };
    let answers = store.append(append).await.unwrap();
    assert!(matches!(answers[..], [Appended::Stored { .. }]));
    let doom = BlobDoom {
        untouched_since: Timestamp::FAR_FUTURE,
        after: None,
        limit: 9,
    };
    assert_eq!(store.blob_doom(doom).await, Ok(vec![]));
    store.close().await.unwrap();
    let connection = Connection::open(dir.path().join("anser.db")).unwrap();
    assert_eq!(stored_version(&connection).unwrap(), version());
}
