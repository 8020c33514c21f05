//! Rewinding: what was acknowledged and may be had again is received again, in the order of its acceptance, once.

use anser_core::Timestamp;
use anser_core::delivery::DeliveryState;
use anser_core::store::{Acknowledge, Lease, Rewind, Store};

use super::fixture::{
    DONE, Maker, OTHER_QUEUE, QUEUE, acknowledge, at, current, ids, lease, lease_at, receive,
};

const REWINDABLE: Acknowledge = Acknowledge::Done { rewindable: true };

fn rewind_from(accepted_from: u64, ended_from: u64) -> Rewind {
    Rewind {
        queue: QUEUE,
        accepted_from: at(accepted_from),
        ended_from: at(ended_from),
        after: None,
        limit: 100,
    }
}

/// Rewinds to the end; answers how many, and in how many steps.
async fn rewind(store: &dyn Store, mut rewind: Rewind) -> (usize, usize) {
    let (mut count, mut steps) = (0, 0);
    loop {
        let rewound = store.rewind(rewind.clone()).await.expect("a rewind works");
        assert!(rewound.count <= rewind.limit);
        count += rewound.count;
        steps += 1;
        match rewound.next {
            Some(next) => rewind.after = Some(next),
            None => return (count, steps),
        }
    }
}

pub(super) async fn acknowledged_ones_are_received_again_in_order(store: &dyn Store) {
    let maker = Maker::new();
    let mut rows = Vec::new();
    for (seconds, lane) in [(0, None), (1, Some(5)), (2, None), (3, None)] {
        rows.push(maker.sent(store, seconds, lane).await);
    }
    let kept = receive(store, 10).await;
    // Acknowledged in another order than they came in, one not to be had again.
    for (row, to, seconds) in [
        (&kept[2], REWINDABLE, 11),
        (&kept[1], REWINDABLE, 12),
        (&kept[0], REWINDABLE, 13),
        (&kept[3], DONE, 14),
    ] {
        acknowledge(store, row, to, seconds)
            .await
            .expect("it holds");
    }
    let behind = maker.sent(store, 15, Some(5)).await;
    let elsewhere = Rewind {
        queue: OTHER_QUEUE,
        ..rewind_from(0, 0)
    };
    assert_eq!(rewind(store, elsewhere).await, (0, 1));
    assert_eq!(rewind(store, rewind_from(0, 0)).await, (3, 1));
    assert_eq!(rewind(store, rewind_from(0, 0)).await, (0, 1), "once");
    for (row, acknowledged) in rows.iter().zip(&kept).take(3) {
        let mut expected = acknowledged.clone();
        expected.state = DeliveryState::Pending;
        expected.lane = None;
        expected.due = row.accepted;
        expected.first_attempt = None;
        expected.attempts_before = 1;
        expected.ordered = false;
        assert_eq!(current(store, row).await, expected);
    }
    assert_eq!(store.depths()[0].count, 4);
    // They come before what is newer, hold up no lane, and their receives count from the start.
    let again = Lease {
        receives_max: Some(1),
        ..lease_at(20)
    };
    let again: Vec<_> = lease(store, again)
        .await
        .deliveries
        .into_iter()
        .map(|one| one.row)
        .collect();
    assert_eq!(ids(&again), [rows[0].id, rows[1].id, rows[2].id, behind.id]);
    assert_eq!(
        (
            again[0].attempts,
            again[0].attempts_before,
            again[0].first_attempt
        ),
        (2, 1, Some(at(20)))
    );
    assert_eq!(acknowledge(store, &kept[0], DONE, 21).await, None);
    let (done, promoted) = acknowledge(store, &again[1], REWINDABLE, 21)
        .await
        .expect("it holds");
    assert!(done.rewindable && !promoted);
    assert_eq!(rewind(store, rewind_from(0, 0)).await, (1, 1));
}

pub(super) async fn only_the_window_is_rewound(store: &dyn Store) {
    let maker = Maker::new();
    for seconds in 0..6 {
        maker.sent(store, seconds, None).await;
    }
    let mut rows = receive(store, 10).await;
    rows.reverse();
    for (seconds, row) in (20..).zip(&rows) {
        acknowledge(store, row, REWINDABLE, seconds)
            .await
            .expect("it holds");
    }
    // Accepted at 5, 4, … 0 and acknowledged at 20, 21, … 25.
    assert_eq!(rewind(store, rewind_from(6, 0)).await, (0, 1));
    assert_eq!(rewind(store, rewind_from(0, 26)).await, (0, 1));
    assert_eq!(rewind(store, rewind_from(3, 21)).await, (2, 1));
    assert_eq!(ids(&receive(store, 30).await), [rows[2].id, rows[1].id]);
    let all = Rewind {
        accepted_from: Timestamp::EPOCH,
        ended_from: Timestamp::EPOCH,
        ..rewind_from(0, 0)
    };
    assert_eq!(rewind(store, all).await, (4, 1));
}

pub(super) async fn a_rewind_goes_in_steps(store: &dyn Store) {
    let maker = Maker::new();
    for seconds in 0..9 {
        maker.sent(store, seconds, None).await;
    }
    let rows = receive(store, 10).await;
    for row in &rows {
        // All at the same time: the number tells them apart.
        acknowledge(store, row, REWINDABLE, 11)
            .await
            .expect("it holds");
    }
    // Steps look at those they leave, too, so that each is bounded.
    let two = |accepted_from| Rewind {
        limit: 2,
        ..rewind_from(accepted_from, 0)
    };
    assert_eq!(rewind(store, two(6)).await, (3, 5));
    assert_eq!(rewind(store, two(0)).await, (6, 3));
    assert_eq!(ids(&receive(store, 20).await), ids(&rows));
}
