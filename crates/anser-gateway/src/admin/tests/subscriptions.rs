//! Subscriptions: what they may be, and when they were held.

use super::*;
use crate::config::Destination;

#[tokio::test]
async fn subscriptions_are_created_once_and_listed() {
    let setup = Setup::with_orders().await;
    let again = setup
        .subscription("Orders", "BILLING", json!({"channel": "shop"}))
        .await;
    let again = again.unwrap();
    assert!(!again.created);
    assert_eq!(
        (again.view.topic.as_str(), again.view.resource.name.as_str()),
        ("orders", "billing")
    );
    let other = setup.subscription(
        "orders",
        "billing",
        json!({"channel": "shop", "target": "x"}),
    );
    assert_eq!(other.await.unwrap_err().code, "already_exists");
    setup.topic("bills", json!({})).await.unwrap();
    setup
        .subscription("bills", "billing", json!({"channel": "SHOP"}))
        .await
        .unwrap();
    setup
        .subscription("$dead", "watch", json!({"channel": "shop"}))
        .await
        .unwrap();

    let names = |topic: Option<&str>| {
        let page = setup
            .gateway
            .list_subscriptions(&setup.admin, topic, &all())
            .unwrap();
        let name = |view: SubscriptionView| format!("{}/{}", view.topic, view.resource.name);
        page.items.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(None),
        ["$dead/watch", "bills/billing", "orders/billing"]
    );
    assert_eq!(names(Some("ORDERS")), ["orders/billing"]);
    let none = setup
        .gateway
        .list_subscriptions(&setup.admin, Some("none"), &all());
    assert_eq!(none.unwrap_err().code, "topic_not_found");
    let snapshot = setup.gateway.config.load_full();
    let numbers: Vec<_> = snapshot
        .topic("orders")
        .unwrap()
        .subscriptions
        .iter()
        .map(|s| s.meta.id)
        .collect();
    assert!(numbers.is_sorted());
    setup.stop().await;
}

#[tokio::test]
async fn what_a_subscription_cannot_be_is_refused_with_its_field() {
    let setup = Setup::with_orders().await;
    for (spec, code, field) in [
        (json!({"channel": "none"}), "unknown_channel", "channel"),
        (
            json!({"channel": "shop", "format": "cmq-json"}),
            "unknown_format",
            "format",
        ),
        (
            json!({"channel": "shop", "batch": {}}),
            "not_available",
            "batch",
        ),
        (
            json!({"channel": "shop", "on_dead": "notify_sender"}),
            "not_available",
            "on_dead",
        ),
        (
            json!({"channel": "shop", "filter": {"types": [""]}}),
            "invalid_pattern",
            "filter.types[0]",
        ),
        (
            json!({"channel": "shop", "filter": {"cel": "1 +"}}),
            "invalid_cel",
            "filter.cel",
        ),
        (
            json!({"channel": "shop", "retry": [-1.0]}),
            "invalid_retry",
            "retry[0]",
        ),
        (
            json!({"channel": "shop", "rate": {"per_second": 1.0, "burst": 0}}),
            "out_of_range",
            "rate.burst",
        ),
        (
            json!({"channel": "shop", "target": ""}),
            "invalid_address",
            "target",
        ),
    ] {
        let problem = setup
            .subscription("orders", "new", spec.clone())
            .await
            .unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{spec}"
        );
    }
    let named = setup
        .subscription("orders", "$new", json!({"channel": "shop"}))
        .await;
    assert_eq!(named.unwrap_err().field.as_deref(), Some("name"));
    assert_eq!(setup.rows(ConfigKind::Subscription).await.len(), 1);
    setup.stop().await;
}

#[tokio::test]
async fn the_ordering_in_force_follows_the_policy_and_the_kind() {
    let setup = Setup::with_orders().await;
    for (name, spec, expected) in [
        ("a", json!({"channel": "shop"}), Ordering::Key),
        (
            "b",
            json!({"channel": "shop", "retry": "cmq-decay"}),
            Ordering::Gate,
        ),
        (
            "c",
            json!({"channel": "shop", "retry": "cmq-decay", "ordering": "none"}),
            Ordering::None,
        ),
        (
            "d",
            json!({"channel": "shop", "ordering": "strict"}),
            Ordering::Strict,
        ),
    ] {
        setup.subscription("orders", name, spec).await.unwrap();
        let snapshot = setup.gateway.config.load_full();
        assert_eq!(
            snapshot.subscription("orders", name).unwrap().ordering,
            expected
        );
    }
    setup.stop().await;
}

#[tokio::test]
async fn changes_keep_the_channel_and_remember_when_it_was_held() {
    let setup = Setup::with_orders().await;
    setup
        .channel("other", json!({"url": "https://other.example/"}))
        .await
        .unwrap();
    let patch = |patch: Value| {
        setup
            .gateway
            .patch_subscription(&setup.admin, "orders", "billing", patch, None)
    };
    let moved = patch(json!({"channel": "other"})).await.unwrap_err();
    assert_eq!(
        (moved.code, moved.field.as_deref()),
        ("immutable_field", Some("channel"))
    );
    assert!(patch(json!({"channel": "SHOP"})).await.is_ok());
    let bad = patch(json!({"filter": {"binding_key": ["a", "b..", "", "c"]}}))
        .await
        .unwrap_err();
    assert_eq!(bad.field.as_deref(), Some("filter.binding_key[2]"));

    let id = patch(json!({"paused": true})).await.unwrap().resource.id;
    setup.advance(10);
    patch(json!({"description": "still paused"})).await.unwrap();
    setup.advance(10);
    patch(json!({"paused": false})).await.unwrap();
    setup.advance(10);
    let held = |snapshot: &Snapshot| snapshot.held_between(&[id], START, setup.gateway.clock.now());
    assert_eq!(held(&setup.gateway.config.load()), Duration::from_secs(20));
    let sealer = Sealer::new(&[7; 32]);
    let loaded = config::load(&*setup.store, &registry(), &sealer, START).await;
    assert_eq!(held(&loaded.unwrap()), Duration::from_secs(20));
    setup.stop().await;
}

