//! Robots: created, replaced, changed, looked at, given another token, and removed. A token is shown once; what is stored is
//! its hash, by which it is found. What is posted to a robot is the matter of `robots`.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::name::{Address, check_name, fold, is_system_topic};
use anser_core::resource::{RobotSpec, Scope};
use anser_core::store::ConfigKind;
use serde_json::Value;

use super::change::{already_exists, check_revision, delete, envelope, internal, not_found, put};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, Put, RobotView};
use crate::auth::{Principal, generate_token, hash_key};
use crate::config::{self, Robot, Snapshot};
use crate::gateway::Gateway;
use crate::look::Page;
use crate::secrets::{Absent, MASK, to_hex};

impl Gateway {
    /// Creates a robot and shows its token this once. The same again, its secret given or left out, answers with the one
    /// that is there, without it.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `unknown_topic`, `unknown_channel`,
    /// `unknown_queue`, `missing_secret`, and what [`RobotSpec::check`] refuses; 403 without the right; the store's.
    pub async fn create_robot(
        &self,
        principal: &Principal,
        name: &str,
        spec: RobotSpec,
    ) -> Result<Put<RobotView>, Problem> {
        may_change(principal, &spec)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.robot(name);
        if let Some(robot) = before {
            may_change(principal, &robot.spec)?;
        }
        let spec = with_secret(before, spec, Absent::Keep)?;
        if let Some(robot) = before {
            if robot.spec != spec {
                return Err(already_exists("robot", &robot.meta.name));
            }
            return Ok(unchanged(robot));
        }
        check_name("name", name)?;
        self.store_robot(&snapshot, None, name, spec, true).await
    }

    /// Creates or replaces a robot. Its token stays, and its secret if it is left out.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_robot`].
    pub async fn put_robot(
        &self,
        principal: &Principal,
        name: &str,
        spec: RobotSpec,
        expected: Option<u64>,
    ) -> Result<Put<RobotView>, Problem> {
        may_change(principal, &spec)?;
        check_name("name", name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.robot(name);
        if let Some(robot) = before {
            may_change(principal, &robot.spec)?;
        }
        check_revision(before.map(|robot| &robot.meta), expected)?;
        let spec = with_secret(before, spec, Absent::Keep)?;
        self.store_robot(&snapshot, before, name, spec, false).await
    }

    /// Changes fields of a robot (RFC 7396); `null` removes the secret.
    ///
    /// # Errors
    /// As [`Gateway::put_robot`]; `robot_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_robot(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<RobotView, Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = found(principal, &snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let spec = patched(&before.spec, &patch)?;
        let spec = with_secret(Some(before), spec, Absent::Remove)?;
        may_change(principal, &spec)?;
        let put = self
            .store_robot(&snapshot, Some(before), name, spec, false)
            .await?;
        Ok(put.view)
    }

    /// Gives a robot another token, shown this once; the one before it is refused from now on.
    ///
    /// # Errors
    /// `robot_not_found`; 403 without the right; the store's.
    pub async fn rotate_robot_token(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<RobotView, Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let robot = found(principal, &snapshot, name)?;
        let put = self
            .store_robot(&snapshot, Some(robot), name, robot.spec.clone(), true)
            .await?;
        Ok(put.view)
    }

