//! One place that a message went to, with what became of it and of its edits there, and what an edit or a recall does
//! about it. Pure: decides from rows and configuration alone.

use std::collections::HashMap;
use std::time::Duration;

use anser_core::channel::{Channel, Checkpoint, Context};
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::store::{DeliveryRow, NewDelivery};
use anser_core::{Message, Problem, Timestamp};

use super::ChangeOutcome;
use crate::config::{ChannelEntry, Snapshot, Subscription};
use crate::dispatch::Withdrawn;
use crate::mailbox::is_mailbox;

/// The word in a manifest that says a channel can change what it sent.
const EDIT: &str = "edit";
/// The word in a manifest that says a channel can take back what it sent.
const RECALL: &str = "recall";

/// Where a delivery goes: the same for a message and all that is about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    group: ResourceId,
    target: Option<String>,
}

impl Place {
    pub(super) fn of(row: &DeliveryRow) -> Self {
        Self {
            group: row.group,
            target: row.target.clone(),
        }
    }
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// It was deleted.
    Gone,
    /// A queue.
    Queue,
    /// A channel.
    Channel {
        id: ResourceId,
        /// It can change what was sent.
        edits: bool,
        /// It can take back what was sent.
        recalls: bool,
    },
}

impl Means {
    pub(super) fn of(
        snapshot: &Snapshot,
        message: &Message,
        position: &Position,
        now: Timestamp,
    ) -> Self {
        let row = &position.original;
        if snapshot.queues_by_id.contains_key(&row.channel) {
            return Self::Queue;
        }
        if is_mailbox(row.group) {
            // The client is told, and does it.
            return Self::Channel {
                id: row.channel,
                edits: true,
                recalls: true,
            };
        }
        let subscription = snapshot.subscriber(row.group).map(AsRef::as_ref);
        let channel = match subscription {
            Some(subscription) => subscription.destination.channel(),
            None => Some(row.group),
        };
        let Some(entry) = channel.and_then(|id| snapshot.channels_by_id.get(&id)) else {
            return Self::Gone;
        };
        let id = entry.meta.id;
        // What another channel sent is not this one's to change.
        let its_own = id == row.channel;
        let context = context(row, subscription, now);
        let edit = |channel: &dyn Channel| channel.edit(message, &[], &context).map(drop);
        let recall = |channel: &dyn Channel| channel.recall(message, &[], &context).map(drop);
        Self::Channel {
            id,
            edits: its_own && can(entry, EDIT, edit),
            recalls: its_own && can(entry, RECALL, recall),
        }
    }
}

/// Whether a channel can do what the manifest's `word` says. A generic channel needs no platform's ids, and may do it in
/// some of its formats only: it is tried.
fn can(
    entry: &ChannelEntry,
    word: &str,
    attempt: impl Fn(&dyn Channel) -> Result<(), Problem>,
) -> bool {
    let manifest = &entry.manifest;
    manifest.capabilities.contains(&word) && (!manifest.generic || attempt(&*entry.channel).is_ok())
}

fn context<'a>(
    row: &'a DeliveryRow,
    subscription: Option<&'a Subscription>,
    now: Timestamp,
) -> Context<'a> {
    Context {
        now,
        delivery: row.id,
        num: row.id.num(),
        attempt: 1,
        possible_duplicate: None,
        subscription: subscription.map(|subscription| subscription.meta.name.as_str()),
        format: subscription.and_then(|subscription| subscription.spec.format.as_deref()),
        target: row.target.as_deref(),
        installation: 0,
        rung: 0,
        media_refused: false,
        links: None,
        step: 0,
        outputs: &[],
        media: None,
        token: None,
        fail_fast_4xx: false,
        cmq_policy: false,
    }
}

/// What holds for the deliveries of a linked message.
pub(super) struct Terms {
    /// Of the topic, in seconds.
    pub(super) max_age: Option<u64>,
    /// When the message is removed, and what is about it.
    pub(super) delete_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// What is done about one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// The linked message gets this delivery.
    Make(NewDelivery, ChangeOutcome),
    /// It gets none.
    Leave(ChangeOutcome),
}

