//! Who opens a live session: an API key, a signed token, or in developer mode anybody. One place for every wire. Must not
//! open anything: it says who it is and what they may do.

use anser_core::name::UserId;
use anser_core::resource::RightsSpec;
use anser_core::{Problem, ProblemKind};

use super::identity::Identity;
use crate::auth::check_issuer_speaks_for;
use crate::gateway::Gateway;
use crate::glob::pattern_matches;
use crate::live::{Allowed, Rights, forbidden};
use crate::tokens::{self, RightsClaim};

impl Gateway {
    /// Who presents this credential: an API key, or a token that an application signed. `user` is whom a key acts for; a
    /// token names its own, and another one beside it is refused. Without a credential only the developer mode admits.
    ///
    /// # Errors
    /// 401 `missing_key`, `unknown_key`, `unknown_issuer`, and what is wrong with a token; 403 `user_not_allowed`,
    /// `right_not_allowed`, `missing_scope`, `address_not_allowed`.
    pub fn admit_live(
        &self,
        credential: Option<&str>,
        user: Option<UserId>,
    ) -> Result<Identity, Problem> {
        let admitted = self.recognise(credential, user);
        if admitted.is_err() {
            self.metrics.live_credential_refused();
        }
        admitted
    }

    fn recognise(
        &self,
        credential: Option<&str>,
        user: Option<UserId>,
    ) -> Result<Identity, Problem> {
        match credential {
            Some(token) if tokens::looks_like_token(token) => {
                let known = self.authenticate(Some(token));
                match known {
                    // `ANSER_ADMIN_KEY` may be any text, also one with two dots.
                    Ok(principal) => Identity::of_key(principal, user),
                    Err(_) => self.admit_token(token, user),
                }
            }
            key => Identity::of_key(self.authenticate(key)?, user),
        }
    }

    fn admit_token(&self, token: &str, user: Option<UserId>) -> Result<Identity, Problem> {
        let name = tokens::issuer_of(token)?;
        let snapshot = self.config.load();
        let issuer = snapshot.issuer(&name).ok_or_else(|| {
            Problem::new(
                ProblemKind::Unauthenticated,
                "unknown_issuer",
                "the token is refused: its claim `iss` names no issuer of this server",
            )
            .field("iss")
        })?;
        let now = self.clock.now();
        let claims = tokens::verify(&issuer.verifier, &issuer.spec, token, now)?;
        check_issuer_speaks_for(issuer, &claims.user)?;
        if user.is_some_and(|user| user != claims.user) {
            let detail = "the token is for another user than the one asked for; leave `user` out";
            return Err(forbidden("user_not_allowed", detail).field("user"));
        }
        let rights = token_rights(&issuer.spec.rights, &claims.rights)?;
        Ok(Identity::of_user(
            &issuer.meta.name,
            claims.user,
            claims.name,
            rights,
            Some(claims.expires_at),
        )
        .by(&issuer.meta))
    }
}

/// What a token allows: what it claims, as far as its issuer may give it.
///
/// # Errors
/// 403 `right_not_allowed`, naming the pattern that the issuer does not cover.
pub(super) fn token_rights(ceiling: &RightsSpec, claim: &RightsClaim) -> Result<Rights, Problem> {
    let narrowed = |name, ceiling: &[String], claim: &Option<Vec<String>>, ignoring_case| {
        narrow(name, ceiling, claim.as_deref(), ignoring_case).map(Allowed::Only)
    };
    Ok(Rights {
        publish: narrowed("publish", &ceiling.publish, &claim.publish, true)?,
        read: narrowed("read", &ceiling.read, &claim.read, true)?,
        rooms: narrowed("rooms", &ceiling.rooms, &claim.rooms, true)?,
        send: narrowed("send", &ceiling.send, &claim.send, false)?,
        see: narrowed("see", &ceiling.see, &claim.see, false)?,
    })
}

/// The patterns that are in both lists: those of the claim that one of the ceiling's contains, and those of the ceiling that
/// one of the claim's contains. Two that merely overlap give nothing: what is refused wrongly is told, what is allowed wrongly
/// is not.
fn narrow(
    name: &str,
    ceiling: &[String],
    claim: Option<&[String]>,
    ignoring_case: bool,
) -> Result<Vec<String>, Problem> {
    let Some(claim) = claim else {
        return Ok(ceiling.to_vec());
    };
    let mut both: Vec<String> = Vec::new();
    for (i, claimed) in claim.iter().enumerate() {
        let before = both.len();
        if ceiling
            .iter()
            .any(|most| contains(most, claimed, ignoring_case))
        {
            both.push(claimed.clone());
        } else {
            let within = |most: &&String| contains(claimed, most, ignoring_case);
            both.extend(ceiling.iter().filter(within).cloned());
        }
        if both.len() == before {
            let detail = format!(
                "the token is refused: its issuer may not give {claimed:?}; its `rights.{name}` say what it may"
            );
            return Err(forbidden("right_not_allowed", detail).field(format!("rights.{name}[{i}]")));
        }
    }
    both.sort_unstable();
    both.dedup();
    Ok(both)
}

/// Whether everything that `inner` covers is covered by `outer`: `inner` read as a text, in which a `*` is covered by a `*`
/// alone. A pattern of system topics is covered by such a pattern only.
fn contains(outer: &str, inner: &str, ignoring_case: bool) -> bool {
    let of_system = |pattern: &str| pattern.starts_with('$');
    (of_system(outer) || !of_system(inner)) && pattern_matches(outer, inner, ignoring_case)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|&pattern| pattern.to_owned()).collect()
    }

    #[test]
    fn a_claim_narrows_what_its_issuer_allows_and_never_widens_it() {
        let narrowed = |ceiling: &[&str], claim: Option<&[&str]>| {
            let claim = claim.map(list);
            narrow("read", &list(ceiling), claim.as_deref(), true).map_err(|problem| problem.code)
        };
        let refused = Err("right_not_allowed");
        for (ceiling, claim, expected) in [
            (&["a*"][..], None, Ok(list(&["a*"]))),
            (&["a*"], Some(&[][..]), Ok(list(&[]))),
            (&["a*"], Some(&["ab", "A.*"]), Ok(list(&["A.*", "ab"]))),
            (&["a*", "b"], Some(&["*"]), Ok(list(&["a*", "b"]))),
            (&["a*"], Some(&["b"]), refused.clone()),
            (&["a*"], Some(&["*a"]), refused.clone()),
            (&[], Some(&["a"]), refused.clone()),
            (&["*"], Some(&["$ops"]), refused.clone()),
            (&["$*"], Some(&["$ops"]), Ok(list(&["$ops"]))),
        ] {
            assert_eq!(narrowed(ceiling, claim), expected, "{ceiling:?} {claim:?}");
        }
    }

    proptest! {
        /// Whatever the patterns: a name that the result covers is covered by the claim and by the ceiling.
        #[test]
        fn what_is_allowed_is_allowed_by_both(
            ceiling in proptest::collection::vec("[ab*$]{1,5}", 0..4),
            claim in proptest::collection::vec("[ab*$]{1,5}", 0..4),
            name in "[ab$]{0,6}",
        ) {
            let covers = |patterns: &[String]| {
                patterns.iter().any(|pattern| pattern_matches(pattern, &name, true))
            };
            if let Ok(both) = narrow("read", &ceiling, Some(&claim), true)
                && covers(&both)
            {
                prop_assert!(covers(&ceiling) && covers(&claim), "{both:?}");
            }
        }
    }
}
