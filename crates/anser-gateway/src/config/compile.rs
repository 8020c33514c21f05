//! From a stored document to what is in force: each resource by itself, decrypted, checked and compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_core::channel::{ChannelKind, Manifest};
use anser_core::filter::Filter;
use anser_core::id::ResourceId;
use anser_core::name::room_topic;
use anser_core::resource::{
    ChannelSpec, EventTypeSpec, IssuerSpec, KeySpec, Ordering, QueueSpec, RobotSpec, RoomSpec,
    SubscriptionSpec, TopicSpec,
};
use anser_core::retry::RetrySchedule;
use anser_core::store::ConfigRow;
use anser_core::{Problem, Timestamp};

use super::document::{Envelope, LoadError, read, resource};
use super::held::Held;
use super::schema::compile_schema;
use super::{
    Bridge, ChannelEntry, CmqKey, Destination, EndpointState, EventType, Issuer, Key, Meta,
    QueueEntry, Robot, Room, Snapshot, Subscription, Topic,
};
use crate::secrets::{Sealer, parse_hex};
use crate::tokens::Verifier;

/// The manifest of every kind of channel and its place in the registry.
pub(super) type Kinds = BTreeMap<&'static str, (usize, Arc<Manifest>)>;

/// Asks every kind for its manifest.
pub(super) fn kinds(registry: &[Box<dyn ChannelKind>]) -> Kinds {
    registry
        .iter()
        .enumerate()
        .map(|(place, kind)| {
            let manifest = kind.manifest();
            (manifest.kind, (place, Arc::new(manifest)))
        })
        .collect()
}

fn meta<S>(row: &ConfigRow, envelope: &Envelope<S>) -> Meta {
    Meta {
        id: row.id,
        name: envelope.name.clone(),
        revision: row.revision,
        created_at: envelope.created_at,
        updated_at: envelope.updated_at,
    }
}

/// A topic, without its subscriptions.
pub(super) fn topic(row: &ConfigRow) -> Result<Topic, LoadError> {
    let envelope: Envelope<TopicSpec> = read(row)?;
    let schema = envelope
        .spec
        .schema
        .as_ref()
        .map(|schema| compile_schema("schema", schema))
        .transpose()
        .map_err(LoadError::refused(row))?;
    Ok(Topic {
        meta: meta(row, &envelope),
        spec: envelope.spec,
        schema: schema.map(Arc::new),
        subscriptions: Vec::new(),
    })
}

/// What a channel's secrets are bound to. Its number would do too, but is not known before it is stored.
pub(crate) fn secret_context(key: &str, created_at: Timestamp) -> String {
    format!("channel {key} {}", created_at.millis())
}

/// A channel, with a fresh endpoint.
pub(super) fn channel(
    row: &ConfigRow,
    kinds: &Kinds,
    registry: &[Box<dyn ChannelKind>],
    sealer: &Sealer,
) -> Result<ChannelEntry, LoadError> {
    let mut envelope: Envelope<ChannelSpec> = read(row)?;
    let Some((place, manifest)) = kinds.get(envelope.spec.kind.as_str()) else {
        let problem = Problem::invalid(
            "unknown_kind",
            "kind",
            format!("there is no kind of channel {:?}", envelope.spec.kind),
        );
        return Err(LoadError::refused(row)(problem));
    };
    let context = secret_context(&row.key, envelope.created_at);
    envelope.spec.settings = sealer
        .open_settings(&context, &manifest.settings, &envelope.spec.settings)
        .map_err(|field| LoadError::WrongMasterKey {
            resource: resource(row),
            field: format!("settings.{field}"),
        })?;
    let channel = registry[*place]
        .open(&envelope.spec.settings)
        .map_err(LoadError::refused(row))?;
    Ok(ChannelEntry {
        meta: meta(row, &envelope),
        spec: envelope.spec,
        manifest: Arc::clone(manifest),
        channel,
        ordering: manifest.ordering,
        endpoint: EndpointState::default(),
    })
}

