//! Issuers as written: an application that signs short-lived tokens for its own users, and what those tokens may say. Must
//! not verify anything: that takes cryptography and a clock.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_description, check_patterns, in_range};
use crate::limits::ADDRESS_BYTES_MAX;
use crate::name::check_text;
use crate::problem::Problem;

/// Bytes that a secret has at least: RFC 7518 §3.2 asks HS256 for a key as long as its hash.
pub const ISSUER_SECRET_BYTES_MIN: usize = 32;
/// Bytes that a secret has at most.
pub const ISSUER_SECRET_BYTES_MAX: usize = 512;
/// Bytes of a public key as PEM.
const ISSUER_PUBLIC_KEY_BYTES_MAX: usize = 1024;
/// Bytes of an audience.
const AUDIENCE_BYTES_MAX: usize = 256;
/// How long a token may be good, unless the issuer says otherwise: an hour.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(3_600);
/// The longest that an issuer may allow: a day. Whoever is no longer a user stays connected for as long at most.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3_600);

/// An issuer: an application whose tokens open live sessions of its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSpec {
    /// What its tokens are signed with. A token never chooses: one that names another algorithm is refused.
    pub algorithm: SigningAlgorithm,
    /// HS256: the secret, its UTF-8 bytes as they are, at least 32. Left out of a new issuer, one is made and shown this
    /// once; later `********` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("anyOf" = [{"const": "********"}, {"minLength": 32}]))]
    pub secret: Option<String>,
    /// EdDSA: the Ed25519 public key, as PEM (`BEGIN PUBLIC KEY`) or as the `x` of its JWK (RFC 8037).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub public_key: Option<String>,
    /// Patterns of the users that its tokens may speak for, `*` standing for any run of characters; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub users: Option<Vec<String>>,
    /// What `aud` of its tokens must name; absent: whatever it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub audience: Option<String>,
    /// How long a token may be good, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub lifetime_max: u64,
    /// The most that a token may allow; what it does not say itself, it has from here.
    pub rights: RightsSpec,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

impl Default for IssuerSpec {
    fn default() -> Self {
        Self {
            algorithm: SigningAlgorithm::default(),
            secret: None,
            public_key: None,
            users: None,
            audience: None,
            lifetime_max: TOKEN_LIFETIME_DEFAULT.as_secs(),
            rights: RightsSpec::default(),
            description: None,
        }
    }
}

/// What tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// HMAC with SHA-256: the application and the gateway share a secret.
    #[default]
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519: the application keeps its private key to itself.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// Its name in a token's header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What a live client may do. `*` in a pattern stands for any run of characters, an empty list allows nothing. Rooms that
/// are open, or that name the user as a member, are allowed beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RightsSpec {
    /// Patterns of topics that it may publish to.
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub publish: Vec<String>,
    /// Patterns of topics that it may read; one that begins with `$` is for system topics.
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub read: Vec<String>,
    /// Patterns of rooms that it may read and publish to, member or not.
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub rooms: Vec<String>,
    /// Patterns of direct addresses that it may send to, such as `user:*` and `ops/*`; `user:*` unless given.
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub send: Vec<String>,
    /// Patterns of users whose presence it may see without their approval.
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub see: Vec<String>,
}

impl Default for RightsSpec {
    /// People may write to each other and meet in the rooms that take them; topics are the application's, and presence is
    /// everybody's own to show.
    fn default() -> Self {
        Self {
            publish: Vec::new(),
            read: Vec::new(),
            rooms: Vec::new(),
            send: vec!["user:*".to_owned()],
            see: Vec::new(),
        }
    }
}

impl RightsSpec {
    /// Checks what stands by itself.
    ///
    /// # Errors
    /// `invalid_pattern`, `too_many`; `prefix` begins the field's path.
    pub fn check(&self, prefix: &str) -> Result<(), Problem> {
        let lists = [
            ("publish", &self.publish),
            ("read", &self.read),
            ("rooms", &self.rooms),
            ("send", &self.send),
            ("see", &self.see),
        ];
        lists.into_iter().try_for_each(|(name, patterns)| {
            let field = format!("{prefix}.{name}");
            check_patterns(&field, Some(patterns), ADDRESS_BYTES_MAX)
        })
    }
}

