//! Diverting: a message leaves one queue as dead and enters another in the same commit.

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, ResourceId};
use anser_core::store::{DeliveryRow, Diversion, Lane, Lease, NewDelivery, Settle, Store};

use super::fixture::{
    DONE, Maker, OTHER_QUEUE, QUEUE, acknowledge, at, current, ids, lease, lease_at, queued,
    receive, settle,
};

fn diversion(row: &DeliveryRow, queue: ResourceId, lane: Option<Lane>, seconds: u64) -> Diversion {
    Diversion {
        token: row.token(),
        to: NewDelivery {
            group: queue,
            channel: queue,
            ..queued(seconds, lane)
        },
        at: at(seconds),
    }
}

/// Diverts deliveries; answers the new ones.
async fn divert(store: &dyn Store, diversions: Vec<Diversion>) -> Vec<Option<DeliveryRow>> {
    store.divert(diversions).await.expect("a diversion works")
}

pub(super) async fn a_diverted_one_goes_on_elsewhere(store: &dyn Store) {
    let maker = Maker::new();
    maker.sent(store, 0, None).await;
    let row = receive(store, 10).await.remove(0);
    let made = divert(store, vec![diversion(&row, OTHER_QUEUE, None, 20)])
        .await
        .remove(0);
    let made = made.expect("the token is current");
    let source = current(store, &row).await;
    assert_eq!(
        (source.state, source.due, source.attempts),
        (DeliveryState::Dead, at(20), 1)
    );
    assert_eq!(made.id, DeliveryId::new(row.id.num(), 1));
    assert_eq!(
        (
            made.state,
            made.due,
            made.accepted,
            made.attempts,
            made.bytes
        ),
        (DeliveryState::Pending, at(20), at(0), 0, row.bytes)
    );
    assert_eq!(current(store, &made).await, made);
    let depths = store.depths();
    assert_eq!(
        depths
            .iter()
            .map(|depth| (depth.channel, depth.count, depth.retrying))
            .collect::<Vec<_>>(),
        [(OTHER_QUEUE, 1, 0)]
    );
    assert_eq!(receive(store, 99).await, []);
    let there = Lease {
        queue: OTHER_QUEUE,
        ..lease_at(20)
    };
    let found = lease(store, there).await.deliveries.remove(0);
    let message = found.message.expect("it is the same message");
    assert_eq!((found.row.id, message.num), (made.id, row.id.num()));
    // And back.
    let back = divert(store, vec![diversion(&found.row, QUEUE, None, 30)])
        .await
        .remove(0);
    let back = back.expect("the token is current");
    assert_eq!(back.id, DeliveryId::new(row.id.num(), 2));
    assert_eq!(ids(&receive(store, 30).await), [back.id]);
}

pub(super) async fn a_stale_token_diverts_nothing(store: &dyn Store) {
    let maker = Maker::new();
    let fresh = maker.sent(store, 0, None).await;
    let other = maker.sent(store, 1, None).await;
    let rows = receive(store, 10).await;
    let to_other = |row: &DeliveryRow| diversion(row, OTHER_QUEUE, None, 20);
    let mut unknown = to_other(&fresh);
    unknown.token.delivery = DeliveryId::from_u64(1 << 40);
    // One stale member spoils no other, and none is done twice.
    let made = divert(
        store,
        vec![
            unknown,
            to_other(&fresh),
            to_other(&rows[1]),
            to_other(&rows[1]),
        ],
    )
    .await;
    assert_eq!(
        made.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_eq!(current(store, &fresh).await, rows[0]);
    let dead = current(store, &other).await;
    assert_eq!(
        divert(store, vec![to_other(&dead)]).await,
        [None],
        "what is final stays final"
    );
    let (gone, _) = settle(store, &rows[0], Settle::Expired, 21).await;
    assert_eq!(divert(store, vec![to_other(&gone)]).await, [None]);
    assert_eq!(store.depths()[0].count, 1);
}

pub(super) async fn lanes_go_on_when_their_head_is_diverted(store: &dyn Store) {
    let maker = Maker::new();
    let mut lane = Vec::new();
    for seconds in 0..4 {
        lane.push(maker.sent(store, seconds, Some(5)).await);
    }
    let head = receive(store, 10).await.remove(0);
    // One behind the head may go too; that promotes nobody.
    let made = divert(
        store,
        vec![
            diversion(&lane[1], OTHER_QUEUE, Some(7), 20),
            diversion(&head, OTHER_QUEUE, Some(7), 20),
        ],
    )
    .await;
    let made: Vec<DeliveryRow> = made.into_iter().flatten().collect();
    assert_eq!(
        made.iter().map(|row| row.state).collect::<Vec<_>>(),
        [DeliveryState::Pending, DeliveryState::Waiting]
    );
    let next = receive(store, 20).await;
    assert_eq!(ids(&next), [lane[2].id]);
    // Back into a lane it goes to the end.
    let back = divert(store, vec![diversion(&made[0], QUEUE, Some(5), 21)])
        .await
        .remove(0);
    let back = back.expect("the token is current");
    assert_eq!(back.state, DeliveryState::Waiting);
    assert_eq!(current(store, &made[1]).await.state, DeliveryState::Pending);
    acknowledge(store, &next[0], DONE, 22)
        .await
        .expect("it holds");
    let next = receive(store, 22).await;
    assert_eq!(ids(&next), [lane[3].id]);
    acknowledge(store, &next[0], DONE, 23)
        .await
        .expect("it holds");
    assert_eq!(ids(&receive(store, 23).await), [back.id]);
}
