//! Leasing: nobody gets what another one has, in order, bounded, heads of lanes only, and never what is spent.

use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::store::{Lease, Leased, NewDelivery, Settle, Store};

use super::fixture::{
    DONE, Maker, QUEUE, TOPIC, acknowledge, append, at, current, delayed, ids, lease, lease_at,
    queued, receive, settle, stored,
};

/// Delayed messages of one lane that become due at once: more than one lease moves.
const DELAYED: u64 = 2_500;

pub(super) async fn a_lease_keeps_others_out(store: &dyn Store) {
    let maker = Maker::new();
    let mut rows = Vec::new();
    for seconds in 0..4 {
        rows.push(maker.sent(store, seconds, None).await);
    }
    let two = |now| Lease {
        max: 2,
        ..lease_at(now)
    };
    let (one, other) = tokio::join!(store.lease(two(10)), store.lease(two(10)));
    let (one, other) = (one.expect("a lease works"), other.expect("a lease works"));
    assert!((one.more, other.more) == (true, false) || (one.more, other.more) == (false, true));
    let mut leased: Vec<_> = one.deliveries.into_iter().chain(other.deliveries).collect();
    leased.sort_by_key(|delivery| delivery.row.id);
    assert_eq!(leased.len(), rows.len());
    for (leased, row) in leased.iter().zip(&rows) {
        let mut expected = row.clone();
        expected.state = DeliveryState::Retrying;
        expected.due = at(40);
        expected.first_attempt = Some(at(10));
        expected.attempts = 1;
        assert_eq!(leased.row, expected);
        assert_eq!(current(store, row).await, expected);
        let message = leased.message.as_ref().expect("it comes with its message");
        let found = store.message(message.id).await.expect("a message is read");
        assert_eq!((found.as_ref(), message.num), (Some(message), row.id.num()));
    }
    assert_eq!(store.depths_of(QUEUE), store.depths());
    assert_eq!(store.depths_of(TOPIC), vec![], "another channel's");
    let depth = &store.depths()[0];
    assert_eq!(
        (depth.topic, depth.channel, depth.count, depth.retrying),
        (TOPIC, QUEUE, 4, 4)
    );
    let nothing = Leased {
        next_due: Some(at(40)),
        ..Leased::default()
    };
    assert_eq!(lease(store, lease_at(39)).await, nothing);
    // When it ends, they are there again, received once more.
    let again = receive(store, 40).await;
    assert_eq!(ids(&again), ids(&rows));
    assert!(
        again
            .iter()
            .all(|row| { (row.attempts, row.first_attempt, row.due) == (2, Some(at(10)), at(70)) })
    );
}

pub(super) async fn what_was_due_first_is_leased_first(store: &dyn Store) {
    let maker = Maker::new();
    let first = maker.sent(store, 0, None).await;
    let tried = receive(store, 1).await.remove(0);
    let mut rows = Vec::new();
    for due in [33, 30, 31, 31] {
        let (_, mut made) = stored(store, maker.message(2, vec![queued(due, None)])).await;
        rows.push(made.remove(0));
    }
    // The end of the lease at 31 stands among them; its number is the lowest.
    let expected = [rows[1].id, first.id, rows[2].id, rows[3].id, rows[0].id];
    assert_eq!(ids(&receive(store, 50).await), expected);
    assert_eq!(tried.due, at(31));
}

pub(super) async fn a_lease_tells_what_is_left(store: &dyn Store) {
    let maker = Maker::new();
    assert_eq!(lease(store, lease_at(5)).await, Leased::default());
    for due in [10, 10, 20] {
        stored(store, maker.message(0, vec![queued(due, None)])).await;
    }
    stored(store, maker.message(0, vec![delayed(90, None)])).await;
    let asked = |now, max| Lease {
        max,
        until: at(200),
        ..lease_at(now)
    };
    let steps = [
        (asked(9, 5), 0, false, Some(at(10))),
        (asked(10, 0), 0, true, Some(at(20))),
        (asked(9, 0), 0, false, Some(at(10))),
        (asked(10, 1), 1, true, Some(at(20))),
        (asked(10, 1), 1, false, Some(at(20))),
        (asked(20, 1), 1, false, Some(at(90))),
        (asked(89, 1), 0, false, Some(at(90))),
        (asked(90, 1), 1, false, Some(at(200))),
    ];
    for (asked, count, more, next_due) in steps {
        let text = format!("{asked:?}");
        let leased = lease(store, asked).await;
        assert_eq!(
            (leased.deliveries.len(), leased.more, leased.next_due),
            (count, more, next_due),
            "{text}"
        );
    }
}

