//! What is accepted, in what form it is stored, and what is refused.

use anser_core::resource::Scope;

use super::*;

#[tokio::test]
async fn an_accepted_message_is_stored_stamped_and_answered_with_its_place() {
    let fixture = Fixture::with_orders();
    let item =
        json!({"body": {"data": {"amount": 1.0}}, "header": {"type": "order.paid", "key": "42"}});
    let first = fixture.accept(item).await;
    assert_eq!(
        (first.matched, first.duplicate, first.durable),
        (Some(1), false, true)
    );
    assert_eq!(first.topic, "orders");
    let second = fixture.accept(data(json!(2))).await;
    assert!(second.seq > first.seq && second.id > first.id);

    let stored = fixture.stored().await;
    assert_eq!(stored.len(), 2);
    assert_eq!((stored[0].id, Some(stored[0].num.0)), (first.id, first.seq));
    let document: Value = serde_json::from_slice(&stored[0].document).unwrap();
    assert_eq!(
        document["header"]["from"],
        json!({"kind": "service", "id": "tests"})
    );
    assert_eq!(document["header"]["topic"], "orders");
    assert_eq!(document["header"]["time"], START.to_string());
    let text = std::str::from_utf8(&stored[0].document).unwrap();
    assert!(
        text.contains(r#""data":{"amount":1.0}"#),
        "kept as written: {text}"
    );
}

#[tokio::test]
async fn a_topic_is_found_whatever_its_case() {
    let fixture = Fixture::with_orders();
    let publish = fixture
        .publish_as(anyone(), "ORDERS", &[data(json!(1))], options())
        .await;
    assert_eq!(publish.unwrap()[0].as_ref().unwrap().topic, "orders");
}

#[tokio::test]
async fn a_topic_is_refused_by_name_or_right() {
    let fixture = Fixture::with_orders();
    let some = key(&[Scope::Publish], Some(&["orders", "stock.*"]), None);
    let reader = key(&[Scope::Read], None, None);
    for (principal, topic, status, code) in [
        (anyone(), "absent", 404, "topic_not_found"),
        (anyone(), "$ops", 422, "system_topic"),
        (anyone(), "$absent", 422, "system_topic"),
        (&some, "invoices", 403, "topic_not_allowed"),
        (&some, "stock.eu", 404, "topic_not_found"),
        (&reader, "orders", 403, "missing_scope"),
    ] {
        let publish = fixture
            .publish_as(principal, topic, &[data(json!(1))], options())
            .await;
        let problem = publish.unwrap_err();
        assert_eq!(
            (problem.kind.status(), problem.code),
            (status, code),
            "{topic}"
        );
    }
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn an_item_is_refused_with_the_field_at_fault() {
    let mut fixture = Fixture::with_orders();
    fixture.gateway_limits(|limits| limits.message_bytes_max = 2_000);
    let long = "x".repeat(2_000);
    for (item, status, code, field) in [
        (json!({"body": {}}), 422, "invalid_body", Some("body")),
        (
            json!({"body": {"data": 1}, "header": {"id": "x"}}),
            422,
            "stamped_field",
            Some("header.id"),
        ),
        (
            json!({"body": {"data": 1}, "header": {"topic": "other"}}),
            422,
            "topic_mismatch",
            Some("header.topic"),
        ),
        (
            json!({"body": {"data": 1}, "dedupe_key": ""}),
            422,
            "invalid_text",
            Some("dedupe_key"),
        ),
        (
            json!({"body": {"data": 1}, "header": {"to": ["shop", "none"]}}),
            422,
            "unknown_channel",
            Some("header.to[1]"),
        ),
        (
            json!({"body": {"data": 1}, "header": {"to": ["user:"]}}),
            422,
            "invalid_user",
            Some("header.to[0]"),
        ),
        (data(json!(long)), 413, "too_large", None),
    ] {
        let problem = fixture.refuse(item.clone(), options()).await;
        assert_eq!(
            (
                problem.kind.status(),
                problem.code,
                problem.field.as_deref()
            ),
            (status, code, field),
            "{item}"
        );
    }
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn a_schema_is_enforced_with_the_path_of_the_value() {
    let mut fixture = Fixture::new();
    let price = json!({"type": "object", "properties": {"price": {"type": "number"}, "a b": {"type": "null"}}});
    let schema = json!({"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": price}}});
    fixture.topic("orders", json!({"schema": schema}));
    fixture.reload();
    let items = |last: Value| data(json!({"items": [{}, {}, {}, last]}));
    for (item, field) in [
        (data(json!({})), "body.data"),
        (data(json!([])), "body.data"),
        (items(json!({"price": "1"})), "body.data.items[3].price"),
        (items(json!({"a b": 1})), "body.data.items[3][\"a b\"]"),
        (json!({"body": {"bytes": "AAAA"}}), "body"),
    ] {
        let problem = fixture.refuse(item, options()).await;
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("schema_violation", Some(field))
        );
        assert!(
            !problem.detail.contains("\"1\""),
            "values are masked: {}",
            problem.detail
        );
    }
    fixture.accept(items(json!({"price": 1.5}))).await;
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item_and_stored_in_one_append() {
    let fixture = Fixture::with_orders();
    let items = [data(json!(1)), json!({"body": {}}), data(json!(3))];
    let results = fixture.publish(&items, options()).await.unwrap();
    assert!(results[0].is_ok() && results[2].is_ok());
    let problem = results[1].as_ref().unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("invalid_body", Some("body"))
    );
    assert_eq!(fixture.faults.appends(), [2]);
    assert_eq!(fixture.stored().await.len(), 2);
}

