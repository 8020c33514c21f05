//! The store fails: what the publisher is told, and that nothing accepted is left lying.

use anser_core::store::StoreError;

use super::*;
use crate::fixture::Fault;

#[tokio::test]
async fn a_failing_store_is_told_to_the_publisher() {
    let fixture = Fixture::with_orders();
    let after = Duration::from_millis(50);
    for (error, status, code) in [
        (StoreError::Full, 507, "storage_full"),
        (StoreError::Retryable { after }, 503, "store_busy"),
        (
            StoreError::Permanent("closed".to_owned()),
            503,
            "store_unavailable",
        ),
        (
            StoreError::Corrupt("page 3".to_owned()),
            500,
            "store_damaged",
        ),
    ] {
        fixture.faults.push(Fault::Fail(error));
        let problem = fixture.refuse(data(json!(1)), options()).await;
        assert_eq!((problem.kind.status(), problem.code), (status, code));
    }
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn an_unconfirmed_commit_is_repeated_with_the_same_ids() {
    let fixture = Fixture::with_orders();
    fixture.faults.push(Fault::LoseAnswer);
    fixture.faults.push(Fault::Fail(StoreError::Unknown));
    let item = json!({"body": {"data": 1}, "dedupe_key": "k"});
    let published = fixture.accept(item).await;
    assert_eq!((published.matched, published.duplicate), (Some(1), false));
    assert_eq!(fixture.faults.appends(), [1, 1, 1]);
    let stored = fixture.stored().await;
    assert_eq!((stored.len(), stored[0].id), (1, published.id));
}

#[tokio::test]
async fn a_commit_that_is_never_confirmed_is_taken_over_by_the_background() {
    let fixture = Fixture::with_orders();
    for _ in 0..4 {
        fixture.faults.push(Fault::Fail(StoreError::Unknown));
    }
    let problem = fixture.refuse(data(json!(1)), options()).await;
    assert_eq!(
        (problem.kind.status(), problem.code),
        (503, "store_unconfirmed")
    );
    fixture.gateway.intake.close();
    fixture.gateway.commit_unconfirmed().await;
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_during_the_commit_leaves_nothing_undelivered() {
    let fixture = Fixture::with_orders();
    fixture.faults.push(Fault::Hang);
    let atomic = PublishOptions {
        atomic: true,
        ..options()
    };
    let items = [data(json!(1)), data(json!(2))];
    let publish = fixture.publish(&items, atomic);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), publish)
            .await
            .is_err()
    );
    let taken = fixture
        .gateway
        .intake
        .take_receiver()
        .unwrap()
        .recv()
        .await
        .unwrap();
    assert_eq!((taken.messages.len(), taken.atomic), (2, true));
    // The background's append finds them by their ids.
    let (staged, snapshot) = (taken.messages, fixture.gateway.config.load());
    assert!(snapshot.topic("orders").is_some());
    let done = fixture
        .gateway
        .commit_staged(staged, true, false)
        .await
        .unwrap();
    let published = done.into_published();
    assert!(
        published
            .iter()
            .all(|result| result.as_ref().is_ok_and(|new| !new.duplicate))
    );
    assert_eq!(fixture.stored().await.len(), 2);
}

#[tokio::test]
async fn atomic_batches_are_taken_over_alone_and_in_order() {
    let fixture = Fixture::with_orders();
    let atomic = PublishOptions {
        atomic: true,
        ..options()
    };
    let unconfirmed = PublishOptions {
        acks: Acks::None,
        ..options()
    };
    fixture
        .publish(&[data(json!(1))], unconfirmed.clone())
        .await
        .unwrap();
    for _ in 0..4 {
        fixture.faults.push(Fault::Fail(StoreError::Unknown));
    }
    let items = [data(json!(2)), data(json!(3))];
    assert_eq!(
        fixture.publish(&items, atomic).await.unwrap_err().code,
        "store_unconfirmed"
    );
    fixture
        .publish(&[data(json!(4))], unconfirmed.clone())
        .await
        .unwrap();
    fixture
        .publish(&[data(json!(5))], unconfirmed)
        .await
        .unwrap();
    fixture.gateway.intake.close();
    fixture.gateway.commit_unconfirmed().await;
    assert_eq!(fixture.faults.appends()[4..], [1, 2, 2]);
    assert_eq!(fixture.stored().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_background_waits_for_a_busy_store() {
    let fixture = Fixture::with_orders();
    let after = Duration::from_secs(1);
    fixture
        .faults
        .push(Fault::Fail(StoreError::Retryable { after }));
    fixture.faults.push(Fault::Fail(StoreError::Full));
    let unconfirmed = PublishOptions {
        acks: Acks::None,
        ..options()
    };
    fixture
        .publish(&[data(json!(1))], unconfirmed.clone())
        .await
        .unwrap();
    fixture.gateway.intake.close();
    fixture.gateway.commit_unconfirmed().await;
    assert_eq!(
        fixture.faults.appends(),
        [1, 1],
        "given up when the disk is full"
    );
    assert!(fixture.stored().await.is_empty());
}
