//! Lists: by topic, time and state, in pages that join without gap or overlap, and the counters kept beside them.

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::store::{DeliveryScan, Depth, MessageScan, NewDelivery, Settle, Store};

use super::fixture::{
    CHANNEL, GROUP, Maker, OTHER_GROUP, TOPIC, at, delivery, retry, settle, stored,
};

/// A question, and the places of the messages that answer it among the ten that there are, one a minute, on two topics
/// in turn.
struct Case {
    topic: Option<ResourceId>,
    /// The place of the message to go on from.
    from: Option<usize>,
    ascending: bool,
    /// In minutes, the second excluded.
    between: (Option<u64>, Option<u64>),
    limit: usize,
    found: &'static [usize],
}

const ALL: Case = Case {
    topic: None,
    from: None,
    ascending: false,
    between: (None, None),
    limit: 100,
    found: &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
};

#[rustfmt::skip]
const CASES: [Case; 10] = [
    ALL,
    Case { ascending: true, limit: 3, found: &[0, 1, 2], ..ALL },
    Case { ascending: true, limit: 3, from: Some(2), found: &[3, 4, 5], ..ALL },
    Case { limit: 2, from: Some(5), found: &[4, 3], ..ALL },
    Case { topic: Some(TOPIC), found: &[8, 6, 4, 2, 0], ..ALL },
    Case { topic: Some(TOPIC), from: Some(6), limit: 2, found: &[4, 2], ..ALL },
    Case { between: (Some(7), None), found: &[9, 8, 7], ..ALL },
    Case { between: (None, Some(2)), found: &[1, 0], ..ALL },
    Case { topic: Some(TOPIC), between: (Some(1), Some(6)), ascending: true, found: &[2, 4], ..ALL },
    Case { between: (Some(500), None), found: &[], ..ALL },
];

pub(super) async fn messages_are_listed_by_topic_and_time(store: &dyn Store) {
    let maker = Maker::new();
    let mut nums = Vec::new();
    for minute in 0..10 {
        let mut message = maker.message(minute * 60, vec![]);
        message.topic = ResourceId(TOPIC.0 + minute % 2);
        nums.push(stored(store, message).await.0);
    }
    for (number, case) in CASES.iter().enumerate() {
        let scan = MessageScan {
            topic: case.topic,
            from: case.from.map(|place| nums[place]),
            ascending: case.ascending,
            since: case.between.0.map(|minute| at(minute * 60)),
            until: case.between.1.map(|minute| at(minute * 60)),
            limit: case.limit,
        };
        let rows = store.scan_messages(scan).await.expect("a list");
        let found: Vec<Num> = rows.iter().map(|row| row.num).collect();
        let expected: Vec<Num> = case.found.iter().map(|place| nums[*place]).collect();
        assert_eq!(found, expected, "case {number}");
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
    let expect = |count, retrying| {
        let bytes = u64::from(head.bytes) * count;
        let depth = Depth {
            topic: TOPIC,
            channel: CHANNEL,
            count,
            retrying,
            bytes,
        };
        if count == 0 { vec![] } else { vec![depth] }
    };
    assert_eq!(store.depths(), expect(2, 0));
    let (head, _) = settle(store, &head, retry(5), 2).await;
    assert_eq!(
        store.depths(),
        expect(2, 1),
        "to be tried again is unfinished"
    );
    settle(store, &head, Settle::Dead, 3).await;
    assert_eq!(store.depths(), expect(1, 0));
    store.reopen(head.id, at(4)).await.expect("a manual retry");
    assert_eq!(store.depths(), expect(2, 0));
    store
        .enqueue(behind.id.num(), vec![delivery(5, None)])
        .await
        .expect("a replay");
    assert_eq!(store.depths(), expect(3, 0));
    store
        .cancel_group(GROUP, vec![], at(6), 100)
        .await
        .expect("a cancellation");
    assert_eq!(store.depths(), expect(0, 0));
}
