//! API keys: created, listed and removed, the first admin key, and keys made while the server is stopped. A key's text
//! is shown once and never stored.

use std::sync::Arc;

use anser_core::clock::Clock;
use anser_core::name::fold;
use anser_core::random::Random;
use anser_core::resource::{KeySpec, Scope};
use anser_core::store::{ConfigChange, ConfigKind, Store};
use anser_core::{Problem, ProblemKind, Timestamp};

use super::change::{delete, envelope, internal, not_found, put};
use super::list::{ListQuery, page};
use super::view::{self, KeyCreated, KeyView, Put};
use crate::auth::{AdminKey, Principal, generate_cmq, generate_key, hash_key};
use crate::config::{self, CmqSecret, Key, LoadError, Snapshot};
use crate::gateway::Gateway;
use crate::look::Page;
use crate::refusal::store_problem;
use crate::secrets::to_hex;

/// The name of the first admin key.
pub const ADMIN_KEY_NAME: &str = "admin";
/// Bytes that `ANSER_ADMIN_KEY` must have at least.
pub const ADMIN_KEY_BYTES_MIN: usize = 32;
/// Bytes that `ANSER_ADMIN_KEY` may have at most.
pub const ADMIN_KEY_BYTES_MAX: usize = 256;

impl Gateway {
    /// Creates a key and shows its text this once, and for CMQ clients its SecretKey. The same again answers with the
    /// key that is there, without them.
    ///
    /// # Errors
    /// `already_exists` when there is one with other rights; `invalid_name`, `invalid_scopes`, `invalid_pattern`,
    /// `invalid_app_id`, `unknown_key` for what it `replaces`; 403 without the right; the store's.
    pub async fn create_key(
        &self,
        principal: &Principal,
        spec: KeySpec,
    ) -> Result<Put<KeyCreated>, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(key) = snapshot.key(&spec.name)
            && key.spec == spec
        {
            return Ok(Put {
                created: false,
                view: KeyCreated {
                    view: self.key_view(key),
                    key: None,
                },
            });
        }
        let text = generate_key(&*self.random);
        let view = self.store_key(&snapshot, spec, text).await?;
        Ok(Put {
            created: true,
            view,
        })
    }

    /// A key, without its text.
    ///
    /// # Errors
    /// `key_not_found`; 403 without the right.
    pub fn get_key(&self, principal: &Principal, name: &str) -> Result<KeyView, Problem> {
        may_change(principal)?;
        find(&self.config.load(), name).map(|key| self.key_view(key))
    }

    /// The keys, without their texts. Takes an admin key: what the others may do is nobody else's business.
    ///
    /// # Errors
    /// `out_of_range`, `invalid_cursor`; 403 without the right.
    pub fn list_keys(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<KeyView>, Problem> {
        may_change(principal)?;
        let snapshot = self.config.load();
        let keys = snapshot.keys.values();
        let keyed = keys.map(|key| (fold(&key.meta.name), key)).collect();
        page(keyed, query, |key| self.key_view(key))
    }

    /// Removes a key; it is refused from now on.
    ///
    /// # Errors
    /// `key_not_found`; `last_admin_key` when nobody could change anything any more; 403 without the right; the
    /// store's.
    pub async fn delete_key(&self, principal: &Principal, name: &str) -> Result<(), Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let key = find(&snapshot, name)?;
        let others = snapshot
            .keys
            .values()
            .any(|other| other.meta.id != key.meta.id && is_full_admin(other));
        if is_full_admin(key) && !others && !self.options.dev {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "last_admin_key",
                "this is the last admin key; create another one first",
            ));
        }
        let change = delete(ConfigKind::Key, fold(&key.meta.name), &key.meta);
        self.commit(vec![change]).await?;
        Ok(())
    }

    /// Sees to it that there is an admin key: `environment` (the value of `ANSER_ADMIN_KEY`) or a new one becomes the
    /// first. For the start of a server that asks for keys.
    ///
    /// # Errors
    /// `weak_key` when the value is none; `already_exists` when another key is called `admin`; the store's.
    pub async fn ensure_admin_key(&self, environment: Option<String>) -> Result<AdminKey, Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        if let Some(text) = &environment {
            check_strength(text)?;
            if snapshot.keys.contains_key(&hash_key(text)) {
                return Ok(AdminKey::FromEnvironment);
            }
        }
        let present = snapshot.keys.values().any(|key| is_full_admin(key));
        match (present, environment) {
            (true, None) => Ok(AdminKey::Present),
            (true, Some(_)) => Ok(AdminKey::EnvironmentUnused),
            (false, Some(text)) => {
                self.store_key(&snapshot, admin_spec(), text).await?;
                Ok(AdminKey::FromEnvironment)
            }
            (false, None) => {
                let text = generate_key(&*self.random);
                self.store_key(&snapshot, admin_spec(), text.clone())
                    .await?;
                Ok(AdminKey::Generated(text))
            }
        }
    }

    async fn store_key(
        &self,
        snapshot: &Snapshot,
        spec: KeySpec,
        text: String,
    ) -> Result<KeyCreated, Problem> {
        let known: Vec<&Arc<Key>> = snapshot.keys.values().collect();
        let now = self.clock.now();
        let mut secret_key = None;
        let cmq = if spec.cmq {
            let (secret_id, plain) = generate_cmq(&*self.random);
            let context = config::cmq_context(&fold(&spec.name), now);
            let sealed = self.sealer.seal(&context, plain.as_bytes())?;
            secret_key = Some(plain);
            Some(CmqSecret {
                secret_id,
                secret_key: sealed,
            })
        } else {
            None
        };
        let change = new_key(&known, spec, &text, cmq, now)?;
        let next = self.commit(vec![change]).await?;
        let key = next
            .keys
            .get(&hash_key(&text))
            .ok_or_else(|| internal("the key was stored and is not there"))?;
        let mut view = self.key_view(key);
        if let Some(cmq) = &mut view.cmq {
            cmq.secret_key = secret_key;
        }
        Ok(KeyCreated {
            view,
            key: Some(text),
        })
    }

    fn key_view(&self, key: &Key) -> KeyView {
        view::key(key, self.info.installation)
    }
}