#[tokio::test]
async fn what_was_created_paused_is_held_from_the_start() {
    let setup = Setup::with_orders().await;
    let spec = json!({"channel": "shop", "paused": true});
    let view = setup
        .subscription("orders", "later", spec)
        .await
        .unwrap()
        .view;
    let spec = ChannelSpec {
        paused: true,
        ..channel_spec(json!({"url": "https://shop.example/"}))
    };
    let channel = setup
        .gateway
        .create_channel(&setup.admin, "later", spec)
        .await;
    let ids = [view.resource.id, channel.unwrap().view.resource.id];
    setup.advance(10);
    let describe = json!({"description": "d"});
    let gateway = &setup.gateway;
    gateway
        .patch_channel(&setup.admin, "later", describe, None)
        .await
        .unwrap();
    setup.advance(10);
    let sealer = Sealer::new(&[7; 32]);
    let now = gateway.clock.now();
    let loaded = config::load(&*setup.store, &registry(), &sealer, now)
        .await
        .unwrap();
    for id in ids {
        assert!(loaded.is_held(&[id]));
        assert_eq!(
            loaded.held_between(&[id], START, now),
            Duration::from_secs(20)
        );
        assert_eq!(
            gateway.config.load().held_between(&[id], START, now),
            Duration::from_secs(20)
        );
    }
    setup.stop().await;
}

#[tokio::test]
async fn deleting_takes_the_current_revision() {
    let setup = Setup::with_orders().await;
    let view = setup
        .gateway
        .get_subscription(&setup.admin, "orders", "billing")
        .unwrap();
    let delete = |expected| {
        setup
            .gateway
            .delete_subscription(&setup.admin, "orders", "Billing", expected)
    };
    let stale = delete(Some(view.resource.revision + 1)).await.unwrap_err();
    assert_eq!(stale.code, "stale_revision");
    delete(Some(view.resource.revision)).await.unwrap();
    assert_eq!(
        delete(None).await.unwrap_err().code,
        "subscription_not_found"
    );
    setup
        .gateway
        .delete_channel(&setup.admin, "shop", false, None)
        .await
        .unwrap();
    setup
        .gateway
        .delete_topic(&setup.admin, "orders", false, None)
        .await
        .unwrap();
    setup.stop().await;
}

#[tokio::test]
async fn a_subscription_has_one_destination_and_what_goes_with_it() {
    let setup = Setup::with_orders().await;
    setup.queue("jobs", json!({})).await.unwrap();
    for (spec, code, field) in [
        (
            json!({"channel": "shop", "queue": "q"}),
            "invalid_destination",
            "queue",
        ),
        (json!({}), "invalid_destination", "channel"),
        (json!({"queue": "none"}), "unknown_queue", "queue"),
        (
            json!({"queue": "jobs", "format": "anser"}),
            "unknown_format",
            "format",
        ),
        (
            json!({"queue": "jobs", "paused": true}),
            "invalid_destination",
            "paused",
        ),
    ] {
        let refused = setup.subscription("orders", "new", spec.clone()).await;
        let problem = refused.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{spec}"
        );
    }
    setup.stop().await;
}

#[tokio::test]
async fn a_subscription_to_a_queue_stays_with_it() {
    let setup = Setup::with_orders().await;
    for name in ["jobs", "bills"] {
        setup.queue(name, json!({})).await.unwrap();
    }
    let spec = json!({"queue": "jobs"});
    let put = setup.subscription("orders", "work", spec).await.unwrap();
    assert_eq!(put.view.resource.spec.queue.as_deref(), Some("jobs"));
    let gateway = &setup.gateway;
    for (patch, field) in [
        (json!({"queue": "bills"}), "queue"),
        (json!({"queue": null, "channel": "shop"}), "channel"),
    ] {
        let patched = gateway.patch_subscription(&setup.admin, "orders", "work", patch, None);
        let problem = patched.await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("immutable_field", Some(field))
        );
    }
    let limited = Principal {
        topics: Some(vec!["orders".to_owned()]),
        targets: Some(vec!["shop".to_owned()]),
        ..Principal::system()
    };
    let spec = serde_json::from_value(json!({"queue": "jobs"})).unwrap();
    let refused = gateway.create_subscription(&limited, "orders", "more", spec);
    let problem = refused.await.unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("address_not_allowed", Some("queue"))
    );
    // Subscriptions are read when the queues they name are there.
    let snapshot = setup.reloaded([7; 32]).await.unwrap();
    let jobs = snapshot.queue("jobs").unwrap().meta.id;
    let work = snapshot.subscription("orders", "work").unwrap();
    assert_eq!(work.destination, Destination::Queue(jobs));
    setup.stop().await;
}
