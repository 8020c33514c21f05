//! Publish: validate, stamp, dedupe, route, one durable commit, confirm. Everything that comes in, through whatever
//! door, passes here. Must not read bodies or know who carried them.

mod background;
mod commit;
mod confirm;
mod inbound;
mod linked;
mod prepare;
mod refer;
mod reply;
mod room;
mod rooms;
mod route;
mod schema;
mod system;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anser_core::id::MessageId;
use anser_core::message::Item;
use anser_core::name::{TOPIC_DIRECT, is_system_topic};
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Principal;
use crate::config::{Snapshot, Topic};
use crate::gateway::Gateway;
use crate::intake::NotTaken;
use crate::look::DeliveryView;
use crate::refusal::store_problem;

pub use crate::intake::WAITERS_MAX;
pub(crate) use inbound::{Event, Source, may_pass};
pub(crate) use linked::LinkedMessage;
pub use room::QUEUE_DELAYED_MAX;

use prepare::{Provenance, Request};
use route::Budget;

/// How a publish is confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acks {
    /// At once, before it is durable: outside the promises, without dedupe key, `mandatory` or `wait`.
    None,
    /// After the durable commit.
    #[default]
    Stored,
    /// After every copy of a clustered store has it; the embedded store has one.
    Replicated,
}

/// What happens to a message that no subscription takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnUnroutable {
    /// It is stored on its topic, as any other.
    #[default]
    Store,
    /// It is stored on its topic and reported on `$ops`.
    Keep,
}

/// The options of one publish request.
#[derive(Debug, Clone, Default)]
pub struct PublishOptions {
    /// When to answer.
    pub acks: Acks,
    /// Answer after each delivery's first attempt, or after this long.
    pub wait: Option<Duration>,
    /// Refuse a message that nothing takes.
    pub mandatory: bool,
    /// What happens to a message that nothing takes.
    pub on_unroutable: OnUnroutable,
    /// All items or none.
    pub atomic: bool,
    /// Bytes of a message as stored, where a door counts a body before it is escaped as JSON, which can make it six
    /// times as long; `None`: the limit in force.
    pub document_bytes_max: Option<usize>,
    /// How long dedupe keys are remembered at most, where a door knows that no repetition comes later; `None`: as long
    /// as the topic says.
    pub dedupe_window_max: Option<Duration>,
}

/// Longest `wait_timeout`.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// `wait_timeout` unless given.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// Deliveries that one request may wait for: their states are the answer.
pub const WAIT_DELIVERIES_MAX: usize = 1_000;

/// The answer to one published item.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// Its topic.
    pub topic: String,
    /// Its place on the topic; absent with `acks=none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// How many destinations it goes to; absent with `acks=none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<u32>,
    /// It was published before, under the same dedupe key; this is the first answer.
    pub duplicate: bool,
    /// False with `acks=none`: not stored yet.
    pub durable: bool,
    /// With `wait`: each delivery's state after its first attempt, or so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<DeliveryView>>,
    /// With `wait`: whether every delivery has had its first attempt.
    #[serde(skip)]
    pub settled: bool,
}

/// The answer to each item of a batch, in order.
pub type Results = Vec<Result<Published, Problem>>;

impl Gateway {
    /// Publishes items to a topic; answers one by one, in order.
    ///
    /// # Errors
    /// The whole request is refused: 403 without the right, 404 `topic_not_found`, 413 `too_many_messages` or
    /// `too_many_deliveries`, 422 `acks_none`, 429 `too_many_waiters` or `overloaded`, 503 and 507 when the store
    /// cannot take it; with `atomic` also for the first item at fault, whose place begins the field.
    pub async fn publish(
        &self,
        principal: &Principal,
        topic: &str,
        items: Vec<Result<Item, Problem>>,
        options: PublishOptions,
    ) -> Result<Results, Problem> {
        principal.require(Scope::Publish)?;
        let snapshot = self.config.load_full();
        let topic = writable(&snapshot, principal, topic)?;
        let request = Request {
            snapshot: &snapshot,
            topic,
            principal,
            options: &options,
            blobs: self.known_blobs(&items).await?,
            linked: None,
            remember: None,
        };
        self.publish_request(&request, items).await
    }

    /// Publishes items that have only direct addresses, on `$direct`. One without any goes to its `header.conversation`, or
    /// to that of the stored message whose id its `header.reply_to` is.
    ///
    /// # Errors
    /// As [`Gateway::publish`]; an item that names nowhere is refused as `missing_to`, `unknown_message` or
    /// `no_conversation`.
    pub async fn publish_direct(
        &self,
        principal: &Principal,
        items: Vec<Result<Item, Problem>>,
        options: PublishOptions,
    ) -> Result<Results, Problem> {
        principal.require(Scope::Publish)?;
        let snapshot = self.config.load_full();
        let topic = snapshot
            .topic(TOPIC_DIRECT)
            .ok_or_else(|| not_found(TOPIC_DIRECT))?;
        let items = self.addressed(principal, items).await;
        if items.iter().flatten().any(rooms::is_for_room) {
            let published = self.publish_to_rooms(&snapshot, principal, items, &options);
            return Box::pin(published).await;
        }
        let request = Request {
            snapshot: &snapshot,
            topic,
            principal,
            options: &options,
            blobs: self.known_blobs(&items).await?,
            linked: None,
            remember: None,
        };
        self.publish_request(&request, items).await
    }