impl IssuerSpec {
    /// Checks what stands by itself; whether a public key is one is checked where keys are read.
    ///
    /// # Errors
    /// `invalid_secret`, `invalid_public_key`, `missing_public_key`, `invalid_pattern`, `too_many`, `invalid_audience`,
    /// `out_of_range`, `invalid_text`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())?;
        self.check_key()?;
        check_patterns("users", self.users.as_deref(), ADDRESS_BYTES_MAX)?;
        if let Some(audience) = &self.audience {
            check_text("invalid_audience", "audience", audience, AUDIENCE_BYTES_MAX)?;
        }
        let most = TOKEN_LIFETIME_MAX.as_secs();
        in_range("lifetime_max", self.lifetime_max, 1, most)?;
        self.rights.check("rights")
    }

    fn check_key(&self) -> Result<(), Problem> {
        match self.algorithm {
            SigningAlgorithm::Hs256 => {
                if self.public_key.is_some() {
                    let detail = "HS256 has a secret and no public key; leave it out, or set algorithm to EdDSA";
                    return Err(Problem::invalid("invalid_public_key", "public_key", detail));
                }
                self.secret.as_deref().map_or(Ok(()), check_secret)
            }
            SigningAlgorithm::EdDsa => {
                if self.secret.is_some() {
                    let detail = "EdDSA has a public key and no secret; leave it out, or set algorithm to HS256";
                    return Err(Problem::invalid("invalid_secret", "secret", detail));
                }
                match &self.public_key {
                    Some(key) if key.len() <= ISSUER_PUBLIC_KEY_BYTES_MAX => Ok(()),
                    Some(_) => {
                        let detail = format!("has at most {ISSUER_PUBLIC_KEY_BYTES_MAX} bytes");
                        Err(Problem::invalid("invalid_public_key", "public_key", detail))
                    }
                    None => {
                        let detail =
                            "tokens signed with EdDSA are checked with a public key; give it";
                        Err(Problem::invalid("missing_public_key", "public_key", detail))
                    }
                }
            }
        }
    }
}

fn check_secret(secret: &str) -> Result<(), Problem> {
    let good = (ISSUER_SECRET_BYTES_MIN..=ISSUER_SECRET_BYTES_MAX).contains(&secret.len())
        && secret.trim() == secret
        && !secret.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    let detail = format!(
        "must have {ISSUER_SECRET_BYTES_MIN} to {ISSUER_SECRET_BYTES_MAX} bytes, without blanks around it and without control characters; leave it out and one is made"
    );
    Err(Problem::invalid("invalid_secret", "secret", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> IssuerSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_an_issuer_may_say() {
        for good in [
            "{}",
            r#"{"secret": "0123456789abcdef0123456789abcdef", "users": ["shop-*"], "lifetime_max": 86400}"#,
            r#"{"algorithm": "EdDSA", "public_key": "x", "rights": {"read": ["orders.*"], "rooms": []}}"#,
        ] {
            assert_eq!(spec(good).check(), Ok(()), "{good}");
        }
        for (bad, code, field) in [
            (
                r#"{"secret": "0123456789abcdef0123456789abcde"}"#,
                "invalid_secret",
                "secret",
            ),
            (
                r#"{"algorithm": "EdDSA", "public_key": "x", "secret": "0123456789abcdef0123456789abcdef"}"#,
                "invalid_secret",
                "secret",
            ),
            (r#"{"public_key": "x"}"#, "invalid_public_key", "public_key"),
            (
                r#"{"algorithm": "EdDSA"}"#,
                "missing_public_key",
                "public_key",
            ),
            (r#"{"lifetime_max": 86401}"#, "out_of_range", "lifetime_max"),
            (r#"{"lifetime_max": 0}"#, "out_of_range", "lifetime_max"),
            (r#"{"audience": ""}"#, "invalid_audience", "audience"),
            (r#"{"users": [""]}"#, "invalid_pattern", "users[0]"),
            (
                r#"{"rights": {"rooms": ["a", "b\u0000"]}}"#,
                "invalid_pattern",
                "rights.rooms[1]",
            ),
        ] {
            let problem = spec(bad).check().unwrap_err();
            let found = (problem.code, problem.field.as_deref());
            assert_eq!(found, (code, Some(field)), "{bad}");
        }
        for unread in [
            r#"{"algorithm": "none"}"#,
            r#"{"algorithm": "HS512"}"#,
            r#"{"alg": "HS256"}"#,
        ] {
            assert!(serde_json::from_str::<IssuerSpec>(unread).is_err());
        }
    }

    #[test]
    fn a_right_that_is_left_out_is_the_default_and_an_empty_one_is_none() {
        let rights = spec(r#"{"rights": {"rooms": ["*"]}}"#).rights;
        assert_eq!(rights.send, ["user:*"]);
        assert!(rights.publish.is_empty() && rights.read.is_empty());
        assert!(spec(r#"{"rights": {"send": []}}"#).rights.send.is_empty());
    }
}
