//! Claiming: bounded, in order, apart by class, and never disturbed by what waits behind a head.

use anser_core::delivery::DeliveryState;
use anser_core::id::DeliveryId;
use anser_core::store::{Claim, ClaimClass, NewDelivery, Settle, Store};

use super::fixture::{
    GROUP, Maker, OTHER_GROUP, append, at, claim, delivery, due, retry, settle, stored,
};

/// Deliveries behind one key; the benchmark has a million.
const BEHIND: u64 = 20_000;

pub(super) async fn claims_are_bounded_and_tell_what_is_left(store: &dyn Store) {
    let maker = Maker::new();
    let mut ids = Vec::new();
    // Due in the reverse of their numbers, the last two at once.
    for due in [40, 30, 20, 10, 10] {
        let (_, rows) = stored(store, maker.message(0, vec![delivery(due, None)])).await;
        ids.push(rows[0].id);
    }
    let ask = |due_until, exclude: &[DeliveryId], limit| Claim {
        exclude: exclude.to_vec(),
        limit,
        ..claim(ClaimClass::First, due_until)
    };
    let answer = |claimed: anser_core::store::Claimed| {
        let found: Vec<DeliveryId> = claimed.deliveries.iter().map(|row| row.id).collect();
        (found, claimed.more, claimed.next_due)
    };
    let cases = [
        (ask(9, &[], 9), vec![], false, Some(at(10))),
        (ask(10, &[], 9), vec![ids[3], ids[4]], false, Some(at(20))),
        (ask(10, &[], 2), vec![ids[3], ids[4]], false, Some(at(20))),
        (ask(10, &[], 1), vec![ids[3]], true, Some(at(20))),
        (
            ask(30, &[ids[3], ids[2]], 1),
            vec![ids[4]],
            true,
            Some(at(40)),
        ),
        (
            ask(20, &[ids[3], ids[2]], 1),
            vec![ids[4]],
            false,
            Some(at(30)),
        ),
        (ask(99, &ids, 9), vec![], false, None),
        (ask(99, &[], 0), vec![], true, None),
    ];
    for (asked, found, more, next_due) in cases {
        let text = format!("{asked:?}");
        let claimed = store.claim(asked).await.expect("a claim works");
        assert_eq!(answer(claimed), (found, more, next_due), "{text}");
    }
}

pub(super) async fn classes_are_claimed_apart(store: &dyn Store) {
    let maker = Maker::new();
    let (first, again) = (
        maker.one(store, 0, None).await,
        maker.one(store, 1, None).await,
    );
    let (again, _) = settle(store, &again, retry(5), 2).await;
    let retries = store
        .claim(claim(ClaimClass::Retry, 4))
        .await
        .expect("a claim works");
    assert_eq!(
        (retries.deliveries.len(), retries.next_due),
        (0, Some(at(5)))
    );
    let retries = store
        .claim(claim(ClaimClass::Retry, 5))
        .await
        .expect("a claim works");
    assert_eq!(retries.deliveries, vec![again.clone()]);
    assert_eq!(due(store, 99).await, vec![first]);
    settle(store, &again, Settle::Dead, 6).await;
    let retries = store
        .claim(claim(ClaimClass::Retry, 99))
        .await
        .expect("a claim works");
    assert_eq!(retries, anser_core::store::Claimed::default());
}

pub(super) async fn groups_tell_their_earliest_time(store: &dyn Store) {
    let maker = Maker::new();
    assert_eq!(store.groups().await, Ok(vec![]));
    let (head, _) = (
        maker.one(store, 7, Some(1)).await,
        maker.one(store, 3, Some(1)).await,
    );
    let elsewhere = NewDelivery {
        group: OTHER_GROUP,
        ..delivery(4, None)
    };
    let (_, other) = stored(store, maker.message(4, vec![elsewhere])).await;
    assert_eq!(
        store.groups().await,
        Ok(vec![(GROUP, at(7)), (OTHER_GROUP, at(4))])
    );
    settle(store, &other[0], Settle::Delivered, 8).await;
    settle(store, &head, retry(9), 8).await;
    assert_eq!(store.groups().await, Ok(vec![(GROUP, at(9))]));
}

pub(super) async fn many_behind_a_blocked_key_are_not_claimed(store: &dyn Store) {
    let maker = Maker::new();
    let blocked = maker.one(store, 0, Some(1)).await;
    for batch in 0..BEHIND / 1_000 {
        let behind = (0..1_000)
            .map(|_| maker.message(batch, vec![delivery(0, Some(1))]))
            .collect();
        append(store, behind, false).await;
    }
    let other = maker.one(store, 50, Some(2)).await;
    let claimed = store
        .claim(claim(ClaimClass::First, 99))
        .await
        .expect("a claim works");
    assert_eq!(claimed.deliveries, vec![blocked.clone(), other.clone()]);
    assert!(!claimed.more && claimed.next_due.is_none());
    let next = maker.one(store, 51, Some(2)).await;
    let (_, promoted) = settle(store, &other, Settle::Delivered, 52).await;
    assert_eq!(promoted.map(|row| row.id), Some(next.id));
    let (_, promoted) = settle(store, &blocked, Settle::Delivered, 53).await;
    assert_eq!(promoted.map(|row| row.state), Some(DeliveryState::Pending));
    assert_eq!(store.depths()[0].count, BEHIND + 1);
}
