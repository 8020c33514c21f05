//! Journals of connections: written, brought up to date, read in pages, bounded, and gone with their channel.

use anser_core::id::ResourceId;
use anser_core::store::{ConfigChange, ConfigKind, JournalRow, JournalScan, Store};
use bytes::Bytes;

fn entry(number: u64, document: &'static str) -> JournalRow {
    JournalRow {
        number,
        document: Bytes::from_static(document.as_bytes()),
    }
}

async fn numbers(store: &dyn Store, channel: ResourceId, before: Option<u64>) -> Vec<u64> {
    let scan = JournalScan {
        channel,
        before,
        limit: 3,
    };
    let read = store.journal_read(scan).await.expect("a read works");
    read.iter().map(|row| row.number).collect()
}

pub(super) async fn a_journal_keeps_its_newest_entries(store: &dyn Store) {
    let (one, other) = (ResourceId(7), ResourceId(8));
    for number in 1..=9 {
        let written = store.journal_write(one, vec![entry(number, "{}")], 5).await;
        assert_eq!(written, Ok(()));
    }
    let both = vec![entry(1, "first"), entry(2, "second")];
    assert_eq!(store.journal_write(other, both, 5).await, Ok(()));
    assert_eq!(numbers(store, one, None).await, [9, 8, 7]);
    assert_eq!(numbers(store, one, Some(7)).await, [6, 5]);
    assert_eq!(numbers(store, one, Some(5)).await, [0_u64; 0]);
    // Once more in the place of the first time.
    let again = vec![entry(2, "changed")];
    assert_eq!(store.journal_write(other, again, 5).await, Ok(()));
    let scan = JournalScan {
        channel: other,
        before: None,
        limit: 9,
    };
    let expected = vec![entry(2, "changed"), entry(1, "first")];
    assert_eq!(store.journal_read(scan).await, Ok(expected));
}

pub(super) async fn a_journal_goes_with_its_channel(store: &dyn Store) {
    let put = |kind| ConfigChange::Put {
        kind,
        key: "bot".to_owned(),
        document: Bytes::from_static(b"{}"),
        expected: None,
    };
    let changes = vec![put(ConfigKind::Channel), put(ConfigKind::Topic)];
    let rows = store.config_apply(changes).await.expect("a change works");
    let channel = rows[0].id;
    for owner in [channel, ResourceId(77)] {
        let written = store.journal_write(owner, vec![entry(1, "{}")], 5).await;
        assert_eq!(written, Ok(()));
    }
    for (kind, left) in [(ConfigKind::Topic, 1), (ConfigKind::Channel, 0)] {
        let delete = ConfigChange::Delete {
            kind,
            key: "bot".to_owned(),
            expected: None,
        };
        store
            .config_apply(vec![delete])
            .await
            .expect("a change works");
        assert_eq!(numbers(store, channel, None).await.len(), left);
    }
    assert_eq!(numbers(store, ResourceId(77), None).await, [1]);
}
