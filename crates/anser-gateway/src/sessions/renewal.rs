//! How long a session may go on: a fresh token of the same user prolongs it, and it ends when what it was opened with is
//! taken back. Must not decide who anybody is: that is `admission`'s.

use std::collections::HashSet;
use std::sync::Arc;

use anser_core::Problem;
use anser_core::id::ResourceId;
use anser_core::live::{Answer, CloseReason, Hello};
use anser_core::resource::IssuerSpec;

use super::Session;
use super::identity::Identity;
use crate::config::Snapshot;
use crate::live::Sessions;
use crate::live::forbidden;

impl Session {
    /// Goes on for as long as a fresh token or the same key allows. It must be for the same user with the same rights:
    /// whoever is to have others connects anew.
    ///
    /// # Errors
    /// As [`Gateway::admit_live`](crate::gateway::Gateway::admit_live); 403 `user_not_allowed`, `rights_changed`;
    /// `session_closed` when it is over.
    pub(super) fn renew(&self, hello: &Hello) -> Result<Answer, Problem> {
        let identity = (self.gateway).admit_live(hello.token.as_deref(), hello.user.clone())?;
        let own = self.identity();
        if identity.user != own.user || identity.issuer != own.issuer || key(&identity) != key(own)
        {
            let detail = "a session is prolonged by a token for the same user, of the same issuer; connect anew";
            return Err(forbidden("user_not_allowed", detail).field("token"));
        }
        if identity.rights != own.rights {
            let detail = "the token allows something else than the one that the session began with; connect anew";
            return Err(forbidden("rights_changed", detail).field("token"));
        }
        let number = self.facts.id.number;
        let until = identity.expires_at;
        let sessions = &self.gateway.sessions;
        if sessions.change(|state, _| state.plan.prolong(number, until)) {
            Ok(Answer::Done {})
        } else {
            Err(super::session::over())
        }
    }

    /// Refuses a credential that is not of whoever opened the session: it was given beside the session's name, which another
    /// may have come by.
    ///
    /// # Errors
    /// As [`Gateway::admit_live`](crate::gateway::Gateway::admit_live); 403 `user_not_allowed`.
    pub fn check_owner(&self, credential: &str) -> Result<(), Problem> {
        let identity = self.gateway.admit_live(Some(credential), None)?;
        let own = self.identity();
        // A key may act for many users, a token for its own.
        let same_user = own.issuer.is_none() || identity.user == own.user;
        if same_user && identity.issuer == own.issuer && key(&identity) == key(own) {
            return Ok(());
        }
        let detail = "this session was opened with another key, or for another user; ask with the credential that it was opened with, or open one of your own";
        Err(forbidden("user_not_allowed", detail).field("session"))
    }

    /// Ends it when what it was opened with was taken back meanwhile. For whoever has just opened it.
    pub fn recheck(&self) {
        let snapshot = self.gateway.config.load();
        let identity = self.identity();
        let known_key = |id| snapshot.keys.values().any(|key| key.meta.id == id);
        let known_issuer = |id| {
            let mut issuers = snapshot.issuers.values();
            issuers.any(|issuer| {
                issuer.meta.id == id && Some(issuer.meta.revision) == identity.issuer_revision
            })
        };
        let gone = key(identity).is_some_and(|id| !known_key(id))
            || identity.issuer.is_some_and(|id| !known_issuer(id));
        if gone {
            self.close_with(CloseReason::Revoked, Some(GONE.to_owned()));
        }
    }
}

/// What the client is told.
const GONE: &str = "the key or issuer that the session was opened with was deleted or changed";

fn key(identity: &Identity) -> Option<ResourceId> {
    identity.principal.key
}

impl Sessions {
    /// Ends the sessions whose key is gone, and those whose issuer is gone or allows something else than before.
    pub(crate) fn revoke(&self, before: &Snapshot, next: &Snapshot) {
        let keys = before.keys.iter();
        let gone = keys.filter(|(hash, _)| !next.keys.contains_key(*hash));
        let gone: HashSet<ResourceId> = gone.map(|(_, key)| key.meta.id).collect();
        let issuers = before.issuers.iter().filter(|(name, issuer)| {
            next.issuers.get(*name).is_none_or(|now| {
                let same = Arc::ptr_eq(now, issuer);
                !same && (now.meta.id != issuer.meta.id || allows_other(&now.spec, &issuer.spec))
            })
        });
        let changed: HashSet<ResourceId> = issuers.map(|(_, issuer)| issuer.meta.id).collect();
        if gone.is_empty() && changed.is_empty() {
            return;
        }
        self.change(|state, now| {
            let revoked = state.seats.iter().filter(|(_, seat)| {
                let facts = &seat.facts;
                facts.key.is_some_and(|id| gone.contains(&id))
                    || facts.issuer.is_some_and(|id| changed.contains(&id))
            });
            let revoked: Vec<u64> = revoked.map(|(number, _)| *number).collect();
            for number in revoked {
                let detail = Some(GONE.to_owned());
                state.plan.close(number, CloseReason::Revoked, detail, now);
            }
        });
    }
}

fn allows_other(now: &IssuerSpec, before: &IssuerSpec) -> bool {
    let described = |spec: &IssuerSpec| IssuerSpec {
        description: None,
        ..spec.clone()
    };
    described(now) != described(before)
}
