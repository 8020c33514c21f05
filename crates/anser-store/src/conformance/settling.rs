//! Settling: lanes and their heads, fencing, retries, manual retries, the attempts log, cancellation.

use anser_core::attempt::PossibleDuplicate;
use anser_core::delivery::DeliveryState;
use anser_core::id::DeliveryId;
use anser_core::store::{NewDelivery, Settle, Settled, Store};
use bytes::Bytes;

use super::fixture::{
    GROUP, Maker, OTHER_GROUP, at, attempt, current, delivery, due, retry, settle, settlement,
    stored,
};

pub(super) async fn lanes_go_one_at_a_time(store: &dyn Store) {
    let maker = Maker::new();
    let mut lane = Vec::new();
    for seconds in 0..4 {
        lane.push(maker.one(store, seconds, Some(5)).await);
    }
    let other = maker.one(store, 4, Some(6)).await;
    let free = maker.one(store, 5, None).await;
    let states: Vec<DeliveryState> = lane.iter().map(|row| row.state).collect();
    assert_eq!(states[0], DeliveryState::Pending);
    assert!(
        states[1..]
            .iter()
            .all(|state| *state == DeliveryState::Waiting)
    );
    let ids = |rows: &[anser_core::store::DeliveryRow]| {
        rows.iter().map(|row| row.id).collect::<Vec<DeliveryId>>()
    };
    assert_eq!(
        ids(&due(store, 99).await),
        vec![lane[0].id, other.id, free.id]
    );
    // A head that is to be tried again stays the head.
    let (mut head, promoted) = settle(store, &lane[0], retry(20), 10).await;
    assert_eq!((head.state, promoted), (DeliveryState::Retrying, None));
    for (step, next) in (11..).zip(&lane[1..]) {
        let (_, promoted) = settle(store, &head, Settle::Delivered, step).await;
        head = promoted.expect("the lane goes on");
        assert_eq!(
            (head.id, head.state, head.due),
            (next.id, DeliveryState::Pending, at(step))
        );
    }
    assert_eq!(settle(store, &head, Settle::Delivered, 30).await.1, None);
    // The lane is empty, so the next one is its head at once.
    assert_eq!(
        maker.one(store, 40, Some(5)).await.state,
        DeliveryState::Pending
    );
}

pub(super) async fn a_lane_goes_on_whatever_ends_its_head(store: &dyn Store) {
    let maker = Maker::new();
    let mut lane = Vec::new();
    for seconds in 0..5 {
        lane.push(maker.one(store, seconds, Some(5)).await);
    }
    // One behind the head may end as well; that promotes nobody.
    let (_, promoted) = settle(store, &lane[2], Settle::Expired, 10).await;
    assert_eq!(promoted, None);
    let (dead, promoted) = settle(store, &lane[0], Settle::Dead, 11).await;
    assert_eq!((dead.state, dead.due), (DeliveryState::Dead, at(11)));
    let head = promoted.expect("the lane goes on");
    assert_eq!(head.id, lane[1].id);
    let head = settle(store, &head, Settle::Cancelled, 12)
        .await
        .1
        .expect("the lane goes on");
    assert_eq!(head.id, lane[3].id);
    let head = settle(store, &head, Settle::Expired, 13)
        .await
        .1
        .expect("the lane goes on");
    assert_eq!(head.id, lane[4].id);
    // In one call: each settlement sees the ones before it.
    let behind = maker.one(store, 20, Some(5)).await;
    let settled = store
        .settle(vec![
            settlement(&behind, Settle::Cancelled, 21),
            settlement(&head, Settle::Delivered, 21),
        ])
        .await
        .expect("a settlement works");
    assert!(matches!(&settled[1], Settled::Done { promoted: None, .. }));
}

pub(super) async fn scheduled_ones_join_when_due(store: &dyn Store) {
    let maker = Maker::new();
    let scheduled = |lane| NewDelivery {
        scheduled: true,
        ..delivery(50, lane)
    };
    let (_, late) = stored(
        store,
        maker.message(
            0,
            vec![scheduled(Some(5)), scheduled(Some(6)), scheduled(None)],
        ),
    )
    .await;
    assert!(
        late.iter()
            .all(|row| row.state == DeliveryState::Pending && row.scheduled)
    );
    let head = maker.one(store, 1, Some(5)).await;
    assert_eq!(
        head.state,
        DeliveryState::Pending,
        "a scheduled one holds no place"
    );
    assert_eq!(due(store, 49).await.len(), 1);
    let joined = settle(store, &late[0], Settle::Join, 50).await.0;
    assert_eq!(
        (joined.state, joined.scheduled, joined.attempts),
        (DeliveryState::Waiting, false, 0)
    );
    let behind = maker.one(store, 51, Some(5)).await;
    for row in &late[1..] {
        let joined = settle(store, row, Settle::Join, 50).await.0;
        assert_eq!(
            (joined.state, joined.scheduled),
            (DeliveryState::Pending, false)
        );
        let again = store
            .settle(vec![settlement(&joined, Settle::Join, 50)])
            .await;
        assert_eq!(again, Ok(vec![Settled::Fenced]));
    }
    let next = settle(store, &head, Settle::Delivered, 52)
        .await
        .1
        .expect("the lane goes on");
    assert_eq!(next.id, late[0].id);
    let next = settle(store, &next, Settle::Delivered, 53)
        .await
        .1
        .expect("the lane goes on");
    assert_eq!(next.id, behind.id);
}

