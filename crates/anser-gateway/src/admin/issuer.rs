//! Issuers: created, replaced, changed, looked at and removed. A secret is shown when the gateway
//! made it, and never again. What a token is good for is the matter of `tokens` and `auth`.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::name::{check_name, fold};
use anser_core::random::Random;
use anser_core::resource::{IssuerSpec, Scope, SigningAlgorithm};
use anser_core::store::ConfigKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::change::{already_exists, check_revision, delete, envelope, internal, not_found, put};
use super::list::{ListQuery, page};
use super::patch::patched;
use super::view::{self, IssuerView, Put};
use crate::auth::Principal;
use crate::config::{self, Issuer, Snapshot};
use crate::gateway::Gateway;
use crate::look::Page;
use crate::secrets::MASK;
use crate::tokens::Verifier;

/// What every generated secret begins with, so that people and secret scanners recognise it.
const SECRET_PREFIX: &str = "is_";
/// Random bytes of a generated secret.
const SECRET_BYTES: usize = 32;
impl Gateway {
    /// Creates an issuer; a secret that is left out is made and shown this once. The same again, its secret given or left
    /// out, answers with the one that is there.
    ///
    /// # Errors
    /// `already_exists` when there is one with other settings; `invalid_name`, `missing_secret`, `invalid_public_key`, and
    /// what [`IssuerSpec::check`] refuses; 403 without the right; the store's.
    pub async fn create_issuer(
        &self,
        principal: &Principal,
        name: &str,
        spec: IssuerSpec,
    ) -> Result<Put<IssuerView>, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.issuer(name);
        let spec = with_secret(before, spec)?;
        if let Some(issuer) = before {
            if issuer.spec != spec {
                return Err(already_exists("issuer", &issuer.meta.name));
            }
            return Ok(unchanged(issuer));
        }
        check_name("name", name)?;
        self.store_issuer(None, name, spec).await
    }

    /// Creates or replaces an issuer. Its secret stays if it is left out. Sessions by tokens of another key end.
    ///
    /// # Errors
    /// `stale_revision` when it is not at `expected`, else as [`Gateway::create_issuer`].
    pub async fn put_issuer(
        &self,
        principal: &Principal,
        name: &str,
        spec: IssuerSpec,
        expected: Option<u64>,
    ) -> Result<Put<IssuerView>, Problem> {
        may_change(principal)?;
        check_name("name", name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = snapshot.issuer(name);
        check_revision(before.map(|issuer| &issuer.meta), expected)?;
        let spec = with_secret(before, spec)?;
        self.store_issuer(before, name, spec).await
    }

    /// Changes fields of an issuer (RFC 7396). `"secret": null` has another one made, shown this once: tokens signed with
    /// the old one are refused from now on.
    ///
    /// # Errors
    /// As [`Gateway::put_issuer`]; `issuer_not_found`, `invalid_patch`, `invalid_field`.
    pub async fn patch_issuer(
        &self,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<IssuerView, Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let before = find(&snapshot, name)?;
        check_revision(Some(&before.meta), expected)?;
        let mut spec = patched(&before.spec, &patch)?;
        if spec.secret.as_deref() == Some(MASK) {
            spec = with_secret(Some(before), spec)?;
        }
        let put = self.store_issuer(Some(before), name, spec).await?;
        Ok(put.view)
    }

    /// An issuer, without its secret.
    ///
    /// # Errors
    /// `issuer_not_found`; 403 without the right.
    pub fn get_issuer(&self, principal: &Principal, name: &str) -> Result<IssuerView, Problem> {
        may_see(principal)?;
        let snapshot = self.config.load();
        find(&snapshot, name).map(|issuer| view::issuer(issuer, None))
    }

    /// The issuers, without their secrets.
    ///
    /// # Errors
    /// `out_of_range`, `invalid_cursor`; 403 without the right.
    pub fn list_issuers(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<IssuerView>, Problem> {
        may_see(principal)?;
        let snapshot = self.config.load();
        let issuers = snapshot.issuers.iter();
        let issuers = issuers.map(|(key, issuer)| (key.clone(), issuer)).collect();
        page(issuers, query, |issuer| view::issuer(issuer, None))
    }

    /// Removes an issuer: its tokens are refused from now on, and the sessions that they opened end.
    ///
    /// # Errors
    /// `issuer_not_found`, `stale_revision`; 403 without the right; the store's.
    pub async fn delete_issuer(
        &self,
        principal: &Principal,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        may_change(principal)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let issuer = find(&snapshot, name)?;
        check_revision(Some(&issuer.meta), expected)?;
        let key = fold(&issuer.meta.name);
        self.commit(vec![delete(ConfigKind::Issuer, key, &issuer.meta)])
            .await?;
        Ok(())
    }

    /// Checks and stores an issuer; one of HS256 without a secret gets one.
    async fn store_issuer(
        &self,
        before: Option<&Arc<Issuer>>,
        name: &str,
        mut spec: IssuerSpec,
    ) -> Result<Put<IssuerView>, Problem> {
        if let Some(issuer) = before.filter(|issuer| issuer.spec == spec) {
            return Ok(unchanged(issuer));
        }
        spec.check()?;
        let made = (spec.algorithm == SigningAlgorithm::Hs256 && spec.secret.is_none())
            .then(|| generate_secret(&*self.random));
        if let Some(secret) = &made {
            spec.secret = Some(secret.clone());
        }
        // A key that cannot be used must not be stored: the next start would stumble over it.
        Verifier::new(&spec)?;
        let meta = before.map(|issuer| &issuer.meta);
        let mut document = envelope(meta, name, spec, self.clock.now());
        let key = fold(name);
        if let Some(secret) = &document.spec.secret {
            let context = config::issuer_context(&key, document.created_at);
            document.spec.secret = Some(self.sealer.seal(&context, secret.as_bytes())?);
        }
        let next = self
            .commit(vec![put(ConfigKind::Issuer, key, &document, meta)])
            .await?;
        let issuer = next
            .issuer(name)
            .ok_or_else(|| internal("the issuer was stored and is not there"))?;
        Ok(Put {
            created: before.is_none(),
            view: view::issuer(issuer, made),
        })
    }
}

fn unchanged(issuer: &Issuer) -> Put<IssuerView> {
    Put {
        created: false,
        view: view::issuer(issuer, None),
    }
}

/// An issuer's tokens open sessions of anybody: it is an unlimited administrator's to make.
fn may_change(principal: &Principal) -> Result<(), Problem> {
    principal.require(Scope::Admin)?;
    principal.require_unlimited()
}

fn may_see(principal: &Principal) -> Result<(), Problem> {
    principal.require(Scope::Read)?;
    principal.require_unlimited()
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Arc<Issuer>, Problem> {
    snapshot
        .issuer(name)
        .ok_or_else(|| not_found("issuer_not_found", "issuer", name))
}

/// The specification with the secret that is stored, where it is masked or left out.
fn with_secret(before: Option<&Arc<Issuer>>, mut spec: IssuerSpec) -> Result<IssuerSpec, Problem> {
    let stored = before.and_then(|issuer| issuer.spec.secret.clone());
    match spec.secret.as_deref() {
        None if spec.algorithm == SigningAlgorithm::Hs256 => spec.secret = stored,
        Some(MASK) if stored.is_some() => spec.secret = stored,
        Some(MASK) => {
            let detail = format!(
                "{MASK} stands for the secret that is stored, and none is: give the secret itself, or leave it out"
            );
            return Err(Problem::invalid("missing_secret", "secret", detail));
        }
        None | Some(_) => {}
    }
    Ok(spec)
}

fn generate_secret(random: &dyn Random) -> String {
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes);
    format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}
