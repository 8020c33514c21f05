//! Where an accepted message goes: the subscriptions of its topic that take it, and its direct addresses. Pure: decides
//! from the configuration and the message alone. Whether a queue has room is decided beside it (`room`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::limits::DELIVERIES_PER_REQUEST_MAX;
use anser_core::message::Header;
use anser_core::name::{Address, UserId, room_topic};
use anser_core::resource::{Ordering, QueueOrdering};
use anser_core::store::NewDelivery;
use anser_core::{Message, Problem, ProblemKind, Timestamp};

use crate::auth::Principal;
use crate::bridge::{self, Taken};
use crate::config::{Bridge, ChannelEntry, Destination, QueueEntry, Snapshot, Topic};
use crate::lane::{self, lane};
use crate::mailbox;

/// When the deliveries of one message may start and when they end.
#[derive(Clone, Copy)]
struct Times {
    due: Timestamp,
    scheduled: bool,
    expires_at: Option<Timestamp>,
}

/// Where a direct address leads.
enum Resolved<'a> {
    Channel(&'a ChannelEntry, Option<String>),
    Queue(&'a QueueEntry),
    User(UserId, Option<String>),
    Room,
}

impl Times {
    fn of(header: &Header, topic: &Topic) -> Self {
        let aged = topic
            .spec
            .max_age
            .map(|seconds| header.time.plus(Duration::from_secs(seconds)));
        let ends = [header.expires_at, header.delete_at, aged];
        let due = header.not_before.unwrap_or(header.time).max(header.time);
        Self {
            due,
            scheduled: due > header.time,
            expires_at: ends.into_iter().flatten().min(),
        }
    }
}

/// How many more deliveries the request may make.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(DELIVERIES_PER_REQUEST_MAX)
    }

    fn take(&mut self) -> Result<(), Problem> {
        self.0 = self.0.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }
}

/// The code of a request that makes more deliveries than it may; it refuses the whole request, not an item.
pub(super) const TOO_MANY_DELIVERIES: &str = "too_many_deliveries";

fn too_many() -> Problem {
    Problem::new(
        ProblemKind::TooLarge,
        TOO_MANY_DELIVERIES,
        format!(
            "one request may make at most {DELIVERIES_PER_REQUEST_MAX} deliveries; split it, or narrow the filters"
        ),
    )
}

/// The deliveries of `message` on `topic`.
///
/// # Errors
/// 422 `unknown_channel` or `unknown_queue`, 403 for an address outside the caller's rights, 413 `too_many_deliveries`.
pub(super) fn deliveries(
    snapshot: &Snapshot,
    topic: &Topic,
    message: &Message,
    principal: &Principal,
    budget: &mut Budget,
) -> Result<Vec<NewDelivery>, Problem> {
    let header = &message.header;
    let times = Times::of(header, topic);
    let mut routed = Vec::with_capacity(topic.subscriptions.len() + header.to.len());
    let mut taken = Taken::default();
    for subscription in &topic.subscriptions {
        if !subscription.filter.matches(message) {
            continue;
        }
        if let Some(bridge) = &subscription.bridge {
            cross(bridge, message, times, &mut taken, budget, &mut routed)?;
            continue;
        }
        budget.take()?;
        let channel = match subscription.destination {
            Destination::Channel(channel) => channel,
            Destination::Queue(queue) => {
                // It is the queue's from now on: the subscription may go, the delivery stays.
                let queue = snapshot.queues_by_id.get(&queue);
                routed.extend(queue.map(|queue| queued(queue, header, times)));
                continue;
            }
            // It was routed above.
            Destination::Bridge => continue,
        };
        let (group, target) = (subscription.meta.id, subscription.spec.target.as_deref());
        routed.push(NewDelivery {
            group,
            channel,
            target: target.map(str::to_owned),
            lane: lane(
                subscription.ordering,
                group,
                target,
                subscription.chat,
                header,
            ),
            due: times.due,
            scheduled: times.scheduled,
            expires_at: times.expires_at,
        });
    }
    if !header.to.is_empty() {
        direct(snapshot, header, times, principal, budget, &mut routed)?;
    }
    Ok(routed)
}

/// The deliveries of a bridge: each chat gets everything in one lane.
fn cross<'a>(
    bridge: &'a Bridge,
    message: &Message,
    times: Times,
    taken: &mut Taken<'a>,
    budget: &mut Budget,
    routed: &mut Vec<NewDelivery>,
) -> Result<(), Problem> {
    let Some(event) = bridge::event(message) else {
        return Ok(());
    };
    for chat in bridge::others(bridge, &event) {
        if !taken.take(chat) {
            continue;
        }
        budget.take()?;
        routed.push(NewDelivery {
            group: chat.leg,
            channel: chat.channel,
            target: chat.target.clone(),
            lane: Some(lane::of_target(chat.leg, chat.target.as_deref())),
            due: times.due,
            scheduled: times.scheduled,
            expires_at: times.expires_at,
        });
    }
    Ok(())
}

