//! Channels: created, replaced, changed, looked at and removed, and their signing secrets rotated. Secrets are sealed
//! before they are stored, masked when they are shown, and kept when a change leaves them out.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Channel, ChannelKind, Manifest};
use anser_core::id::ResourceId;
use anser_core::name::{check_name, fold, queue_address};
use anser_core::resource::{ChannelSpec, InboundVia, Scope};
use anser_core::store::{ConfigChange, ConfigKind};
use serde_json::Value;

use super::change::{
    already_exists, check_revision, delete, delete_subscription, envelope, held_after, in_use,
    internal, not_found, put, put_endpoint,
};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::queue::pulled_by;
use super::view::{self, ChannelView, Put, RotatedSecret};
use crate::auth::Principal;
use crate::config::{
    ChannelEntry, Destination, EndpointState, Snapshot, Subscription, secret_context,
};
use crate::gateway::Gateway;
use crate::look::Page;
use crate::secrets::{Absent, keep};

/// How long a replaced secret goes on signing by default.
pub const ROTATION_GRACE_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// How long a replaced secret goes on signing at most.
pub const ROTATION_GRACE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The capability of kinds that take in what their platform sends.
const RECEIVE: &str = "receive";
/// The capability of kinds that keep a connection to their platform.
const CONNECT: &str = "connect";