impl Decision {
    pub(super) fn delivery(&self) -> Option<NewDelivery> {
        match self {
            Self::Make(delivery, _) => Some(delivery.clone()),
            Self::Leave(_) => None,
        }
    }

    pub(super) const fn outcome(&self) -> ChangeOutcome {
        match self {
            Self::Make(_, outcome) | Self::Leave(outcome) => *outcome,
        }
    }
}

/// One place that a message went to.
pub(super) struct Position {
    /// `None` for a delivery that another one of the same message took over from.
    place: Option<Place>,
    /// The message's own delivery.
    pub(super) original: DeliveryRow,
    /// Those of its edits, in order.
    pub(super) later: Vec<DeliveryRow>,
}

impl Position {
    pub(super) fn of(row: DeliveryRow) -> Self {
        Self {
            place: Some(Place::of(&row)),
            original: row,
            later: Vec::new(),
        }
    }

    /// What there is at this place, of the deliveries of a linked message.
    pub(super) fn by(&self, places: &HashMap<Place, DeliveryId>) -> Option<DeliveryId> {
        places.get(self.place.as_ref()?).copied()
    }

    /// Another delivery of the message went to the same place after it.
    pub(super) fn take_over(&mut self) {
        self.place = None;
    }

    /// Leaves out the edits from message `num` on.
    pub(super) fn retain_before(&mut self, num: Num) {
        self.later.retain(|row| row.id.num() < num);
    }

    fn rows(&self) -> impl DoubleEndedIterator<Item = &DeliveryRow> {
        std::iter::once(&self.original).chain(&self.later)
    }

    fn newest(&self) -> &DeliveryRow {
        self.later.last().unwrap_or(&self.original)
    }

    pub(super) fn unfinished(&self) -> impl Iterator<Item = DeliveryId> {
        self.rows()
            .filter(|row| !row.state.is_final())
            .map(|row| row.id)
    }

    fn is_delivered(&self) -> bool {
        self.rows().any(|row| row.state == DeliveryState::Delivered)
    }

    /// Whether something of the message can be seen there.
    fn is_out(&self) -> bool {
        self.is_delivered() || self.rows().any(has_parts_out)
    }

    fn in_flight(&self, withdrawn: &HashMap<DeliveryId, Withdrawn>) -> bool {
        self.rows().any(|row| {
            matches!(
                withdrawn.get(&row.id),
                Some(Withdrawn::InFlight | Withdrawn::Moved)
            )
        })
    }

    /// What an edit does here.
    pub(super) fn edited(&self, means: Means, terms: &Terms) -> Decision {
        let open = self.rows().rev().find(|row| !row.state.is_final());
        match (means, open) {
            _ if self.place.is_none() => Decision::Leave(self.closed()),
            (Means::Queue, Some(row)) if !is_leased(row, terms.now) => Decision::Make(
                self.fresh(row, row.channel, terms.now),
                ChangeOutcome::Replaced,
            ),
            (Means::Queue, Some(_)) => Decision::Leave(ChangeOutcome::Unsupported),
            (
                Means::Channel {
                    id, edits: true, ..
                },
                _,
            ) if self.is_out() => Decision::Make(self.linked(id, terms), ChangeOutcome::Requested),
            (Means::Channel { id, .. }, Some(row)) if !self.is_out() => {
                Decision::Make(self.fresh(row, id, terms.now), ChangeOutcome::Replaced)
            }
            (Means::Gone | Means::Queue | Means::Channel { .. }, _) => {
                Decision::Leave(self.closed())
            }
        }
    }

