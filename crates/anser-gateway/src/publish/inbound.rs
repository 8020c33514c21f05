//! Publish what comes in by another way than the API: from a platform behind a channel, from whatever posts to a robot, as
//! the answer of an endpoint. Whoever calls this has verified where it comes from. Must not verify anything itself.

use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::message::{Item, Origin, Sender};
use anser_core::{Problem, ProblemKind};

use super::prepare::{Prepared, Provenance, Request};
use super::route::Budget;
use super::{PublishOptions, Results, not_found};
use crate::auth::Principal;
use crate::gateway::Gateway;

/// Through what a message comes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The number of the channel or robot. Its dedupe keys are its own: they never meet those of an API key, nor of another
    /// channel.
    pub(crate) resource: ResourceId,
    /// Dedupe keys are remembered at least so long, whatever the topic says.
    pub(crate) remember: Duration,
}

/// A message with what the gateway stamps on it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Who sent it, as was verified.
    pub(crate) from: Sender,
    /// The event it came from.
    pub(crate) origin: Option<Origin>,
    /// How many answers to answers led to it.
    pub(crate) hops: u8,
    /// The message. Its dedupe key alone tells a repeat: the same event may be put in other words the next time.
    pub(crate) item: Item,
}

impl Gateway {
    /// Publishes events to a topic, or on `$direct` to the addresses they have, in one commit. Nobody's rights are asked
    /// for: where they go is what the operator configured. Answers one by one, in order: one that is refused keeps none of
    /// the others out.
    ///
    /// # Errors
    /// 404 `topic_not_found`; the store's, and then none is stored, or it is not known whether they are.
    pub(crate) async fn publish_events(
        &self,
        source: Source,
        topic: &str,
        events: Vec<Event>,
    ) -> Result<Results, Problem> {
        let snapshot = self.config.load_full();
        let topic = snapshot.topic(topic).ok_or_else(|| not_found(topic))?;
        let (principal, options) = (
            Principal::of_resource(source.resource),
            PublishOptions::default(),
        );
        let mut said = Vec::with_capacity(events.len());
        let mut items = Vec::with_capacity(events.len());
        for event in events {
            said.push((event.from, event.origin, event.hops));
            items.push(Ok(event.item));
        }
        let request = Request {
            snapshot: &snapshot,
            topic,
            principal: &principal,
            options: &options,
            blobs: self.known_blobs(&items).await?,
            linked: None,
            remember: Some(source.remember),
        };
        let mut room = self.room(&snapshot, topic, &items).await?;
        let mut prepared = Prepared::with_capacity(items.len());
        for (item, (from, origin, hops)) in items.into_iter().zip(&said) {
            let said = Provenance {
                from,
                origin: origin.as_ref(),
                hops: *hops,
            };
            // Each by itself: the others of a request must not depend on how many there are.
            let staged = item
                .and_then(|item| self.stage(&request, item, said, &mut Budget::new()))
                .and_then(|staged| room.take(&snapshot, topic, staged));
            prepared.add(staged);
        }
        let committed = self.commit_prepared(&request, prepared, false).await?;
        Ok(committed.into_published())
    }
}

/// Whether what was refused now may be taken later, when its source sends it again: for lack of room, a schema that an
/// operator may mend, a store that does not answer.
pub(crate) fn may_pass(problem: &Problem) -> bool {
    match problem.kind {
        ProblemKind::NotFound
        | ProblemKind::Timeout
        | ProblemKind::TooMany
        | ProblemKind::Internal
        | ProblemKind::Unavailable
        | ProblemKind::StorageFull => true,
        ProblemKind::Invalid => problem.code == super::schema::VIOLATION,
        ProblemKind::Malformed
        | ProblemKind::Unauthenticated
        | ProblemKind::Forbidden
        | ProblemKind::MethodNotAllowed
        | ProblemKind::Conflict
        | ProblemKind::Precondition
        | ProblemKind::TooLarge
        | ProblemKind::MediaType => false,
    }
}
