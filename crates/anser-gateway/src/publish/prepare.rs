//! From items to messages that are ready to be committed: checked, stamped, routed. Does no I/O: whether there is room
//! for them was looked at before (`room`).

use std::time::Duration;

use anser_core::blob::BlobSizes;
use anser_core::limits::KEY_BYTES_MAX;
use anser_core::message::{Fingerprint, Item, Origin, Sender, Stamp};
use anser_core::name::check_text;
use anser_core::store::{Dedupe, NewMessage};
use anser_core::{Message, Problem, ProblemKind, Timestamp};
use bytes::Bytes;

use super::linked::LinkedMessage;
use super::room::Room;
use super::route::{self, Budget, TOO_MANY_DELIVERIES};
use super::{OnUnroutable, PublishOptions, refer, schema};
use crate::auth::Principal;
use crate::bridge;
use crate::config::{Snapshot, Topic};
use crate::gateway::Gateway;
use crate::intake::Staged;
use crate::scheduled;

/// Bytes that the header and the envelope take beside the body, for one allocation of the document.
const ENVELOPE_BYTES: usize = 512;

/// One publish request.
pub(super) struct Request<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) topic: &'a Topic,
    pub(super) principal: &'a Principal,
    pub(super) options: &'a PublishOptions,
    /// The blobs that its items may refer to.
    pub(super) blobs: BlobSizes,
    /// Its only item is about an earlier message.
    pub(super) linked: Option<LinkedMessage>,
    /// It comes in by another way than the API: dedupe keys are remembered at least so long, and tell a repeat alone.
    pub(super) remember: Option<Duration>,
}

/// Where a message comes from, as it is stamped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provenance<'a> {
    /// Who sent it.
    pub(super) from: &'a Sender,
    /// The event it came from.
    pub(super) origin: Option<&'a Origin>,
    /// How many answers to answers led to it.
    pub(super) hops: u8,
}

impl<'a> Provenance<'a> {
    /// Of what a caller of the API publishes.
    pub(super) fn of(principal: &'a Principal) -> Self {
        Self {
            from: &principal.sender,
            origin: None,
            hops: 0,
        }
    }
}

/// The items of a request after preparation: refused ones with their reason, the others in order.
pub(super) struct Prepared {
    pub(super) staged: Vec<Staged>,
    /// For each item why it was refused; `None`: it is the next of `staged`.
    pub(super) refused: Vec<Option<Problem>>,
}

impl Prepared {
    pub(super) fn with_capacity(items: usize) -> Self {
        Self {
            staged: Vec::with_capacity(items),
            refused: Vec::with_capacity(items),
        }
    }

    /// Adds the next item.
    pub(super) fn add(&mut self, staged: Result<Staged, Problem>) {
        match staged {
            Ok(staged) => {
                self.staged.push(staged);
                self.refused.push(None);
            }
            Err(problem) => self.refused.push(Some(problem)),
        }
    }

    /// Refuses a request that would wait for more than `most` deliveries.
    pub(super) fn check_width(&self, most: usize) -> Result<(), Problem> {
        let width: usize = self
            .staged
            .iter()
            .map(|staged| staged.new.deliveries.len())
            .sum();
        if width > most {
            return Err(Problem::new(
                ProblemKind::TooLarge,
                TOO_MANY_DELIVERIES,
                format!(
                    "a request that waits may make at most {most} deliveries, this one makes {width}"
                ),
            ));
        }
        Ok(())
    }
}

