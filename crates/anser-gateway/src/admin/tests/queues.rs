//! Queues: what they may be, their dead-letter queues, and what goes with them.

use anser_core::ProblemKind;
use anser_core::delivery::DeliveryState;
use anser_core::message::Item;
use anser_core::resource::Scope;

use super::*;
use crate::admin::DEAD_LETTER_SOURCES_MAX;
use crate::change::ChangeOutcome;
use crate::publish::PublishOptions;
use crate::queues::Receive;

fn dead_letter(queue: &str) -> Value {
    json!({"dead_letter": {"queue": queue, "max_receives": 5}})
}

async fn patch(setup: &Setup, name: &str, patch: Value) -> Result<QueueView, Problem> {
    setup
        .gateway
        .patch_queue(&setup.admin, name, patch, None)
        .await
}

async fn delete(setup: &Setup, name: &str, cascade: bool) -> Result<(), Problem> {
    setup
        .gateway
        .delete_queue(&setup.admin, name, cascade, None)
        .await
}

#[tokio::test]
async fn queues_are_created_once_replaced_and_listed() {
    let setup = Setup::new().await;
    let first = setup.queue("Jobs", json!({"lease": 60})).await.unwrap();
    assert!(first.created);
    assert_eq!(first.view.resource.name, "Jobs");
    let again = setup.queue("jobs", json!({"lease": 60})).await.unwrap();
    assert_eq!((again.created, &again.view), (false, &first.view));
    let other = setup.queue("JOBS", json!({})).await.unwrap_err();
    assert_eq!(
        (other.kind, other.code),
        (ProblemKind::Conflict, "already_exists")
    );
    let named = setup.queue("$jobs", json!({})).await.unwrap_err();
    assert_eq!(named.code, "system_topic");

    let revision = first.view.resource.revision;
    setup.advance(5);
    let put = |spec: Value, expected| {
        let spec: QueueSpec = serde_json::from_value(spec).unwrap();
        setup
            .gateway
            .put_queue(&setup.admin, "jobs", spec, expected)
    };
    let view = put(json!({"lease": 5}), Some(revision)).await.unwrap().view;
    assert_eq!(view.resource.id, first.view.resource.id);
    assert_eq!(view.resource.spec.lease, 5);
    assert!(view.resource.updated_at > view.resource.created_at);
    let stale = put(json!({}), Some(revision)).await.unwrap_err();
    assert_eq!(stale.code, "stale_revision");

    setup.queue("bills", json!({})).await.unwrap();
    let page = setup.gateway.list_queues(&setup.admin, &all()).unwrap();
    let names: Vec<_> = page.items.iter().map(|view| &view.resource.name).collect();
    assert_eq!(names, ["bills", "Jobs"]);
    let shown = setup.gateway.get_queue(&setup.admin, "JOBS").unwrap();
    assert_eq!(shown, view);
    let missing = setup.gateway.get_queue(&setup.admin, "none").unwrap_err();
    assert_eq!(missing.code, "queue_not_found");
    setup.stop().await;
}

#[tokio::test]
async fn what_a_queue_cannot_be_is_refused_with_its_field() {
    let setup = Setup::new().await;
    setup.queue("jobs", json!({})).await.unwrap();
    for (bad, code, field) in [
        (json!({"lease": 0}), "out_of_range", "lease"),
        (json!({"wait": 31}), "out_of_range", "wait"),
        (json!({"rewind": 400_000}), "out_of_range", "rewind"),
        (
            json!({"dead_letter": {"queue": "jobs"}}),
            "invalid_dead_letter",
            "dead_letter",
        ),
        (dead_letter("none"), "unknown_queue", "dead_letter.queue"),
        (
            dead_letter("JOBS"),
            "nested_dead_letter",
            "dead_letter.queue",
        ),
        (json!({"ordering": "gate"}), "invalid_field", "ordering"),
    ] {
        let problem = patch(&setup, "jobs", bad.clone()).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{bad}"
        );
    }
    let missing = patch(&setup, "none", json!({})).await.unwrap_err();
    assert_eq!(missing.code, "queue_not_found");
    setup.stop().await;
}

#[tokio::test]
async fn dead_letters_go_one_step_and_from_a_few_queues() {
    let setup = Setup::new().await;
    for name in ["dead", "dead2"] {
        setup.queue(name, json!({})).await.unwrap();
    }
    for i in 0..DEAD_LETTER_SOURCES_MAX {
        let created = setup
            .queue(&format!("source{i}"), dead_letter("DEAD"))
            .await;
        created.unwrap();
    }
    let view = setup.gateway.get_queue(&setup.admin, "dead").unwrap();
    assert_eq!(view.dead_letter_sources.len(), DEAD_LETTER_SOURCES_MAX);
    assert_eq!(view.dead_letter_sources[0], "source0");
    let full = setup.queue("more", dead_letter("dead")).await.unwrap_err();
    assert_eq!(
        (full.kind, full.code),
        (ProblemKind::Invalid, "too_many_sources")
    );
    // One that is a source already may change its rule.
    let rule = json!({"dead_letter": {"max_receives": 6}});
    patch(&setup, "source1", rule).await.unwrap();
    for (name, to) in [("more", "source0"), ("dead", "dead2")] {
        let spec = serde_json::from_value(dead_letter(to)).unwrap();
        let put = setup.gateway.put_queue(&setup.admin, name, spec, None);
        assert_eq!(put.await.unwrap_err().code, "nested_dead_letter", "{name}");
    }

    let used = delete(&setup, "dead", true).await.unwrap_err();
    assert_eq!((used.kind, used.code), (ProblemKind::Conflict, "in_use"));
    assert!(used.detail.contains("source0"));
    let snapshot = setup.gateway.config.load_full();
    let dead = snapshot.queue("dead").unwrap().meta.id;
    assert_eq!(snapshot.queue("source0").unwrap().dead_letter, Some(dead));
    patch(&setup, "source0", json!({"dead_letter": null}))
        .await
        .unwrap();
    let snapshot = setup.gateway.config.load_full();
    assert_eq!(snapshot.queue("source0").unwrap().dead_letter, None);
    setup.queue("more", dead_letter("dead")).await.unwrap();
    setup.stop().await;
}

