//! Whether what bounds its backlog has room: a topic by bytes, a queue by messages, and every queue by the messages that
//! wait for their time, a mailbox by both. Read once a request, so requests side by side may pass a bound by what they bring. A queue's
//! bounds are for what is sent straight to it: what a subscription brings was accepted by its topic.

use std::collections::{HashMap, HashSet};

use anser_core::id::ResourceId;
use anser_core::message::Item;
use anser_core::name::{QUEUE_PREFIX, USER_PREFIX, UserId};
use anser_core::store::{Depth, NewDelivery};
use anser_core::{Problem, ProblemKind};

use crate::config::{QueueEntry, Snapshot, Topic};
use crate::gateway::Gateway;
use crate::intake::Staged;
use crate::mailbox::{MAILBOX_BYTES_MAX, MAILBOX_MESSAGES_MAX, group_of, user_in};
use crate::refusal::store_problem;

/// Messages in a queue that wait for their time, given a delay when they were sent or given back.
pub const QUEUE_DELAYED_MAX: u64 = 100_000;

/// What a request may still add.
pub(super) struct Room {
    /// Bytes that the topic's backlog may still take; `None`: it has no bound.
    topic: Option<u64>,
    /// Only queues that have a bound and are sent to.
    queues: HashMap<ResourceId, QueueRoom>,
    /// Mailboxes that messages of the request went to: messages and bytes that each may still take.
    mailboxes: HashMap<ResourceId, (u64, u64)>,
}

/// `None`: no bound.
#[derive(Default)]
struct QueueRoom {
    messages: Option<u64>,
    delayed: Option<u64>,
}

/// What the items of a request bring to one queue.
#[derive(Default)]
struct Sent {
    messages: u64,
    delayed: u64,
}

impl Gateway {
    /// What the request may still add, by the store's memory of its backlog; delayed messages are counted only in a
    /// queue that is deep enough to hold too many.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn room(
        &self,
        snapshot: &Snapshot,
        topic: &Topic,
        items: &[Result<Item, Problem>],
    ) -> Result<Room, Problem> {
        let sent = sent(snapshot, items);
        let depths = if topic.spec.max_bytes.is_some() {
            self.store.depths()
        } else {
            Vec::new()
        };
        let mut queues = HashMap::new();
        for (queue, sent) in sent {
            if sent.delayed == 0 && queue.spec.max_messages.is_none() {
                continue;
            }
            let depths = self.store.depths_of(queue.meta.id).into_iter();
            let depth = depths.map(|depth| depth.count).sum::<u64>();
            let mut room = QueueRoom {
                messages: queue
                    .spec
                    .max_messages
                    .map(|most| most.saturating_sub(depth)),
                delayed: None,
            };
            if sent.delayed > 0 && depth.saturating_add(sent.messages) > QUEUE_DELAYED_MAX {
                room.delayed = Some(self.delayed_room(queue.meta.id).await?);
            }
            queues.insert(queue.meta.id, room);
        }
        Ok(Room {
            topic: topic_room(topic, &depths),
            queues,
            mailboxes: self.mailbox_rooms(items),
        })
    }

    /// What the mailboxes of the users that are addressed may still take.
    fn mailbox_rooms(&self, items: &[Result<Item, Problem>]) -> HashMap<ResourceId, (u64, u64)> {
        let addresses = items.iter().flatten().flat_map(|item| &item.header.to);
        let users = addresses.filter_map(|address| address.strip_prefix(USER_PREFIX));
        let users: HashSet<&str> = users.map(user_in).collect();
        let mailboxes = users.into_iter().filter_map(|user| {
            let group = group_of(&UserId::parse("to", user).ok()?);
            let depths = self.store.depths_of(group).into_iter();
            let (count, bytes) = depths.fold((0, 0), |(count, bytes), depth| {
                (count + depth.count, bytes + depth.bytes)
            });
            let left = MAILBOX_MESSAGES_MAX.saturating_sub(count);
            Some((group, (left, MAILBOX_BYTES_MAX.saturating_sub(bytes))))
        });
        mailboxes.collect()
    }

    async fn delayed_room(&self, queue: ResourceId) -> Result<u64, Problem> {
        let now = self.clock.now();
        let counts = self.store.queue_counts(queue, now, now).await;
        let delayed = counts.map_err(store_problem)?.delayed;
        Ok(QUEUE_DELAYED_MAX.saturating_sub(delayed))
    }
}

