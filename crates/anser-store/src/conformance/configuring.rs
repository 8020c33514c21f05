//! Configuration documents and their revisions, the probe, and the close.

use anser_core::id::ResourceId;
use anser_core::store::{ConfigChange, ConfigKind, ConfigRow, Store, StoreError};
use bytes::Bytes;

use super::fixture::{Maker, append};

fn put(kind: ConfigKind, key: &str, document: &'static str, expected: Option<u64>) -> ConfigChange {
    ConfigChange::Put {
        kind,
        key: key.into(),
        document: Bytes::from_static(document.as_bytes()),
        expected,
    }
}

fn delete(kind: ConfigKind, key: &str, expected: Option<u64>) -> ConfigChange {
    ConfigChange::Delete {
        kind,
        key: key.into(),
        expected,
    }
}

async fn one(store: &dyn Store, change: ConfigChange) -> ConfigRow {
    let mut rows = store
        .config_apply(vec![change])
        .await
        .expect("a change works");
    rows.remove(0)
}

pub(super) async fn revisions_guard_documents(store: &dyn Store) {
    assert_eq!(store.config_list().await, Ok(vec![]));
    let topic = one(store, put(ConfigKind::Topic, "a", "{}", Some(0))).await;
    let channel = one(store, put(ConfigKind::Channel, "a", "{}", None)).await;
    assert!(topic.id.0 > 0 && channel.id > topic.id && channel.revision > topic.revision);
    for stale in [Some(0), Some(topic.revision + 77)] {
        let refused = store
            .config_apply(vec![put(ConfigKind::Topic, "a", "[]", stale)])
            .await;
        assert_eq!(refused, Err(StoreError::Fenced));
        let refused = store
            .config_apply(vec![delete(ConfigKind::Topic, "a", stale)])
            .await;
        assert_eq!(refused, Err(StoreError::Fenced));
    }
    let changed = one(
        store,
        put(ConfigKind::Topic, "a", "[]", Some(topic.revision)),
    )
    .await;
    assert_eq!(
        (changed.id, &changed.document[..]),
        (topic.id, b"[]".as_slice())
    );
    assert!(changed.revision > channel.revision);
    assert_eq!(
        store.config_list().await,
        Ok(vec![channel.clone(), changed.clone()]),
        "by kind and key"
    );
    let gone = store
        .config_apply(vec![delete(ConfigKind::Topic, "a", Some(changed.revision))])
        .await;
    assert_eq!(gone, Ok(vec![]));
    let again = one(store, put(ConfigKind::Topic, "a", "{}", Some(0))).await;
    assert!(
        again.id > channel.id,
        "a re-created name adopts nothing: {:?}",
        again.id
    );
    assert!(again.revision > changed.revision);
}

pub(super) async fn changes_apply_all_or_none(store: &dyn Store) {
    let refused = vec![
        put(ConfigKind::Key, "k", "1", None),
        put(ConfigKind::EventType, "e", "1", None),
        delete(ConfigKind::Endpoint, "x", Some(9)),
    ];
    assert_eq!(
        store.config_apply(refused.clone()).await,
        Err(StoreError::Fenced)
    );
    assert_eq!(store.config_list().await, Ok(vec![]));
    let rows = store
        .config_apply(refused[..2].to_vec())
        .await
        .expect("the changes work");
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        vec![ResourceId(1), ResourceId(2)]
    );
    // Each change sees those before it.
    let rows = store
        .config_apply(vec![
            delete(ConfigKind::Key, "k", None),
            put(ConfigKind::Key, "k", "2", Some(0)),
            put(ConfigKind::Key, "k", "3", None),
        ])
        .await
        .expect("the changes work");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].id, rows[1].id);
    let list = store.config_list().await.expect("a list");
    assert_eq!(
        list.iter().map(|row| &row.document[..]).collect::<Vec<_>>(),
        vec![b"1", b"3"]
    );
}

pub(super) async fn nothing_works_after_the_close(store: &dyn Store) {
    let maker = Maker::new();
    append(store, vec![maker.message(0, vec![])], false).await;
    assert_eq!(store.probe().await, Ok(()));
    assert_eq!(store.close().await, Ok(()));
    assert!(matches!(store.probe().await, Err(StoreError::Permanent(_))));
    assert!(matches!(
        store.config_list().await,
        Err(StoreError::Permanent(_))
    ));
    assert!(matches!(store.close().await, Err(StoreError::Permanent(_))));
}
