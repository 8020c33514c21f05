//! Sessions through the gateway, on the model store.

mod mail;
mod presence;
mod questions;
mod rooms;
mod streams;

use std::time::Duration;

use anser_core::Problem;
use anser_core::live::{
    Acknowledgements, Answer, Event, MessageEvent, Offset, PresenceUpdate, Request,
};
use anser_core::name::UserId;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Allowed, Events, Identity, Opening, Rights, Session};
use crate::fixture::{Fixture, anyone};
use crate::live::Job;
use crate::publish::{PublishOptions, Published};

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

/// A gateway, and what is left to do for the keeper, which does not run.
struct Live {
    fixture: Fixture,
    jobs: UnboundedReceiver<Job>,
}

impl Live {
    fn of(fixture: Fixture) -> Self {
        let jobs = fixture
            .gateway
            .sessions
            .left
            .lock()
            .unwrap()
            .take()
            .unwrap();
        Self { fixture, jobs }
    }

    fn new() -> Self {
        Self::of(Fixture::with_orders())
    }

    /// Opens a session of a user who may do everything.
    async fn open(&self, user: &str, resource: &str, after: Option<Offset>) -> (Session, Events) {
        let user = UserId::parse("user", user).unwrap();
        let identity = Identity::of_key(anyone().clone(), Some(user)).unwrap();
        self.open_as(identity, resource, after).await.unwrap()
    }

    async fn open_as(
        &self,
        identity: Identity,
        resource: &str,
        after: Option<Offset>,
    ) -> Result<(Session, Events), Problem> {
        let opening = Opening {
            identity,
            transport: "test",
            peer: None,
            resource: Some(resource.to_owned()),
            after,
            presence: PresenceUpdate::default(),
            acks: Acknowledgements::Explicit,
            questions: Vec::new(),
        };
        let (session, mut events) = self.fixture.gateway.open_session(opening).await?;
        let welcome = next(&mut events).await;
        assert_eq!(welcome.name(), "ib");
        Ok((session, events))
    }

    /// Publishes to addresses alone, as a key with every right.
    async fn send(&self, item: Value) -> Result<Published, Problem> {
        let items = crate::fixture::read(&[item]);
        let gateway = &self.fixture.gateway;
        let options = PublishOptions::default();
        gateway
            .publish_direct(anyone(), items, options)
            .await?
            .pop()
            .unwrap()
    }

    async fn say(&self, to: &str, text: &str) -> Published {
        self.send(message(to, text)).await.unwrap()
    }

    /// What the keeper would do now.
    async fn keep(&mut self) {
        self.fixture.gateway.tick_sessions();
        self.fixture.gateway.do_gathered(&mut self.jobs).await;
    }
}

fn message(to: &str, text: &str) -> Value {
    json!({"header": {"to": [to]}, "body": {"data": text}})
}

fn user(id: &str, rights: Rights) -> Identity {
    let user = UserId::parse("user", id).unwrap();
    Identity::of_user("app", user, None, rights, None)
}

fn only(patterns: &[&str]) -> Allowed {
    Allowed::Only(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
}

/// The next event, which must come.
async fn next(events: &mut Events) -> Event {
    let event = tokio::time::timeout(DEADLINE, events.next()).await;
    event.expect("nothing came").expect("the session is over")
}

/// The next event, a message.
async fn next_message(events: &mut Events) -> Arc<MessageEvent> {
    match next(events).await {
        Event::Message(message) => message,
        other => panic!("no message: {}", String::from_utf8_lossy(&other.to_json())),
    }
}

/// The text of the next event, a message.
async fn next_text(events: &mut Events) -> String {
    let event = next_message(events).await;
    text(&event)
}

fn text(event: &MessageEvent) -> String {
    let document: Value = serde_json::from_slice(&event.document).unwrap();
    document["body"]["data"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Whether nothing is there to take. What a session wants of the store is read on the way.
async fn is_quiet(events: &mut Events) -> bool {
    let soon = Duration::from_millis(20);
    tokio::time::timeout(soon, events.next()).await.is_err()
}

/// What a frame is answered.
async fn ask(session: &Session, frame: Value) -> Result<Answer, Problem> {
    let request = Request::from_json(frame.to_string().as_bytes())?;
    session.operate(request.operation).await
}
