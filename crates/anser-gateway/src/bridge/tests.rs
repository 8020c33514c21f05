//! Bridges in a whole gateway, between platforms in memory: who sees what, which message an answer answers, and that nothing
//! goes round in circles.

mod random;
mod world;

use anser_core::delivery::DeliveryState;
use anser_core::message::SenderKind;
use anser_core::outcome::Outcome;
use serde_json::json;

use crate::fixture::anyone;
use crate::look::Names;
use world::{Entry, Setup};

const ALL: [&str; 3] = ["red/1", "blue/1", "grey/1"];

async fn linked(chats: &[&str]) -> Setup {
    let setup = Setup::new().await;
    setup.bridge("all", chats).await.unwrap();
    setup
}

/// The only entry with that text.
fn only(setup: &Setup, chat: &str, text: &str) -> Entry {
    let mut found = setup.world.entries();
    found.retain(|entry| entry.chat == chat && entry.text == text);
    assert_eq!(found.len(), 1, "{text} in {chat}: {found:?}");
    found.remove(0)
}

#[tokio::test(start_paused = true)]
async fn what_is_said_in_one_chat_is_in_all_the_others_once() {
    let setup = linked(&ALL).await;
    setup.say("red/1", "hello", None).await;
    setup.say("blue/1", "hi", None).await;
    setup.say("red/2", "elsewhere", None).await;
    setup.rest().await;
    assert_eq!(setup.world.seen("red/1"), ["hello", "Ann (Blue): hi"]);
    assert_eq!(setup.world.seen("blue/1"), ["hi", "Ann (Red): hello"]);
    assert_eq!(
        setup.world.seen("grey/1"),
        ["Ann (Red): hello", "Ann (Blue): hi"]
    );
    assert_eq!(setup.world.seen("red/2"), ["elsewhere"]);
    let rows = setup.deliveries().await;
    assert_eq!(rows.len(), 4);
    let snapshot = setup.gateway.config.load();
    for row in rows {
        assert_eq!(row.state, DeliveryState::Delivered);
        assert_eq!(Names::of(&snapshot).subscription(row.group), Some("all"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_answers_the_same_message_in_every_chat() {
    let setup = linked(&ALL).await;
    let first = setup.say("red/1", "first", None).await;
    setup.rest().await;
    // Somebody answers the copy, and somebody else that answer's copy.
    let copy = only(&setup, "grey/1", "Ann (Red): first");
    setup.say("grey/1", "second", Some(&copy.id)).await;
    setup.rest().await;
    let second = only(&setup, "red/1", "Ann (Grey): second");
    assert_eq!(second.reply_to, Some(first));
    setup.say("red/1", "third", Some(&second.id)).await;
    setup.rest().await;
    let below = only(&setup, "blue/1", "Ann (Red): first").id;
    for text in ["Ann (Grey): second", "Ann (Red): third"] {
        let answer = only(&setup, "blue/1", text);
        assert_eq!(answer.reply_to.as_ref(), Some(&below), "{text}");
    }
    let own = only(&setup, "grey/1", "second").id;
    let third = only(&setup, "grey/1", "Ann (Red): third");
    assert_eq!(third.reply_to, Some(own));
    // What was never bridged is answered without a word of it.
    setup.say("red/1", "fourth", Some("id77")).await;
    setup.rest().await;
    assert_eq!(only(&setup, "blue/1", "Ann (Red): fourth").reply_to, None);
}

#[tokio::test(start_paused = true)]
async fn edits_and_recalls_follow_the_message() {
    let setup = linked(&ALL).await;
    let id = setup.say("red/1", "old", None).await;
    setup.rest().await;
    setup.edit("red/1", &id, "new").await;
    setup.edit("red/1", &id, "newest").await;
    setup.rest().await;
    assert_eq!(setup.world.seen("blue/1"), ["Ann (Red): newest"]);
    let grey = [
        "Ann (Red): old",
        "Ann (Red): edited: new",
        "Ann (Red): edited: newest",
    ];
    assert_eq!(setup.world.seen("grey/1"), grey);
    let original = only(&setup, "grey/1", grey[0]).id;
    assert_eq!(only(&setup, "grey/1", grey[1]).reply_to, Some(original));
    setup.recall("red/1", &id).await;
    setup.recall("red/1", &id).await;
    setup.edit("red/1", &id, "too late").await;
    setup.rest().await;
    assert_eq!(setup.world.seen("blue/1"), Vec::<String>::new());
    assert_eq!(setup.world.seen("grey/1"), grey);
    let unfinished = setup.deliveries().await;
    assert!(unfinished.iter().all(|row| row.state.is_final()));
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_before_it_went_out_is_never_seen() {
    let setup = linked(&["red/1", "blue/1"]).await;
    setup.world.answer(Outcome::Retry {
        reason: "later".to_owned(),
    });
    let id = setup.say("red/1", "oops", None).await;
    setup.rest().await;
    setup.edit("red/1", &id, "still wrong").await;
    setup.recall("red/1", &id).await;
    setup.pass(3_600).await;
    let all = setup.world.entries();
    assert!(all.iter().all(|entry| entry.chat == "red/1"), "{all:?}");
    for row in setup.deliveries().await {
        assert_eq!(row.state, DeliveryState::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_nobodys_to_change_but_its_authors() {
    let setup = linked(&["red/1", "blue/1"]).await;
    setup.say("red/1", "mine", None).await;
    setup.rest().await;
    let copy = only(&setup, "blue/1", "Ann (Red): mine");
    setup.recall("blue/1", &copy.id).await;
    let data = json!({"message_id": "id99", "segments": [{"type": "text", "text": "unknown"}]});
    let item = json!({"header": {"type": "chat.edited"}, "body": {"data": data}});
    setup.tell("blue/1", "id99", SenderKind::User, item).await;
    setup.rest().await;
    assert_eq!(setup.world.seen("red/1"), ["mine"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_round_in_circles() {
    let setup = linked(&ALL).await;
    // They overlap, and the third goes on where the first ends.
    setup.bridge("again", &["blue/1", "red/1"]).await.unwrap();
    setup.bridge("more", &["blue/1", "red/2"]).await.unwrap();
    setup.say("red/1", "hello", None).await;
    setup.rest().await;
    assert_eq!(setup.world.seen("blue/1"), ["Ann (Red): hello"]);
    assert_eq!(setup.world.seen("red/1"), ["hello"]);
    // A second app in the same chat is told what the first one wrote.
    let copy = only(&setup, "blue/1", "Ann (Red): hello");
    let item = json!({"body": {"segments": [{"type": "text", "text": copy.text}]}});
    setup.tell("blue/1", &copy.id, SenderKind::Bot, item).await;
    setup.rest().await;
    assert_eq!(setup.world.entries().len(), 3);
    assert_eq!(setup.deliveries().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_comes_by_the_api_is_not_bridged() {
    let setup = linked(&ALL).await;
    let item = json!({"header": {"conversation": {"id": "red/1"}}, "body": {"segments": [{"type": "text", "text": "x"}]}});
    let items = crate::fixture::read(&[item]);
    let options = crate::publish::PublishOptions::default();
    let results = setup
        .gateway
        .publish(anyone(), "talk", items, options)
        .await;
    assert_eq!(results.unwrap().remove(0).unwrap().matched, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_left_the_bridge_gets_nothing_more() {
    let setup = linked(&ALL).await;
    let wait = |setup: &Setup| {
        setup.world.answer(Outcome::Retry {
            reason: "later".to_owned(),
        });
        setup.world.answer(Outcome::Retry {
            reason: "later".to_owned(),
        });
    };
    wait(&setup);
    setup.say("red/1", "hello", None).await;
    setup.rest().await;
    setup.bridge("all", &["red/1", "blue/1"]).await.unwrap();
    setup.pass(3_600).await;
    assert_eq!(setup.world.seen("blue/1"), ["Ann (Red): hello"]);
    assert_eq!(setup.world.seen("grey/1"), Vec::<String>::new());
    wait(&setup);
    setup.say("red/1", "more", None).await;
    setup.rest().await;
    let deleted = setup
        .gateway
        .delete_subscription(anyone(), "talk", "all", None);
    deleted.await.unwrap();
    setup.pass(3_600).await;
    assert_eq!(setup.world.seen("blue/1"), ["Ann (Red): hello"]);
    let rows = setup.deliveries().await;
    assert!(rows.iter().all(|row| row.state.is_final()), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bridge_names_chats_that_can_be_written_to() {
    let setup = Setup::new().await;
    for (chats, code, field) in [
        (&["red/1"][..], "invalid_bridge", "bridge.chats"),
        (&["red/1", "Red/1"], "invalid_bridge", "bridge.chats[1]"),
        (&["red/1", "none/1"], "unknown_channel", "bridge.chats[1]"),
        (&["plain/1", "red/1"], "not_a_chat", "bridge.chats[0]"),
    ] {
        let problem = setup.bridge("b", chats).await.unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field))
        );
    }
    let two = json!({"chats": ["red/1", "blue/1"]});
    for spec in [
        json!({"bridge": two, "channel": "red"}),
        json!({"bridge": two, "target": "1"}),
        json!({"bridge": two, "ordering": "none"}),
        json!({"bridge": two, "format": "anser"}),
    ] {
        let problem = setup.subscribe("b", &spec).await.unwrap_err();
        assert_eq!(problem.code, "invalid_destination", "{spec}");
    }
    setup.bridge("b", &["red/1", "blue/1"]).await.unwrap();
    let used = setup
        .gateway
        .delete_channel(anyone(), "red", false, None)
        .await;
    assert_eq!(used.unwrap_err().code, "in_use");
    let other = setup.subscribe("b", &json!({"channel": "red"})).await;
    assert_eq!(other.unwrap_err().code, "immutable_field");
    let narrow = crate::fixture::key(
        &[anser_core::resource::Scope::Admin],
        None,
        Some(&["red/*"]),
    );
    let spec = serde_json::from_value(json!({"bridge": two})).unwrap();
    let refused = setup
        .gateway
        .create_subscription(&narrow, "talk", "c", spec);
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("bridge.chats[1]"));
    let gone = setup.gateway.delete_channel(anyone(), "red", true, None);
    gone.await.unwrap();
    assert!(setup.gateway.config.load().legs.is_empty());
}