/// A delivery into a queue: its group and its channel are the queue.
fn queued(queue: &QueueEntry, header: &Header, times: Times) -> NewDelivery {
    let group = queue.meta.id;
    let ordering = match queue.spec.ordering {
        QueueOrdering::None => Ordering::None,
        QueueOrdering::Key => Ordering::Key,
    };
    NewDelivery {
        group,
        channel: group,
        target: None,
        lane: lane(ordering, group, None, false, header),
        due: times.due,
        scheduled: times.scheduled,
        expires_at: times.expires_at,
    }
}

/// An address given twice is one destination.
fn direct(
    snapshot: &Snapshot,
    header: &Header,
    times: Times,
    principal: &Principal,
    budget: &mut Budget,
    routed: &mut Vec<NewDelivery>,
) -> Result<(), Problem> {
    let mut seen: HashSet<(ResourceId, Option<String>)> = HashSet::new();
    // The place of each user's delivery.
    let mut users: HashMap<ResourceId, usize> = HashMap::new();
    for (i, text) in header.to.iter().enumerate() {
        let (channel, target) = match resolve(snapshot, principal, &header.topic, (i, text))? {
            Resolved::User(user, resource) => {
                let address = (&user, resource);
                mail(address, header, times, budget, &mut users, routed)?;
                continue;
            }
            Resolved::Room => continue,
            Resolved::Channel(channel, target) => (channel, target),
            Resolved::Queue(queue) => {
                if seen.insert((queue.meta.id, None)) {
                    budget.take()?;
                    routed.push(queued(queue, header, times));
                }
                continue;
            }
        };
        if !seen.insert((channel.meta.id, target.clone())) {
            continue;
        }
        budget.take()?;
        let group = channel.meta.id;
        routed.push(NewDelivery {
            group,
            channel: group,
            lane: lane(
                channel.ordering,
                group,
                target.as_deref(),
                !channel.manifest.generic,
                header,
            ),
            target,
            due: times.due,
            scheduled: times.scheduled,
            expires_at: times.expires_at,
        });
    }
    Ok(())
}

/// A delivery into a user's mailbox; several of the user's sessions are the user.
fn mail(
    (user, resource): (&UserId, Option<String>),
    header: &Header,
    times: Times,
    budget: &mut Budget,
    users: &mut HashMap<ResourceId, usize>,
    routed: &mut Vec<NewDelivery>,
) -> Result<(), Problem> {
    let group = mailbox::group_of(user);
    let target = match resource {
        Some(resource) => format!("{user}/{resource}"),
        None => user.to_string(),
    };
    let earlier = users.get(&group).map(|place| &mut routed[*place]);
    if let Some(earlier) = earlier
        && mailbox::is_of(earlier.target.as_deref(), user)
    {
        if earlier.target.as_ref() != Some(&target) {
            earlier.target = Some(user.to_string());
        }
        return Ok(());
    }
    budget.take()?;
    users.insert(group, routed.len());
    let aged = header.time.max(times.due).plus(mailbox::MAIL_AGE_MAX);
    routed.push(NewDelivery {
        group,
        channel: group,
        target: Some(target),
        lane: None,
        due: times.due,
        scheduled: times.scheduled,
        expires_at: Some(times.expires_at.map_or(aged, |at| at.min(aged))),
    });
    Ok(())
}

fn resolve<'a>(
    snapshot: &'a Snapshot,
    principal: &Principal,
    topic: &str,
    (place, text): (usize, &str),
) -> Result<Resolved<'a>, Problem> {
    let field = || format!("header.to[{place}]");
    let address = Address::parse(&field(), text)?;
    principal.require_target(&field(), text)?;
    let unknown = |code, what, name: &str| {
        Problem::invalid(
            code,
            field(),
            format!("there is no {what} {name}; create it first"),
        )
    };
    match address {
        Address::Channel { name, target } => match snapshot.channel(&name) {
            Some(channel) => Ok(Resolved::Channel(channel, target)),
            None => Err(unknown("unknown_channel", "channel", &name)),
        },
        Address::Queue(name) => match snapshot.queue(&name) {
            Some(queue) => Ok(Resolved::Queue(queue)),
            None => Err(unknown("unknown_queue", "queue", &name)),
        },
        Address::User { id, resource } => Ok(Resolved::User(id, resource)),
        // It is on the topic of the room by now: that is all.
        Address::Room(name) if is_on_topic_of(topic, &name) => Ok(Resolved::Room),
        Address::Room(_) => Err(room_alone(&field())),
    }
}

/// A message is on one topic, and a room's are on the room's.
pub(super) fn room_alone(field: &str) -> Problem {
    Problem::invalid(
        "room_alone",
        field,
        "a message to a room goes to that room alone; publish it to its other addresses once more",
    )
}

/// Whether a message is on the topic of a room.
fn is_on_topic_of(topic: &str, room: &str) -> bool {
    topic.eq_ignore_ascii_case(&room_topic(room))
}

/// Checks the fields that say where an answer goes: they address somebody too.
///
/// # Errors
/// 403, naming the address.
pub(super) fn check_rights(header: &Header, principal: &Principal) -> Result<(), Problem> {
    if let Some(conversation) = &header.conversation {
        principal.require_target("header.conversation.id", &conversation.id)?;
    }
    if header.reply_to.is_some() {
        principal.require_direct("header.reply_to")?;
    }
    Ok(())
}