impl Room {
    /// Takes the room that a message needs; nothing is taken when it is refused.
    ///
    /// # Errors
    /// 429 `topic_full`, `queue_full`, `too_many_delayed`.
    pub(super) fn take(
        &mut self,
        snapshot: &Snapshot,
        topic: &Topic,
        staged: Staged,
    ) -> Result<Staged, Problem> {
        let header = &staged.message.header;
        let delayed = header.not_before.is_some_and(|at| at > header.time);
        let queues: HashSet<ResourceId> = queues_of(snapshot, &header.to)
            .map(|queue| queue.meta.id)
            .collect();
        for id in &queues {
            if let Some(room) = self.queues.get(id) {
                room.check(name(snapshot, *id), delayed)?;
            }
        }
        // A message that nothing is to deliver takes no room: the bound is on what waits.
        let bytes = staged.new.document.len() as u64;
        self.check_mailboxes(&staged.new.deliveries, bytes)?;
        let needed = bytes.saturating_mul(staged.new.deliveries.len() as u64);
        if let Some(left) = &mut self.topic {
            *left = left.checked_sub(needed).ok_or_else(|| topic_full(topic))?;
        }
        for id in &queues {
            if let Some(room) = self.queues.get_mut(id) {
                room.take(delayed);
            }
        }
        Ok(staged)
    }
}

impl Room {
    fn check_mailboxes(&mut self, deliveries: &[NewDelivery], bytes: u64) -> Result<(), Problem> {
        if self.mailboxes.is_empty() {
            return Ok(());
        }
        for delivery in deliveries {
            let room = self.mailboxes.get(&delivery.group);
            if room.is_some_and(|(count, left)| *count == 0 || *left < bytes) {
                return Err(mailbox_full(delivery.target.as_deref().unwrap_or_default()));
            }
        }
        for delivery in deliveries {
            if let Some((count, left)) = self.mailboxes.get_mut(&delivery.group) {
                *count = count.saturating_sub(1);
                *left = left.saturating_sub(bytes);
            }
        }
        Ok(())
    }
}

impl QueueRoom {
    fn check(&self, name: &str, delayed: bool) -> Result<(), Problem> {
        if self.messages == Some(0) {
            return Err(Problem::new(
                ProblemKind::TooMany,
                "queue_full",
                format!(
                    "the queue {name} holds as many messages as its max_messages allows; try again when some are received and acknowledged"
                ),
            ));
        }
        if delayed && self.delayed == Some(0) {
            return Err(Problem::new(
                ProblemKind::TooMany,
                "too_many_delayed",
                format!(
                    "{QUEUE_DELAYED_MAX} messages of the queue {name} wait for their time already; send this one without delay, or try again later"
                ),
            ));
        }
        Ok(())
    }

    fn take(&mut self, delayed: bool) {
        let less = |left: Option<u64>| left.map(|left| left.saturating_sub(1));
        self.messages = less(self.messages);
        if delayed {
            self.delayed = less(self.delayed);
        }
    }
}

/// What the items send straight to queues. Addresses that are no good are refused later.
fn sent<'a>(
    snapshot: &'a Snapshot,
    items: &[Result<Item, Problem>],
) -> Vec<(&'a QueueEntry, Sent)> {
    let mut sent: HashMap<ResourceId, (&QueueEntry, Sent)> = HashMap::new();
    for item in items.iter().flatten() {
        for queue in queues_of(snapshot, &item.header.to) {
            let (_, sent) = sent
                .entry(queue.meta.id)
                .or_insert_with(|| (queue, Sent::default()));
            sent.messages += 1;
            sent.delayed += u64::from(item.header.not_before.is_some());
        }
    }
    sent.into_values().collect()
}

fn queues_of<'a>(snapshot: &'a Snapshot, to: &[String]) -> impl Iterator<Item = &'a QueueEntry> {
    to.iter()
        .filter_map(|address| address.strip_prefix(QUEUE_PREFIX))
        .filter_map(|name| snapshot.queue(name))
        .map(AsRef::as_ref)
}

fn name(snapshot: &Snapshot, queue: ResourceId) -> &str {
    snapshot
        .queues_by_id
        .get(&queue)
        .map_or("", |queue| queue.meta.name.as_str())
}

fn topic_room(topic: &Topic, depths: &[Depth]) -> Option<u64> {
    let most = topic.spec.max_bytes?;
    let of_topic = depths.iter().filter(|depth| depth.topic == topic.meta.id);
    let waiting: u64 = of_topic.map(|depth| depth.bytes).sum();
    Some(most.saturating_sub(waiting))
}

fn mailbox_full(user: &str) -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "mailbox_full",
        format!(
            "{MAILBOX_MESSAGES_MAX} messages or {MAILBOX_BYTES_MAX} bytes wait for {USER_PREFIX}{user} already; try again when some were taken, or give the messages an expires_at"
        ),
    )
}

fn topic_full(topic: &Topic) -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "topic_full",
        format!(
            "the messages of {} that wait for delivery have reached its max_bytes; try again when some are delivered",
            topic.meta.name
        ),
    )
}