/// The state of an endpoint and when its channel was held, by the channel's number.
pub(super) fn endpoint(row: &ConfigRow) -> Result<(ResourceId, EndpointState, Held), LoadError> {
    let channel = row
        .key
        .parse()
        .map_err(|_| LoadError::damaged(row, "its key is no number of a channel"))?;
    let envelope: Envelope<EndpointState> = read(row)?;
    Ok((ResourceId(channel), envelope.spec, envelope.held))
}

/// A queue.
pub(super) fn queue(row: &ConfigRow) -> Result<QueueEntry, LoadError> {
    let envelope: Envelope<QueueSpec> = read(row)?;
    if envelope.dead_letter.is_some() != envelope.spec.dead_letter.is_some() {
        return Err(LoadError::damaged(
            row,
            "it has no number of its dead-letter queue, or no such queue",
        ));
    }
    let meta = meta(row, &envelope);
    Ok(QueueEntry {
        dead_letter: envelope.dead_letter,
        rewind_since: envelope.rewind_since.unwrap_or(meta.updated_at),
        meta,
        spec: envelope.spec,
    })
}

/// A subscription and when it was held. Its topic and its channel or queue must be in `snapshot`.
pub(super) fn subscription(
    row: &ConfigRow,
    snapshot: &Snapshot,
) -> Result<(Subscription, Held), LoadError> {
    let envelope: Envelope<SubscriptionSpec> = read(row)?;
    let topic = envelope
        .topic
        .and_then(|id| snapshot.topics_by_id.get(&id))
        .ok_or_else(|| LoadError::damaged(row, "its topic is not there"))?;
    let spec = &envelope.spec;
    let bridge = spec.bridge.as_ref();
    let bridge = bridge.map(|spec| Bridge::of(spec, row.id, snapshot));
    let bridge = bridge.transpose().map_err(LoadError::refused(row))?;
    let (destination, default) = destination(snapshot, spec)
        .ok_or_else(|| LoadError::damaged(row, "its channel or queue is not there"))?;
    let filter = Filter::compile("filter", &spec.filter).map_err(LoadError::refused(row))?;
    let retry = RetrySchedule::compile("retry", &spec.retry).map_err(LoadError::refused(row))?;
    let subscription = Subscription {
        meta: meta(row, &envelope),
        topic: topic.meta.id,
        topic_name: topic.meta.name.clone(),
        chat: destination
            .channel()
            .and_then(|id| snapshot.channels_by_id.get(&id))
            .is_some_and(|channel| !channel.manifest.generic),
        destination,
        bridge: bridge.map(Arc::new),
        ordering: ordering_of(spec.ordering, &retry, default),
        filter,
        retry,
        spec: envelope.spec,
    };
    Ok((subscription, envelope.held))
}

