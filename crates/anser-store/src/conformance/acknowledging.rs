//! Acknowledging: done, given back or prolonged, by a receipt that holds as long as its lease.

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Receipt};
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, Lease, QueueCounts, Settle, Store,
};

use super::fixture::{
    DONE, Maker, OTHER_QUEUE, QUEUE, acknowledge, acknowledgement, at, current, delayed, lease,
    lease_at, receive, settle, stored,
};

pub(super) async fn what_is_acknowledged_is_gone(store: &dyn Store) {
    let maker = Maker::new();
    for seconds in 0..3 {
        maker.sent(store, seconds, None).await;
    }
    let leased = receive(store, 10).await;
    let rewindable = Acknowledge::Done { rewindable: true };
    let answers = store
        .acknowledge(vec![
            acknowledgement(&leased[0], DONE, 11),
            acknowledgement(&leased[0], DONE, 11),
            acknowledgement(&leased[1], rewindable, 11),
        ])
        .await
        .expect("an acknowledgement works");
    let [
        Acknowledged::Done { row: first, .. },
        Acknowledged::Void,
        Acknowledged::Done { row: second, .. },
    ] = &answers[..]
    else {
        return unexpected(&answers);
    };
    for (row, rewindable) in [(first, false), (second, true)] {
        assert_eq!(
            (row.state, row.due, row.attempts, row.rewindable),
            (DeliveryState::Delivered, at(11), 1, rewindable)
        );
        assert_eq!(&current(store, row).await, row);
    }
    let depth = &store.depths()[0];
    assert_eq!((depth.count, depth.retrying), (1, 1));
    let left = receive(store, 99).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, leased[2].id);
}

#[expect(clippy::panic, reason = "how a case tells what it found")]
fn unexpected(answers: &[Acknowledged]) {
    panic!("unexpected: {answers:?}")
}

pub(super) async fn a_receipt_holds_as_long_as_its_lease(store: &dyn Store) {
    let maker = Maker::new();
    let fresh = maker.sent(store, 0, None).await;
    let never = Acknowledgement {
        receipt: Receipt::new(fresh.id, 0),
        ..acknowledgement(&fresh, DONE, 1)
    };
    let first = receive(store, 10).await.remove(0);
    let elsewhere = Acknowledgement {
        queue: OTHER_QUEUE,
        ..acknowledgement(&first, DONE, 11)
    };
    let unknown = Acknowledgement {
        receipt: Receipt::new(DeliveryId::from_u64(1 << 40), 1),
        ..acknowledgement(&first, DONE, 11)
    };
    let too_late = acknowledgement(&first, DONE, 40);
    let every = [
        DONE,
        Acknowledge::Release { at: at(50) },
        Acknowledge::Extend { until: at(50) },
    ];
    for void in [never, elsewhere, unknown, too_late] {
        for to in every {
            let answers = store
                .acknowledge(vec![Acknowledgement { to, ..void }])
                .await;
            assert_eq!(answers, Ok(vec![Acknowledged::Void]), "{void:?}");
        }
    }
    assert_eq!(current(store, &fresh).await, first);
    // Received again, the first receipt is void although the delivery is leased.
    let second = receive(store, 40).await.remove(0);
    for to in every {
        assert_eq!(acknowledge(store, &first, to, 41).await, None);
    }
    // One that is ended in another way is not to be acknowledged either.
    let (dead, _) = settle(store, &second, Settle::Dead, 42).await;
    for to in every {
        assert_eq!(acknowledge(store, &second, to, 43).await, None);
    }
    let other = maker.sent(store, 50, None).await;
    let other = Acknowledgement {
        receipt: Receipt::new(other.id, 0),
        ..acknowledgement(&other, DONE, 51)
    };
    assert_eq!(
        store.acknowledge(vec![other]).await,
        Ok(vec![Acknowledged::Void])
    );
    assert_eq!(current(store, &fresh).await.attempts, dead.attempts);
}

