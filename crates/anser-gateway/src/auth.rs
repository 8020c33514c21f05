//! Who is calling and what they may do: API keys, scopes and patterns. A key is 256 random bits, stored as SHA-256.
//! Must not change anything: keys are created and removed by administration.

#[cfg(test)]
mod tests;

use anser_core::id::ResourceId;
use anser_core::message::{Sender, SenderKind};
use anser_core::name::{QUEUE_PREFIX, ROOM_PREFIX, USER_PREFIX, UserId, queue_address};
use anser_core::random::Random;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{Issuer, Key};
use crate::gateway::Gateway;
use crate::glob::{self, pattern_matches};

/// What every generated key begins with, so that people and secret scanners recognise it.
pub const KEY_PREFIX: &str = "ak_";
/// What every robot's token begins with.
pub const TOKEN_PREFIX: &str = "rb_";
/// Random bytes of a key, and of a robot's token.
const KEY_BYTES: usize = 32;
/// What every SecretId begins with (`cmq.md`: error 10450 exists for others).
const SECRET_ID_PREFIX: &str = "AKID";
/// Letters and digits of a SecretId behind its prefix, and of a SecretKey: 190 random bits.
const CMQ_TEXT_CHARS: usize = 32;
/// Bytes of a presented key beyond which it is not even hashed.
const PRESENTED_BYTES_MAX: usize = 512;

/// The authenticated caller.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The key's number; `None` for the developer mode's keyless caller and for the system itself.
    pub key: Option<ResourceId>,
    /// What `from` is stamped with.
    pub sender: Sender,
    /// Scope of its dedupe keys.
    pub lineage: u64,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Patterns of topics; `None`: all.
    pub topics: Option<Vec<String>>,
    /// Patterns of direct addresses; `None`: all, or none when there are patterns of topics.
    pub targets: Option<Vec<String>>,
}

impl Principal {
    /// The gateway itself: operator messages, the command line on a stopped server.
    #[must_use]
    pub fn system() -> Self {
        Self::unlimited(SenderKind::System, "anser")
    }

    /// What a channel or a robot brings in by itself: the operator configured where that goes, so no pattern limits it. The
    /// numbers of resources are unique among all kinds, so its dedupe keys are its own.
    #[must_use]
    pub(crate) fn of_resource(resource: ResourceId) -> Self {
        Self {
            lineage: resource.0,
            scopes: vec![Scope::Publish],
            ..Self::system()
        }
    }

    fn unlimited(kind: SenderKind, id: &str) -> Self {
        Self {
            key: None,
            sender: sender(kind, id),
            lineage: 0,
            scopes: vec![Scope::Admin],
            topics: None,
            targets: None,
        }
    }

    fn of_key(key: &Key) -> Self {
        Self {
            key: Some(key.meta.id),
            sender: sender(SenderKind::Service, &key.meta.name),
            lineage: key.lineage,
            scopes: key.spec.scopes.clone(),
            topics: key.spec.topics.clone(),
            targets: key.spec.targets.clone(),
        }
    }