pub(super) async fn spent_ones_are_told_and_stay(store: &dyn Store) {
    let maker = Maker::new();
    let old = maker.sent(store, 0, None).await;
    let young = maker.sent(store, 5, None).await;
    let expiring = NewDelivery {
        expires_at: Some(at(50)),
        ..queued(6, None)
    };
    let (_, mut made) = stored(store, maker.message(6, vec![expiring])).await;
    let expiring = made.remove(0);
    assert_eq!(receive(store, 10).await.len(), 3);
    let asked = |now, spent_max, accepted_from, receives_max| Lease {
        spent_max,
        accepted_from: at(accepted_from),
        receives_max,
        ..lease_at(now)
    };
    // Too old, and out of time at that very moment; a receive more or less is not enough yet.
    let leased = lease(store, asked(50, 9, 5, Some(2))).await;
    assert_eq!(ids(&leased.spent), [old.id, expiring.id]);
    assert_eq!(leased.deliveries.len(), 1);
    assert_eq!(leased.deliveries[0].row.id, young.id);
    for row in &leased.spent {
        assert_eq!(&current(store, row).await, row);
        assert_eq!((row.attempts, row.due), (1, at(40)));
    }
    // They come before the others again, and only so many at a time.
    let leased = lease(store, asked(80, 1, 5, Some(2))).await;
    assert_eq!(ids(&leased.spent), [old.id]);
    assert!(leased.deliveries.is_empty() && leased.more);
    let leased = lease(store, asked(80, 2, 5, Some(2))).await;
    assert_eq!(ids(&leased.spent), [old.id, expiring.id]);
    assert!(leased.deliveries.is_empty() && leased.more);
    let leased = lease(store, asked(80, 3, 5, Some(2))).await;
    assert_eq!(ids(&leased.spent), [old.id, expiring.id, young.id]);
    assert!(leased.deliveries.is_empty() && !leased.more);
    // A look leases nothing and finds them behind others too.
    let unspent = maker.sent(store, 7, None).await;
    let look = |spent_max| Lease {
        max: 0,
        ..asked(80, spent_max, 5, Some(2))
    };
    for spent_max in [0, 2, 3] {
        let looked = lease(store, look(spent_max)).await;
        assert_eq!(
            ids(&looked.spent),
            [old.id, expiring.id, young.id][..spent_max]
        );
        assert!(looked.deliveries.is_empty() && looked.more);
    }
    assert_eq!(current(store, &unspent).await, unspent);
    settle(store, &unspent, Settle::Dead, 80).await;
    assert!(!lease(store, look(3)).await.more);
    let leased = lease(store, asked(80, 3, 5, Some(3))).await;
    assert_eq!(leased.deliveries[0].row.attempts, 3);
    assert_eq!(store.depths()[0].count, 3);
}

pub(super) async fn an_ordered_queue_gives_out_heads_only(store: &dyn Store) {
    let maker = Maker::new();
    let mut lane = Vec::new();
    for seconds in 0..3 {
        lane.push(maker.sent(store, seconds, Some(5)).await);
    }
    let other = maker.sent(store, 3, Some(6)).await;
    let head = receive(store, 10).await;
    assert_eq!(ids(&head), [lane[0].id, other.id]);
    assert_eq!(receive(store, 11).await, []);
    // The head comes again before anything behind it.
    let head = receive(store, 40).await;
    assert_eq!(ids(&head), [lane[0].id, other.id]);
    let (_, promoted) = acknowledge(store, &head[0], DONE, 41)
        .await
        .expect("it holds");
    assert!(promoted);
    let next = current(store, &lane[1]).await;
    assert_eq!((next.state, next.due), (DeliveryState::Pending, at(41)));
    assert_eq!(ids(&receive(store, 41).await), [lane[1].id]);
    let (_, promoted) = acknowledge(store, &head[1], DONE, 42)
        .await
        .expect("it holds");
    assert!(!promoted, "nothing waited behind that one");
}

pub(super) async fn a_delayed_one_joins_its_lane_when_it_is_due(store: &dyn Store) {
    let maker = Maker::new();
    let message = maker.message(
        0,
        vec![
            delayed(50, Some(5)),
            delayed(50, Some(6)),
            delayed(51, Some(6)),
        ],
    );
    let (_, late) = stored(store, message).await;
    let head = maker.sent(store, 1, Some(5)).await;
    assert_eq!(ids(&receive(store, 40).await), [head.id]);
    // One lane is busy; in the other the first is the head, and the second goes behind it.
    let leased = receive(store, 60).await;
    assert_eq!(ids(&leased), [late[1].id]);
    assert!(!leased[0].scheduled);
    for row in [&late[0], &late[2]] {
        let joined = current(store, row).await;
        assert_eq!(
            (joined.state, joined.scheduled, joined.attempts),
            (DeliveryState::Waiting, false, 0)
        );
    }
    let behind = maker.sent(store, 61, Some(5)).await;
    let head = receive(store, 70).await.remove(0);
    acknowledge(store, &head, DONE, 71).await.expect("it holds");
    let next = receive(store, 72).await.remove(0);
    assert_eq!(next.id, late[0].id);
    acknowledge(store, &next, DONE, 73).await.expect("it holds");
    assert_eq!(ids(&receive(store, 74).await), [behind.id]);
}

pub(super) async fn many_delayed_ones_of_a_lane_are_moved_in_steps(store: &dyn Store) {
    let maker = Maker::new();
    let messages = (0..DELAYED)
        .map(|_| maker.message(0, vec![delayed(10, Some(5))]))
        .collect();
    append(store, messages, false).await;
    let (mut steps, mut leased) = (0, 0);
    loop {
        let found = lease(store, lease_at(10)).await;
        leased += found.deliveries.len();
        steps += 1;
        if !found.more {
            break;
        }
    }
    assert_eq!((steps, leased), (3, 1));
    let counts = store.queue_counts(QUEUE, at(10), at(0)).await;
    assert_eq!(counts.expect("it is counted").active, DELAYED - 1);
}

pub(super) async fn a_lease_for_no_time_gives_nothing_twice(store: &dyn Store) {
    let maker = Maker::new();
    for _ in 0..3 {
        maker.sent(store, 0, None).await;
    }
    let now = Lease {
        until: at(0),
        ..lease_at(10)
    };
    let leased = lease(store, now).await;
    assert_eq!((leased.deliveries.len(), leased.more), (3, false));
    let end = at(10).plus(Duration::from_millis(1));
    assert!(leased.deliveries.iter().all(|one| one.row.due == end));
}
