//! Tokens minted for trying, as an application would sign its own. What is not good is not given out.

use std::time::Duration;

use anser_core::name::UserId;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admission::token_rights;
use crate::auth::{Principal, check_issuer_speaks_for};
use crate::gateway::Gateway;
use crate::tokens::{self, Draft, RightsClaim};

/// How long a minted token is good, unless asked otherwise: long enough to try it by hand.
const MINTED_LIFETIME_DEFAULT: Duration = Duration::from_secs(600);

/// What a minted token is to say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenDraft {
    /// Whom it speaks for.
    pub user: UserId,
    /// How that user is called, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// How long it is good, in seconds; absent: ten minutes, or what the issuer allows.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    pub lifetime: Option<u64>,
    /// What it may do; what is left out it has from its issuer.
    #[serde(default)]
    pub rights: Option<RightsClaim>,
}

/// A minted token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MintedToken {
    /// The token, shown this once.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Gateway {
    /// Signs a token as the application of an HS256 issuer would, for trying.
    ///
    /// # Errors
    /// `issuer_not_found`; `no_secret` for an issuer whose private key is not here; `user_not_allowed`, `out_of_range`,
    /// `invalid_pattern`, `invalid_text`; 403 without the right.
    pub fn mint_token(
        &self,
        principal: &Principal,
        issuer: &str,
        draft: TokenDraft,
    ) -> Result<MintedToken, Problem> {
        principal.require(Scope::Admin)?;
        principal.require_unlimited()?;
        let snapshot = self.config.load();
        let issuer = snapshot.issuer(issuer).ok_or_else(|| {
            let detail = format!("there is no issuer {issuer:?}");
            Problem::new(ProblemKind::NotFound, "issuer_not_found", detail)
        })?;
        let Some(secret) = &issuer.spec.secret else {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "no_secret",
                "this issuer's application has the private key, and only it can sign; for trying make an HS256 issuer",
            ));
        };
        let most = issuer.spec.lifetime_max;
        let lifetime = draft
            .lifetime
            .unwrap_or(MINTED_LIFETIME_DEFAULT.as_secs().min(most));
        if !(1..=most).contains(&lifetime) {
            let detail = format!("the issuer allows 1 to {most} seconds");
            return Err(Problem::invalid("out_of_range", "lifetime", detail));
        }
        let now = self.clock.now();
        let signed = tokens::mint(
            &issuer.spec,
            secret,
            Draft {
                issuer: &issuer.meta.name,
                user: &draft.user,
                name: draft.name,
                now,
                expires_at: Timestamp::from_millis(now.seconds() * 1000)
                    .plus(Duration::from_secs(lifetime)),
                rights: draft.rights,
            },
        )?;
        // What is not good is not given out: a pattern too many or a user of others is told here.
        let claims = tokens::verify(&issuer.verifier, &issuer.spec, &signed, now);
        let claims = claims.map_err(|problem| Problem {
            kind: ProblemKind::Invalid,
            ..problem
        })?;
        check_issuer_speaks_for(issuer, &claims.user)?;
        token_rights(&issuer.spec.rights, &claims.rights)?;
        Ok(MintedToken {
            token: signed,
            expires_at: claims.expires_at,
        })
    }
}