impl Gateway {
    /// # Errors
    /// What refuses the whole request; with `atomic` the first refusal.
    pub(super) fn prepare(
        &self,
        request: &Request<'_>,
        items: Vec<Result<Item, Problem>>,
        mut room: Room,
    ) -> Result<Prepared, Problem> {
        let mut budget = Budget::new();
        let batch = items.len() > 1;
        let said = Provenance::of(request.principal);
        let mut prepared = Prepared::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let staged = item
                .and_then(|item| self.stage(request, item, said, &mut budget))
                .and_then(|staged| room.take(request.snapshot, request.topic, staged));
            match staged {
                Err(problem) if problem.code == TOO_MANY_DELIVERIES => return Err(problem),
                Err(problem) if request.options.atomic => {
                    return Err(in_batch(problem, batch, i));
                }
                staged => prepared.add(staged),
            }
        }
        Ok(prepared)
    }

    /// Checks, stamps and routes one item.
    pub(super) fn stage(
        &self,
        request: &Request<'_>,
        item: Item,
        said: Provenance<'_>,
        budget: &mut Budget,
    ) -> Result<Staged, Problem> {
        let (topic, options) = (request.topic, request.options);
        let now = self.clock.now();
        let dedupe = dedupe(request, &item, now)?;
        let stamp = self.stamp(request, said, now, refer::of_item(&item, &request.blobs));
        let message = Message::accept(item, stamp, &self.options.limits)?;
        let linked = request.linked.as_ref();
        if let Some(schema) = &topic.schema
            && linked.is_none_or(LinkedMessage::brings_content)
        {
            schema::check(schema, &message)?;
        }
        route::check_rights(&message.header, request.principal)?;
        let deliveries = match linked {
            Some(linked) => linked.deliveries.clone(),
            None => {
                route::deliveries(request.snapshot, topic, &message, request.principal, budget)?
            }
        };
        if deliveries.is_empty() && options.mandatory {
            return Err(unroutable(topic));
        }
        let subscriptions = topic.subscriptions.iter().map(AsRef::as_ref);
        let mut known_as = bridge::names(subscriptions, &message, &deliveries);
        known_as.extend(scheduled::name(topic.meta.id, &message.header));
        let most = options.document_bytes_max;
        let document = document(
            &message,
            most.unwrap_or(self.options.limits.message_bytes_max),
        )?;
        Ok(Staged {
            report_unroutable: deliveries.is_empty() && options.on_unroutable == OnUnroutable::Keep,
            new: NewMessage {
                id: message.header.id,
                topic: topic.meta.id,
                time: now,
                document,
                dedupe,
                delete_at: message.header.delete_at,
                blobs: message.blobs(),
                link: linked.map(|linked| linked.link),
                known_as,
                deliveries,
            },
            message,
        })
    }

    fn stamp(
        &self,
        request: &Request<'_>,
        said: Provenance<'_>,
        now: Timestamp,
        blobs: BlobSizes,
    ) -> Stamp {
        Stamp {
            id: self.ids.next(now, &*self.random),
            time: now,
            topic: request.topic.meta.name.clone(),
            from: said.from.clone(),
            target_id: request.linked.as_ref().map(|linked| linked.about),
            origin: said.origin.cloned(),
            hops: said.hops,
            blobs,
        }
    }
}

/// Puts an item's place in its batch before the field, where there is a batch.
pub(super) fn in_batch(problem: Problem, batch: bool, place: usize) -> Problem {
    if batch {
        problem.within(&format!("[{place}]"))
    } else {
        problem
    }
}

fn dedupe(request: &Request<'_>, item: &Item, now: Timestamp) -> Result<Option<Dedupe>, Problem> {
    let Some(key) = &item.dedupe_key else {
        return Ok(None);
    };
    check_text("invalid_text", "dedupe_key", key, KEY_BYTES_MAX)?;
    let mut window = Duration::from_secs(request.topic.spec.dedupe_window);
    if let Some(most) = request.options.dedupe_window_max {
        window = window.min(most);
    }
    if let Some(least) = request.remember {
        window = window.max(least);
    }
    if window.is_zero() {
        return Ok(None);
    }
    Ok(Some(Dedupe {
        lineage: request.principal.lineage,
        key: key.clone(),
        fingerprint: fingerprint(request, item),
        expires_at: now.plus(window),
    }))
}

fn fingerprint(request: &Request<'_>, item: &Item) -> Fingerprint {
    if request.remember.is_some() {
        return Fingerprint::default();
    }
    let fingerprint = item.fingerprint();
    match &request.linked {
        Some(linked) => linked.fingerprint(fingerprint),
        None => fingerprint,
    }
}

fn unroutable(topic: &Topic) -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "unroutable",
        format!(
            "no subscription of {} takes this message and it has no address; nothing was stored, as `mandatory` asks",
            topic.meta.name
        ),
    )
}

/// The message as it is stored and sent, in one allocation.
fn document(message: &Message, most: usize) -> Result<Bytes, Problem> {
    let body = message.body.data().map_or(0, |data| data.get().len());
    let mut json = Vec::with_capacity(body + ENVELOPE_BYTES);
    serde_json::to_writer(&mut json, message)
        .map_err(|error| Problem::new(ProblemKind::Internal, "internal", error.to_string()))?;
    if json.len() > most {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            "too_large",
            format!(
                "a message may have at most {most} bytes as stored, this one has {}; send large data as a link",
                json.len()
            ),
        ));
    }
    Ok(Bytes::from(json))
}
