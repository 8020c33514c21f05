//! What comes in on the model store: exactly once, whatever the platform repeats and the store fails.

use std::time::Duration;

use anser_core::Problem;
use anser_core::inbound::{RefusalKind, ReportedState};
use anser_core::resource::Scope;
use anser_core::store::{Settle, StoreError};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::fixture::platform::{Call, REMEMBER, said};
use crate::fixture::{Fault, Fixture, anyone, key};
use crate::look::ReportedView;
use crate::publish::PublishOptions;

/// With a topic `talk` that a subscription takes, and a channel `bot` whose events go there.
fn fixture(topic: Value) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.topic("talk", topic);
    fixture.channel("bot", json!({"inbound": {"topic": "talk"}}));
    fixture.channel("shop", json!({}));
    fixture.subscription("talk", "all", json!({"channel": "shop"}));
    fixture.put()
}

async fn send(fixture: &Fixture, events: &Value) -> Result<(), Problem> {
    let call = Call::of(events);
    let answered = fixture.gateway.take_in("bot", &call.request()).await;
    let answer = answered.map_err(|refused| refused.problem())?;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, Bytes::from_static(b"taken"));
    Ok(())
}

async fn headers(fixture: &Fixture) -> Vec<Value> {
    let rows = fixture.stored().await;
    let header = |document: &[u8]| {
        let mut message: Value = serde_json::from_slice(document).unwrap();
        message["header"].take()
    };
    rows.iter().map(|row| header(&row.document)).collect()
}

#[tokio::test]
async fn an_event_is_on_its_topic_with_its_sender_and_origin_before_it_is_answered() {
    let fixture = fixture(json!({}));
    send(&fixture, &json!([said("e1", "hi"), said("e2", "there")]))
        .await
        .unwrap();
    let rows = fixture.stored().await;
    assert_eq!(rows.len(), 2);
    assert_eq!(fixture.faults.appends(), [2], "one commit");
    for row in &rows {
        assert_eq!(fixture.deliveries(row).await.len(), 1);
    }
    let header = &headers(&fixture).await[0];
    assert_eq!(header["topic"], "talk");
    assert_eq!(
        header["from"],
        json!({"kind": "user", "id": "ou_1", "name": "Tom", "platform": "fake", "account": "bot"})
    );
    assert_eq!(
        header["origin"],
        json!({"platform": "fake", "account": "bot", "type": "said", "event_id": "e1", "message_id": "m_1"})
    );
    assert_eq!(header["conversation"]["thread"], "th_1");
}

