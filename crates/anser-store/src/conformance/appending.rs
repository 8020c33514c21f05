//! Appending: once by id, once by dedupe key, all or nothing, and read back as given.

use anser_core::delivery::DeliveryState;
use anser_core::id::{Num, ResourceId};
use anser_core::limits::DELIVERIES_PER_REQUEST_MAX;
use anser_core::store::{Append, Appended, MessageScan, Store, StoreError};

use super::fixture::{Maker, append, current, dedupe, delivery, due, settle, stored};
use anser_core::store::Settle;

pub(super) async fn repeats_store_nothing(store: &dyn Store) {
    let maker = Maker::new();
    let first = maker.message(0, vec![delivery(0, None), delivery(0, Some(1))]);
    let second = maker.message(1, vec![]);
    let (num, _) = stored(store, first.clone()).await;
    let answers = append(
        store,
        vec![first.clone(), second.clone(), first.clone(), second.clone()],
        false,
    )
    .await;
    let known = Appended::Duplicate {
        id: first.id,
        num,
        matched: 2,
    };
    assert_eq!(answers[0], known);
    assert!(matches!(answers[1], Appended::Stored { .. }));
    assert_eq!(answers[2], known);
    assert!(matches!(answers[3], Appended::Duplicate { id, matched: 0, .. } if id == second.id));
    assert_eq!(due(store, 10).await.len(), 2);
    // Also in a batch that is all or nothing: nothing is refused, so nothing is skipped.
    assert_eq!(append(store, vec![first], true).await, vec![known]);
}

pub(super) async fn dedupe_tells_repeats_from_others(store: &dyn Store) {
    let maker = Maker::new();
    let with = |seconds, key, fingerprint| {
        let mut message = maker.message(seconds, vec![delivery(seconds, None)]);
        message.dedupe = Some(dedupe(key, fingerprint, 100));
        message
    };
    let first = with(0, "a", 1);
    let (num, _) = stored(store, first.clone()).await;
    let answers = append(
        store,
        vec![
            with(1, "a", 1),
            with(1, "a", 2),
            with(1, "b", 2),
            with(1, "b", 3),
        ],
        false,
    )
    .await;
    let duplicate = Appended::Duplicate {
        id: first.id,
        num,
        matched: 1,
    };
    assert_eq!(answers[0], duplicate);
    assert_eq!(answers[1], Appended::Conflict { id: first.id });
    assert!(matches!(answers[2], Appended::Stored { .. }));
    assert!(
        matches!(answers[3], Appended::Conflict { .. }),
        "a record of the same batch counts"
    );
    let mut elsewhere = [with(1, "a", 9), with(1, "a", 9)];
    elsewhere[0].topic = ResourceId(12);
    elsewhere[1]
        .dedupe
        .as_mut()
        .expect("it has a record")
        .lineage = 8;
    for message in elsewhere {
        stored(store, message).await;
    }
    // Expired means absent, whether it was swept or not.
    assert_eq!(
        append(store, vec![with(99, "a", 1)], false).await,
        vec![duplicate]
    );
    let mut late = with(100, "a", 2);
    late.dedupe = Some(dedupe("a", 2, 200));
    stored(store, late.clone()).await;
    assert_eq!(
        append(store, vec![with(101, "a", 1)], false).await,
        vec![Appended::Conflict { id: late.id }]
    );
}

