//! Topics and event types.

use anser_core::ProblemKind;
use anser_core::resource::Scope;

use super::*;

#[tokio::test]
async fn creating_again_answers_with_what_is_there() {
    let setup = Setup::new().await;
    let first = setup
        .topic("Orders", json!({"retention": 60}))
        .await
        .unwrap();
    assert!(first.created);
    assert_eq!(first.view.name, "Orders");
    assert_eq!(first.view.created_at, START);

    setup.advance(5);
    let again = setup
        .topic("orders", json!({"retention": 60}))
        .await
        .unwrap();
    assert!(!again.created);
    assert_eq!(again.view, first.view);

    let problem = setup.topic("ORDERS", json!({})).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.code),
        (ProblemKind::Conflict, "already_exists")
    );
    assert!(problem.detail.contains("Orders"));
    setup.stop().await;
}

#[tokio::test]
async fn a_replacement_keeps_name_number_and_subscriptions() {
    let setup = Setup::with_orders().await;
    let before = setup.gateway.get_topic(&setup.admin, "orders").unwrap();
    setup.advance(5);
    let spec = TopicSpec {
        retention: 60,
        ..TopicSpec::default()
    };
    let put = setup
        .gateway
        .put_topic(&setup.admin, "ORDERS", spec.clone(), Some(before.revision))
        .await
        .unwrap();
    assert!(!put.created);
    let view = put.view;
    assert_eq!((view.name.as_str(), view.id), ("orders", before.id));
    assert_eq!(view.created_at, before.created_at);
    assert!(view.updated_at > before.updated_at && view.revision > before.revision);
    let snapshot = setup.gateway.config.load_full();
    assert_eq!(snapshot.topic("orders").unwrap().subscriptions.len(), 1);

    let stale = setup
        .gateway
        .put_topic(
            &setup.admin,
            "orders",
            TopicSpec::default(),
            Some(before.revision),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (stale.kind, stale.code),
        (ProblemKind::Precondition, "stale_revision")
    );
    let absent = setup
        .gateway
        .put_topic(&setup.admin, "other", TopicSpec::default(), Some(1))
        .await
        .unwrap_err();
    assert_eq!(absent.code, "stale_revision");

    let same = setup
        .gateway
        .put_topic(&setup.admin, "orders", spec, None)
        .await;
    assert_eq!(same.unwrap().view.revision, view.revision);
    setup.stop().await;
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let setup = Setup::new().await;
    let spec = json!({"retention": 60, "description": "d", "max_age": 5});
    setup.topic("orders", spec).await.unwrap();
    let patch = |patch| {
        setup
            .gateway
            .patch_topic(&setup.admin, "orders", patch, None)
    };
    let view = patch(json!({"retention": 70, "max_age": null}))
        .await
        .unwrap();
    assert_eq!((view.spec.retention, view.spec.max_age), (70, None));
    assert_eq!(view.spec.description.as_deref(), Some("d"));
    for (bad, code, field) in [
        (json!([]), "invalid_patch", None),
        (
            json!({"retention": "x"}),
            "invalid_field",
            Some("retention"),
        ),
        (json!({"retention": -1}), "invalid_field", Some("retention")),
        (json!({"max_age": 0}), "out_of_range", Some("max_age")),
        (
            json!({"schema": {"type": 3}}),
            "invalid_schema",
            Some("schema"),
        ),
        (
            json!({"schema": {"$ref": "https://a.example/"}}),
            "invalid_schema",
            Some("schema"),
        ),
    ] {
        let problem = patch(bad.clone()).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, field),
            "{bad}"
        );
    }
    let problem = patch(json!({"colour": 1})).await.unwrap_err();
    assert_eq!(problem.code, "invalid_field");
    let missing = setup
        .gateway
        .patch_topic(&setup.admin, "none", json!({}), None)
        .await
        .unwrap_err();
    assert_eq!(missing.code, "topic_not_found");
    setup.stop().await;
}

#[tokio::test]
async fn names_are_checked_and_the_systems_are_kept() {
    let setup = Setup::new().await;
    for (name, code) in [
        ("", "invalid_name"),
        ("1a", "invalid_name"),
        ("a/b", "invalid_name"),
        ("$mine", "system_topic"),
    ] {
        assert_eq!(
            setup.topic(name, json!({})).await.unwrap_err().code,
            code,
            "{name}"
        );
    }
    let listed = setup.gateway.list_topics(&setup.admin, &all()).unwrap();
    let names: Vec<&str> = listed
        .items
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    assert_eq!(names, ["$dead", "$direct", "$ops", "$presence"]);
    for name in names {
        let gateway = &setup.gateway;
        let put = gateway
            .put_topic(&setup.admin, name, TopicSpec::default(), None)
            .await;
        assert_eq!(put.unwrap_err().code, "system_topic");
        let deleted = gateway.delete_topic(&setup.admin, name, true, None).await;
        assert_eq!(deleted.unwrap_err().code, "system_topic");
        let patch = gateway
            .patch_topic(&setup.admin, name, json!({"schema": {}}), None)
            .await;
        assert_eq!(patch.unwrap_err().code, "system_topic");
        let kept = gateway
            .patch_topic(&setup.admin, name, json!({"retention": 9}), None)
            .await;
        assert_eq!(kept.unwrap().spec.retention, 9);
    }
    setup.stop().await;
}

