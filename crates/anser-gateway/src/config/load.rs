//! From the store to the snapshot: everything at start, then change by change. What a change does not touch is shared
//! with the snapshot before it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::channel::ChannelKind;
use anser_core::id::ResourceId;
use anser_core::name::{TOPIC_DEAD, TOPIC_DIRECT, TOPIC_OPS, TOPIC_PRESENCE, fold};
use anser_core::resource::TopicSpec;
use anser_core::store::{ConfigChange, ConfigKind, ConfigRow, Store, StoreError};

use super::document::{Envelope, LoadError, write};
use super::held::Held;
use super::{Key, Snapshot, Subscription, Topic, compile};
use crate::secrets::Sealer;

/// Reads the whole configuration; at first start it creates the system topics.
///
/// # Errors
/// [`LoadError`], naming the resource at fault and the remedy.
pub async fn load(
    store: &dyn Store,
    registry: &[Box<dyn ChannelKind>],
    sealer: &Sealer,
    now: Timestamp,
) -> Result<Snapshot, LoadError> {
    let mut rows = store.config_list().await?;
    rows.extend(create_system_topics(store, &rows, now).await?);
    let empty = Snapshot {
        kinds: Arc::new(compile::kinds(registry)),
        ..Snapshot::default()
    };
    let changes = Changes {
        put: rows,
        deleted: Vec::new(),
    };
    empty.with(changes, registry, sealer)
}

async fn create_system_topics(
    store: &dyn Store,
    rows: &[ConfigRow],
    now: Timestamp,
) -> Result<Vec<ConfigRow>, StoreError> {
    let missing: Vec<ConfigChange> = [TOPIC_DIRECT, TOPIC_DEAD, TOPIC_OPS, TOPIC_PRESENCE]
        .into_iter()
        .filter(|name| {
            !rows
                .iter()
                .any(|row| row.kind == ConfigKind::Topic && row.key == *name)
        })
        .map(|name| ConfigChange::Put {
            kind: ConfigKind::Topic,
            key: name.to_owned(),
            document: write(&Envelope::new(name, now, now, TopicSpec::default())),
            expected: Some(0),
        })
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    store.config_apply(missing).await
}

/// The keys alone, for the command line on a stopped server, which need not have the master key.
///
/// # Errors
/// [`LoadError`].
pub(crate) async fn load_keys(store: &dyn Store) -> Result<Vec<Arc<Key>>, LoadError> {
    let rows = store.config_list().await?;
    rows.iter()
        .filter(|row| row.kind == ConfigKind::Key)
        .map(|row| compile::key(row).map(Arc::new))
        .collect()
}

/// What a commit changed.
pub(crate) struct Changes {
    /// The documents put.
    pub(crate) put: Vec<ConfigRow>,
    /// Kind and key of those deleted.
    pub(crate) deleted: Vec<(ConfigKind, String)>,
}

impl Snapshot {
    /// The snapshot after a commit.
    ///
    /// # Errors
    /// [`LoadError`] when a document cannot be used.
    pub(crate) fn with(
        &self,
        mut changes: Changes,
        registry: &[Box<dyn ChannelKind>],
        sealer: &Sealer,
    ) -> Result<Self, LoadError> {
        let mut next = self.clone();
        let mut changed_topics = BTreeSet::new();
        for (kind, key) in &changes.deleted {
            next.remove(*kind, key, &mut changed_topics);
        }
        // What others refer to comes first.
        changes.put.sort_by_key(|row| order(row.kind));
        for row in &changes.put {
            next.insert(row, registry, sealer, &mut changed_topics)?;
        }
        next.gather_subscriptions(&changed_topics);
        Ok(next)
    }

