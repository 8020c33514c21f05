//! Rooms: created, replaced, changed, looked at and removed, each together with the topic that its messages are on. Who is
//! in them is the matter of `sessions`.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::name::{check_name, fold, room_address, room_topic};
use anser_core::resource::{ROOM_NAME_BYTES_MAX, RoomSpec, Scope, TopicSpec};
use anser_core::store::{ConfigChange, ConfigKind};
use serde_json::Value;

use super::change::{
    already_exists, check_revision, delete, delete_subscription, envelope, in_use, internal,
    not_found, put,
};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, Put, RoomView};
use crate::auth::Principal;
use crate::config::{Room, Snapshot};
use crate::gateway::Gateway;
use crate::look::Page;

impl Gateway {
    /// Creates a room and its topic. The same again answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `too_many`, `out_of_range`; 403 without the
    /// right; the store's.
    pub async fn create_room(
        &self,
        principal: &Principal,
        name: &str,
        spec: RoomSpec,
    ) -> Result<Put<RoomView>, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(room) = snapshot.room(name) {
            if room.spec != spec {
                return Err(already_exists("room", &room.meta.name));
            }
            return Ok(unchanged(room));
        }
        self.store_room(&snapshot, None, name, spec).await
    }

    /// Creates or replaces a room. Who is in it and may not come in any more is put out.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_room`].
    pub async fn put_room(
        &self,
        principal: &Principal,
        name: &str,
        spec: RoomSpec,
        expected: Option<u64>,
    ) -> Result<Put<RoomView>, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.room(name);
        check_revision(before.map(|room| &room.meta), expected)?;
        self.store_room(&snapshot, before, name, spec).await
    }

    /// Changes fields of a room (RFC 7396).
    ///
    /// # Errors
    /// As [`Gateway::put_room`]; `room_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_room(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<RoomView, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        let put = self.store_room(&snapshot, Some(before), name, spec).await?;
        Ok(put.view)
    }

    /// A room.
    ///
    /// # Errors
    /// `room_not_found`; 403 without the right.
    pub fn get_room(&self, principal: &Principal, name: &str) -> Result<RoomView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_target("name", &room_address(name))?;
        find(&self.config.load(), name).map(|room| view::room(room))
    }

    /// The rooms that the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_rooms(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<RoomView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let rooms = snapshot.rooms.iter();
        let covered = rooms
            .filter(|(_, room)| principal.covers_target(&room_address(&room.meta.name)))
            .map(|(key, room)| (key.clone(), room))
            .collect();
        page(covered, query, |room| view::room(room))
    }

    /// Removes a room and its topic, with `cascade` also the subscriptions of that; who is in it is put out. Its messages
    /// stay until retention removes them.
    ///
    /// # Errors
    /// `in_use` when its topic has subscriptions and not `cascade`; `room_not_found`, `stale_revision`; 403 without the
    /// right; the store's.
    pub async fn delete_room(
        &self,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let room = find(&snapshot, name)?;
        check_revision(Some(&room.meta), expected)?;
        let mut changes = vec![delete(ConfigKind::Room, fold(&room.meta.name), &room.meta)];
        let mut groups = Vec::new();
        if let Some(topic) = snapshot.topics_by_id.get(&room.topic) {
            if !topic.subscriptions.is_empty() && !cascade {
                let users = topic.subscriptions.iter();
                return Err(in_use(
                    "room",
                    &room.meta.name,
                    users.map(|user| user.meta.name.clone()).collect(),
                    "delete the subscriptions of its topic first, or give cascade=true",
                ));
            }
            let key = fold(&topic.meta.name);
            changes.push(delete(ConfigKind::Topic, key, &topic.meta));
            for user in &topic.subscriptions {
                changes.push(delete_subscription(user));
                groups.extend(snapshot.groups_of(user));
            }
        }
        self.commit(changes).await?;
        self.cancel_groups(groups).await;
        Ok(())
    }

    async fn store_room(
        &self,
        snapshot: &Snapshot,
        before: Option<&Arc<Room>>,
        name: &str,
        spec: RoomSpec,
    ) -> Result<Put<RoomView>, Problem> {
        if let Some(room) = before.filter(|room| room.spec == spec) {
            return Ok(unchanged(room));
        }
        check_name("name", name)?;
        if name.len() > ROOM_NAME_BYTES_MAX {
            let detail = format!("the name of a room has at most {ROOM_NAME_BYTES_MAX} bytes");
            return Err(Problem::invalid("invalid_name", "name", detail));
        }
        spec.check()?;
        let changes = vec![
            self.room_topic(snapshot, name, &spec),
            self.room_document(before, name, spec),
        ];
        let next = self.commit(changes).await?;
        let room = next
            .room(name)
            .ok_or_else(|| internal("the room was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::room(room),
        })
    }

    fn room_document(
        &self,
        before: Option<&Arc<Room>>,
        name: &str,
        spec: RoomSpec,
    ) -> ConfigChange {
        let meta = before.map(|room| &room.meta);
        let document = envelope(meta, name, spec, self.clock.now());
        put(ConfigKind::Room, fold(name), &document, meta)
    }

    /// The topic of a room keeps messages as long as the room's history is.
    fn room_topic(&self, snapshot: &Snapshot, name: &str, spec: &RoomSpec) -> ConfigChange {
        let topic = room_topic(name);
        let before = snapshot.topic(&topic);
        let kept = TopicSpec {
            retention: spec.history,
            ..before.map(|topic| topic.spec.clone()).unwrap_or_default()
        };
        let meta = before.map(|topic| &topic.meta);
        let document = envelope(meta, &topic, kept, self.clock.now());
        put(ConfigKind::Topic, fold(&topic), &document, meta)
    }
}

fn may_change(principal: &Principal, name: &str) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_target("name", &room_address(name))
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Room>, Problem> {
    snapshot
        .room(name)
        .ok_or_else(|| not_found("room_not_found", "room", name))
}

fn unchanged(room: &Room) -> Put<RoomView> {
    Put {
        created: false,
        view: view::room(room),
    }
}