    /// Refuses a caller without `scope` (`admin` implies every other).
    ///
    /// # Errors
    /// 403 `missing_scope`, naming it.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin) {
            return Ok(());
        }
        let name = scope_name(scope);
        Err(forbidden(
            "missing_scope",
            format!("this key lacks the scope {name}; use a key that has it"),
        )
        .accepted(name))
    }

    /// Refuses a caller whose patterns do not cover `topic`.
    ///
    /// # Errors
    /// 403 `topic_not_allowed`, naming it.
    pub fn require_topic(&self, topic: &str) -> Result<(), Problem> {
        if self.covers_topic(topic) {
            return Ok(());
        }
        Err(forbidden(
            "topic_not_allowed",
            format!("this key is not for the topic {topic}; use a key whose `topics` cover it"),
        ))
    }

    /// Refuses a caller whose patterns do not cover a direct address; `field` is where it was written.
    ///
    /// # Errors
    /// 403 `address_not_allowed`, naming it.
    pub fn require_target(&self, field: &str, address: &str) -> Result<(), Problem> {
        if self.covers_target(address) {
            return Ok(());
        }
        Err(forbidden(
            "address_not_allowed",
            format!("this key may not send to {address}; use a key whose `targets` cover it"),
        )
        .field(field))
    }

    /// Refuses a caller whose patterns do not cover a queue's address; `field` is where its name was written.
    ///
    /// # Errors
    /// 403 `address_not_allowed`, naming the address.
    pub fn require_queue(&self, field: &str, queue: &str) -> Result<(), Problem> {
        self.require_target(field, &queue_address(queue))
    }

    /// Refuses a caller that may use no direct address at all; `field` is `to`, `conversation` or `reply_to`.
    ///
    /// # Errors
    /// 403 `address_not_allowed`.
    pub fn require_direct(&self, field: &str) -> Result<(), Problem> {
        if self.topics.is_none() || self.targets.is_some() {
            return Ok(());
        }
        Err(forbidden(
            "address_not_allowed",
            "a key with `topics` and without `targets` may not use this field; leave it out, or use a key with `targets`",
        )
        .field(field))
    }

    /// Refuses a caller that is limited to some topics or addresses: what belongs to neither takes an unlimited key.
    ///
    /// # Errors
    /// 403 `limited_key`.
    pub fn require_unlimited(&self) -> Result<(), Problem> {
        if self.topics.is_none() && self.targets.is_none() {
            return Ok(());
        }
        Err(forbidden(
            "limited_key",
            "a key with `topics` or `targets` may not do this; use an admin key without them",
        ))
    }

    /// Whether the caller's patterns cover `topic`. Names are compared ignoring case; a topic of the system's takes a pattern
    /// that begins with `$`.
    #[must_use]
    pub fn covers_topic(&self, topic: &str) -> bool {
        self.topics.as_ref().is_none_or(|patterns| {
            patterns
                .iter()
                .any(|pattern| glob::topic_matches(pattern, topic))
        })
    }

    /// Whether the caller's patterns cover a direct address. The name of a channel or queue is compared ignoring case, a
    /// channel's target exactly; a channel without target is covered by `CHANNEL` and by `CHANNEL/*`.
    #[must_use]
    pub fn covers_target(&self, address: &str) -> bool {
        let Some(patterns) = &self.targets else {
            return self.topics.is_none();
        };
        let mut named = [QUEUE_PREFIX, ROOM_PREFIX].iter();
        let name = if named.any(|prefix| address.starts_with(prefix)) {
            address.len()
        } else {
            address.find(['/', ':']).unwrap_or(address.len())
        };
        let covered = |text: &str| {
            patterns
                .iter()
                .any(|pattern| glob::matches(pattern, text, name))
        };
        // Who may write to a user may write to one of the user's sessions.
        let session = address
            .strip_prefix(USER_PREFIX)
            .and(address.split_once('/'));
        covered(address)
            || session.is_some_and(|(user, _)| covered(user))
            || name == address.len() && covered(&format!("{address}/"))
    }
}

/// Refuses a user whom the issuer's tokens may not speak for.
///
/// # Errors
/// 403 `user_not_allowed`.
pub(crate) fn check_issuer_speaks_for(issuer: &Issuer, user: &UserId) -> Result<(), Problem> {
    let patterns = issuer.spec.users.as_deref();
    let covered = |patterns: &[String]| {
        patterns
            .iter()
            .any(|pattern| pattern_matches(pattern, user.as_str(), false))
    };
    if patterns.is_none_or(covered) {
        return Ok(());
    }
    let (name, user) = (&issuer.meta.name, user.as_str());
    let detail = format!(
        "the issuer {name:?} may not speak for the user {user:?}; its `users` say for whom it may"
    );
    Err(forbidden("user_not_allowed", detail).field("sub"))
}

fn sender(kind: SenderKind, id: &str) -> Sender {
    Sender {
        kind,
        id: id.to_owned(),
        name: None,
        platform: None,
        account: None,
    }
}

fn forbidden(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Forbidden, code, detail)
}

const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Publish => "publish",
        Scope::Consume => "consume",
        Scope::Read => "read",
        Scope::Admin => "admin",
    }
}