    fn insert(
        &mut self,
        row: &ConfigRow,
        registry: &[Box<dyn ChannelKind>],
        sealer: &Sealer,
        changed_topics: &mut BTreeSet<ResourceId>,
    ) -> Result<(), LoadError> {
        match row.kind {
            ConfigKind::Topic => {
                let mut topic = compile::topic(row)?;
                if let Some(before) = self.topics_by_id.get(&row.id) {
                    topic.subscriptions.clone_from(&before.subscriptions);
                }
                self.put_topic(topic);
            }
            ConfigKind::Channel => self.insert_channel(row, registry, sealer)?,
            ConfigKind::Endpoint => {
                let (channel, state, held) = compile::endpoint(row)?;
                self.set_endpoint(channel, state, held);
            }
            ConfigKind::Subscription => {
                let (subscription, held) = compile::subscription(row, self)?;
                changed_topics.insert(subscription.topic);
                let held = settled(held, subscription.spec.paused, subscription.meta.updated_at);
                self.set_held(row.id, held.clone());
                self.remove_legs(row.id);
                for (leg, of) in super::bridge::legs(&subscription) {
                    self.set_held(leg, held.clone());
                    self.legs.insert(leg, of);
                }
                self.subscriptions.insert(row.id, Arc::new(subscription));
            }
            ConfigKind::Key => self.insert_key(row, sealer)?,
            ConfigKind::Queue => {
                let queue = Arc::new(compile::queue(row)?);
                self.queues
                    .insert(fold(&queue.meta.name), Arc::clone(&queue));
                self.queues_by_id.insert(queue.meta.id, queue);
            }
            ConfigKind::Robot => {
                let robot = Arc::new(compile::robot(row, sealer)?);
                self.robots_by_token
                    .retain(|_, other| other.meta.id != row.id);
                self.robots_by_token.insert(robot.token, Arc::clone(&robot));
                self.robots.insert(fold(&robot.meta.name), robot);
            }
            ConfigKind::Issuer => {
                let issuer = Arc::new(compile::issuer(row, sealer)?);
                self.issuers.insert(fold(&issuer.meta.name), issuer);
            }
            // The sessions' to hold.
            ConfigKind::Watch | ConfigKind::Departed => {}
            ConfigKind::Room => {
                let room = compile::room(row, self)?;
                self.rooms.insert(fold(&room.meta.name), Arc::new(room));
            }
            ConfigKind::EventType => {
                let event_type = compile::event_type(row)?;
                self.event_types
                    .insert(fold(&event_type.meta.name), Arc::new(event_type));
            }
        }
        Ok(())
    }

    fn insert_key(&mut self, row: &ConfigRow, sealer: &Sealer) -> Result<(), LoadError> {
        let key = Arc::new(compile::key(row)?);
        self.keys.retain(|_, other| other.meta.id != row.id);
        self.cmq_keys.retain(|_, other| other.key.meta.id != row.id);
        if let Some((secret_id, cmq)) = compile::cmq_key(row, &key, sealer)? {
            self.cmq_keys.insert(secret_id, Arc::new(cmq));
        }
        self.keys.insert(key.hash, key);
        Ok(())
    }

    fn put_topic(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        self.topics
            .insert(fold(&topic.meta.name), Arc::clone(&topic));
        self.topics_by_id.insert(topic.meta.id, topic);
    }

    fn insert_channel(
        &mut self,
        row: &ConfigRow,
        registry: &[Box<dyn ChannelKind>],
        sealer: &Sealer,
    ) -> Result<(), LoadError> {
        let mut entry = compile::channel(row, &self.kinds, registry, sealer)?;
        if let Some(before) = self.channels_by_id.get(&row.id) {
            entry.endpoint.clone_from(&before.endpoint);
        }
        let held = self.held.get(&row.id).cloned().unwrap_or_default();
        let is_held = entry.spec.paused || entry.endpoint.disabled_at.is_some();
        self.set_held(row.id, settled(held, is_held, entry.meta.updated_at));
        let entry = Arc::new(entry);
        self.channels
            .insert(fold(&entry.meta.name), Arc::clone(&entry));
        self.channels_by_id.insert(row.id, entry);
        Ok(())
    }

    /// Takes over what is remembered of an endpoint; nothing happens when its channel is gone.
    pub(crate) fn set_endpoint(
        &mut self,
        channel: ResourceId,
        state: super::EndpointState,
        held: Held,
    ) {
        let Some(before) = self.channels_by_id.get(&channel) else {
            return;
        };
        let mut entry = (**before).clone();
        entry.endpoint = state;
        let is_held = entry.spec.paused || entry.endpoint.disabled_at.is_some();
        let since = entry.endpoint.disabled_at.unwrap_or(entry.meta.updated_at);
        self.set_held(channel, settled(held, is_held, since));
        let entry = Arc::new(entry);
        self.channels
            .insert(fold(&entry.meta.name), Arc::clone(&entry));
        self.channels_by_id.insert(channel, entry);
    }