impl Gateway {
    /// Every kind of channel, by name.
    ///
    /// # Errors
    /// `missing_scope`.
    pub fn channel_kinds(&self, principal: &Principal) -> Result<Vec<Manifest>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let manifests = snapshot.kinds.values();
        Ok(manifests
            .map(|(_, manifest)| (**manifest).clone())
            .collect())
    }

    /// Creates a channel. The same again, its secrets given or left out, answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `unknown_kind`, `out_of_range`,
    /// `missing_secret`, `unknown_topic`, `not_available`, `address_not_allowed`, and what the kind refuses; 403 without
    /// the right; the store's.
    pub async fn create_channel(
        &self,
        principal: &Principal,
        name: &str,
        spec: ChannelSpec,
    ) -> Result<Put<ChannelView>, Problem> {
        may_change(principal, name)?;
        may_receive(principal, &spec)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(entry) = snapshot.channel(name) {
            let same = entry.spec.kind == spec.kind
                && with_secrets(&snapshot, Some(entry), spec, Absent::Keep)? == entry.spec;
            if !same {
                return Err(already_exists("channel", &entry.meta.name));
            }
            return Ok(Put {
                created: false,
                view: view::channel(entry),
            });
        }
        check_name("name", name)?;
        let spec = with_secrets(&snapshot, None, spec, Absent::Keep)?;
        self.store_channel(&snapshot, None, name, spec, false).await
    }

    /// Creates or replaces a channel. Secrets that are left out are kept; the kind cannot change.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, `immutable_field`, else as [`Gateway::create_channel`].
    pub async fn put_channel(
        &self,
        principal: &Principal,
        name: &str,
        spec: ChannelSpec,
        expected: Option<u64>,
    ) -> Result<Put<ChannelView>, Problem> {
        may_change(principal, name)?;
        may_receive(principal, &spec)?;
        check_name("name", name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.channel(name);
        check_revision(before.map(|entry| &entry.meta), expected)?;
        let spec = with_secrets(&snapshot, before, spec, Absent::Keep)?;
        self.store_channel(&snapshot, before, name, spec, false)
            .await
    }

    /// Changes fields of a channel (RFC 7396); `null` removes a secret. `"paused": false` also enables a channel that
    /// the gateway has disabled.
    ///
    /// # Errors
    /// As [`Gateway::put_channel`]; `channel_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_channel(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<ChannelView, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        may_receive(principal, &spec)?;
        let spec = with_secrets(&snapshot, Some(before), spec, Absent::Remove)?;
        let enable = patch.get("paused") == Some(&Value::Bool(false));
        let put = self
            .store_channel(&snapshot, Some(before), name, spec, enable)
            .await?;
        Ok(put.view)
    }

    /// A channel.
    ///
    /// # Errors
    /// `channel_not_found`; 403 without the right.
    pub fn get_channel(&self, principal: &Principal, name: &str) -> Result<ChannelView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_target("name", name)?;
        find(&self.config.load(), name).map(|entry| view::channel(entry))
    }

    /// The channels that the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_channels(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<ChannelView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let covered = snapshot
            .channels
            .iter()
            .filter(|(_, entry)| principal.covers_target(&entry.meta.name))
            .map(|(key, entry)| (key.clone(), entry))
            .collect();
        page(covered, query, |entry| view::channel(entry))
    }

    /// Removes a channel, with `cascade` also the subscriptions that use it; their unfinished deliveries and the
    /// directly addressed ones are cancelled.
    ///
    /// # Errors
    /// `in_use` when subscriptions use it and not `cascade`; `channel_not_found`, `stale_revision`; the store's.
    pub async fn delete_channel(
        &self,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let entry = find(&snapshot, name)?;
        check_revision(Some(&entry.meta), expected)?;
        check_not_pulling(&snapshot, entry)?;
        let users: Vec<_> = snapshot
            .subscriptions
            .values()
            .filter(|user| goes_through(user, entry.meta.id))
            .collect();
        if !users.is_empty() && !cascade {
            let names = users
                .iter()
                .map(|user| format!("{}/{}", user.topic_name, user.meta.name));
            return Err(in_use(
                "channel",
                &entry.meta.name,
                names.collect(),
                "delete these subscriptions first, or give cascade=true",
            ));
        }
        let key = fold(&entry.meta.name);
        let mut changes = vec![delete(ConfigKind::Channel, key, &entry.meta)];
        changes.push(ConfigChange::Delete {
            kind: ConfigKind::Endpoint,
            key: entry.meta.id.0.to_string(),
            expected: None,
        });
        for user in &users {
            principal.require_topic(&user.topic_name)?;
            changes.push(delete_subscription(user));
        }
        self.commit(changes).await?;
        let groups = users.iter().flat_map(|user| snapshot.groups_of(user));
        self.cancel_groups(groups.chain([entry.meta.id]).collect())
            .await;
        Ok(())
    }

    /// Replaces a signing secret; the old one goes on signing for `grace`.
    ///
    /// # Errors
    /// `channel_not_found`; `out_of_range` for a grace over [`ROTATION_GRACE_MAX`]; what the kind refuses
    /// (`not_available`, `invalid_field`); 403 without the right; the store's.
    pub async fn rotate_secret(
        &self,
        principal: &Principal,
        name: &str,
        secret_kind: &str,
        grace: Option<Duration>,
    ) -> Result<RotatedSecret, Problem> {
        may_change(principal, name)?;
        let grace = grace.unwrap_or(ROTATION_GRACE_DEFAULT);
        if grace > ROTATION_GRACE_MAX {
            return Err(Problem::invalid(
                "out_of_range",
                "grace",
                format!("must be 0 to {} seconds", ROTATION_GRACE_MAX.as_secs()),
            ));
        }
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        let (kind, _) = self.kind(&snapshot, &before.spec.kind)?;
        let now = self.clock.now();
        let old_until = now.plus(grace);
        let mut random = [0; 32];
        self.random.fill(&mut random);
        let (settings, secret) =
            kind.rotate(&before.spec.settings, secret_kind, &random, now, old_until)?;
        let spec = ChannelSpec {
            settings,
            ..before.spec.clone()
        };
        self.store_channel(&snapshot, Some(before), name, spec, false)
            .await?;
        Ok(RotatedSecret {
            kind: secret_kind.to_owned(),
            secret,
            old_until,
        })
    }

    fn kind<'g>(
        &'g self,
        snapshot: &'g Snapshot,
        name: &str,
    ) -> Result<(&'g dyn ChannelKind, &'g Arc<Manifest>), Problem> {
        let (place, manifest) = find_kind(snapshot, name)?;
        Ok((&*self.registry[*place], manifest))
    }

    /// Checks and stores a channel whose secrets are complete.
    pub(super) async fn store_channel(
        &self,
        snapshot: &Snapshot,
        before: Option<&Arc<ChannelEntry>>,
        name: &str,
        spec: ChannelSpec,
        enable: bool,
    ) -> Result<Put<ChannelView>, Problem> {
        let changes = self.channel_changes(snapshot, before, name, spec, enable)?;
        if let (Some(entry), true) = (before, changes.is_empty()) {
            return Ok(Put {
                created: false,
                view: view::channel(entry),
            });
        }
        let next = self.commit(changes).await?;
        let entry = next
            .channel(name)
            .ok_or_else(|| internal("the channel was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::channel(entry),
        })
    }

    fn channel_changes(
        &self,
        snapshot: &Snapshot,
        before: Option<&Arc<ChannelEntry>>,
        name: &str,
        spec: ChannelSpec,
        enable: bool,
    ) -> Result<Vec<ConfigChange>, Problem> {
        let meta = before.map(|entry| &entry.meta);
        let now = self.clock.now();
        let mut changes = Vec::new();
        let endpoint = match before {
            Some(entry) if !enable => entry.endpoint.clone(),
            Some(_) | None => EndpointState::default(),
        };
        let held = spec.paused || endpoint.disabled_at.is_some();
        let held = held_after(snapshot, meta, held, now);
        let spec_changes = before.is_none_or(|entry| entry.spec != spec);
        if spec_changes {
            let manifest = self.check_channel_spec(snapshot, before, &spec)?;
            let mut document = envelope(meta, name, spec, now);
            let context = secret_context(&fold(name), document.created_at);
            document.spec.settings =
                self.sealer
                    .seal_settings(&context, &manifest.settings, &document.spec.settings)?;
            changes.push(put(ConfigKind::Channel, fold(name), &document, meta));
        }
        // A new channel has no number yet, and no history: that it is paused says its specification.
        if let Some(entry) = before
            && (entry.endpoint != endpoint || spec_changes && !held.0.is_empty())
        {
            changes.push(put_endpoint(&entry.meta, endpoint, held, now));
        }
        Ok(changes)
    }

    fn check_channel_spec<'g>(
        &'g self,
        snapshot: &'g Snapshot,
        before: Option<&Arc<ChannelEntry>>,
        spec: &ChannelSpec,
    ) -> Result<&'g Arc<Manifest>, Problem> {
        spec.check()?;
        let (kind, manifest) = self.kind(snapshot, &spec.kind)?;
        let channel = kind.open(&spec.settings)?;
        check_inbound(snapshot, spec, &*channel, manifest)?;
        let known = before.and_then(|entry| entry.channel.endpoint());
        if let Some(url) = channel.endpoint()
            && known != Some(url)
        {
            self.guard
                .judge_url(url)
                .map_err(|problem| problem.field("settings.url"))?;
        }
        let known = before.and_then(|entry| entry.channel.program());
        if let Some(program) = channel.program()
            && known != Some(program)
        {
            self.sender.judge_program(program)?;
        }
        Ok(manifest)
    }
}

