//! Messages to rooms: each is on its room's own topic, so that who comes later can read what was said. A room that keeps
//! nothing has its messages given to those who are there, and that is all.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::message::Item;
use anser_core::name::{Address, ROOM_PREFIX, TOPIC_DIRECT, room_topic};

use super::prepare::Request;
use super::route::room_alone;
use super::{PublishOptions, Published, Results, check_count, not_found};
use crate::auth::Principal;
use crate::config::{Room, Snapshot};
use crate::gateway::Gateway;

/// Whether an item is addressed to a room.
pub(super) fn is_for_room(item: &Item) -> bool {
    item.header.to.iter().any(|to| to.starts_with(ROOM_PREFIX))
}

/// The room that an item is for alone.
///
/// # Errors
/// 422 `room_alone`, `invalid_address` or `unknown_room`; 403 `address_not_allowed`.
fn room_of<'s>(
    snapshot: &'s Snapshot,
    principal: &Principal,
    item: &Item,
) -> Result<&'s Arc<Room>, Problem> {
    let field = "header.to[0]";
    let [to] = item.header.to.as_slice() else {
        return Err(room_alone(field));
    };
    let address = Address::parse(field, to)?;
    // Whether there is one is for those to know who may write to it.
    principal.require_target(field, to)?;
    match address {
        Address::Room(name) => snapshot.room(&name).ok_or_else(|| {
            let detail = format!("there is no room {name}; create it first");
            Problem::invalid("unknown_room", field, detail)
        }),
        Address::Channel { .. } | Address::Queue(_) | Address::User { .. } => {
            Err(room_alone(field))
        }
    }
}

impl Gateway {
    /// Publishes items of which some are for rooms, one by one.
    ///
    /// # Errors
    /// As [`Gateway::publish_direct`]; 422 `atomic_rooms`.
    pub(super) async fn publish_to_rooms(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        items: Vec<Result<Item, Problem>>,
        options: &PublishOptions,
    ) -> Result<Results, Problem> {
        check_count(items.len(), self.options.limits.batch_messages_max)?;
        let alone = items.len() == 1;
        if options.atomic && !alone {
            return Err(Problem::invalid(
                "atomic_rooms",
                "atomic",
                "messages to rooms are on topics of their own, so they cannot be published all or none with others",
            ));
        }
        let mut results = Results::with_capacity(items.len());
        for item in items {
            match self.publish_one(snapshot, principal, item, options).await {
                Err(problem) if alone => return Err(problem),
                result => results.push(result),
            }
        }
        Ok(results)
    }

    async fn publish_one(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        item: Result<Item, Problem>,
        options: &PublishOptions,
    ) -> Result<Published, Problem> {
        let item = item?;
        let topic = if is_for_room(&item) {
            let room = room_of(snapshot, principal, &item)?;
            if room.spec.history == 0 {
                return self.say_in_room(snapshot, principal, room, item);
            }
            snapshot.topics_by_id.get(&room.topic)
        } else {
            snapshot.topic(TOPIC_DIRECT)
        };
        let topic = topic.ok_or_else(|| not_found(TOPIC_DIRECT))?;
        let items = vec![Ok(item)];
        let request = Request {
            snapshot,
            topic,
            principal,
            options,
            blobs: self.known_blobs(&items).await?,
            linked: None,
            remember: None,
        };
        let mut results = self.publish_request(&request, items).await?;
        results
            .pop()
            .unwrap_or_else(|| Err(not_found(TOPIC_DIRECT)))
    }

    /// Gives a message to those who are in a room that keeps nothing.
    fn say_in_room(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        room: &Room,
        item: Item,
    ) -> Result<Published, Problem> {
        let topic = snapshot.topics_by_id.get(&room.topic);
        let topic = topic.map_or_else(
            || room_topic(&room.meta.name),
            |topic| topic.meta.name.clone(),
        );
        let (id, there) = self.transmit(principal, None, item, None)?;
        Ok(Published {
            id,
            topic,
            seq: None,
            matched: Some(there),
            duplicate: false,
            durable: false,
            deliveries: None,
            settled: true,
        })
    }
}
