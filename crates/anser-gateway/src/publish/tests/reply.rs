//! Answering: a message goes where the one that it answers came from.

use crate::fixture::platform::{Call, said};

use super::*;

async fn fixture() -> Fixture {
    let mut fixture = Fixture::with_orders();
    fixture.channel("bot", json!({"inbound": {"topic": "orders"}}));
    fixture.reload();
    fixture
}

async fn direct(fixture: &Fixture, principal: &Principal, item: Value) -> Result<Value, Problem> {
    let items = read(&[item]);
    let results = fixture
        .gateway
        .publish_direct(principal, items, options())
        .await?;
    let published = results.into_iter().next().unwrap()?;
    let row = fixture.gateway.store.message(published.id).await.unwrap();
    let message: Value = serde_json::from_slice(&row.unwrap().document).unwrap();
    Ok(message["header"].clone())
}

/// The id of a message that came in.
async fn came_in(fixture: &Fixture) -> String {
    let call = Call::of(&json!([said("e1", "hi")]));
    fixture
        .gateway
        .take_in("bot", &call.request())
        .await
        .unwrap();
    fixture.stored().await[0].id.to_string()
}

#[tokio::test]
async fn an_answer_by_id_goes_to_the_same_chat_and_thread_and_names_the_platforms_message() {
    let fixture = fixture().await;
    let id = came_in(&fixture).await;
    let answer = json!({"header": {"reply_to": id}, "body": {"data": "hello"}});
    let header = direct(&fixture, anyone(), answer).await.unwrap();
    assert_eq!(header["to"], json!(["bot/oc_1"]));
    assert_eq!(header["reply_to"], "m_1");
    assert_eq!(
        header["conversation"],
        json!({"id": "bot/oc_1", "type": "group", "thread": "th_1"})
    );
    let rows = fixture.stored().await;
    let delivery = &fixture.deliveries(rows.last().unwrap()).await[0];
    assert_eq!(delivery.target.as_deref(), Some("oc_1"));
}

#[tokio::test]
async fn a_conversation_is_an_address_and_an_address_wins() {
    let fixture = fixture().await;
    let conversation = json!({"id": "bot/oc_2", "thread": "th_2"});
    let item =
        json!({"header": {"conversation": conversation, "reply_to": "m_2"}, "body": {"data": 1}});
    let header = direct(&fixture, anyone(), item).await.unwrap();
    assert_eq!(
        (&header["to"], &header["reply_to"]),
        (&json!(["bot/oc_2"]), &json!("m_2"))
    );
    let item =
        json!({"header": {"conversation": conversation, "to": ["shop"]}, "body": {"data": 1}});
    let header = direct(&fixture, anyone(), item).await.unwrap();
    assert_eq!(header["to"], json!(["shop"]));
    // On a topic it says where an answer goes, and sends nothing there.
    let item = json!({"header": {"conversation": conversation}, "body": {"data": 1}});
    assert_eq!(fixture.accept(item).await.matched, Some(1));
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_and_says_why() {
    let fixture = fixture().await;
    let id = came_in(&fixture).await;
    let machine = fixture.accept(data(json!(1))).await.id.to_string();
    let elsewhere = key(&[Scope::Publish], None, Some(&["shop"]));
    let topics = key(&[Scope::Publish], Some(&["orders"]), None);
    let nobody = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
    for (principal, header, code, field) in [
        (anyone(), json!({}), "missing_to", "header.to"),
        (
            anyone(),
            json!({"reply_to": nobody}),
            "unknown_message",
            "header.reply_to",
        ),
        (
            anyone(),
            json!({"reply_to": "om_1"}),
            "unknown_message",
            "header.reply_to",
        ),
        (
            anyone(),
            json!({"reply_to": machine}),
            "no_conversation",
            "header.reply_to",
        ),
        (
            &elsewhere,
            json!({"reply_to": id}),
            "unknown_message",
            "header.reply_to",
        ),
        (
            &topics,
            json!({"reply_to": id}),
            "address_not_allowed",
            "header.reply_to",
        ),
        (
            &elsewhere,
            json!({"conversation": {"id": "bot/oc_1"}}),
            "address_not_allowed",
            "header.conversation.id",
        ),
    ] {
        let item = json!({"header": header, "body": {"data": 1}});
        let problem = direct(&fixture, principal, item).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    assert_eq!(fixture.stored().await.len(), 2);
}
