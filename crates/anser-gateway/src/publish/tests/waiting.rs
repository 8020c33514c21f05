//! When the answer comes: before the commit, after it, or after the first attempts.

use anser_core::store::Settle;

use super::*;

fn unconfirmed() -> PublishOptions {
    PublishOptions {
        acks: Acks::None,
        ..options()
    }
}

fn wait(seconds: u64) -> PublishOptions {
    PublishOptions {
        wait: Some(Duration::from_secs(seconds)),
        ..options()
    }
}

#[tokio::test]
async fn acks_none_answers_before_the_commit() {
    let fixture = Fixture::with_orders();
    let items = [data(json!(1)), json!({"body": {}}), data(json!(3))];
    let results = fixture.publish(&items, unconfirmed()).await.unwrap();
    let first = results[0].as_ref().unwrap();
    assert_eq!(
        (first.seq, first.matched, first.durable),
        (None, None, false)
    );
    assert_eq!(results[1].as_ref().unwrap_err().code, "invalid_body");
    assert!(fixture.faults.appends().is_empty());
    fixture.publish(&items[..1], unconfirmed()).await.unwrap();

    fixture.gateway.intake.close();
    fixture.gateway.commit_unconfirmed().await;
    assert_eq!(fixture.faults.appends(), [3], "gathered into one commit");
    let stored = fixture.stored().await;
    assert_eq!(stored[0].id, first.id);
    assert_eq!(fixture.deliveries(&stored[0]).await.len(), 1);

    let problem = fixture.refuse(data(json!(1)), unconfirmed()).await;
    assert_eq!((problem.kind.status(), problem.code), (503, "stopping"));
}

#[tokio::test]
async fn acks_none_goes_with_nothing_that_needs_the_commit() {
    let fixture = Fixture::with_orders();
    let keyed = json!({"body": {"data": 1}, "dedupe_key": "k"});
    for (item, options, field) in [
        (keyed, unconfirmed(), "dedupe_key"),
        (
            data(json!(1)),
            PublishOptions {
                mandatory: true,
                ..unconfirmed()
            },
            "mandatory",
        ),
        (
            data(json!(1)),
            PublishOptions {
                acks: Acks::None,
                ..wait(1)
            },
            "wait",
        ),
    ] {
        let problem = fixture.refuse(item, options).await;
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("acks_none", Some(field))
        );
    }
}

#[tokio::test]
async fn acks_none_is_refused_when_too_much_waits() {
    let fixture = Fixture::with_orders();
    let large = data(json!("x".repeat(1_000_000)));
    let mut taken = 0;
    let problem = loop {
        match fixture
            .publish(std::slice::from_ref(&large), unconfirmed())
            .await
        {
            Ok(_) => taken += 1,
            Err(problem) => break problem,
        }
    };
    assert_eq!((problem.kind.status(), problem.code), (429, "overloaded"));
    assert!((60..70).contains(&taken), "{taken}");
    fixture.gateway.intake.close();
    fixture.gateway.commit_unconfirmed().await;
    assert_eq!(fixture.stored().await.len(), taken);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_publish_answers_with_the_states_so_far() {
    let fixture = Fixture::with_orders();
    let items = [data(json!(1))];
    let mut publish = std::pin::pin!(fixture.publish(&items, wait(10)));
    let early = tokio::time::timeout(Duration::from_millis(9_999), &mut publish);
    assert!(early.await.is_err());
    let results = publish.await.unwrap();
    let published = results[0].as_ref().unwrap();
    let states = published.deliveries.as_ref().unwrap();
    assert_eq!(states[0].state, crate::look::ViewState::Pending);
    assert_eq!(states[0].subscription.as_deref(), Some("billing"));
    assert!(!published.settled);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_publish_is_settled_once_every_first_attempt_is_over() {
    let fixture = Fixture::with_orders();
    let publish = async { fixture.publish(&[data(json!(1))], wait(10)).await.unwrap() };
    let deliver = async {
        tokio::task::yield_now().await;
        let stored = fixture.stored().await.remove(0);
        let row = fixture.deliveries(&stored).await.remove(0);
        fixture.settle(&row, Settle::Delivered).await;
    };
    let (results, ()) = tokio::join!(publish, deliver);
    let published = results[0].as_ref().unwrap();
    assert!(published.settled);
    assert_eq!(
        published.deliveries.as_ref().unwrap()[0].state,
        crate::look::ViewState::Delivered
    );
}

#[tokio::test(start_paused = true)]
async fn what_goes_nowhere_is_not_waited_for() {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({}));
    fixture.reload();
    let items = [data(json!(1))];
    let publish = fixture.publish(&items, wait(10));
    let at_once = tokio::time::timeout(Duration::from_millis(1), publish).await;
    assert!(at_once.unwrap().unwrap()[0].as_ref().unwrap().settled);
}

#[tokio::test]
async fn waiting_is_bounded_in_number_time_and_width() {
    let fixture = Fixture::with_orders();
    assert_eq!(
        fixture.refuse(data(json!(1)), wait(61)).await.code,
        "out_of_range"
    );

    let to: Vec<String> = (0..1_000).map(|i| format!("shop/{i}")).collect();
    let wide = json!({"body": {"data": 1}, "header": {"to": to}});
    let problem = fixture.refuse(wide, wait(1)).await;
    assert_eq!(
        (problem.kind.status(), problem.code),
        (413, "too_many_deliveries")
    );

    let places: Vec<_> = (0..WAITERS_MAX)
        .map(|_| fixture.gateway.intake.wait().unwrap())
        .collect();
    let problem = fixture.refuse(data(json!(1)), wait(1)).await;
    assert_eq!(
        (problem.kind.status(), problem.code),
        (429, "too_many_waiters")
    );
    assert!(fixture.stored().await.is_empty());
    drop(places);
}