    /// Publishes a linked message.
    ///
    /// # Errors
    /// As [`Gateway::publish`].
    pub(crate) async fn publish_linked(
        &self,
        snapshot: &Snapshot,
        topic: &Topic,
        principal: &Principal,
        item: Item,
        linked: LinkedMessage,
    ) -> Result<Published, Problem> {
        let options = PublishOptions::default();
        let bounded = linked.brings_content();
        let items = [Ok(item)];
        let request = Request {
            snapshot,
            topic,
            principal,
            options: &options,
            blobs: self.known_blobs(&items).await?,
            linked: Some(linked),
            remember: None,
        };
        let [item] = items;
        let said = Provenance::of(principal);
        let mut staged = self.stage(&request, item?, said, &mut Budget::new())?;
        if bounded {
            let mut room = self.room(snapshot, topic, &[]).await?;
            staged = room.take(snapshot, topic, staged)?;
        }
        let committed = self.commit_staged(vec![staged], false, false).await;
        let mut results = committed.map_err(store_problem)?.into_published();
        results.pop().unwrap_or_else(|| {
            Err(Problem::new(
                ProblemKind::Internal,
                "no_result",
                "the message was taken and not answered",
            ))
        })
    }

    async fn publish_request(
        &self,
        request: &Request<'_>,
        items: Vec<Result<Item, Problem>>,
    ) -> Result<Results, Problem> {
        check_count(items.len(), self.options.limits.batch_messages_max)?;
        check_options(request.options, &items)?;
        let waiting = match request.options.wait {
            Some(limit) => Some((self.intake.wait().ok_or_else(too_many_waiters)?, limit)),
            None => None,
        };
        let room = self.room(request.snapshot, request.topic, &items).await?;
        let prepared = self.prepare(request, items, room)?;
        if request.options.acks == Acks::None {
            return self.submit(prepared);
        }
        if waiting.is_some() {
            prepared.check_width(WAIT_DELIVERIES_MAX)?;
        }
        let mut results = self
            .commit_prepared(request, prepared, waiting.is_some())
            .await?;
        if let Some((_place, limit)) = waiting {
            self.confirm(&mut results, limit).await;
        }
        Ok(results.into_published())
    }
}

/// The topic that a client may publish to.
fn writable<'a>(
    snapshot: &'a Snapshot,
    principal: &Principal,
    name: &str,
) -> Result<&'a Arc<Topic>, Problem> {
    if is_system_topic(name) {
        return Err(Problem::invalid(
            "system_topic",
            "topic",
            "topics that begin with $ are the system's; clients cannot publish to them",
        ));
    }
    principal
        .require_topic(name)
        .map_err(|problem| problem.field("topic"))?;
    snapshot.topic(name).ok_or_else(|| not_found(name))
}

fn not_found(topic: &str) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "topic_not_found",
        format!("there is no topic {topic}; create it first"),
    )
}

fn check_count(count: usize, most: usize) -> Result<(), Problem> {
    if count == 0 {
        return Err(Problem::new(
            ProblemKind::Invalid,
            "empty_batch",
            "a batch has at least one message",
        ));
    }
    if count > most {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            "too_many_messages",
            format!("one request may have at most {most} messages, this one has {count}"),
        ));
    }
    Ok(())
}

/// What is answered before it is stored cannot say what became of it.
fn check_options(options: &PublishOptions, items: &[Result<Item, Problem>]) -> Result<(), Problem> {
    if let Some(limit) = options.wait
        && limit > WAIT_MAX
    {
        return Err(Problem::invalid(
            "out_of_range",
            "wait_timeout",
            format!("must be at most {} seconds", WAIT_MAX.as_secs()),
        ));
    }
    if options.acks != Acks::None {
        return Ok(());
    }
    let keyed = items
        .iter()
        .any(|item| item.as_ref().is_ok_and(|item| item.dedupe_key.is_some()));
    let field = match (options.wait, options.mandatory, keyed) {
        (Some(_), _, _) => "wait",
        (None, true, _) => "mandatory",
        (None, false, true) => "dedupe_key",
        (None, false, false) => return Ok(()),
    };
    Err(Problem::invalid(
        "acks_none",
        field,
        format!(
            "acks=none answers before anything is stored, so {field} cannot go with it; use acks=stored"
        ),
    ))
}

fn too_many_waiters() -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "too_many_waiters",
        format!(
            "{WAITERS_MAX} requests wait for deliveries already; publish without wait, or try again later"
        ),
    )
}

fn not_taken(reason: NotTaken) -> Problem {
    match reason {
        NotTaken::Full => Problem::new(
            ProblemKind::TooMany,
            "overloaded",
            "too many messages wait for their commit; use acks=stored, or try again later",
        ),
        NotTaken::Closed => Problem::new(
            ProblemKind::Unavailable,
            "stopping",
            "the gateway is stopping; try again",
        ),
    }
}
