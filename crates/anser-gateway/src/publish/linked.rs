//! Messages that are about an earlier one. They pass through publishing as any other, but for where they go: to where
//! that one went, as was decided before.

use anser_core::id::MessageId;
use anser_core::message::{Fingerprint, Item};
use anser_core::store::{Link, LinkKind, NewDelivery};
use anser_core::{Problem, ProblemKind};
use aws_lc_rs::digest;

use super::prepare::Request;
use super::route::Budget;
use super::{PublishOptions, Published};
use crate::auth::Principal;
use crate::config::{Snapshot, Topic};
use crate::gateway::Gateway;
use crate::refusal::store_problem;

/// What a linked message is about, and where it goes.
pub(crate) struct LinkedMessage {
    /// The message that it is about.
    pub(crate) about: MessageId,
    /// The same for the store.
    pub(crate) link: Link,
    /// Where it goes.
    pub(crate) deliveries: Vec<NewDelivery>,
}

impl LinkedMessage {
    /// Whether it brings content of its publisher's: the rules of its topic are for that.
    pub(super) fn brings_content(&self) -> bool {
        self.link.kind == LinkKind::Edited
    }

    /// The same content is another item when it is about another message.
    pub(super) fn fingerprint(&self, of_item: Fingerprint) -> Fingerprint {
        let mut hashed = digest::Context::new(&digest::SHA256);
        hashed.update(&of_item);
        hashed.update(self.about.as_bytes());
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(hashed.finish().as_ref());
        fingerprint
    }
}

impl Gateway {
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
        };
        let [item] = items;
        let mut staged = self.stage(&request, item?, &mut Budget::new())?;
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
}
