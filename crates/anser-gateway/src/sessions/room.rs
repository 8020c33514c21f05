//! Who may be in a room: whoever the room lets in, or whose key or token names it. A room that changes puts out who may not
//! be there any more.

use std::borrow::Cow;
use std::sync::Arc;

use anser_core::message::Item;
use anser_core::name::{Address, room_address};
use anser_core::{Problem, ProblemKind};

use super::Session;
use crate::auth::Principal;
use crate::config::{Room, Snapshot};
use crate::live::forbidden;
use crate::live::{Facts, Sessions, plan};

fn may_enter(facts: &Facts, room: &Room) -> bool {
    facts.rights.covers_room(&room.meta.name) || room.spec.lets_in(facts.user.as_ref())
}

impl Session {
    /// A room that the session may be in. Which rooms there are is not for everybody to know: one that the session may not
    /// be in is refused as one that is not there.
    ///
    /// # Errors
    /// 404 `room_not_found`, 403 `room_not_allowed`.
    pub(super) fn room<'s>(
        &self,
        snapshot: &'s Snapshot,
        name: &str,
    ) -> Result<&'s Arc<Room>, Problem> {
        match snapshot.room(name) {
            Some(room) if may_enter(&self.facts, room) => return Ok(room),
            None if self.facts.rights.covers_room(name) => {
                let detail = format!("there is no room {name}; create it first");
                let problem = Problem::new(ProblemKind::NotFound, "room_not_found", detail);
                return Err(problem.field("room"));
            }
            Some(_) | None => {}
        }
        let detail = format!(
            "this session may not be in a room {name}: there is none that is open or has the user as a member, and the key or token does not name it"
        );
        Err(forbidden("room_not_allowed", detail).field("room"))
    }

    /// As whom the session publishes a message: where a room lets its user in, that is a right to publish there.
    pub(super) fn publisher(&self, item: &Item) -> Cow<'_, Principal> {
        let identity = &self.identity;
        let mut principal = Cow::Borrowed(&identity.principal);
        let snapshot = self.gateway.config.load();
        for to in &item.header.to {
            let Ok(Address::Room(name)) = Address::parse("to", to) else {
                continue;
            };
            let room = snapshot.room(&name);
            let lets_in = room.is_some_and(|room| room.spec.lets_in(identity.user.as_ref()));
            if lets_in && !principal.covers_target(to) {
                let targets = &mut principal.to_mut().targets;
                targets.get_or_insert_default().push(room_address(&name));
            }
        }
        principal
    }
}

impl Sessions {
    /// Puts out who may not be in a room any more, and who reads a topic or is in a room that is gone.
    pub(crate) fn rooms_changed(&self, before: &Snapshot, next: &Snapshot) {
        let topics = before.topics_by_id.keys();
        let gone = topics.filter(|id| !next.topics_by_id.contains_key(id));
        let gone: Vec<_> = gone.copied().collect();
        let changed: Vec<&Arc<Room>> = next
            .rooms
            .iter()
            .filter(|(key, room)| {
                before
                    .rooms
                    .get(*key)
                    .is_some_and(|was| !Arc::ptr_eq(was, room))
            })
            .map(|(_, room)| room)
            .collect();
        if gone.is_empty() && changed.is_empty() {
            return;
        }
        self.change(|state, now| {
            for topic in gone {
                for number in state.plan.readers(topic) {
                    state.plan.put_out(number, topic, plan::Why::Gone, now);
                }
            }
            for room in changed {
                for number in state.plan.readers(room.topic) {
                    let seat = state.seats.get(&number);
                    let stays = seat.is_some_and(|seat| may_enter(&seat.facts, room));
                    if !stays {
                        state
                            .plan
                            .put_out(number, room.topic, plan::Why::NotAllowed, now);
                    }
                }
            }
        });
    }
}
