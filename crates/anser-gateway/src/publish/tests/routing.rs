//! Where a message goes, when, and in which lane.

use anser_core::delivery::DeliveryState;
use anser_core::limits::DELIVERIES_PER_REQUEST_MAX;
use anser_core::resource::Scope;

use super::*;

#[tokio::test]
async fn a_message_goes_to_the_subscriptions_whose_filter_takes_it() {
    let mut fixture = Fixture::with_orders();
    fixture.subscription(
        "orders",
        "paid",
        json!({"channel": "shop", "filter": {"types": ["order.paid"]}}),
    );
    let vip = json!({"channel": "shop", "target": "desk", "filter": {"tags": ["vip"], "cel": "data.amount > 10"}});
    let vip = fixture.subscription("orders", "vip", vip);
    fixture.reload();
    for (item, matched) in [
        (data(json!(1)), 1),
        (
            json!({"body": {"data": 1}, "header": {"type": "order.paid"}}),
            2,
        ),
        (
            json!({"body": {"data": {"amount": 10}}, "header": {"tags": ["vip"]}}),
            1,
        ),
        (
            json!({"body": {"data": {"amount": 11}}, "header": {"tags": ["vip"], "type": "order.paid"}}),
            3,
        ),
    ] {
        assert_eq!(
            fixture.accept(item.clone()).await.matched,
            Some(matched),
            "{item}"
        );
    }
    let last = fixture.stored().await.pop().unwrap();
    let row = fixture.deliveries(&last).await.pop().unwrap();
    assert_eq!((row.group, row.target.as_deref()), (vip, Some("desk")));
}

#[tokio::test]
async fn direct_addresses_are_destinations_of_their_own_and_counted_once() {
    let fixture = Fixture::with_orders();
    let item = json!({"body": {"data": 1}, "header": {"to": ["shop", "SHOP", "shop/a", "shop/b", "shop/a"]}});
    assert_eq!(fixture.accept(item).await.matched, Some(4));
    let stored = fixture.stored().await;
    let rows = fixture.deliveries(&stored[0]).await;
    let shop = fixture.snapshot.channels["shop"].meta.id;
    assert_ne!(rows[0].group, shop);
    let direct: Vec<_> = rows[1..]
        .iter()
        .map(|row| (row.group, row.target.as_deref()))
        .collect();
    assert_eq!(direct, [(shop, None), (shop, Some("a")), (shop, Some("b"))]);
}

#[tokio::test]
async fn a_direct_publish_needs_an_address_and_no_topic() {
    let fixture = Fixture::with_orders();
    let principal = key(&[Scope::Publish], Some(&["orders"]), Some(&["shop/*"]));
    let to = json!({"body": {"data": 1}, "header": {"to": ["shop/a"]}});
    let items = read(&[to, data(json!(2))]);
    let results = fixture
        .gateway
        .publish_direct(&principal, items, options())
        .await
        .unwrap();
    let published = results[0].as_ref().unwrap();
    assert_eq!(
        (published.topic.as_str(), published.matched),
        ("$direct", Some(1))
    );
    let problem = results[1].as_ref().unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("missing_to", Some("header.to"))
    );
}

#[tokio::test]
async fn addresses_are_bounded_by_the_keys_targets() {
    let mut fixture = Fixture::with_orders();
    fixture.channel("ops", json!({}));
    fixture.reload();
    let topics = key(&[Scope::Publish], Some(&["orders"]), None);
    let targets = key(&[Scope::Publish], Some(&["orders"]), Some(&["shop/*"]));
    let header = |header: Value| json!({"body": {"data": 1}, "header": header});
    for (principal, item, field) in [
        (
            &topics,
            header(json!({"to": ["shop"]})),
            Some("header.to[0]"),
        ),
        (
            &topics,
            header(json!({"conversation": {"id": "shop/a"}})),
            Some("header.conversation.id"),
        ),
        (
            &topics,
            header(json!({"reply_to": "x"})),
            Some("header.reply_to"),
        ),
        (&topics, header(json!({})), None),
        (
            &targets,
            header(json!({"to": ["shop/a", "ops/a"]})),
            Some("header.to[1]"),
        ),
        (
            &targets,
            header(json!({"conversation": {"id": "ops/a"}})),
            Some("header.conversation.id"),
        ),
        (
            &targets,
            header(json!({"to": ["shop/a"], "reply_to": "x"})),
            None,
        ),
    ] {
        let publish = fixture
            .publish_as(principal, "orders", std::slice::from_ref(&item), options())
            .await;
        let result = publish.unwrap().remove(0);
        let refused = result
            .as_ref()
            .err()
            .map(|problem| (problem.kind.status(), problem.field.as_deref()));
        assert_eq!(refused, field.map(|field| (403, Some(field))), "{item}");
    }
}

#[tokio::test]
async fn one_request_makes_a_bounded_number_of_deliveries() {
    let fixture = Fixture::with_orders();
    let to: Vec<String> = (0..1_000).map(|i| format!("shop/{i}")).collect();
    let item = json!({"body": {"data": 1}, "header": {"to": to}});
    let items = vec![item; DELIVERIES_PER_REQUEST_MAX / 1_000];
    let problem = fixture.publish(&items, options()).await.unwrap_err();
    assert_eq!(
        (problem.kind.status(), problem.code),
        (413, "too_many_deliveries")
    );
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn a_delivery_starts_and_ends_when_its_message_says() {
    let mut fixture = Fixture::new();
    fixture.topic("orders", json!({"max_age": 3_600}));
    fixture.channel("shop", json!({}));
    fixture.subscription("orders", "billing", json!({"channel": "shop"}));
    fixture.reload();
    let at = |seconds| START.plus(Duration::from_secs(seconds));
    for (header, due, scheduled, ends) in [
        (json!({}), 0, false, 3_600),
        (json!({"not_before": START}), 0, false, 3_600),
        (json!({"not_before": at(60)}), 60, true, 3_600),
        (json!({"expires_at": at(90)}), 0, false, 90),
        (
            json!({"expires_at": at(90), "delete_at": at(80)}),
            0,
            false,
            80,
        ),
        (json!({"expires_at": at(9_000)}), 0, false, 3_600),
    ] {
        fixture
            .accept(json!({"body": {"data": 1}, "header": header}))
            .await;
        let stored = fixture.stored().await.pop().unwrap();
        let row = fixture.deliveries(&stored).await.remove(0);
        assert_eq!(
            (row.due, row.scheduled, row.expires_at),
            (at(due), scheduled, Some(at(ends))),
            "{header}"
        );
    }
}

#[tokio::test]
async fn messages_of_one_key_stand_in_line_and_others_do_not() {
    let fixture = Fixture::with_orders();
    for key in ["a", "a", "b"] {
        fixture
            .accept(json!({"body": {"data": 1}, "header": {"key": key}}))
            .await;
    }
    fixture.accept(data(json!(1))).await;
    let mut states = Vec::new();
    for message in fixture.stored().await {
        let row = fixture.deliveries(&message).await.remove(0);
        states.push((row.state, row.lane.is_some()));
    }
    use DeliveryState::{Pending, Waiting};
    assert_eq!(
        states,
        [
            (Pending, true),
            (Waiting, true),
            (Pending, true),
            (Pending, false)
        ]
    );
}