/// A channel is an address, so its patterns decide.
pub(super) fn may_change(principal: &Principal, name: &str) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_target("name", name)
}

/// What comes in is published, so whoever lets it in needs the right to.
fn may_receive(principal: &Principal, spec: &ChannelSpec) -> Result<(), Problem> {
    spec.inbound.as_ref().map_or(Ok(()), |inbound| {
        principal
            .require_topic(&inbound.topic)
            .map_err(|problem| problem.field("inbound.topic"))
    })
}

/// Whether deliveries of a subscription go through a channel.
fn goes_through(user: &Subscription, channel: ResourceId) -> bool {
    let chats = user.bridge.iter().flat_map(|bridge| &bridge.chats);
    let mut legs = chats.map(|chat| chat.channel);
    user.destination == Destination::Channel(channel) || legs.any(|leg| leg == channel)
}

/// The topic of what comes in must be there, and the channel able to verify it.
fn check_inbound(
    snapshot: &Snapshot,
    spec: &ChannelSpec,
    channel: &dyn Channel,
    manifest: &Manifest,
) -> Result<(), Problem> {
    let Some(inbound) = &spec.inbound else {
        return Ok(());
    };
    let topic = &inbound.topic;
    if snapshot.topic(topic).is_none() {
        let detail = format!("there is no topic {topic:?}; create it first");
        return Err(Problem::invalid("unknown_topic", "inbound.topic", detail));
    }
    match inbound.via {
        InboundVia::Callback => check_callback(spec, channel, manifest),
        InboundVia::Connection => check_connection(spec, channel, manifest),
    }
}