pub(super) async fn stale_tokens_are_fenced(store: &dyn Store) {
    let maker = Maker::new();
    let row = maker.one(store, 0, None).await;
    let done = vec![settlement(&row, Settle::Delivered, 1)];
    let settled = store
        .settle(done.clone())
        .await
        .expect("a settlement works");
    assert!(
        matches!(&settled[0], Settled::Done { row, .. } if row.state == DeliveryState::Delivered)
    );
    assert_eq!(
        store.settle(done).await,
        Ok(vec![Settled::Fenced]),
        "a repeat changes nothing"
    );
    let ended = current(store, &row).await;
    assert_eq!(
        (ended.state, ended.attempts, ended.due),
        (DeliveryState::Delivered, 1, at(1))
    );
    let finals = [Settle::Dead, retry(9), park(9, None), Settle::Join];
    for to in finals {
        let settled = store.settle(vec![settlement(&ended, to, 2)]).await;
        assert_eq!(
            settled,
            Ok(vec![Settled::Fenced]),
            "what is final stays final"
        );
    }
    let (noted, promoted) = settle(store, &ended, Settle::Note, 4).await;
    assert_eq!(
        (noted, promoted),
        (ended, None),
        "what is noted changes nothing"
    );
    let mut unknown = settlement(&row, Settle::Delivered, 1);
    unknown.token.delivery = DeliveryId::from_u64(1 << 40);
    // One stale member spoils no other.
    let other = maker.one(store, 2, None).await;
    let settled = store
        .settle(vec![unknown, settlement(&other, Settle::Delivered, 3)])
        .await;
    let settled = settled.expect("a settlement works");
    assert_eq!(settled[0], Settled::Fenced);
    assert!(matches!(settled[1], Settled::Done { .. }));
    assert_eq!(
        store
            .attempts(row.id)
            .await
            .expect("attempts are read")
            .len(),
        2
    );
}

pub(super) async fn retries_and_pauses_are_kept(store: &dyn Store) {
    let maker = Maker::new();
    let row = maker.one(store, 0, None).await;
    let (parked, _) = settle(store, &row, park(30, None), 10).await;
    assert_eq!(
        (parked.state, parked.attempts, parked.due),
        (DeliveryState::Pending, 0, at(30))
    );
    assert_eq!(parked.first_attempt, Some(at(10)), "a pause counts as age");
    let again = Settle::Retry {
        at: at(60),
        possible_duplicate: Some(PossibleDuplicate::Unknown),
        checkpoint: Some(Bytes::from_static(b"{\"step\":1}")),
    };
    let (tried, _) = settle(store, &parked, again, 31).await;
    assert_eq!(
        (tried.state, tried.attempts, tried.due),
        (DeliveryState::Retrying, 1, at(60))
    );
    assert_eq!(tried.possible_duplicate, Some(PossibleDuplicate::Unknown));
    assert_eq!(
        tried.checkpoint.as_deref(),
        Some(b"{\"step\":1}".as_slice())
    );
    assert_eq!(tried.first_attempt, Some(at(10)));
    assert_eq!(current(store, &row).await, tried);
    let (parked, _) = settle(
        store,
        &tried,
        park(70, Some(PossibleDuplicate::Restart)),
        61,
    )
    .await;
    assert_eq!(
        (parked.state, parked.attempts),
        (DeliveryState::Retrying, 1)
    );
    assert_eq!(parked.possible_duplicate, Some(PossibleDuplicate::Restart));
    let mut unlogged = settlement(&parked, retry(80), 71);
    unlogged.unlogged = true;
    store
        .settle(vec![unlogged])
        .await
        .expect("a settlement works");
    let counted = current(store, &row).await;
    assert_eq!((counted.attempts, counted.checkpoint), (2, None));
    let numbers = store.attempts(row.id).await.expect("attempts are read");
    assert_eq!(
        numbers
            .iter()
            .map(|attempt| attempt.number)
            .collect::<Vec<_>>(),
        vec![0, 1, 1]
    );
}

