//! Answers of receivers on the model store: each once, and where they may go.

use std::sync::Arc;

use anser_core::channel::Answers;
use anser_core::id::Num;
use anser_core::store::StoreError;

use super::*;
use crate::fixture::platform::{Call, said};
use crate::fixture::{Fault, Fixture};

/// With a message that came in through `bot`, and the channel `handler` that it is delivered to.
async fn fixture() -> (Fixture, Message, Arc<ChannelEntry>) {
    let mut fixture = Fixture::new();
    fixture.topic("talk", json!({}));
    fixture.channel("bot", json!({"inbound": {"topic": "talk"}}));
    fixture.channel("shop", json!({}));
    fixture.channel("handler", json!({}));
    fixture.reload();
    let call = Call::of(&json!([said("e1", "hi")]));
    fixture
        .gateway
        .take_in("bot", &call.request())
        .await
        .unwrap();
    let message = Message::from_json(&fixture.stored().await[0].document).unwrap();
    let handler = fixture.snapshot.channels["handler"].clone();
    (fixture, message, handler)
}

async fn answer(
    fixture: &Fixture,
    channel: &ChannelEntry,
    message: &Message,
    items: &[Value],
    anywhere: bool,
) -> Result<Vec<Problem>, Problem> {
    let answered = Answered {
        delivery: DeliveryId::new(Num(7), 0),
        channel,
        message,
        answers: Answers {
            items: crate::fixture::read(items),
            anywhere,
        },
    };
    fixture.gateway.take_answers(answered).await
}

/// The headers of what is on `$direct`.
async fn sent(fixture: &Fixture) -> Vec<Value> {
    let rows = fixture.stored().await;
    let header = |document: &[u8]| {
        let mut message: Value = serde_json::from_slice(document).unwrap();
        message["header"].take()
    };
    let headers = rows.iter().map(|row| header(&row.document));
    headers
        .filter(|header| header["topic"] == "$direct")
        .collect()
}

fn text(header: &Value) -> Value {
    json!({"header": header, "body": {"segments": [{"type": "text", "text": "hello"}]}})
}

#[tokio::test]
async fn an_answer_goes_to_the_chat_and_thread_of_what_it_answers_once_for_a_delivery() {
    let (fixture, message, handler) = fixture().await;
    let two = [text(&json!({})), text(&json!({"reply_to": "m_0"}))];
    for _ in 0..2 {
        let refused = answer(&fixture, &handler, &message, &two, false).await;
        assert!(refused.unwrap().is_empty());
    }
    let sent = sent(&fixture).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0]["to"], json!(["bot/oc_1"]));
    assert_eq!(sent[0]["conversation"]["thread"], "th_1");
    assert_eq!(
        (&sent[0]["reply_to"], &sent[1]["reply_to"]),
        (&json!("m_1"), &json!("m_0"))
    );
    assert_eq!(sent[0]["from"], json!({"kind": "bot", "id": "handler"}));
    assert_eq!(sent[0]["hops"], 1);
}

#[tokio::test]
async fn an_answer_goes_elsewhere_only_where_that_is_allowed() {
    let (fixture, message, handler) = fixture().await;
    let elsewhere = [
        text(&json!({"to": ["bot/oc_1", "shop"]})),
        text(&json!({"conversation": {"id": "shop"}})),
        text(&json!({"to": ["bot/oc_1"]})),
    ];
    let refused = answer(&fixture, &handler, &message, &elsewhere, false)
        .await
        .unwrap();
    let codes: Vec<_> = refused.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["address_not_allowed"; 2]);
    assert_eq!(
        sent(&fixture).await.len(),
        1,
        "its own conversation may be named"
    );
    // Their places were free: now they may.
    assert!(
        answer(&fixture, &handler, &message, &elsewhere, true)
            .await
            .unwrap()
            .is_empty()
    );
    let sent = sent(&fixture).await;
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2]["to"], json!(["shop"]));
    assert_eq!(
        sent[2]["reply_to"],
        Value::Null,
        "another chat knows no such message"
    );
}

#[tokio::test]
async fn what_has_nowhere_to_go_or_is_invalid_is_noted_and_the_rest_goes() {
    let (fixture, mut message, handler) = fixture().await;
    let items = [
        json!({"body": {}}),
        text(&json!({"id": "mine"})),
        text(&json!({})),
    ];
    let refused = answer(&fixture, &handler, &message, &items, false)
        .await
        .unwrap();
    let codes: Vec<_> = refused.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["invalid_body", "stamped_field"]);
    assert_eq!(sent(&fixture).await.len(), 1);
    message.header.conversation = None;
    let refused = answer(&fixture, &handler, &message, &items[2..], false)
        .await
        .unwrap();
    assert_eq!(refused[0].code, "no_conversation");
}

#[tokio::test]
async fn a_chain_of_answers_to_answers_ends() {
    let (mut fixture, mut message, handler) = fixture().await;
    fixture.subscription("$ops", "operator", json!({"channel": "shop"}));
    fixture.reload();
    message.header.hops = HOPS_MAX - 1;
    let hello = [text(&json!({}))];
    assert!(
        answer(&fixture, &handler, &message, &hello, false)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(sent(&fixture).await[0]["hops"], HOPS_MAX);
    message.header.hops = HOPS_MAX;
    let refused = answer(&fixture, &handler, &message, &hello, false)
        .await
        .unwrap();
    assert_eq!(refused[0].code, "too_many_hops");
    assert_eq!(sent(&fixture).await.len(), 1);
    let last = fixture.stored().await.pop().unwrap();
    let notice: Value = serde_json::from_slice(&last.document).unwrap();
    assert_eq!(notice["header"]["type"], "answer.refused");
    assert_eq!(notice["body"]["data"]["channel"], "handler");
}

#[tokio::test]
async fn an_answer_that_cannot_be_stored_now_is_asked_for_again() {
    let (fixture, message, handler) = fixture().await;
    let hello = [text(&json!({}))];
    fixture.faults.push(Fault::Fail(StoreError::Full));
    let failed = answer(&fixture, &handler, &message, &hello, false).await;
    assert_eq!(failed.unwrap_err().code, "storage_full");
    fixture.faults.push(Fault::LoseAnswer);
    assert!(
        answer(&fixture, &handler, &message, &hello, false)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(sent(&fixture).await.len(), 1);
}