/// What its platform posts must be verified.
fn check_callback(
    spec: &ChannelSpec,
    channel: &dyn Channel,
    manifest: &Manifest,
) -> Result<(), Problem> {
    if !manifest.capabilities.contains(&RECEIVE) {
        let what = format!("taking in what is sent to a channel of kind {}", spec.kind);
        return Err(Problem::not_available("inbound", &what));
    }
    if channel.inbound().is_some() {
        return Ok(());
    }
    Err(Problem::invalid(
        "missing_secret",
        "settings",
        format!(
            "what comes in could not be verified: give the settings of the kind {} that are for it, such as its signing secret; GET /v1/channel-kinds describes them",
            spec.kind
        ),
    ))
}

/// It must be able to connect.
fn check_connection(
    spec: &ChannelSpec,
    channel: &dyn Channel,
    manifest: &Manifest,
) -> Result<(), Problem> {
    if !manifest.capabilities.contains(&CONNECT) {
        let what = format!(
            "a connection to the platform of a channel of kind {}",
            spec.kind
        );
        return Err(Problem::not_available("inbound.via", &what));
    }
    if channel.connector().is_some() {
        return Ok(());
    }
    Err(Problem::invalid(
        "missing_secret",
        channel.connector_needs(),
        format!(
            "is missing: the channel cannot connect to its platform; give the settings of the kind {} that are for that, such as its token; GET /v1/channel-kinds describes them",
            spec.kind
        ),
    ))
}

pub(crate) fn find<'s>(
    snapshot: &'s Snapshot,
    name: &str,
) -> Result<&'s Arc<ChannelEntry>, Problem> {
    snapshot
        .channel(name)
        .ok_or_else(|| not_found("channel_not_found", "channel", name))
}

fn find_kind<'s>(
    snapshot: &'s Snapshot,
    name: &str,
) -> Result<&'s (usize, Arc<Manifest>), Problem> {
    snapshot.kinds.get(name).ok_or_else(|| {
        let known: Vec<&str> = snapshot.kinds.keys().copied().collect();
        Problem::invalid(
            "unknown_kind",
            "kind",
            format!("there is no kind of channel {name:?}"),
        )
        .accepted(known.join(", "))
    })
}

/// `spec` with the stored secrets in the places where it has masks or, by `absent`, nothing.
fn with_secrets(
    snapshot: &Snapshot,
    before: Option<&Arc<ChannelEntry>>,
    mut spec: ChannelSpec,
    absent: Absent,
) -> Result<ChannelSpec, Problem> {
    let (_, manifest) = find_kind(snapshot, &spec.kind)?;
    if let Some(entry) = before
        && entry.spec.kind != spec.kind
    {
        return Err(Problem::invalid(
            "immutable_field",
            "kind",
            format!(
                "the kind of a channel cannot change, it is {}; create another channel",
                entry.spec.kind
            ),
        ));
    }
    let old = before.map_or(&Value::Null, |entry| &entry.spec.settings);
    spec.settings = keep(&manifest.settings, old, &spec.settings, absent)?;
    Ok(spec)
}

/// A channel that a queue's messages are given to stays.
fn check_not_pulling(snapshot: &Snapshot, entry: &ChannelEntry) -> Result<(), Problem> {
    let queues = pulled_by(snapshot, &entry.meta.name);
    if queues.is_empty() {
        return Ok(());
    }
    let queues = queues.iter().map(|queue| queue_address(queue));
    Err(in_use(
        "channel",
        &entry.meta.name,
        queues.collect(),
        "the messages of these queues are given to it; change their trigger first",
    ))
}
