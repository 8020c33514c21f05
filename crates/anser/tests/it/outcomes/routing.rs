//! Which messages a subscription takes: types, tags, binding keys and CEL, and from when a new filter counts.

use serde_json::{Value, json};

use super::{Stage, bodies};

/// Publishes one message after the other, waits for each, and answers the data of those that came.
async fn taken(filter: Value, items: &[(Value, Value)]) -> Vec<Value> {
    let stage = Stage::with(json!({"filter": filter, "ordering": "strict"})).await;
    let mut matched = 0;
    for (header, data) in items {
        let item = json!({"header": header, "body": {"data": data}});
        let answer = stage.api.make("/v1/topics/shop/messages", &item).await;
        matched += answer["matched"].as_u64().unwrap() as usize;
    }
    bodies(&stage.receiver.count("/hook", matched).await)
}

#[tokio::test]
async fn types_by_pattern() {
    let types = [
        "order",
        "order.paid",
        "order.paid.late",
        "orders.paid",
        "user.new",
    ];
    let items = types.map(|name| (json!({"type": name}), json!(name)));
    assert_eq!(
        taken(json!({"types": ["order.*"]}), &items).await,
        ["order.paid"]
    );
    assert_eq!(
        taken(json!({"types": ["order.#"]}), &items).await,
        ["order", "order.paid", "order.paid.late"]
    );
    assert_eq!(
        taken(json!({"types": ["user.new", "*.paid"]}), &items).await,
        ["order.paid", "orders.paid", "user.new"]
    );
    assert_eq!(taken(json!({}), &items).await.len(), types.len());
}

#[tokio::test]
async fn tags_any_of() {
    let items = [json!(["a"]), json!(["b", "c"]), json!([]), json!(["d"])]
        .map(|tags| (json!({"tags": tags}), tags));
    let seen = taken(json!({"tags": ["a", "c"]}), &items).await;
    assert_eq!(seen, [json!(["a"]), json!(["b", "c"])]);
}

#[tokio::test]
async fn binding_keys_over_the_routing_key_or_the_type() {
    let items = [
        (
            json!({"routing_key": "cn.north.paid", "type": "x"}),
            json!(1),
        ),
        (json!({"routing_key": "cn.paid", "type": "x"}), json!(2)),
        (json!({"type": "cn.south.paid"}), json!(3)),
        (json!({"type": "us.south.paid"}), json!(4)),
    ];
    assert_eq!(
        taken(json!({"binding_key": "cn.*.paid"}), &items).await,
        [1, 3]
    );
    assert_eq!(
        taken(json!({"binding_key": ["cn.#", "#.south.*"]}), &items).await,
        [1, 2, 3, 4]
    );
}

#[tokio::test]
async fn cel_over_header_and_data() {
    let items = [
        (json!({"tags": ["vip"], "key": "k1"}), json!({"amount": 50})),
        (json!({"tags": ["vip"]}), json!({"amount": 500})),
        (json!({}), json!({"amount": 5000})),
        (
            json!({"tags": ["vip"]}),
            json!("no amount: the expression fails, so it does not match"),
        ),
    ];
    let filter = json!({"cel": "data.amount > 100 && 'vip' in header.tags"});
    assert_eq!(taken(filter, &items).await, [json!({"amount": 500})]);
    let stage = Stage::with(json!({})).await;
    let bad = json!({"name": "bad", "channel": "hook", "filter": {"cel": "data.amount >"}});
    let (status, problem) = stage.api.post("/v1/topics/shop/subscriptions", &bad).await;
    assert_eq!(
        (status, &problem["code"], &problem["field"]),
        (422, &json!("invalid_cel"), &json!("filter.cel")),
        "{problem}"
    );
}

#[tokio::test]
async fn all_parts_of_a_filter_must_hold_and_a_new_one_counts_for_new_messages() {
    let stage =
        Stage::with(json!({"filter": {"types": ["a"], "tags": ["t"]}, "paused": true})).await;
    let publish = |header: Value| {
        let item = json!({"header": header, "body": {"data": header}});
        let api = stage.api.clone();
        async move { api.make("/v1/topics/shop/messages", &item).await["matched"].clone() }
    };
    assert_eq!(publish(json!({"type": "a"})).await, 0);
    assert_eq!(publish(json!({"type": "b", "tags": ["t"]})).await, 0);
    assert_eq!(publish(json!({"type": "a", "tags": ["t"]})).await, 1);
    let path = "/v1/topics/shop/subscriptions/hook";
    let (status, answer) = stage
        .api
        .patch(
            path,
            &json!({"filter": {"types": ["b"], "tags": null}, "paused": false}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(publish(json!({"type": "a", "tags": ["t"]})).await, 0);
    assert_eq!(publish(json!({"type": "b"})).await, 1);
    let received = stage.receiver.count("/hook", 2).await;
    let types: Vec<_> = bodies(&received)
        .iter()
        .map(|data| data["type"].clone())
        .collect();
    assert!(
        types.contains(&json!("a")) && types.contains(&json!("b")),
        "what was accepted before is delivered: {types:?}"
    );
}