    /// What an edit that has a delivery here came to, once what was unfinished has been taken back.
    pub(super) fn replaced(&self, withdrawn: &HashMap<DeliveryId, Withdrawn>) -> ChangeOutcome {
        let delivered = |row: &DeliveryRow| {
            withdrawn.get(&row.id) == Some(&Withdrawn::Ended(DeliveryState::Delivered))
        };
        if self.in_flight(withdrawn) {
            ChangeOutcome::InFlight
        } else if self.is_out() || self.rows().any(delivered) {
            ChangeOutcome::Requested
        } else {
            ChangeOutcome::Replaced
        }
    }

    /// What a recall does here, once what was unfinished has been taken back.
    pub(super) fn recalled(
        &self,
        means: Means,
        withdrawn: &HashMap<DeliveryId, Withdrawn>,
        terms: &Terms,
    ) -> Decision {
        let in_flight = self.in_flight(withdrawn);
        match means {
            Means::Channel {
                id, recalls: true, ..
            } if self.place.is_some() && (in_flight || self.is_out()) => {
                let outcome = if in_flight {
                    ChangeOutcome::InFlight
                } else {
                    ChangeOutcome::Requested
                };
                Decision::Make(self.linked(id, terms), outcome)
            }
            _ if in_flight => Decision::Leave(ChangeOutcome::InFlight),
            _ => Decision::Leave(self.closed()),
        }
    }

    /// What an earlier recall came to; `asked`: it has a delivery here.
    pub(super) fn recalled_before(
        &self,
        asked: bool,
        withdrawn: &HashMap<DeliveryId, Withdrawn>,
    ) -> ChangeOutcome {
        if self.in_flight(withdrawn) {
            ChangeOutcome::InFlight
        } else if asked {
            ChangeOutcome::Requested
        } else {
            self.closed()
        }
    }

    /// What there is to say where nothing is done.
    fn closed(&self) -> ChangeOutcome {
        if self.is_delivered() {
            return ChangeOutcome::Unsupported;
        }
        match self.newest().state {
            DeliveryState::Cancelled => ChangeOutcome::Cancelled,
            DeliveryState::Dead | DeliveryState::Expired => ChangeOutcome::Ended,
            _ => ChangeOutcome::Unsupported,
        }
    }

    /// The delivery of new content in place of one that has not gone out.
    fn fresh(&self, row: &DeliveryRow, channel: ResourceId, now: Timestamp) -> NewDelivery {
        let scheduled = row.scheduled && row.due > now;
        NewDelivery {
            due: if scheduled { row.due } else { now },
            scheduled,
            ..self.delivery(channel, row.expires_at, now)
        }
    }

    /// The delivery that changes what is out, or takes it back.
    fn linked(&self, channel: ResourceId, terms: &Terms) -> NewDelivery {
        let aged = |seconds| terms.now.plus(Duration::from_secs(seconds));
        let expires_at = terms.max_age.map(aged).into_iter();
        let expires_at = expires_at.chain(terms.delete_at).min();
        self.delivery(channel, expires_at, terms.now)
    }

    /// In the same lane, so that it stands behind the one before it.
    fn delivery(
        &self,
        channel: ResourceId,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> NewDelivery {
        NewDelivery {
            group: self.original.group,
            channel,
            target: self.original.target.clone(),
            lane: self.original.lane,
            due: now,
            scheduled: false,
            expires_at,
        }
    }
}

/// Whether a part of it went out, although it has not come to its end.
fn has_parts_out(row: &DeliveryRow) -> bool {
    let checkpoint = row.checkpoint.as_deref().and_then(Checkpoint::read);
    checkpoint.is_some_and(|checkpoint| {
        let plan = checkpoint.plan.as_ref();
        let steps = plan.into_iter().flat_map(|plan| &plan.steps);
        steps
            .take(checkpoint.delivered.len())
            .any(|step| step.kind.is_seen())
    })
}

/// Whether a consumer holds it; what was given back with a delay is held by nobody.
fn is_leased(row: &DeliveryRow, now: Timestamp) -> bool {
    row.state == DeliveryState::Retrying && !row.scheduled && row.due > now
}