    /// Forgets the legs of a subscription.
    fn remove_legs(&mut self, of: ResourceId) {
        let Some(before) = self.subscriptions.get(&of).cloned() else {
            return;
        };
        for leg in super::bridge::legs(&before).into_keys() {
            self.legs.remove(&leg);
            self.held.remove(&leg);
        }
    }

    fn set_held(&mut self, id: ResourceId, held: Held) {
        if held.0.is_empty() {
            self.held.remove(&id);
        } else {
            self.held.insert(id, held);
        }
    }

    fn remove(&mut self, kind: ConfigKind, key: &str, changed_topics: &mut BTreeSet<ResourceId>) {
        match kind {
            ConfigKind::Topic => {
                if let Some(topic) = self.topics.remove(key) {
                    self.topics_by_id.remove(&topic.meta.id);
                }
            }
            ConfigKind::Channel => {
                if let Some(channel) = self.channels.remove(key) {
                    self.channels_by_id.remove(&channel.meta.id);
                    self.held.remove(&channel.meta.id);
                }
            }
            ConfigKind::Subscription => {
                let stored_as = |subscription: &&Arc<Subscription>| {
                    super::subscription_key(subscription.topic, &subscription.meta.name) == key
                };
                if let Some(id) = self
                    .subscriptions
                    .values()
                    .find(stored_as)
                    .map(|s| s.meta.id)
                {
                    self.remove_legs(id);
                    self.held.remove(&id);
                    let Some(subscription) = self.subscriptions.remove(&id) else {
                        return;
                    };
                    changed_topics.insert(subscription.topic);
                }
            }
            ConfigKind::Key => {
                self.keys.retain(|_, other| fold(&other.meta.name) != key);
                self.cmq_keys
                    .retain(|_, other| fold(&other.key.meta.name) != key);
            }
            ConfigKind::Queue => {
                if let Some(queue) = self.queues.remove(key) {
                    self.queues_by_id.remove(&queue.meta.id);
                }
            }
            ConfigKind::Robot => {
                if let Some(robot) = self.robots.remove(key) {
                    self.robots_by_token.remove(&robot.token);
                }
            }
            ConfigKind::Issuer => {
                self.issuers.remove(key);
            }
            ConfigKind::EventType => {
                self.event_types.remove(key);
            }
            ConfigKind::Room => {
                self.rooms.remove(key);
            }
            // It goes with its channel; it is the sessions' to hold.
            ConfigKind::Endpoint | ConfigKind::Watch | ConfigKind::Departed => {}
        }
    }

    /// Gives the changed topics their subscriptions, by number.
    fn gather_subscriptions(&mut self, changed_topics: &BTreeSet<ResourceId>) {
        if changed_topics.is_empty() {
            return;
        }
        let mut of_topic: HashMap<ResourceId, Vec<Arc<Subscription>>> = HashMap::new();
        for subscription in self.subscriptions.values() {
            if changed_topics.contains(&subscription.topic) {
                of_topic
                    .entry(subscription.topic)
                    .or_default()
                    .push(Arc::clone(subscription));
            }
        }
        for id in changed_topics {
            let Some(before) = self.topics_by_id.get(id) else {
                continue;
            };
            let mut topic = (**before).clone();
            topic.subscriptions = of_topic.remove(id).unwrap_or_default();
            topic
                .subscriptions
                .sort_unstable_by_key(|subscription| subscription.meta.id);
            self.put_topic(topic);
        }
    }
}

const fn order(kind: ConfigKind) -> u8 {
    match kind {
        ConfigKind::Topic => 0,
        ConfigKind::Channel => 1,
        ConfigKind::Endpoint => 2,
        ConfigKind::Queue => 3,
        ConfigKind::Subscription => 4,
        ConfigKind::Key => 5,
        ConfigKind::EventType => 6,
        ConfigKind::Robot => 7,
        ConfigKind::Issuer => 8,
        ConfigKind::Watch => 9,
        ConfigKind::Room => 10,
        ConfigKind::Departed => 11,
    }
}

/// The history as it must look for what is held, or not, since `since` at the latest: what was created paused has none.
fn settled(held: Held, is_held: bool, since: Timestamp) -> Held {
    held.turned(is_held, since)
}