    /// A robot, without its token.
    ///
    /// # Errors
    /// `robot_not_found`; 403 without the right.
    pub fn get_robot(&self, principal: &Principal, name: &str) -> Result<RobotView, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let robot = find(&snapshot, name)?;
        require_destination(principal, &robot.spec)?;
        Ok(view::robot(robot, None))
    }

    /// The robots whose topic or addresses the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_robots(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<RobotView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load();
        let covered = snapshot
            .robots
            .iter()
            .filter(|(_, robot)| require_destination(principal, &robot.spec).is_ok())
            .map(|(key, robot)| (key.clone(), robot))
            .collect();
        page(covered, query, |robot| view::robot(robot, None))
    }

    /// Removes a robot: its URLs are refused from now on. What it has published stays.
    ///
    /// # Errors
    /// `robot_not_found`, `stale_revision`; 403 without the right; the store's.
    pub async fn delete_robot(
        &self,
        principal: &Principal,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let robot = found(principal, &snapshot, name)?;
        check_revision(Some(&robot.meta), expected)?;
        let key = fold(&robot.meta.name);
        self.commit(vec![delete(ConfigKind::Robot, key, &robot.meta)])
            .await?;
        Ok(())
    }

    /// Checks and stores a robot whose secret is complete; with `renew` it gets another token, as a new one always does.
    async fn store_robot(
        &self,
        snapshot: &Snapshot,
        before: Option<&Arc<Robot>>,
        name: &str,
        spec: RobotSpec,
        renew: bool,
    ) -> Result<Put<RobotView>, Problem> {
        if let Some(robot) = before.filter(|robot| !renew && robot.spec == spec) {
            return Ok(unchanged(robot));
        }
        spec.check()?;
        check_destination(snapshot, &spec)?;
        let (token, hash) = match before {
            Some(robot) if !renew => (None, robot.token),
            Some(_) | None => {
                let token = generate_token(&*self.random);
                let hash = hash_key(&token);
                (Some(token), hash)
            }
        };
        let meta = before.map(|robot| &robot.meta);
        let mut document = envelope(meta, name, spec, self.clock.now());
        document.hash = Some(to_hex(&hash));
        let key = fold(name);
        if let Some(secret) = &document.spec.secret {
            let context = config::robot_context(&key, document.created_at);
            document.spec.secret = Some(self.sealer.seal(&context, secret.as_bytes())?);
        }
        let next = self
            .commit(vec![put(ConfigKind::Robot, key, &document, meta)])
            .await?;
        let robot = next
            .robot(name)
            .ok_or_else(|| internal("the robot was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::robot(robot, token),
        })
    }
}

fn unchanged(robot: &Robot) -> Put<RobotView> {
    Put {
        created: false,
        view: view::robot(robot, None),
    }
}

/// Whoever makes a robot gives away what it may itself: publishing to the topic, or sending to the addresses.
fn may_change(principal: &Principal, spec: &RobotSpec) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    require_destination(principal, spec)
}

fn require_destination(principal: &Principal, spec: &RobotSpec) -> Result<(), Problem> {
    if let Some(topic) = &spec.topic {
        principal
            .require_topic(topic)
            .map_err(|problem| problem.field("topic"))?;
    }
    for (i, address) in spec.to.iter().enumerate() {
        principal.require_target(&format!("to[{i}]"), address)?;
    }
    Ok(())
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Robot>, Problem> {
    snapshot
        .robot(name)
        .ok_or_else(|| not_found("robot_not_found", "robot", name))
}

/// A robot that the caller may change.
fn found<'s>(
    principal: &Principal,
    snapshot: &'s Snapshot,
    name: &str,
) -> Result<&'s Arc<Robot>, Problem> {
    principal.require(Scope::Admin)?;
    let robot = find(snapshot, name)?;
    require_destination(principal, &robot.spec)?;
    Ok(robot)
}

/// The specification with the secret that is stored, where it is masked or left out.
fn with_secret(
    before: Option<&Arc<Robot>>,
    mut spec: RobotSpec,
    absent: Absent,
) -> Result<RobotSpec, Problem> {
    let stored = before.and_then(|robot| robot.spec.secret.clone());
    match spec.secret.as_deref() {
        None if absent == Absent::Keep => spec.secret = stored,
        Some(MASK) if stored.is_some() => spec.secret = stored,
        Some(MASK) => {
            let detail = format!(
                "{MASK} stands for the secret that is stored, and none is: give the secret itself"
            );
            return Err(Problem::invalid("missing_secret", "secret", detail));
        }
        None | Some(_) => {}
    }
    Ok(spec)
}

/// The topic, or the channels and queues of the addresses, must be there.
fn check_destination(snapshot: &Snapshot, spec: &RobotSpec) -> Result<(), Problem> {
    let unknown = |code, field: String, what: &str, name: &str| {
        let detail = format!("there is no {what} {name:?}; create it first");
        Err(Problem::invalid(code, field, detail))
    };
    if let Some(topic) = &spec.topic
        && (is_system_topic(topic) || snapshot.topic(topic).is_none())
    {
        return unknown("unknown_topic", "topic".to_owned(), "topic", topic);
    }
    for (i, address) in spec.to.iter().enumerate() {
        let field = format!("to[{i}]");
        match Address::parse(&field, address)? {
            Address::Channel { name, .. } if snapshot.channel(&name).is_none() => {
                return unknown("unknown_channel", field, "channel", &name);
            }
            Address::Queue(name) if snapshot.queue(&name).is_none() => {
                return unknown("unknown_queue", field, "queue", &name);
            }
            Address::Channel { .. }
            | Address::Queue(_)
            | Address::User { .. }
            | Address::Room(_) => {}
        }
    }
    Ok(())
}