impl Gateway {
    /// Who presents this key: the text behind `Bearer `. The developer mode asks for none, but a key that is given
    /// must be one. Keys are found by their hash, so the time taken tells nothing of a stored key.
    ///
    /// # Errors
    /// 401 `missing_key` or `unknown_key`.
    pub fn authenticate(&self, bearer: Option<&str>) -> Result<Principal, Problem> {
        let Some(text) = bearer else {
            if self.options.dev {
                return Ok(Principal::unlimited(SenderKind::Service, "dev"));
            }
            return Err(unauthenticated(
                "missing_key",
                "give an API key in the header `Authorization: Bearer KEY`",
            ));
        };
        let snapshot = self.config.load();
        let known = (text.len() <= PRESENTED_BYTES_MAX)
            .then(|| snapshot.keys.get(&hash_key(text)))
            .flatten();
        known.map(|key| Principal::of_key(key)).ok_or_else(|| {
            unauthenticated(
                "unknown_key",
                "this API key is not known here: it was deleted, or belongs to another server",
            )
        })
    }
}

fn unauthenticated(code: &'static str, detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, code, detail)
}

/// The form in which a key is stored: SHA-256. It needs no salt, as a key is 256 random bits.
#[must_use]
pub(crate) fn hash_key(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

/// A new key's text: `ak_` and 43 characters of Base64 for URLs.
pub(crate) fn generate_key(random: &dyn Random) -> String {
    generate(KEY_PREFIX, random)
}

/// A new robot's token: `rb_` and 43 characters that can stand in a path as they are.
pub(crate) fn generate_token(random: &dyn Random) -> String {
    generate(TOKEN_PREFIX, random)
}

fn generate(prefix: &str, random: &dyn Random) -> String {
    let mut bytes = [0; KEY_BYTES];
    random.fill(&mut bytes);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Who a request of a CMQ client comes from, and what its signature is checked with. Never shown, never logged.
pub struct CmqCredentials {
    /// The caller.
    pub principal: Principal,
    /// The key of the signature's HMAC.
    pub secret_key: String,
    /// The caller's APPID.
    pub app_id: u64,
}

impl Gateway {
    /// Whose SecretId this is; `None`: nobody's. The caller proves it by a signature, which the door checks.
    #[must_use]
    pub fn cmq_credentials(&self, secret_id: &str) -> Option<CmqCredentials> {
        let snapshot = self.config.load();
        let cmq = snapshot.cmq_keys.get(secret_id)?;
        Some(CmqCredentials {
            principal: Principal::of_key(&cmq.key),
            secret_key: cmq.secret_key.clone(),
            app_id: cmq.key.spec.app_id.unwrap_or(self.info.installation),
        })
    }
}

/// A new SecretId and SecretKey, as CMQ's own look.
pub(crate) fn generate_cmq(random: &dyn Random) -> (String, String) {
    let secret_id = format!("{SECRET_ID_PREFIX}{}", alphanumeric(random));
    (secret_id, alphanumeric(random))
}

/// [`CMQ_TEXT_CHARS`] letters and digits, all equally likely.
fn alphanumeric(random: &dyn Random) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // The greatest multiple of 62 in a byte: beyond it the first digits would be likelier.
    const FAIR: usize = 248;
    let mut text = String::with_capacity(CMQ_TEXT_CHARS);
    let mut bytes = [0; CMQ_TEXT_CHARS];
    while text.len() < CMQ_TEXT_CHARS {
        random.fill(&mut bytes);
        let fair = bytes.iter().map(|byte| usize::from(*byte));
        let chars = fair
            .filter(|n| *n < FAIR)
            .map(|n| char::from(DIGITS[n % 62]));
        text.extend(chars.take(CMQ_TEXT_CHARS - text.len()));
    }
    text
}

/// What became of the first admin key at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminKey {
    /// There is an admin key already.
    Present,
    /// `ANSER_ADMIN_KEY` was made the first admin key, or is a key already.
    FromEnvironment,
    /// A first admin key was made; this is its text, shown this once.
    Generated(String),
    /// `ANSER_ADMIN_KEY` is not a known key and there are admin keys already: it is not used.
    EnvironmentUnused,
}
