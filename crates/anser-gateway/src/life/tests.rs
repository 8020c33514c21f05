//! How long messages are kept.

use std::time::Duration;

use serde_json::json;

use crate::fixture::{Fixture, START};

#[tokio::test]
async fn messages_are_kept_as_long_as_queues_can_be_rewound() {
    let mut fixture = Fixture::new();
    let plain = fixture.topic("plain", json!({"retention": 60}));
    let orders = fixture.topic("orders", json!({"retention": 60}));
    let long = fixture.topic("long", json!({"retention": 900}));
    fixture.queue("dead", json!({"rewind": 500}));
    let spec = json!({"rewind": 300, "dead_letter": {"queue": "dead", "max_receives": 3}});
    fixture.queue("jobs", spec);
    fixture.queue("other", json!({"retention": 1_000_000, "rewind": 900_000}));
    for topic in ["orders", "long"] {
        fixture.subscription(topic, "work", json!({"queue": "jobs"}));
    }
    let fixture = fixture.put();
    let direct = fixture.snapshot.topics["$direct"].meta.id;
    let retention = fixture.gateway.retention();
    for (topic, seconds) in [(plain, 60), (orders, 500), (long, 900), (direct, 900_000)] {
        let before = retention
            .messages_before
            .iter()
            .find(|(id, _)| *id == topic)
            .unwrap();
        assert_eq!(before.1, START.minus(Duration::from_secs(seconds)));
    }
    let default = START.minus(Duration::from_secs(900_000));
    assert_eq!(retention.default_before, default);
}