#[tokio::test]
async fn an_item_that_the_edge_could_not_read_keeps_its_place() {
    let fixture = Fixture::with_orders();
    let mut items = read(&[data(json!(1)), data(json!(2))]);
    items[0] = Err(Problem::invalid("invalid_field", "body", "unreadable"));
    let publish = fixture
        .gateway
        .publish(anyone(), "orders", items, options())
        .await;
    let results = publish.unwrap();
    assert_eq!(results[0].as_ref().unwrap_err().code, "invalid_field");
    assert!(results[1].is_ok());
}

#[tokio::test]
async fn an_atomic_batch_is_stored_whole_or_not_at_all() {
    let fixture = Fixture::with_orders();
    let atomic = PublishOptions {
        atomic: true,
        ..options()
    };
    let bad = json!({"body": {"data": 1}, "header": {"tags": ["ok", ""]}});
    let items = [data(json!(1)), data(json!(2)), bad];
    let problem = fixture.publish(&items, atomic.clone()).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("invalid_tag", Some("[2].header.tags[1]"))
    );
    assert!(fixture.stored().await.is_empty() && fixture.faults.appends().is_empty());

    let results = fixture.publish(&items[..2], atomic).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(fixture.stored().await.len(), 2);
}

#[tokio::test]
async fn a_batch_has_one_message_at_least_and_a_thousand_at_most() {
    let fixture = Fixture::with_orders();
    let problem = fixture.publish(&[], options()).await.unwrap_err();
    assert_eq!((problem.kind.status(), problem.code), (422, "empty_batch"));
    let items = vec![data(json!(1)); 1_001];
    let problem = fixture.publish(&items, options()).await.unwrap_err();
    assert_eq!(
        (problem.kind.status(), problem.code),
        (413, "too_many_messages")
    );
    let results = fixture.publish(&items[1..], options()).await.unwrap();
    assert_eq!(results.len(), 1_000);
    assert_eq!(fixture.faults.appends(), [1_000]);
}

#[tokio::test]
async fn a_topic_takes_no_more_than_its_backlog_allows() {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({"max_bytes": 2_000}));
    fixture.channel("shop", json!({}));
    fixture.subscription(
        "orders",
        "billing",
        json!({"channel": "shop", "filter": {"types": ["paid"]}}),
    );
    fixture.reload();
    let paid = || json!({"body": {"data": "x".repeat(600)}, "header": {"type": "paid"}});
    let results = fixture
        .publish(&[paid(), paid(), paid()], options())
        .await
        .unwrap();
    assert!(results[0].is_ok() && results[1].is_ok());
    let problem = results[2].as_ref().unwrap_err();
    assert_eq!((problem.kind.status(), problem.code), (429, "topic_full"));
    assert_eq!(fixture.refuse(paid(), options()).await.code, "topic_full");
    // What nothing is to deliver takes no room.
    fixture.accept(data(json!("y".repeat(5_000)))).await;

    let row = fixture
        .deliveries(&fixture.stored().await[0])
        .await
        .remove(0);
    fixture
        .settle(&row, anser_core::store::Settle::Delivered)
        .await;
    fixture.accept(paid()).await;
}

#[tokio::test]
async fn what_nothing_takes_is_stored_refused_or_reported() {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({}));
    fixture.channel("pager", json!({}));
    fixture.subscription("$ops", "pager", json!({"channel": "pager"}));
    fixture.reload();
    let mandatory = PublishOptions {
        mandatory: true,
        ..options()
    };
    let problem = fixture.refuse(data(json!(1)), mandatory).await;
    assert_eq!((problem.kind.status(), problem.code), (422, "unroutable"));
    assert!(fixture.stored().await.is_empty());

    let published = fixture.accept(data(json!(1))).await;
    assert_eq!(published.matched, Some(0));
    assert_eq!(fixture.stored().await.len(), 1);

    let keep = PublishOptions {
        on_unroutable: OnUnroutable::Keep,
        ..options()
    };
    let results = fixture.publish(&[data(json!(2))], keep).await.unwrap();
    let kept = results[0].as_ref().unwrap();
    let stored = fixture.stored().await;
    assert_eq!(stored.len(), 3);
    let report: Value = serde_json::from_slice(&stored[2].document).unwrap();
    assert_eq!(report["header"]["type"], "message.unroutable");
    assert_eq!(report["header"]["topic"], "$ops");
    assert_eq!(report["body"]["data"]["message_id"], json!(kept.id));
}