/// Where it goes, and in what order by default.
fn destination(snapshot: &Snapshot, spec: &SubscriptionSpec) -> Option<(Destination, Ordering)> {
    match (&spec.channel, &spec.queue) {
        _ if spec.bridge.is_some() => Some((Destination::Bridge, Ordering::Key)),
        (Some(name), None) => {
            let channel = snapshot.channel(name)?;
            Some((Destination::Channel(channel.meta.id), channel.ordering))
        }
        (None, Some(name)) => {
            let queue = snapshot.queue(name)?;
            Some((Destination::Queue(queue.meta.id), Ordering::None))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// The ordering in force: the one asked for, `gate` with a CMQ policy, else the kind's default (`delivery.md`).
fn ordering_of(asked: Option<Ordering>, retry: &RetrySchedule, default: Ordering) -> Ordering {
    match asked {
        Some(ordering) => ordering,
        None if retry.is_cmq() => Ordering::Gate,
        None => default,
    }
}

/// What the secret of a key for CMQ clients is bound to; `name` is the folded one.
pub(crate) fn cmq_context(name: &str, created_at: Timestamp) -> String {
    format!("key {name} {} cmq.secret_key", created_at.millis())
}

/// The key as CMQ clients use it, when they may.
pub(super) fn cmq_key(
    row: &ConfigRow,
    key: &Arc<Key>,
    sealer: &Sealer,
) -> Result<Option<(String, CmqKey)>, LoadError> {
    let Some(secret) = read::<KeySpec>(row)?.cmq else {
        return Ok(None);
    };
    let context = cmq_context(&row.key, key.meta.created_at);
    let plain = sealer.open(&context, &secret.secret_key).ok();
    let secret_key = plain
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| LoadError::WrongMasterKey {
            resource: resource(row),
            field: "cmq.secret_key".to_owned(),
        })?;
    let cmq = CmqKey {
        key: Arc::clone(key),
        secret_key,
    };
    Ok(Some((secret.secret_id, cmq)))
}

/// A key, without what CMQ clients sign with.
pub(crate) fn key(row: &ConfigRow) -> Result<Key, LoadError> {
    let envelope: Envelope<KeySpec> = read(row)?;
    let hash = hash(&envelope)
        .ok_or_else(|| LoadError::damaged(row, "it has no SHA-256 of its secret"))?;
    Ok(Key {
        meta: meta(row, &envelope),
        hash,
        lineage: envelope.lineage.unwrap_or(row.id.0),
        secret_id: envelope.cmq.map(|cmq| cmq.secret_id),
        spec: envelope.spec,
    })
}

/// The hash of what a caller of the resource presents.
fn hash<S>(envelope: &Envelope<S>) -> Option<[u8; 32]> {
    parse_hex(envelope.hash.as_deref()?)?.try_into().ok()
}

/// What the secret of a robot is bound to; `name` is the folded one.
pub(crate) fn robot_context(name: &str, created_at: Timestamp) -> String {
    format!("robot {name} {} secret", created_at.millis())
}

/// A robot.
pub(super) fn robot(row: &ConfigRow, sealer: &Sealer) -> Result<Robot, LoadError> {
    let envelope: Envelope<RobotSpec> = read(row)?;
    let token =
        hash(&envelope).ok_or_else(|| LoadError::damaged(row, "it has no SHA-256 of its token"))?;
    let meta = meta(row, &envelope);
    let mut spec = envelope.spec;
    if let Some(sealed) = &spec.secret {
        let plain = sealer.open(&robot_context(&row.key, meta.created_at), sealed);
        let plain = plain.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        spec.secret = Some(plain.ok_or_else(|| LoadError::WrongMasterKey {
            resource: resource(row),
            field: "secret".to_owned(),
        })?);
    }
    Ok(Robot { meta, spec, token })
}

/// What the secret of an issuer is bound to; `name` is the folded one.
pub(crate) fn issuer_context(name: &str, created_at: Timestamp) -> String {
    format!("issuer {name} {} secret", created_at.millis())
}

/// An issuer, ready to check tokens.
pub(super) fn issuer(row: &ConfigRow, sealer: &Sealer) -> Result<Issuer, LoadError> {
    let envelope: Envelope<IssuerSpec> = read(row)?;
    let meta = meta(row, &envelope);
    let mut spec = envelope.spec;
    if let Some(sealed) = &spec.secret {
        let plain = sealer.open(&issuer_context(&row.key, meta.created_at), sealed);
        let plain = plain.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        spec.secret = Some(plain.ok_or_else(|| LoadError::WrongMasterKey {
            resource: resource(row),
            field: "secret".to_owned(),
        })?);
    }
    let verifier = Verifier::new(&spec).map_err(LoadError::refused(row))?;
    Ok(Issuer {
        meta,
        spec,
        verifier,
    })
}

/// A room. Its topic must be in `snapshot`.
pub(super) fn room(row: &ConfigRow, snapshot: &Snapshot) -> Result<Room, LoadError> {
    let envelope: Envelope<RoomSpec> = read(row)?;
    let topic = snapshot
        .topic(&room_topic(&envelope.name))
        .ok_or_else(|| LoadError::damaged(row, "its topic is not there"))?;
    Ok(Room {
        meta: meta(row, &envelope),
        topic: topic.meta.id,
        spec: envelope.spec,
    })
}

/// An event type.
pub(super) fn event_type(row: &ConfigRow) -> Result<EventType, LoadError> {
    let envelope: Envelope<EventTypeSpec> = read(row)?;
    Ok(EventType {
        meta: meta(row, &envelope),
        spec: envelope.spec,
    })
}
