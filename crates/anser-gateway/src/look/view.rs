//! From rows to what users see: numbers become names, and `held` is derived from what is paused or disabled.

use anser_core::delivery::DeliveryState;
use anser_core::id::{MessageId, ResourceId};
use anser_core::store::{DeliveryRow, Group, LinkKind, Linked, MessageRow};
use anser_core::{Problem, ProblemKind};
use serde_json::value::RawValue;

use super::{DeliveryView, MessageView, ViewState};
use crate::config::Snapshot;
use crate::mailbox::is_mailbox;

/// The names behind the numbers, at one moment.
#[derive(Clone, Copy)]
pub struct Names<'a>(&'a Snapshot);

impl<'a> Names<'a> {
    /// The names in force.
    #[must_use]
    pub const fn of(snapshot: &'a Snapshot) -> Self {
        Self(snapshot)
    }

    /// A topic's name.
    #[must_use]
    pub fn topic(&self, id: ResourceId) -> Option<&'a str> {
        let topic = self.0.topics_by_id.get(&id)?;
        Some(&topic.meta.name)
    }

    /// A subscription's name; `None` for a direct address.
    #[must_use]
    pub fn subscription(&self, group: Group) -> Option<&'a str> {
        let subscription = self.0.subscriber(group)?;
        Some(&subscription.meta.name)
    }

    /// A channel's name.
    #[must_use]
    pub fn channel(&self, id: ResourceId) -> Option<&'a str> {
        let channel = self.0.channels_by_id.get(&id)?;
        Some(&channel.meta.name)
    }

    /// A queue's name.
    #[must_use]
    pub fn queue(&self, id: ResourceId) -> Option<&'a str> {
        let queue = self.0.queues_by_id.get(&id)?;
        Some(&queue.meta.name)
    }

    /// Whether the delivery still has somewhere to go.
    #[must_use]
    pub fn has_destination(&self, row: &DeliveryRow) -> bool {
        if self.0.queues_by_id.contains_key(&row.channel) || is_mailbox(row.group) {
            return true;
        }
        let direct = row.group == row.channel;
        self.0.channels_by_id.contains_key(&row.channel)
            && (direct || self.0.subscriber(row.group).is_some())
    }

    /// Whether what the delivery goes through is paused or disabled.
    fn holds(&self, row: &DeliveryRow) -> bool {
        let paused = self
            .0
            .subscriber(row.group)
            .is_some_and(|subscription| subscription.spec.paused);
        paused
            || self
                .0
                .channels_by_id
                .get(&row.channel)
                .is_some_and(|channel| {
                    channel.spec.paused || channel.endpoint.disabled_at.is_some()
                })
    }

    /// The state as users see it.
    #[must_use]
    pub fn state(&self, row: &DeliveryRow) -> ViewState {
        match row.state {
            DeliveryState::Delivered => ViewState::Delivered,
            DeliveryState::Dead => ViewState::Dead,
            DeliveryState::Expired => ViewState::Expired,
            DeliveryState::Cancelled => ViewState::Cancelled,
            _ if self.holds(row) => ViewState::Held,
            DeliveryState::Pending => ViewState::Pending,
            DeliveryState::Retrying => ViewState::Retrying,
            DeliveryState::Waiting => ViewState::Waiting,
        }
    }
}

impl ViewState {
    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// The stored states that may show as this one.
    pub(super) fn stored(self) -> Vec<DeliveryState> {
        match self {
            Self::Pending => vec![DeliveryState::Pending],
            Self::Retrying => vec![DeliveryState::Retrying],
            Self::Waiting => vec![DeliveryState::Waiting],
            Self::Held => vec![
                DeliveryState::Pending,
                DeliveryState::Retrying,
                DeliveryState::Waiting,
            ],
            Self::Delivered => vec![DeliveryState::Delivered],
            Self::Dead => vec![DeliveryState::Dead],
            Self::Expired => vec![DeliveryState::Expired],
            Self::Cancelled => vec![DeliveryState::Cancelled],
        }
    }
}

impl DeliveryView {
    /// A row of message `message_id` as users see it, without its attempts.
    #[must_use]
    pub fn of(row: &DeliveryRow, message_id: MessageId, names: &Names<'_>) -> Self {
        let state = names.state(row);
        let tried_next = matches!(state, ViewState::Pending | ViewState::Retrying);
        Self {
            id: row.id,
            message_id,
            topic: names.topic(row.topic).map(str::to_owned),
            subscription: names.subscription(row.group).map(str::to_owned),
            channel: names.channel(row.channel).map(str::to_owned),
            queue: names.queue(row.channel).map(str::to_owned),
            target: row.target.clone(),
            state,
            next_attempt_at: tried_next.then_some(row.due),
            ended_at: row.state.is_final().then_some(row.due),
            accepted_at: row.accepted,
            expires_at: row.expires_at,
            attempts: row.attempts,
            ordered: row.ordered,
            possible_duplicate: row.possible_duplicate,
            reported: None,
            attempt_log: None,
        }
    }

    /// Whether its first attempt is over, or it ended without one; what is in a queue has arrived.
    #[must_use]
    pub const fn was_tried(&self) -> bool {
        self.attempts > 0 || self.ended_at.is_some() || self.queue.is_some()
    }
}

impl MessageView {
    /// A stored message as users see it.
    ///
    /// # Errors
    /// 500 `store_damaged` when the stored bytes are no JSON.
    pub(super) fn of(row: &MessageRow) -> Result<Self, Problem> {
        let message: Box<RawValue> = serde_json::from_slice(&row.document).map_err(|error| {
            tracing::error!(message = %row.id, %error, "a stored message is no JSON");
            Problem::new(
                ProblemKind::Internal,
                "store_damaged",
                format!("message {} is damaged", row.id),
            )
        })?;
        Ok(Self {
            seq: row.num.0,
            message,
            edits: Vec::new(),
            edited_at: None,
            recalled_at: None,
            fetched: Vec::new(),
        })
    }

    /// With what is about it.
    pub(super) fn with_links(mut self, links: &[Linked]) -> Self {
        for linked in links {
            match linked.kind {
                LinkKind::Edited => {
                    self.edits.push(linked.id);
                    self.edited_at = Some(linked.time);
                }
                LinkKind::Recalled => self.recalled_at = Some(linked.time),
                LinkKind::Fetched => self.fetched.push(linked.id),
            }
        }
        self
    }
}
