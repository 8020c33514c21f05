//! Lists: by topic, time and state, in pages that join without gap or overlap, and the counters kept beside them.

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::store::{DeliveryScan, Depth, MessageScan, NewDelivery, Settle, Store};

use super::fixture::{
    CHANNEL, GROUP, Maker, OTHER_GROUP, TOPIC, at, delivery, retry, settle, stored,
};

pub(super) async fn messages_are_listed_by_topic_and_time(store: &dyn Store) {
    let maker = Maker::new();
    let mut nums = Vec::new();
    for seconds in 0..10 {
        let mut message = maker.message(seconds * 60, vec![]);
        message.topic = ResourceId(TOPIC.0 + seconds % 2);
        nums.push(stored(store, message).await.0);
    }
    let all = MessageScan {
        limit: 100,
        ..MessageScan::default()
    };
    let even = Some(TOPIC);
    let picked = |places: &[usize]| {
        places
            .iter()
            .map(|place| nums[*place])
            .collect::<Vec<Num>>()
    };
    let cases = [
        (all.clone(), picked(&[9, 8, 7, 6, 5, 4, 3, 2, 1, 0])),
        (
            MessageScan {
                ascending: true,
                limit: 3,
                ..all.clone()
            },
            picked(&[0, 1, 2]),
        ),
        (
            MessageScan {
                ascending: true,
                limit: 3,
                from: Some(nums[2]),
                ..all.clone()
            },
            picked(&[3, 4, 5]),
        ),
        (
            MessageScan {
                limit: 2,
                from: Some(nums[5]),
                ..all.clone()
            },
            picked(&[4, 3]),
        ),
        (
            MessageScan {
                topic: even,
                ..all.clone()
            },
            picked(&[8, 6, 4, 2, 0]),
        ),
        (
            MessageScan {
                topic: even,
                from: Some(nums[6]),
                limit: 2,
                ..all.clone()
            },
            picked(&[4, 2]),
        ),
        (
            MessageScan {
                since: Some(at(7 * 60)),
                ..all.clone()
            },
            picked(&[9, 8, 7]),
        ),
        (
            MessageScan {
                until: Some(at(2 * 60)),
                ..all.clone()
            },
            picked(&[1, 0]),
        ),
        (
            MessageScan {
                topic: even,
                since: Some(at(60)),
                until: Some(at(6 * 60)),
                ascending: true,
                ..all.clone()
            },
            picked(&[2, 4]),
        ),
        (
            MessageScan {
                since: Some(at(10_000)),
                ..all.clone()
            },
            vec![],
        ),
        (
            MessageScan {
                topic: Some(ResourceId(999)),
                ..all
            },
            vec![],
        ),
    ];
    for (scan, expected) in cases {
        let text = format!("{scan:?}");
        let rows = store.scan_messages(scan).await.expect("a list");
        assert_eq!(
            rows.iter().map(|row| row.num).collect::<Vec<Num>>(),
            expected,
            "{text}"
        );
    }
}

pub(super) async fn deliveries_are_listed_with_cursors(store: &dyn Store) {
    let maker = Maker::new();
    let mut newest_first = Vec::new();
    for seconds in 0..12 {
        let elsewhere = NewDelivery {
            group: OTHER_GROUP,
            channel: ResourceId(32),
            ..delivery(seconds, None)
        };
        let (num, rows) = stored(
            store,
            maker.message(seconds, vec![delivery(seconds, None), elsewhere]),
        )
        .await;
        let of = store.deliveries_of(num, 0, 10).await.expect("a list");
        assert_eq!(of, rows);
        assert_eq!(
            store.deliveries_of(num, 1, 10).await.expect("a list"),
            rows[1..]
        );
        if seconds % 3 == 0 {
            settle(store, &rows[0], Settle::Dead, seconds).await;
        }
        newest_first.splice(0..0, rows.iter().rev().map(|row| row.id));
    }
    let all = DeliveryScan {
        limit: 100,
        rows_read_max: 1_000,
        ..DeliveryScan::default()
    };
    assert_eq!(pages(store, all.clone()).await, newest_first);
    let dead = DeliveryScan {
        states: vec![DeliveryState::Dead],
        ..all.clone()
    };
    let other = DeliveryScan {
        groups: vec![OTHER_GROUP],
        ..all.clone()
    };
    let channel = DeliveryScan {
        channel: Some(CHANNEL),
        since: Some(at(6)),
        ..all.clone()
    };
    for (scan, count) in [(all, 24), (dead, 4), (other, 12), (channel, 6)] {
        let whole = pages(store, scan.clone()).await;
        assert_eq!(whole.len(), count);
        assert!(whole.is_sorted_by(|newer, older| newer > older));
        // However small the pages, and however few rows a page may read, nothing is left out or doubled.
        for (limit, rows_read_max) in [(1, 1_000), (5, 1_000), (100, 3), (2, 2)] {
            let small = DeliveryScan {
                limit,
                rows_read_max,
                ..scan.clone()
            };
            assert_eq!(pages(store, small).await, whole);
        }
    }
}

/// Follows the cursor to the end.
async fn pages(store: &dyn Store, mut scan: DeliveryScan) -> Vec<DeliveryId> {
    let mut found = Vec::new();
    loop {
        let page = store.scan_deliveries(scan.clone()).await.expect("a page");
        assert!(page.deliveries.len() <= scan.limit);
        found.extend(page.deliveries.iter().map(|row| row.id));
        match page.next {
            Some(next) => scan.before = Some(next),
            None => return found,
        }
    }
}

pub(super) async fn depths_follow_every_change(store: &dyn Store) {
    let maker = Maker::new();
    assert_eq!(store.depths(), vec![]);
    let head = maker.one(store, 0, Some(1)).await;
    let behind = maker.one(store, 1, Some(1)).await;
    let expect = |count| {
        let bytes = u64::from(head.bytes) * count;
        let depth = Depth {
            topic: TOPIC,
            channel: CHANNEL,
            count,
            bytes,
        };
        if count == 0 { vec![] } else { vec![depth] }
    };
    assert_eq!(store.depths(), expect(2));
    let (head, _) = settle(store, &head, retry(5), 2).await;
    assert_eq!(store.depths(), expect(2), "to be tried again is unfinished");
    settle(store, &head, Settle::Dead, 3).await;
    assert_eq!(store.depths(), expect(1));
    store.reopen(head.id, at(4)).await.expect("a manual retry");
    assert_eq!(store.depths(), expect(2));
    store
        .enqueue(behind.id.num(), vec![delivery(5, None)])
        .await
        .expect("a replay");
    assert_eq!(store.depths(), expect(3));
    store
        .cancel_group(GROUP, vec![], at(6), 100)
        .await
        .expect("a cancellation");
    assert_eq!(store.depths(), expect(0));
}
