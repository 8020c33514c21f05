//! Accepted once: the same key and item get the first answer.

use super::*;

fn keyed(value: Value) -> Value {
    json!({"body": {"data": value}, "dedupe_key": "k1"})
}

#[tokio::test]
async fn the_same_key_and_item_get_the_first_answer() {
    let fixture = Fixture::with_orders();
    let first = fixture.accept(keyed(json!(1))).await;
    let again = fixture.accept(keyed(json!(1))).await;
    assert!(!first.duplicate && again.duplicate && again.durable);
    assert_eq!(
        (again.id, again.seq, again.matched),
        (first.id, first.seq, first.matched)
    );
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn the_same_key_with_another_item_is_a_conflict() {
    let fixture = Fixture::with_orders();
    fixture.accept(keyed(json!(1))).await;
    let problem = fixture.refuse(keyed(json!(2)), options()).await;
    assert_eq!(
        (
            problem.kind.status(),
            problem.code,
            problem.field.as_deref()
        ),
        (409, "dedupe_conflict", Some("dedupe_key"))
    );
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn keys_of_other_lineages_and_topics_are_other_keys() {
    let mut fixture = Fixture::with_orders();
    fixture.topic("stock", json!({}));
    fixture.reload();
    let mut other = anyone().clone();
    other.lineage += 1;
    for (principal, topic, duplicate) in [
        (anyone(), "orders", false),
        (&other, "orders", false),
        (anyone(), "stock", false),
        (&other, "orders", true),
        (anyone(), "Stock", true),
    ] {
        let publish = fixture
            .publish_as(principal, topic, &[keyed(json!(1))], options())
            .await;
        let published = publish.unwrap().remove(0).unwrap();
        assert_eq!(
            published.duplicate, duplicate,
            "{} {topic}",
            principal.lineage
        );
    }
}

#[tokio::test]
async fn a_key_is_forgotten_after_the_window_and_never_kept_without_one() {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({"dedupe_window": 60}));
    fixture.topic("open", json!({"dedupe_window": 0}));
    fixture.reload();
    fixture.accept(keyed(json!(1))).await;
    fixture.clock.advance(Duration::from_secs(59));
    assert!(fixture.accept(keyed(json!(1))).await.duplicate);
    fixture.clock.advance(Duration::from_secs(2));
    assert!(!fixture.accept(keyed(json!(1))).await.duplicate);

    for value in [1, 1, 2] {
        let publish = fixture
            .publish_as(anyone(), "open", &[keyed(json!(value))], options())
            .await;
        assert!(!publish.unwrap().remove(0).unwrap().duplicate);
    }
}

#[tokio::test]
async fn a_key_used_twice_in_one_batch_is_stored_once() {
    let fixture = Fixture::with_orders();
    let items = [keyed(json!(1)), keyed(json!(1)), keyed(json!(2))];
    let results = fixture.publish(&items, options()).await.unwrap();
    assert!(!results[0].as_ref().unwrap().duplicate);
    assert!(results[1].as_ref().unwrap().duplicate);
    assert_eq!(results[2].as_ref().unwrap_err().code, "dedupe_conflict");
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn a_conflict_keeps_an_atomic_batch_out() {
    let fixture = Fixture::with_orders();
    fixture.accept(keyed(json!(1))).await;
    let atomic = PublishOptions {
        atomic: true,
        ..options()
    };
    let items = [data(json!(7)), keyed(json!(2))];
    let problem = fixture.publish(&items, atomic).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("dedupe_conflict", Some("[1].dedupe_key"))
    );
    assert_eq!(fixture.stored().await.len(), 1);
}
