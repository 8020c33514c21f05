//! Edit and recall of messages to users: what waits in a mailbox is replaced or cancelled, and who has it is told.

use anser_core::live::{Acknowledgements, Event, MessageEvent, Offset, PresenceUpdate};
use anser_core::name::UserId;
use serde_json::{Value, json};

use super::platform::Setup;
use super::*;
use crate::fixture::anyone;
use crate::sessions::{Events, Identity, Opening};

async fn open(setup: &Setup, after: Option<Offset>) -> Events {
    let user = UserId::parse("user", "bob").unwrap();
    let opening = Opening {
        identity: Identity::of_key(anyone().clone(), Some(user)).unwrap(),
        transport: "test",
        peer: None,
        resource: None,
        after,
        presence: PresenceUpdate::default(),
        acks: Acknowledgements::Explicit,
        questions: Vec::new(),
    };
    let (_, mut events) = setup.gateway.open_session(opening).await.unwrap();
    let welcome = events.next().await.unwrap();
    assert_eq!(welcome.name(), "ib");
    events
}

async fn next(events: &mut Events) -> (Arc<MessageEvent>, Value) {
    let deadline = Duration::from_secs(10);
    let event = tokio::time::timeout(deadline, events.next()).await.unwrap();
    let Some(Event::Message(message)) = event else {
        panic!("no message");
    };
    let document = serde_json::from_slice(&message.document).unwrap();
    (message, document)
}

#[tokio::test(start_paused = true)]
async fn who_has_a_message_is_told_that_it_was_edited_or_recalled() {
    let setup = Setup::new().await;
    let mut events = open(&setup, None).await;
    let id = setup.send(&["user:bob"], "one").await;
    assert_eq!(next(&mut events).await.1["body"]["data"], "one");
    assert_eq!(setup.edit(id, "two").await, [Requested]);
    let (_, edited) = next(&mut events).await;
    assert_eq!(edited["header"]["type"], "message.edited");
    assert_eq!(edited["header"]["target_id"], json!(id));
    assert_eq!(setup.recall(id).await, [Requested]);
    let (last, recalled) = next(&mut events).await;
    assert_eq!(recalled["header"]["type"], "message.recalled");
    drop(events);
    let waiting = setup.send(&["user:bob"], "old").await;
    assert_eq!(setup.edit(waiting, "new").await, [Replaced]);
    let unseen = setup.send(&["user:bob"], "nobody saw it").await;
    assert_eq!(setup.recall(unseen).await, [Cancelled]);
    let mut events = open(&setup, last.offset).await;
    assert_eq!(
        next(&mut events).await.1["header"]["type"],
        "message.edited"
    );
    let silence = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    assert!(silence.is_err(), "what was taken back is not given");
}
