//! What is refused, and what goes on meanwhile: a second owner, a newer schema, a disk that is full or nearly so.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::id::{IdGenerator, ResourceId};
use anser_core::random::SeededRandom;
use anser_core::store::{
    Append, Appended, DeliveryRow, NewDelivery, NewMessage, Retention, Settle, Settled, Settlement,
    Store, StoreError,
};
use anser_store::{OpenError, SqliteOptions, SqliteStore};
use bytes::Bytes;

use crate::setup::Place;

fn now() -> Timestamp {
    Timestamp::from_millis(1_763_859_600_000)
}

fn message(ids: &IdGenerator, bytes: usize) -> Append {
    let message = NewMessage {
        id: ids.next(now(), &SeededRandom::new(1)),
        topic: ResourceId(1),
        time: now(),
        document: Bytes::from(vec![b'x'; bytes]),
        dedupe: None,
        blobs: Vec::new(),
        link: None,
        known_as: Vec::new(),
        delete_at: None,
        deliveries: vec![NewDelivery {
            group: ResourceId(2),
            channel: ResourceId(3),
            target: None,
            lane: None,
            due: now(),
            scheduled: false,
            expires_at: None,
        }],
    };
    Append {
        messages: vec![message],
        atomic: false,
    }
}

fn done(row: &DeliveryRow) -> Vec<Settlement> {
    vec![Settlement {
        token: row.token(),
        to: Settle::Delivered,
        at: now(),
        attempt: None,
        unlogged: false,
        known_as: Vec::new(),
    }]
}

fn everything() -> Retention {
    Retention {
        messages_before: vec![],
        default_before: Timestamp::FAR_FUTURE,
        dead_before: Timestamp::FAR_FUTURE,
        attempts_before: Timestamp::FAR_FUTURE,
        now: now(),
        limit: 1_000,
    }
}

#[tokio::test]
async fn one_owner_at_a_time() {
    let place = Place::new();
    let store = place.open();
    let first = store.info();
    assert!((1_000_000_000..10_000_000_000).contains(&first.installation));
    assert!(first.clean && first.highest_id.is_none());
    let text = match place.try_open() {
        Err(error @ OpenError::InUse { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        text.contains(&place.dir().display().to_string()) && text.contains("another process"),
        "{text}"
    );
    let ids = IdGenerator::above(None);
    let append = message(&ids, 10);
    let id = append.messages[0].id;
    store.append(append).await.unwrap();
    store.close().await.unwrap();
    // Closed is enough: the data is free although the store was not dropped.
    let second = place.open();
    let info = second.info();
    assert_eq!(
        (info.installation, info.epoch, info.clean),
        (first.installation, first.epoch + 1, true)
    );
    assert_eq!((info.highest_id, info.highest_num.0), (Some(id), 1));
    drop(second);
    assert!(!place.open().info().clean);
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let place = Place::new();
    place.open().close().await.unwrap();
    let connection = rusqlite::Connection::open(place.file("anser.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let before = std::fs::read(place.file("anser.db")).unwrap();
    let text = match place.try_open() {
        Err(error @ OpenError::Newer { found: 99, .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        text.contains("version 99") && text.contains("newer program"),
        "{text}"
    );
    assert_eq!(std::fs::read(place.file("anser.db")).unwrap(), before);
}

#[tokio::test]
async fn a_full_disk_stops_publishing_and_nothing_else() {
    let place = Place::new();
    let options = SqliteOptions {
        max_page_count: Some(100),
        ..place.options()
    };
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let ids = IdGenerator::above(None);
    let mut rows = Vec::new();
    let full = loop {
        match store.append(message(&ids, 3_000)).await {
            Ok(answers) => rows.extend(answers.into_iter().flat_map(|answer| match answer {
                Appended::Stored { deliveries, .. } => deliveries,
                other => panic!("{other:?}"),
            })),
            Err(error) => break error,
        }
    };
    assert_eq!(full, StoreError::Full);
    assert!(rows.len() > 20);
    // In one group with what fails, the rest is done.
    let (settled, refused) = tokio::join!(
        store.settle(done(&rows[0])),
        store.append(message(&ids, 300_000))
    );
    assert!(matches!(settled.unwrap()[0], Settled::Done { .. }));
    assert_eq!(refused, Err(StoreError::Full));
    for row in &rows[1..] {
        assert!(matches!(
            store.settle(done(row)).await.unwrap()[0],
            Settled::Done { .. }
        ));
    }
    assert_eq!(store.probe().await, Ok(()));
    assert_eq!(store.depths(), vec![]);
    assert_eq!(
        store.sweep(everything()).await.unwrap().messages,
        rows.len()
    );
    store.append(message(&ids, 3_000)).await.unwrap();
    drop(store);
    assert_eq!(place.open().depths().len(), 1);
}

#[tokio::test]
async fn below_the_reserve_publishing_stops_before_the_disk_is_full() {
    let place = Place::new();
    let ids = IdGenerator::above(None);
    let store = place.open();
    let Appended::Stored { deliveries, num } =
        store.append(message(&ids, 10)).await.unwrap().remove(0)
    else {
        panic!("it was not stored");
    };
    drop(store);
    let options = SqliteOptions {
        reserve_bytes: Some(u64::MAX),
        ..place.options()
    };
    let store = SqliteStore::open(options).unwrap();
    assert_eq!(store.append(message(&ids, 10)).await, Err(StoreError::Full));
    assert_eq!(store.enqueue(num, vec![]).await, Err(StoreError::Full));
    assert!(matches!(
        store.settle(done(&deliveries[0])).await.unwrap()[0],
        Settled::Done { .. }
    ));
    assert_eq!(store.sweep(everything()).await.unwrap().messages, 1);
    assert_eq!(store.probe().await, Ok(()));
}

/// A small file system of its own, where this process may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg(self.0.path())
            .output();
        assert!(unmounted.is_ok_and(|output| output.status.success()) || std::thread::panicking());
    }
}

/// Where nothing can be mounted, `max_page_count` above stands for it.
#[tokio::test]
async fn a_disk_that_is_really_full_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let options = || SqliteOptions {
        dir: disk.0.path().join("data"),
        ..Place::new().options()
    };
    let store = SqliteStore::open(options()).unwrap();
    let ids = IdGenerator::above(None);
    let mut rows = Vec::new();
    let full = loop {
        match store.append(message(&ids, 3_000)).await {
            Ok(mut answers) => match answers.remove(0) {
                Appended::Stored { deliveries, .. } => rows.extend(deliveries),
                other => panic!("{other:?}"),
            },
            Err(error) => break error,
        }
    };
    assert_eq!(full, StoreError::Full);
    // Without a reserve settlements may find no room either; then they say so.
    let mut open = 0;
    for row in &rows {
        match store.settle(done(row)).await {
            Ok(settled) => assert!(matches!(settled[0], Settled::Done { .. })),
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                assert_eq!(store.delivery(row.id).await, Ok(Some(row.clone())));
                open += 1;
            }
        }
    }
    // Killed there and opened where there is room, everything that was answered is there.
    let place = Place::new();
    std::fs::create_dir(place.dir()).unwrap();
    for entry in std::fs::read_dir(disk.0.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(
            &path,
            place.file(path.file_name().unwrap().to_str().unwrap()),
        )
        .unwrap();
    }
    drop(store);
    let store = place.open();
    assert_eq!(store.depths().first().map_or(0, |depth| depth.count), open);
    let first = store.delivery(rows[0].id).await.unwrap();
    assert_eq!(first.unwrap().id, rows[0].id);
    store.append(message(&ids, 3_000)).await.unwrap();
}