pub(super) async fn what_is_given_back_is_due_again(store: &dyn Store) {
    let maker = Maker::new();
    let head = maker.sent(store, 0, Some(5)).await;
    let behind = maker.sent(store, 1, Some(5)).await;
    let leased = receive(store, 10).await.remove(0);
    let release = |seconds| Acknowledge::Release { at: at(seconds) };
    let (back, promoted) = acknowledge(store, &leased, release(11), 11)
        .await
        .expect("it holds");
    assert_eq!(
        (
            back.state,
            back.due,
            back.scheduled,
            back.attempts,
            promoted
        ),
        (DeliveryState::Retrying, at(11), false, 1, false)
    );
    for to in [DONE, release(12)] {
        assert_eq!(
            acknowledge(store, &back, to, 11).await,
            None,
            "it was given back"
        );
    }
    let leased = receive(store, 11).await.remove(0);
    assert_eq!((leased.id, leased.attempts), (head.id, 2));
    let (back, _) = acknowledge(store, &leased, release(60), 12)
        .await
        .expect("it holds");
    assert_eq!((back.due, back.scheduled, back.attempts), (at(60), true, 2));
    assert_eq!(
        acknowledge(store, &back, DONE, 13).await,
        None,
        "a delay is no lease"
    );
    // It keeps its place at the head: what is behind it waits for as long.
    let none = lease(store, lease_at(59)).await;
    assert_eq!((none.deliveries, none.next_due), (vec![], Some(at(60))));
    let leased = receive(store, 60).await.remove(0);
    assert_eq!(
        (leased.id, leased.attempts, leased.scheduled),
        (head.id, 3, false)
    );
    let (_, promoted) = acknowledge(store, &leased, DONE, 61)
        .await
        .expect("it holds");
    assert!(promoted);
    assert_eq!(receive(store, 61).await.remove(0).id, behind.id);
}

pub(super) async fn a_lease_can_be_prolonged_and_cut(store: &dyn Store) {
    let maker = Maker::new();
    maker.sent(store, 0, None).await;
    let leased = receive(store, 10).await.remove(0);
    let extend = |seconds| Acknowledge::Extend { until: at(seconds) };
    let (longer, _) = acknowledge(store, &leased, extend(100), 39)
        .await
        .expect("it holds");
    assert_eq!((longer.due, longer.attempts), (at(100), 1));
    assert_eq!(receive(store, 99).await, []);
    let (shorter, _) = acknowledge(store, &leased, extend(90), 80)
        .await
        .expect("it holds");
    assert_eq!(shorter.due, at(90));
    assert_eq!(acknowledge(store, &leased, extend(99), 90).await, None);
    assert_eq!(receive(store, 90).await.len(), 1);
}

pub(super) async fn counts_follow_every_change(store: &dyn Store) {
    let maker = Maker::new();
    let count = async |now| {
        store
            .queue_counts(QUEUE, at(now), at(20))
            .await
            .expect("it is counted")
    };
    assert_eq!(count(0).await, QueueCounts::default());
    for (seconds, lane) in [(1, None), (2, None), (3, Some(5)), (4, Some(5)), (5, None)] {
        maker.sent(store, seconds, lane).await;
    }
    stored(store, maker.message(6, vec![delayed(30, None)])).await;
    let counts = |active, leased, delayed, rewindable, oldest| QueueCounts {
        active,
        leased,
        delayed,
        rewindable,
        oldest: Some(at(oldest)),
    };
    assert_eq!(count(10).await, counts(5, 0, 1, 0, 1));
    let three = Lease {
        max: 3,
        ..lease_at(10)
    };
    let leased = lease(store, three).await.deliveries;
    assert_eq!(count(10).await, counts(2, 3, 1, 0, 1));
    let release = Acknowledge::Release { at: at(35) };
    acknowledge(store, &leased[1].row, release, 11)
        .await
        .expect("it holds");
    assert_eq!(count(11).await, counts(2, 2, 2, 0, 1));
    // What was acknowledged before the window does not count, nor does what cannot be rewound.
    let rewindable = Acknowledge::Done { rewindable: true };
    acknowledge(store, &leased[0].row, rewindable, 19)
        .await
        .expect("it holds");
    acknowledge(store, &leased[2].row, rewindable, 20)
        .await
        .expect("it holds");
    assert_eq!(count(20).await, counts(2, 0, 2, 1, 2));
    // Leases and delays end by themselves.
    assert_eq!(receive(store, 21).await.len(), 2);
    assert_eq!(count(29).await, counts(0, 2, 2, 1, 2));
    assert_eq!(count(35).await, counts(2, 2, 0, 1, 2));
    assert_eq!(count(51).await, counts(4, 0, 0, 1, 2));
    store
        .cancel_group(QUEUE, vec![], at(52), 100)
        .await
        .expect("a cancellation");
    let left = QueueCounts {
        rewindable: 1,
        ..QueueCounts::default()
    };
    assert_eq!(count(52).await, left);
    let other = store.queue_counts(OTHER_QUEUE, at(52), at(0)).await;
    assert_eq!(other, Ok(QueueCounts::default()));
}
