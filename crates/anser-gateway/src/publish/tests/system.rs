//! The gateway's own messages.

use anser_core::attempt::{Attempt, Timing};
use anser_core::name::{TOPIC_DEAD, TOPIC_OPS};
use anser_core::outcome::OutcomeClass;
use anser_core::store::MessageRow;

use super::*;

fn attempt() -> Attempt {
    Attempt {
        number: 8,
        started: START,
        timing: Timing::default(),
        peer: None,
        status: Some(500),
        outcome: OutcomeClass::Retry,
        error: Some("500 Internal Server Error".to_owned()),
        degraded: Vec::new(),
        platform_ids: Vec::new(),
        possible_duplicate: None,
        report: None,
        next: None,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        response: String::new(),
    }
}

fn document(row: &MessageRow) -> Value {
    serde_json::from_slice(&row.document).unwrap()
}

#[tokio::test]
async fn nothing_is_written_when_nobody_subscribes() {
    let mut fixture = Fixture::with_orders();
    let failing = || {
        fixture
            .gateway
            .publish_system(TOPIC_OPS, "endpoint.failing", json!({"percent": 50}), None)
    };
    assert_eq!(failing().await, Ok(None));
    fixture.subscription(
        TOPIC_OPS,
        "gone",
        json!({"channel": "shop", "filter": {"types": ["endpoint.disabled"]}}),
    );
    fixture.reload();
    let failing =
        fixture
            .gateway
            .publish_system(TOPIC_OPS, "endpoint.failing", json!({"percent": 50}), None);
    assert_eq!(failing.await, Ok(None));
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn an_operator_message_is_from_the_system() {
    let mut fixture = Fixture::with_orders();
    fixture.subscription(TOPIC_OPS, "pager", json!({"channel": "shop"}));
    fixture.reload();
    let data = json!({"channel": "shop"});
    let published = fixture.gateway.publish_system(
        TOPIC_OPS,
        "endpoint.disabled",
        data.clone(),
        Some("shop".to_owned()),
    );
    let id = published.await.unwrap().unwrap();
    let stored = fixture.stored().await;
    assert_eq!(stored[0].id, id);
    let written = document(&stored[0]);
    assert_eq!(
        written["header"]["from"],
        json!({"kind": "system", "id": "anser"})
    );
    assert_eq!(
        (&written["header"]["key"], &written["body"]["data"]),
        (&json!("shop"), &data)
    );
    assert_eq!(fixture.deliveries(&stored[0]).await.len(), 1);
}

#[tokio::test]
async fn a_dead_delivery_is_reported_with_its_message() {
    let mut fixture = Fixture::with_orders();
    fixture.subscription(TOPIC_DEAD, "desk", json!({"channel": "shop"}));
    fixture.reload();
    let published = fixture.accept(data(json!({"amount": 1.0}))).await;
    let stored = fixture.stored().await.remove(0);
    let row = fixture.deliveries(&stored).await.remove(0);
    let reported = fixture
        .gateway
        .publish_dead(&row, "exhausted", Some(&attempt()))
        .await;
    assert!(reported.unwrap().is_some());

    let report = fixture.stored().await.remove(1);
    let data = &document(&report)["body"]["data"];
    assert_eq!(data["message_id"], json!(published.id));
    assert_eq!(data["delivery_id"], json!(row.id));
    let names =
        ["topic", "subscription", "channel", "reason"].map(|field| data[field].as_str().unwrap());
    assert_eq!(names, ["orders", "billing", "shop", "exhausted"]);
    assert_eq!(data["attempt"]["status"], 500);
    assert_eq!(data["message"], document(&stored));
    let text = std::str::from_utf8(&report.document).unwrap();
    assert!(
        text.contains(r#"{"amount":1.0}"#),
        "the original as it was: {text}"
    );

    // The report itself dies: that is where it ends.
    let row = fixture.deliveries(&report).await.remove(0);
    assert_eq!(
        fixture.gateway.publish_dead(&row, "exhausted", None).await,
        Ok(None)
    );
    assert_eq!(fixture.stored().await.len(), 2);
}

#[tokio::test]
async fn a_message_too_large_to_attach_is_left_out_of_the_report() {
    let mut fixture = Fixture::with_orders();
    fixture.subscription(TOPIC_DEAD, "desk", json!({"channel": "shop"}));
    fixture.gateway_limits(|limits| limits.message_bytes_max = 4_000);
    fixture.accept(data(json!("x".repeat(3_700)))).await;
    let stored = fixture.stored().await.remove(0);
    let row = fixture.deliveries(&stored).await.remove(0);
    let reported = fixture
        .gateway
        .publish_dead(&row, "exhausted", Some(&attempt()))
        .await;
    assert!(reported.unwrap().is_some());
    let report = document(&fixture.stored().await[1]);
    assert_eq!(report["body"]["data"].get("message"), None);
    assert_eq!(report["body"]["data"]["message_id"], json!(stored.id));
}