pub(super) async fn an_atomic_batch_is_all_or_nothing(store: &dyn Store) {
    let maker = Maker::new();
    let plain = || maker.message(1, vec![delivery(1, Some(9))]);
    let with = |key, fingerprint| {
        let mut message = plain();
        message.dedupe = Some(dedupe(key, fingerprint, 100));
        message
    };
    let known = with("known", 1);
    let (num, _) = stored(store, known.clone()).await;
    let refused = vec![
        plain(),
        with("known", 1),
        with("new", 1),
        with("new", 1),
        with("known", 2),
    ];
    let answers = append(store, refused.clone(), true).await;
    let duplicate = Appended::Duplicate {
        id: known.id,
        num,
        matched: 1,
    };
    let skipped = Appended::Skipped;
    assert_eq!(
        answers,
        vec![
            skipped.clone(),
            duplicate,
            skipped.clone(),
            skipped,
            Appended::Conflict { id: known.id }
        ]
    );
    let all = MessageScan {
        limit: 10,
        ..MessageScan::default()
    };
    assert_eq!(store.scan_messages(all).await.expect("a list").len(), 1);
    assert_eq!(store.depths()[0].count, 1);
    // Nothing was kept of it, so the same messages go in without the offender, in the order of the lane.
    let answers = append(store, refused[..4].to_vec(), true).await;
    assert!(
        matches!(&answers[0], Appended::Stored { deliveries, .. } if deliveries[0].state == DeliveryState::Waiting)
    );
    assert!(matches!(answers[2], Appended::Stored { .. }));
    assert!(matches!(answers[3], Appended::Duplicate { id, .. } if id == refused[2].id));
}

pub(super) async fn numbers_rise_and_rows_read_back(store: &dyn Store) {
    let maker = Maker::new();
    let mut last = Num(0);
    for seconds in 0..5 {
        let mut given = delivery(seconds, Some(u64::MAX));
        given.expires_at = Some(super::fixture::at(90));
        let message = maker.message(seconds, vec![given.clone()]);
        let (num, deliveries) = stored(store, message.clone()).await;
        assert!(num > last);
        last = num;
        let row = store
            .message(message.id)
            .await
            .expect("a message is read")
            .expect("it is there");
        assert_eq!(
            (row.num, row.id, row.topic, row.time),
            (num, message.id, message.topic, message.time)
        );
        assert_eq!(row.document, message.document);
        assert_eq!(
            store
                .messages(vec![Num(999), num])
                .await
                .expect("messages are read"),
            vec![row]
        );
        let delivery = &deliveries[0];
        assert_eq!(&current(store, delivery).await, delivery);
        assert_eq!((delivery.id.num(), delivery.id.index()), (num, 0));
        assert_eq!(
            (delivery.lane, delivery.expires_at),
            (given.lane, given.expires_at)
        );
        assert_eq!(delivery.bytes as usize, message.document.len());
        assert!(delivery.ordered && delivery.attempts == 0 && delivery.accepted == message.time);
    }
}

pub(super) async fn too_many_deliveries_are_refused(store: &dyn Store) {
    let maker = Maker::new();
    let append = Append {
        messages: vec![maker.message(0, vec![delivery(0, None); DELIVERIES_PER_REQUEST_MAX + 1])],
        atomic: false,
    };
    assert!(matches!(
        store.append(append).await,
        Err(StoreError::Permanent(_))
    ));
    assert_eq!(store.depths(), vec![]);
}

pub(super) async fn replays_are_added_behind(store: &dyn Store) {
    let maker = Maker::new();
    let (num, first) = stored(store, maker.message(0, vec![delivery(0, Some(1))])).await;
    let newer = maker.one(store, 1, Some(1)).await;
    let added = store
        .enqueue(num, vec![delivery(2, Some(1)), delivery(2, None)])
        .await;
    let added = added
        .expect("a replay works")
        .expect("the message is there");
    let indexes: Vec<u32> = added.iter().map(|row| row.id.index()).collect();
    assert_eq!((indexes, added[0].id.num()), (vec![1, 2], num));
    assert_eq!(
        (added[0].state, added[1].state),
        (DeliveryState::Waiting, DeliveryState::Pending)
    );
    assert_eq!(added[0].accepted, first[0].accepted);
    // In the lane it comes behind what was there, although its message is the oldest.
    let (_, promoted) = settle(store, &first[0], Settle::Delivered, 3).await;
    let promoted = promoted.expect("the lane goes on");
    assert_eq!(promoted.id, newer.id);
    let (_, promoted) = settle(store, &promoted, Settle::Delivered, 4).await;
    assert_eq!(promoted.expect("the lane goes on").id, added[0].id);
    assert_eq!(
        store.enqueue(Num(12_345), vec![delivery(2, None)]).await,
        Ok(None)
    );
}