#[tokio::test]
async fn what_is_sent_again_is_answered_as_before_and_stored_once() {
    // The topic itself forgets at once.
    let fixture = fixture(json!({"dedupe_window": 0}));
    let first = json!([said("e1", "hi")]);
    send(&fixture, &first).await.unwrap();
    // Put in other words the second time, beside a new one.
    let again = json!([said("e1", "hi!"), said("e2", "there")]);
    fixture.clock.advance(REMEMBER - Duration::from_secs(60));
    send(&fixture, &again).await.unwrap();
    assert_eq!(fixture.stored().await.len(), 2);
    let text = fixture.gateway.metrics_text();
    for line in [
        "anser_inbound_received_total{channel=\"bot\"} 2",
        "anser_inbound_duplicates_total{channel=\"bot\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn keys_of_a_channel_meet_no_others() {
    let mut fixture = fixture(json!({}));
    fixture.channel("other", json!({"inbound": {"topic": "talk"}}));
    fixture.reload();
    let call = Call::of(&json!([said("e1", "hi")]));
    for channel in ["bot", "OTHER"] {
        fixture
            .gateway
            .take_in(channel, &call.request())
            .await
            .unwrap();
    }
    let item = [json!({"body": {"data": 1}, "dedupe_key": "e1"})];
    let published = fixture.publish_as(anyone(), "talk", &item, PublishOptions::default());
    assert!(!published.await.unwrap()[0].as_ref().unwrap().duplicate);
    assert_eq!(fixture.stored().await.len(), 3);
}

#[tokio::test]
async fn what_is_not_genuine_reaches_no_topic() {
    let fixture = fixture(json!({}));
    let good = Call::of(&json!([said("e1", "hi")]));
    let mut unsigned = Call::of(&json!([said("e1", "hi")]));
    unsigned.headers.clear();
    let mut forged = Call::of(&json!([said("e1", "hi")]));
    forged.headers.insert("x-proof", "guess".parse().unwrap());
    let mut garbled = Call::of(&json!([]));
    garbled.body = Bytes::from_static(b"{");
    for (call, kind, status) in [
        (&unsigned, RefusalKind::Unsigned, 401),
        (&forged, RefusalKind::Forged, 401),
        (&garbled, RefusalKind::Malformed, 400),
    ] {
        let refused = fixture
            .gateway
            .take_in("bot", &call.request())
            .await
            .unwrap_err();
        assert!(matches!(&refused, NotReceived::Refused(refusal) if refusal.kind == kind));
        assert_eq!(refused.problem().kind.status(), status);
    }
    for channel in ["shop", "nobody"] {
        let refused = fixture.gateway.take_in(channel, &good.request()).await;
        assert_eq!(
            refused.unwrap_err(),
            NotReceived::NoSuchChannel,
            "{channel}"
        );
    }
    assert!(fixture.stored().await.is_empty());
    let text = fixture.gateway.metrics_text();
    let line = "anser_inbound_refused_total{channel=\"bot\",reason=\"wrong_signature\"} 1";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn what_cannot_be_stored_now_is_to_be_sent_again() {
    let schema = json!({"properties": {"paid": {"type": "boolean"}}});
    for (topic, fault, event, code) in [
        (
            json!({}),
            Some(StoreError::Full),
            said("e1", "hi"),
            "storage_full",
        ),
        (
            json!({"max_bytes": 1}),
            None,
            said("e1", "hi"),
            "topic_full",
        ),
        (
            json!({"schema": schema}),
            None,
            json!({"key": "e1", "item": {"body": {"data": {"paid": "yes"}}}}),
            "schema_violation",
        ),
    ] {
        let mut fixture = fixture(topic);
        if let Some(error) = fault {
            fixture.faults.push(Fault::Fail(error));
        }
        let problem = send(&fixture, &json!([event])).await.unwrap_err();
        assert_eq!((problem.kind.status(), problem.code), (503, code));
        assert!(fixture.stored().await.is_empty(), "{code}");
        // The operator makes room, or mends the schema.
        fixture.topic("talk", json!({}));
        fixture.reload();
        send(&fixture, &json!([event])).await.unwrap();
        assert_eq!(fixture.stored().await.len(), 1, "{code}");
    }
}

#[tokio::test]
async fn an_event_that_can_never_be_stored_is_reported_and_keeps_no_other_out() {
    let mut fixture = fixture(json!({}));
    fixture.subscription("$ops", "operator", json!({"channel": "shop"}));
    fixture.gateway_limits(|limits| limits.message_bytes_max = 2_000);
    let large = said("large", &"x".repeat(2_000));
    send(
        &fixture,
        &json!([said("e1", "hi"), large, said("e2", "there")]),
    )
    .await
    .unwrap();
    let stored = headers(&fixture).await;
    let types: Vec<_> = stored.iter().map(|header| &header["type"]).collect();
    assert_eq!(types, ["message", "message", "inbound.lost"]);
    let notice: Value = serde_json::from_slice(&fixture.stored().await[2].document).unwrap();
    assert_eq!(
        (
            &notice["body"]["data"]["channel"],
            &notice["body"]["data"]["event"]
        ),
        (&json!("bot"), &json!("large"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_hangs_up_during_the_commit_finds_its_event_stored_once() {
    for fault in [Fault::Hang, Fault::LoseAnswer] {
        let fixture = fixture(json!({}));
        fixture.faults.push(fault);
        let events = json!([said("e1", "hi")]);
        let first = tokio::time::timeout(Duration::from_millis(2_500), send(&fixture, &events));
        let _ = first.await;
        send(&fixture, &events).await.unwrap();
        fixture.gateway.intake.close();
        fixture.gateway.commit_unconfirmed().await;
        let rows = fixture.stored().await;
        assert_eq!(rows.len(), 1);
        assert_eq!(fixture.deliveries(&rows[0]).await.len(), 1);
    }
}

#[tokio::test]
async fn what_a_platform_says_of_a_delivery_is_seen_with_it() {
    let mut fixture = fixture(json!({}));
    fixture.channel("second", json!({"inbound": {"topic": "talk"}}));
    fixture.reload();
    let item = json!({"header": {"to": ["bot/oc_1", "second/oc_1"]}, "body": {"data": 1}});
    let item = crate::fixture::read(&[item]);
    let sent = fixture
        .gateway
        .publish_direct(anyone(), item, PublishOptions::default());
    sent.await.unwrap();
    let rows = fixture.deliveries(&fixture.stored().await[0]).await;
    let (ours, foreign) = (&rows[0], &rows[1]);
    fixture.settle(ours, Settle::Delivered).await;
    let told = |key: &str, delivery: &str, state: &str| {
        json!({"key": key, "item": {"header": {"type": "chat.read"}, "body": {"data": {}}},
            "report": {"delivery": delivery, "state": state}})
    };
    let (id, other) = (ours.id.to_string(), foreign.id.to_string());
    let both = json!([told("r1", &id, "delivered"), told("r2", &id, "read")]);
    send(&fixture, &both).await.unwrap();
    for (key, delivery, state) in [
        ("r2", &id, "read"),
        ("r3", &id, "sent"),
        ("r4", &other, "failed"),
    ] {
        send(&fixture, &json!([told(key, delivery, state)]))
            .await
            .unwrap();
    }
    let reader = key(&[Scope::Read], None, None);
    let view = fixture
        .gateway
        .get_delivery(&reader, ours.id)
        .await
        .unwrap();
    let expected = ReportedView {
        state: ReportedState::Read,
        at: fixture.gateway.clock.now(),
        reason: Some("the platform's words".to_owned()),
    };
    assert_eq!(view.reported, Some(expected));
    let log: Vec<_> = view
        .attempt_log
        .unwrap()
        .iter()
        .map(|entry| entry.report)
        .collect();
    assert_eq!(
        log,
        [Some(ReportedState::Delivered), Some(ReportedState::Read)]
    );
    assert_eq!(view.attempts, 0, "a report is no attempt");
    // Another channel's delivery is not this platform's to speak of.
    assert!(
        fixture
            .gateway
            .store
            .attempts(foreign.id)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        headers(&fixture).await.len(),
        5,
        "each event is on the topic, too"
    );
}
