//! How a change is made: checked against the revision it was made from, committed, and in force before it is answered.

use std::sync::Arc;

use anser_core::id::ResourceId;
use anser_core::store::{ConfigChange, ConfigKind, StoreError};
use anser_core::{Problem, ProblemKind, Timestamp};
use serde::Serialize;

use crate::config::{
    self, Changes, EndpointState, Envelope, Held, LoadError, Meta, Snapshot, Subscription,
};
use crate::gateway::Gateway;
use crate::refusal::store_problem;

/// Users of a resource that a refusal names.
const USERS_NAMED_MAX: usize = 10;

impl Gateway {
    /// Commits `changes`, all or none, and puts them in force.
    pub(super) async fn commit(
        &self,
        changes: Vec<ConfigChange>,
    ) -> Result<Arc<Snapshot>, Problem> {
        let deleted = changes.iter().filter_map(deleted).collect();
        let next = match self.store.config_apply(changes).await {
            Ok(put) => {
                let changes = Changes { put, deleted };
                let current = self.config.load();
                current
                    .with(changes, &self.registry, &self.sealer)
                    .map_err(unusable)?
            }
            Err(error @ (StoreError::Unknown | StoreError::Fenced)) => {
                // What is stored is not what we think: look again, so that a repetition starts from the truth.
                self.reload().await?;
                return Err(store_problem(error));
            }
            Err(error) => return Err(store_problem(error)),
        };
        Ok(self.put_in_force(next))
    }

    async fn reload(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        let next = config::load(&*self.store, &self.registry, &self.sealer, now)
            .await
            .map_err(unusable)?;
        self.put_in_force(next);
        Ok(())
    }

    /// Ends what is unfinished of destinations that were removed. They are gone whatever happens here: what could not
    /// be ended now, the dispatcher ends when it meets a delivery without destination.
    pub(super) async fn cancel_groups(&self, groups: Vec<ResourceId>) {
        for group in groups {
            if let Err(error) = self.dispatch.cancel_group(group).await {
                tracing::warn!(group = group.0, %error, "deliveries of a removed destination are not cancelled yet");
            }
        }
    }

    /// Replaces the snapshot and wakes whoever works by it.
    pub(super) fn put_in_force(&self, next: Snapshot) -> Arc<Snapshot> {
        let next = Arc::new(next);
        let before = self.config.swap(Arc::clone(&next));
        self.sessions.revoke(&before, &next);
        self.sessions.rooms_changed(&before, &next);
        self.dispatch.config_changed();
        self.leasing.configured();
        self.connections.configured();
        next
    }
}

fn deleted(change: &ConfigChange) -> Option<(ConfigKind, String)> {
    match change {
        ConfigChange::Delete { kind, key, .. } => Some((*kind, key.clone())),
        ConfigChange::Put { .. } => None,
    }
}

fn unusable(error: LoadError) -> Problem {
    match error {
        LoadError::Store(error) => store_problem(error),
        error => {
            tracing::error!(%error, "the configuration was stored and cannot be used");
            internal("the change was stored and cannot be put in force; the gateway's log says why")
        }
    }
}

/// A 500: something that cannot be has happened.
pub(super) fn internal(detail: &str) -> Problem {
    Problem::new(ProblemKind::Internal, "internal", detail)
}

/// Refuses a change that was made from another revision than the current one (RFC 9110 §13.1.1, `If-Match`).
pub(super) fn check_revision(current: Option<&Meta>, expected: Option<u64>) -> Result<(), Problem> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let found = match current {
        Some(meta) if meta.revision == expected => return Ok(()),
        Some(meta) => format!("it is at revision {}", meta.revision),
        None => "it does not exist".to_owned(),
    };
    Err(Problem::new(
        ProblemKind::Precondition,
        "stale_revision",
        format!("the change was made from revision {expected}, and {found}; look again and repeat"),
    ))
}

/// A 404.
pub(super) fn not_found(code: &'static str, what: &str, name: &str) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        code,
        format!("there is no {what} {name:?}"),
    )
}

/// A 409: the name is taken by something else.
pub(super) fn already_exists(what: &str, name: &str) -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        "already_exists",
        format!(
            "there is a {what} {name:?} with other settings; replace it with PUT, change it with PATCH, or choose another name"
        ),
    )
}

/// A 409: others depend on it. Names the first of them.
pub(super) fn in_use(what: &str, name: &str, mut users: Vec<String>, remedy: &str) -> Problem {
    users.sort_unstable();
    let all = users.len();
    users.truncate(USERS_NAMED_MAX);
    let more = match all - users.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Problem::new(
        ProblemKind::Conflict,
        "in_use",
        format!(
            "the {what} {name:?} is used by {}{more}; {remedy}",
            users.join(", ")
        ),
    )
}

/// The document of a resource that is created now, or replaces `before`.
pub(super) fn envelope<S>(
    before: Option<&Meta>,
    name: &str,
    spec: S,
    now: Timestamp,
) -> Envelope<S> {
    match before {
        Some(meta) => Envelope::new(&meta.name, meta.created_at, now, spec),
        None => Envelope::new(name, now, now, spec),
    }
}

/// The change that stores `document` in the place of `before`.
pub(super) fn put<S: Serialize>(
    kind: ConfigKind,
    key: String,
    document: &Envelope<S>,
    before: Option<&Meta>,
) -> ConfigChange {
    ConfigChange::Put {
        kind,
        key,
        document: config::write(document),
        expected: Some(before.map_or(0, |meta| meta.revision)),
    }
}

/// The change that removes what `meta` describes.
pub(super) fn delete(kind: ConfigKind, key: String, meta: &Meta) -> ConfigChange {
    ConfigChange::Delete {
        kind,
        key,
        expected: Some(meta.revision),
    }
}

/// The change that removes a subscription.
pub(super) fn delete_subscription(subscription: &Subscription) -> ConfigChange {
    let key = config::subscription_key(subscription.topic, &subscription.meta.name);
    delete(ConfigKind::Subscription, key, &subscription.meta)
}

/// The change that stores an endpoint's state, whatever was stored before.
pub(super) fn put_endpoint(
    channel: &Meta,
    state: EndpointState,
    held: Held,
    now: Timestamp,
) -> ConfigChange {
    let mut document = Envelope::new(&channel.name, channel.created_at, now, state);
    document.held = held;
    ConfigChange::Put {
        kind: ConfigKind::Endpoint,
        key: channel.id.0.to_string(),
        document: config::write(&document),
        expected: None,
    }
}

/// When something was held, after it is held or not from now on.
pub(super) fn held_after(
    snapshot: &Snapshot,
    before: Option<&Meta>,
    held: bool,
    now: Timestamp,
) -> Held {
    before
        .and_then(|meta| snapshot.held.get(&meta.id))
        .cloned()
        .unwrap_or_default()
        .turned(held, now)
}
