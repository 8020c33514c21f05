//! Retention: what is finished and old goes, in bounded steps; what is not stays.

use anser_core::Timestamp;
use anser_core::id::ResourceId;
use anser_core::store::{Appended, MessageScan, Retention, Settle, Store, Swept};

use super::fixture::{Maker, TOPIC, append, at, dedupe, delivery, retry, settle, stored};

fn retention(default_before: u64) -> Retention {
    Retention {
        messages_before: vec![],
        default_before: at(default_before),
        dead_before: Timestamp::EPOCH,
        attempts_before: Timestamp::EPOCH,
        now: Timestamp::EPOCH,
        limit: 1_000,
    }
}

async fn sweep(store: &dyn Store, retention: Retention) -> Swept {
    store.sweep(retention).await.expect("a sweep works")
}

async fn left(store: &dyn Store) -> usize {
    let all = MessageScan {
        limit: 1_000,
        ..MessageScan::default()
    };
    store.scan_messages(all).await.expect("a list").len()
}

pub(super) async fn only_finished_messages_go(store: &dyn Store) {
    let maker = Maker::new();
    let done = maker.one(store, 0, None).await;
    let dead = maker.one(store, 1, None).await;
    let open = maker.one(store, 2, None).await;
    let none = stored(store, maker.message(3, vec![])).await.0;
    let young = stored(store, maker.message(50, vec![])).await.0;
    let mut elsewhere = maker.message(4, vec![]);
    elsewhere.topic = ResourceId(TOPIC.0 + 1);
    let elsewhere = stored(store, elsewhere).await.0;
    settle(store, &done, Settle::Delivered, 10).await;
    settle(store, &dead, Settle::Dead, 10).await;
    let open = settle(store, &open, retry(500), 10).await.0;
    let mut first = retention(50);
    first.messages_before = vec![(ResourceId(TOPIC.0 + 1), at(4)), (ResourceId(404), at(99))];
    let swept = sweep(store, first.clone()).await;
    assert_eq!((swept.messages, swept.more), (2, false));
    assert_eq!(store.delivery(done.id).await, Ok(None));
    let kept = vec![dead.id.num(), open.id.num(), young, elsewhere];
    assert_eq!(
        store.messages(kept).await.expect("messages are read").len(),
        4
    );
    assert_eq!(store.messages(vec![none, done.id.num()]).await, Ok(vec![]));
    first.dead_before = at(11);
    assert_eq!(sweep(store, first.clone()).await.messages, 1);
    settle(store, &open, Settle::Delivered, 20).await;
    first.messages_before[0].1 = at(5);
    assert_eq!(sweep(store, first).await.messages, 2);
    assert_eq!(left(store).await, 1);
    // A number is not given out again, whatever was removed.
    sweep(store, retention(99)).await;
    assert!(stored(store, maker.message(60, vec![])).await.0 > elsewhere);
}

pub(super) async fn steps_are_bounded_and_come_to_an_end(store: &dyn Store) {
    let maker = Maker::new();
    let mut open = Vec::new();
    for seconds in 0..60 {
        let row = maker.one(store, seconds, None).await;
        if seconds % 2 == 0 {
            open.push(row);
        } else {
            settle(store, &row, Settle::Delivered, seconds).await;
        }
    }
    let wide = stored(store, maker.message(60, vec![delivery(60, None); 25]))
        .await
        .1;
    for row in &wide {
        settle(store, row, Settle::Delivered, 61).await;
    }
    let mut small = retention(100);
    small.limit = 4;
    let mut removed = 0;
    for step in 0.. {
        assert!(step < 200, "it comes to an end");
        let swept = sweep(store, small.clone()).await;
        assert!(swept.messages <= 4);
        removed += swept.messages;
        if !swept.more {
            break;
        }
    }
    // A pass that began in the middle of what stays may leave a rest to the next one.
    let rest = sweep(store, retention(100)).await;
    assert_eq!(
        (removed + rest.messages, left(store).await),
        (31, open.len())
    );
    for row in &open {
        assert_eq!(
            store.delivery(row.id).await.expect("it is read").as_ref(),
            Some(row)
        );
    }
}

pub(super) async fn a_message_goes_at_its_own_time(store: &dyn Store) {
    let maker = Maker::new();
    let mut own = maker.message(0, vec![delivery(0, None)]);
    own.delete_at = Some(at(30));
    let mut unfinished = maker.message(1, vec![delivery(1, None)]);
    unfinished.delete_at = Some(at(20));
    let row = stored(store, own).await.1.remove(0);
    let open = stored(store, unfinished).await.1.remove(0);
    stored(store, maker.message(2, vec![])).await;
    settle(store, &row, Settle::Dead, 3).await;
    let mut early = retention(0);
    early.now = at(29);
    assert_eq!(sweep(store, early.clone()).await.messages, 0);
    early.now = at(30);
    assert_eq!(
        sweep(store, early.clone()).await.messages,
        1,
        "dead letters are not kept beyond it"
    );
    assert_eq!(left(store).await, 2);
    settle(store, &open, Settle::Expired, 31).await;
    assert_eq!(
        sweep(store, early).await.messages,
        1,
        "what is unfinished ends first"
    );
}

pub(super) async fn attempts_and_dedupe_records_go_too(store: &dyn Store) {
    let maker = Maker::new();
    let mut message = maker.message(0, vec![delivery(0, None)]);
    message.dedupe = Some(dedupe("a", 1, 100));
    let repeat = maker.message(1, vec![]);
    let mut row = stored(store, message.clone()).await.1.remove(0);
    for seconds in [10, 20, 30] {
        row = settle(store, &row, retry(seconds), seconds).await.0;
    }
    settle(store, &row, Settle::Delivered, 40).await;
    let mut old = retention(5);
    (old.attempts_before, old.now) = (at(21), at(99));
    let swept = sweep(store, old.clone()).await;
    assert_eq!((swept.messages, swept.attempts, swept.dedupes), (1, 2, 0));
    // The record outlives its message.
    let repeat = |at| {
        let mut repeat = repeat.clone();
        repeat.time = at;
        repeat.dedupe.clone_from(&message.dedupe);
        vec![repeat]
    };
    let answers = append(store, repeat(at(99)), false).await;
    assert!(matches!(answers[0], Appended::Duplicate { id, matched: 1, .. } if id == message.id));
    (old.attempts_before, old.now) = (at(41), at(100));
    let swept = sweep(store, old).await;
    assert_eq!((swept.attempts, swept.dedupes, swept.more), (2, 1, false));
    let answers = append(store, repeat(at(101)), false).await;
    assert!(matches!(answers[0], Appended::Stored { .. }));
}
