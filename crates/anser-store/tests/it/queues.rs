//! What only a second opening or a damaged row tells about queues: leases outlive their process, and no damage keeps a
//! consumer from the rest of its queue.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{IdGenerator, Receipt, ResourceId};
use anser_core::random::SeededRandom;
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, Append, Appended, DeliveryRow, Lease, Leased,
    NewDelivery, NewMessage, Rewind, Store,
};
use anser_store::SqliteStore;
use bytes::Bytes;

use crate::setup::Place;

const QUEUE: ResourceId = ResourceId(2);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_763_859_600_000).plus(Duration::from_secs(seconds))
}

/// Sends so many messages, all in lanes of their own or none.
async fn send(store: &SqliteStore, count: u64, in_lanes: bool) -> Vec<DeliveryRow> {
    let ids = IdGenerator::above(store.info().highest_id);
    let random = SeededRandom::new(1);
    let messages = (0..count).map(|number| NewMessage {
        id: ids.next(at(number), &random),
        topic: ResourceId(1),
        time: at(number),
        document: Bytes::from_static(b"{}"),
        dedupe: None,
        blobs: Vec::new(),
        link: None,
        known_as: Vec::new(),
        delete_at: None,
        deliveries: vec![NewDelivery {
            group: QUEUE,
            channel: QUEUE,
            target: None,
            lane: in_lanes.then_some(number),
            due: at(number),
            scheduled: false,
            expires_at: None,
        }],
    });
    let append = Append {
        messages: messages.collect(),
        atomic: false,
    };
    let answers = store.append(append).await.unwrap();
    let mut rows = Vec::new();
    for answer in answers {
        if let Appended::Stored { deliveries, .. } = answer {
            rows.extend(deliveries);
        }
    }
    rows
}

async fn lease(store: &SqliteStore, now: u64) -> Leased {
    let lease = Lease {
        queue: QUEUE,
        max: 16,
        spent_max: 16,
        now: at(now),
        until: at(now + 30),
        accepted_from: Timestamp::EPOCH,
        receives_max: None,
    };
    store.lease(lease).await.unwrap()
}

async fn acknowledge(store: &SqliteStore, row: &DeliveryRow, now: u64) -> bool {
    let acknowledgement = Acknowledgement {
        queue: QUEUE,
        receipt: Receipt::new(row.id, row.attempts),
        at: at(now),
        to: Acknowledge::Done { rewindable: true },
    };
    let answers = store.acknowledge(vec![acknowledgement]).await.unwrap();
    matches!(answers[..], [Acknowledged::Done { .. }])
}

#[tokio::test]
async fn a_lease_outlives_its_process() {
    let place = Place::new();
    let store = place.open();
    send(&store, 3, false).await;
    let leased = lease(&store, 10).await.deliveries;
    assert!(acknowledge(&store, &leased[0].row, 11).await);
    let counts = store.queue_counts(QUEUE, at(11), at(0)).await;
    let depths = store.depths();
    assert_eq!((depths[0].count, depths[0].retrying), (2, 2));
    let killed = place.copy();
    store.close().await.unwrap();
    drop(store);
    for place in [&killed, &place] {
        let store = place.open();
        assert_eq!(store.depths(), depths);
        assert_eq!(store.queue_counts(QUEUE, at(11), at(0)).await, counts);
        let nothing = lease(&store, 39).await;
        assert_eq!(
            (nothing.deliveries.len(), nothing.next_due),
            (0, Some(at(40)))
        );
        assert!(
            !acknowledge(&store, &leased[0].row, 39).await,
            "that one is done"
        );
        assert!(acknowledge(&store, &leased[1].row, 39).await);
        let again = lease(&store, 40).await.deliveries;
        assert_eq!(again.len(), 1);
        assert_eq!(
            (again[0].row.id, again[0].row.attempts),
            (leased[2].row.id, 2)
        );
        assert!(!acknowledge(&store, &leased[2].row, 41).await);
    }
}

/// Changes a row behind the store's back without its checksum.
fn damage(place: &Place, sql: &str) {
    let connection = rusqlite::Connection::open(place.file("anser.db")).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
}

#[tokio::test]
async fn a_damaged_delivery_holds_up_no_queue() {
    let place = Place::new();
    let store = place.open();
    let rows = send(&store, 4, true).await;
    damage(
        &place,
        &format!(
            "UPDATE delivery SET sum = sum + 1 WHERE id = {}",
            rows[0].id.as_u64()
        ),
    );
    for now in [10, 40] {
        let leased = lease(&store, now).await;
        let found: Vec<_> = leased.deliveries.iter().map(|one| one.row.id).collect();
        assert_eq!(found, [rows[1].id, rows[2].id, rows[3].id]);
        assert!(!leased.more && leased.spent.is_empty());
    }
    for one in lease(&store, 80).await.deliveries {
        assert!(acknowledge(&store, &one.row, 81).await);
    }
    // Nor does it hold up a rewind.
    damage(
        &place,
        &format!(
            "UPDATE delivery SET sum = sum + 1 WHERE id = {}",
            rows[1].id.as_u64()
        ),
    );
    let rewind = Rewind {
        queue: QUEUE,
        accepted_from: at(0),
        ended_from: at(0),
        after: None,
        limit: 2,
    };
    let rewound = store.rewind(rewind).await.unwrap();
    assert_eq!((rewound.count, rewound.next), (2, None));
    assert_eq!(lease(&store, 82).await.deliveries.len(), 2);
}

#[tokio::test]
async fn a_damaged_message_is_leased_without_it() {
    let place = Place::new();
    let store = place.open();
    let rows = send(&store, 2, false).await;
    damage(
        &place,
        &format!(
            "UPDATE message SET document = 'x' WHERE num = {}",
            rows[0].id.num().0
        ),
    );
    let leased = lease(&store, 10).await.deliveries;
    assert_eq!(leased.len(), 2);
    assert_eq!(leased[0].message, None);
    assert!(leased[1].message.is_some());
    assert!(acknowledge(&store, &leased[0].row, 11).await);
}