#[tokio::test]
async fn a_topic_with_subscriptions_is_deleted_only_with_them() {
    let setup = Setup::with_orders().await;
    let gateway = &setup.gateway;
    let problem = gateway
        .delete_topic(&setup.admin, "orders", false, None)
        .await
        .unwrap_err();
    assert_eq!(
        (problem.kind, problem.code),
        (ProblemKind::Conflict, "in_use")
    );
    assert!(problem.detail.contains("billing"), "{}", problem.detail);
    gateway
        .delete_topic(&setup.admin, "Orders", true, None)
        .await
        .unwrap();
    assert!(setup.rows(ConfigKind::Subscription).await.is_empty());
    let snapshot = gateway.config.load_full();
    assert!(snapshot.topic("orders").is_none() && snapshot.subscriptions.is_empty());
    // A new one of the same name adopts nothing.
    let again = setup.topic("orders", json!({})).await.unwrap();
    assert!(again.created);
    assert!(
        gateway
            .config
            .load()
            .topic("orders")
            .unwrap()
            .subscriptions
            .is_empty()
    );
    setup.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_and_show_what_the_key_covers() {
    let setup = Setup::new().await;
    for name in ["b", "A", "c", "d"] {
        setup.topic(name, json!({})).await.unwrap();
    }
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let query = ListQuery { limit: 3, cursor };
        let page = setup.gateway.list_topics(&setup.admin, &query).unwrap();
        assert!(page.items.len() <= 3);
        names.extend(page.items.into_iter().map(|topic| topic.name));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        names,
        ["$dead", "$direct", "$ops", "$presence", "A", "b", "c", "d"]
    );
    for query in [
        ListQuery {
            limit: 0,
            cursor: None,
        },
        ListQuery {
            limit: 501,
            cursor: None,
        },
        ListQuery {
            limit: 1,
            cursor: Some("!".to_owned()),
        },
    ] {
        let problem = setup.gateway.list_topics(&setup.admin, &query).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }

    let limited = Principal {
        scopes: vec![Scope::Read],
        topics: Some(vec!["a".to_owned(), "C*".to_owned()]),
        ..Principal::system()
    };
    let seen = setup.gateway.list_topics(&limited, &all()).unwrap();
    let seen: Vec<&str> = seen.items.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(seen, ["A", "c"]);
    assert!(setup.gateway.get_topic(&limited, "a").is_ok());
    let hidden = setup.gateway.get_topic(&limited, "b").unwrap_err();
    assert_eq!(hidden.code, "topic_not_allowed");
    let create = setup
        .gateway
        .create_topic(&limited, "c2", TopicSpec::default());
    assert_eq!(create.await.unwrap_err().code, "missing_scope");
    setup.stop().await;
}

#[tokio::test]
async fn event_types_form_a_catalogue() {
    let setup = Setup::new().await;
    let gateway = &setup.gateway;
    let create = |name: &'static str, spec: Value| async move {
        let spec = serde_json::from_value(spec).unwrap();
        gateway
            .create_event_type(&Principal::system(), name, spec)
            .await
    };
    let spec = json!({"schema": {"type": "object", "required": ["n"]}, "example": {"n": 1}});
    assert!(create("order.paid", spec.clone()).await.unwrap().created);
    assert!(!create("Order.Paid", spec).await.unwrap().created);
    for (name, bad, code, field) in [
        ("order.paid", json!({}), "already_exists", None),
        ("a b", json!({}), "invalid_type", Some("name")),
        (
            "x",
            json!({"schema": {"type": 1}}),
            "invalid_schema",
            Some("schema"),
        ),
        (
            "x",
            json!({"schema": {"type": "string"}, "example": 1}),
            "invalid_example",
            Some("example"),
        ),
    ] {
        let problem = create(name, bad).await.unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (code, field));
    }
    let patched = gateway
        .patch_event_type(
            &setup.admin,
            "order.paid",
            json!({"description": "Paid."}),
            None,
        )
        .await
        .unwrap();
    assert_eq!(patched.spec.description.as_deref(), Some("Paid."));
    assert_eq!(
        gateway
            .list_event_types(&setup.admin, &all())
            .unwrap()
            .items,
        [patched]
    );
    gateway
        .delete_event_type(&setup.admin, "ORDER.PAID", None)
        .await
        .unwrap();
    let gone = gateway
        .get_event_type(&setup.admin, "order.paid")
        .unwrap_err();
    assert_eq!(gone.code, "event_type_not_found");
    setup.stop().await;
}