pub(super) async fn reopening_runs_outside_the_order(store: &dyn Store) {
    let maker = Maker::new();
    let first = maker.one(store, 0, Some(5)).await;
    let second = maker.one(store, 1, Some(5)).await;
    assert_eq!(
        store.reopen(second.id, at(5)).await,
        Ok(None),
        "one behind the head waits for its turn"
    );
    assert_eq!(
        store.reopen(DeliveryId::from_u64(1 << 40), at(5)).await,
        Ok(None)
    );
    let (tried, _) = settle(store, &first, retry(500), 6).await;
    let sooner = store
        .reopen(first.id, at(7))
        .await
        .expect("it works")
        .expect("it is there");
    assert_eq!(
        (sooner.due, sooner.state, sooner.lane),
        (at(7), tried.state, tried.lane)
    );
    assert!(sooner.ordered);
    let (dead, promoted) = settle(store, &sooner, Settle::Dead, 8).await;
    assert_eq!(dead.attempts, 2);
    let reopened = store
        .reopen(first.id, at(9))
        .await
        .expect("it works")
        .expect("it is there");
    assert_eq!(
        (reopened.state, reopened.due, reopened.lane),
        (DeliveryState::Pending, at(9), None)
    );
    assert_eq!(
        (
            reopened.attempts,
            reopened.attempts_before,
            reopened.first_attempt
        ),
        (2, 2, None)
    );
    assert!(!reopened.ordered);
    assert_eq!(current(store, &first).await, reopened);
    // It holds up nobody and nobody holds it up.
    let head = promoted.expect("the lane goes on");
    assert_eq!(due(store, 99).await.len(), 2);
    assert_eq!(
        settle(store, &reopened, Settle::Delivered, 10).await.1,
        None
    );
    assert_eq!(current(store, &head).await.state, DeliveryState::Pending);
}

pub(super) async fn attempts_are_logged_in_order(store: &dyn Store) {
    let maker = Maker::new();
    let mut one = maker.one(store, 0, None).await;
    let mut other = maker.one(store, 0, None).await;
    assert_eq!(store.attempts(one.id).await, Ok(vec![]));
    for seconds in 1..=3 {
        let both = vec![
            settlement(&one, retry(seconds), seconds),
            settlement(&other, retry(seconds), seconds),
        ];
        store.settle(both).await.expect("a settlement works");
        one = current(store, &one).await;
        other = current(store, &other).await;
    }
    // Two attempts of one delivery in one call.
    let mut next = one.clone();
    next.attempts += 1;
    next.due = at(4);
    let twice = vec![
        settlement(&one, retry(4), 4),
        settlement(&next, Settle::Delivered, 5),
    ];
    store.settle(twice).await.expect("a settlement works");
    let expected: Vec<_> = (1..=5)
        .map(|number| attempt(number, u64::from(number)))
        .collect();
    assert_eq!(store.attempts(one.id).await, Ok(expected.clone()));
    assert_eq!(store.attempts(other.id).await, Ok(expected[..3].to_vec()));
}

pub(super) async fn a_group_is_cancelled_in_steps(store: &dyn Store) {
    let maker = Maker::new();
    let mut rows = Vec::new();
    for seconds in 0..3 {
        rows.push(maker.one(store, seconds, Some(5)).await);
    }
    rows.push(maker.one(store, 3, None).await);
    let elsewhere = NewDelivery {
        group: OTHER_GROUP,
        ..delivery(4, None)
    };
    let (_, other) = stored(store, maker.message(4, vec![elsewhere])).await;
    let keep = vec![rows[0].id];
    assert_eq!(
        store.cancel_group(GROUP, keep.clone(), at(9), 2).await,
        Ok(2)
    );
    assert_eq!(
        store.cancel_group(GROUP, keep.clone(), at(9), 2).await,
        Ok(1)
    );
    assert_eq!(store.cancel_group(GROUP, keep, at(9), 2).await, Ok(0));
    assert_eq!(current(store, &rows[0]).await.state, DeliveryState::Pending);
    for row in &rows[1..] {
        let cancelled = current(store, row).await;
        assert_eq!(
            (cancelled.state, cancelled.due),
            (DeliveryState::Cancelled, at(9))
        );
    }
    assert_eq!(current(store, &other[0]).await, other[0]);
    assert_eq!(settle(store, &rows[0], Settle::Delivered, 10).await.1, None);
}

/// A pause until second `until`.
fn park(until: u64, possible_duplicate: Option<PossibleDuplicate>) -> Settle {
    Settle::Park {
        at: at(until),
        possible_duplicate,
        checkpoint: None,
    }
}