#[tokio::test]
async fn a_rewind_reaches_back_to_when_it_was_turned_on() {
    let setup = Setup::new().await;
    let since = |setup: &Setup| {
        let snapshot = setup.gateway.config.load_full();
        snapshot.queue("jobs").unwrap().rewind_since
    };
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    setup.queue("jobs", json!({"rewind": 60})).await.unwrap();
    assert_eq!(since(&setup), at(0));
    setup.advance(5);
    patch(&setup, "jobs", json!({"rewind": 90})).await.unwrap();
    assert_eq!(since(&setup), at(0));
    patch(&setup, "jobs", json!({"rewind": 0})).await.unwrap();
    setup.advance(5);
    patch(&setup, "jobs", json!({"rewind": 60})).await.unwrap();
    assert_eq!(since(&setup), at(10));
    let next = setup.reloaded([7; 32]).await.unwrap();
    assert_eq!(next.queue("jobs").unwrap().rewind_since, at(10));
    setup.stop().await;
}

#[tokio::test]
async fn a_queue_goes_with_its_subscriptions_and_what_is_in_it() {
    let setup = Setup::with_orders().await;
    setup.queue("jobs", json!({})).await.unwrap();
    let spec = json!({"queue": "Jobs"});
    setup.subscription("orders", "work", spec).await.unwrap();
    let item = Item::from_json(br#"{"body": {"data": 1}}"#);
    let published = setup
        .gateway
        .publish(
            &setup.admin,
            "orders",
            vec![item],
            PublishOptions::default(),
        )
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(published.matched, Some(2));
    let used = delete(&setup, "jobs", false).await.unwrap_err();
    assert_eq!((used.kind, used.code), (ProblemKind::Conflict, "in_use"));
    assert!(used.detail.contains("orders/work"));
    delete(&setup, "jobs", true).await.unwrap();
    let snapshot = setup.gateway.config.load_full();
    assert!(snapshot.queue("jobs").is_none() && snapshot.queues_by_id.is_empty());
    assert_eq!(snapshot.topic("orders").unwrap().subscriptions.len(), 1);
    let row = setup.store.message(published.id).await.unwrap().unwrap();
    let rows = setup.store.deliveries_of(row.num, 0, 10).await.unwrap();
    let cancelled = rows
        .iter()
        .filter(|row| row.state == DeliveryState::Cancelled);
    assert_eq!(cancelled.count(), 1);
    setup.stop().await;
}

#[tokio::test]
async fn a_recall_takes_a_message_from_whoever_holds_it() {
    let setup = Setup::new().await;
    setup.queue("jobs", json!({})).await.unwrap();
    let gateway = &setup.gateway;
    let item = Item::from_json(br#"{"header": {"to": ["queue:jobs"]}, "body": {"data": 1}}"#);
    let sent = gateway.publish_direct(&setup.admin, vec![item], PublishOptions::default());
    let id = sent.await.unwrap().remove(0).unwrap().id;
    let ask = Receive {
        max: 1,
        wait: None,
        lease: None,
    };
    let received = gateway.receive(&setup.admin, "jobs", ask).await.unwrap();
    let recalled = gateway.recall(&setup.admin, id, None).await.unwrap();
    assert_eq!(recalled.results[0].result, ChangeOutcome::Cancelled);
    let receipts = vec![received[0].receipt];
    let done = gateway.acknowledge(&setup.admin, "jobs", receipts).await;
    assert_eq!(done.unwrap(), [false]);
    setup.stop().await;
}

#[tokio::test]
async fn a_keys_targets_decide_over_queues() {
    let setup = Setup::new().await;
    for name in ["jobs", "bills"] {
        setup.queue(name, json!({})).await.unwrap();
    }
    let limited = Principal {
        targets: Some(vec!["queue:Job*".to_owned()]),
        ..Principal::system()
    };
    let gateway = &setup.gateway;
    let page = gateway.list_queues(&limited, &all()).unwrap();
    assert_eq!(page.items.len(), 1);
    gateway.get_queue(&limited, "JOBS").unwrap();
    let hidden = gateway.get_queue(&limited, "bills").unwrap_err();
    assert_eq!(hidden.code, "address_not_allowed");
    let spec = serde_json::from_value(dead_letter("bills")).unwrap();
    let put = gateway.put_queue(&limited, "jobs", spec, None).await;
    let problem = put.unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("address_not_allowed", Some("dead_letter.queue"))
    );
    let reader = Principal {
        scopes: vec![Scope::Read],
        ..Principal::system()
    };
    let refused = gateway.delete_queue(&reader, "jobs", false, None).await;
    assert_eq!(refused.unwrap_err().code, "missing_scope");
    setup.stop().await;
}