/// Creates a key in the data of a stopped server.
///
/// # Errors
/// As [`Gateway::create_key`], but a key of the same name is always `already_exists`, as its text cannot be shown, and a
/// key for CMQ clients is refused as `needs_running_server`: its secret is encrypted with the server's master key.
pub async fn create_key_offline(
    store: &dyn Store,
    clock: &dyn Clock,
    random: &dyn Random,
    spec: KeySpec,
) -> Result<KeyCreated, Problem> {
    if spec.cmq {
        return Err(Problem::invalid(
            "needs_running_server",
            "cmq",
            "the secret of a key for CMQ clients is encrypted with the server's master key; start the server and create the key there",
        ));
    }
    let known = config::load_keys(store).await.map_err(unreadable)?;
    let known: Vec<&Arc<Key>> = known.iter().collect();
    let text = generate_key(random);
    let change = new_key(&known, spec, &text, None, clock.now())?;
    let rows = store
        .config_apply(vec![change])
        .await
        .map_err(store_problem)?;
    let key = rows
        .first()
        .ok_or_else(|| internal("the key was stored and is not there"))
        .and_then(|row| config::read_key(row).map_err(unreadable))?;
    Ok(KeyCreated {
        view: view::key(&key, store.info().installation),
        key: Some(text),
    })
}

fn unreadable(error: LoadError) -> Problem {
    match error {
        LoadError::Store(error) => store_problem(error),
        error => internal(&error.to_string()),
    }
}

/// Keys and their rights belong to no topic, so a key that is limited to some could give itself the others.
fn may_change(principal: &Principal) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_unlimited()
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Key>, Problem> {
    snapshot
        .key(name)
        .ok_or_else(|| not_found("key_not_found", "key", name))
}

fn is_full_admin(key: &Key) -> bool {
    key.spec.scopes.contains(&Scope::Admin)
        && key.spec.topics.is_none()
        && key.spec.targets.is_none()
}

fn admin_spec() -> KeySpec {
    KeySpec {
        name: ADMIN_KEY_NAME.to_owned(),
        scopes: vec![Scope::Admin],
        topics: None,
        targets: None,
        replaces: None,
        cmq: false,
        app_id: None,
    }
}

/// The change that stores a key with this text beside the `known` ones.
fn new_key(
    known: &[&Arc<Key>],
    spec: KeySpec,
    text: &str,
    cmq: Option<CmqSecret>,
    now: Timestamp,
) -> Result<ConfigChange, Problem> {
    spec.check()?;
    let find = |name: &str| {
        known
            .iter()
            .find(|key| key.meta.name.eq_ignore_ascii_case(name))
    };
    if find(&spec.name).is_some() {
        return Err(Problem::new(
            ProblemKind::Conflict,
            "already_exists",
            format!(
                "there is a key {:?} already; delete it first, or choose another name and say that it `replaces` this one",
                spec.name
            ),
        ));
    }
    let lineage = match spec.replaces.as_deref() {
        None => None,
        Some(name) => Some(find(name).map(|key| key.lineage).ok_or_else(|| {
            Problem::invalid(
                "unknown_key",
                "replaces",
                format!("there is no key {name:?} to replace"),
            )
        })?),
    };
    let name = spec.name.clone();
    let mut document = envelope(None, &name, spec, now);
    document.hash = Some(to_hex(&hash_key(text)));
    document.lineage = lineage;
    document.cmq = cmq;
    Ok(put(ConfigKind::Key, fold(&name), &document, None))
}

/// A key is stored as a plain hash, so what people choose must be beyond guessing.
fn check_strength(text: &str) -> Result<(), Problem> {
    let long_enough = (ADMIN_KEY_BYTES_MIN..=ADMIN_KEY_BYTES_MAX).contains(&text.len());
    if long_enough && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::invalid(
        "weak_key",
        "ANSER_ADMIN_KEY",
        format!(
            "must have {ADMIN_KEY_BYTES_MIN} to {ADMIN_KEY_BYTES_MAX} printable ASCII characters without blanks, best random ones"
        ),
    ))
}
