//! Signed tokens of live clients (JWT, RFC 7519): an application mints them for its own users, its issuer says what they may
//! be. Reading and cryptography are `jsonwebtoken`'s; what claims mean is decided here, purely, with the time handed in.
//! Must not know of sessions or wires.
//!
//! The issuer decides the algorithm: a token that names another one, or `none`, is refused before a byte of its signature is
//! looked at, and keys that a token brings along (`jwk`, `jku`, `x5u`) are never used.

#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::name::{UserId, check_text};
use anser_core::resource::{IssuerSpec, RightsSpec, SigningAlgorithm};
use anser_core::{Problem, ProblemKind, Timestamp};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

/// Bytes of a token beyond which it is not read: room for a hundred patterns.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the application's clock may be ahead of ours, for `nbf`, `iat` and the longest lifetime.
pub const TOKEN_CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// Bytes of the claim `name`.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_KEY_BYTES: usize = 32;
/// The latest second of a NumericDate that is taken: the end of the year 9999.
const NUMERIC_DATE_MAX: f64 = 253_402_214_400.0;

/// What the signatures of an issuer's tokens are checked with.
pub struct Verifier {
    algorithm: SigningAlgorithm,
    key: DecodingKey,
}

impl Verifier {
    /// Reads the key of an issuer whose specification was checked.
    ///
    /// # Errors
    /// `invalid_public_key`, `invalid_secret`.
    pub(crate) fn new(spec: &IssuerSpec) -> Result<Self, Problem> {
        let key = match spec.algorithm {
            SigningAlgorithm::Hs256 => {
                let secret = spec.secret.as_deref().ok_or_else(|| {
                    Problem::invalid("invalid_secret", "secret", "HS256 needs a secret")
                })?;
                DecodingKey::from_secret(secret.as_bytes())
            }
            SigningAlgorithm::EdDsa => {
                DecodingKey::from_ed_der(&public_key(spec.public_key.as_deref().unwrap_or(""))?)
            }
        };
        Ok(Self {
            algorithm: spec.algorithm,
            key,
        })
    }

    fn validation(&self) -> Validation {
        let mut validation = Validation::new(algorithm(self.algorithm));
        // The library reads the machine's clock: times and audience are checked below, with the clock handle.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        validation
    }
}

const fn algorithm(of: SigningAlgorithm) -> Algorithm {
    match of {
        SigningAlgorithm::Hs256 => Algorithm::HS256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// An Ed25519 public key from PEM, or from the `x` of a JWK (RFC 8037 §2).
fn public_key(text: &str) -> Result<Vec<u8>, Problem> {
    let invalid = |detail: &str| {
        Problem::invalid("invalid_public_key", "public_key", detail)
            .accepted("-----BEGIN PUBLIC KEY-----…, or 43 characters of base64url")
    };
    let text = text.trim();
    let bytes = if text.starts_with("-----BEGIN") {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .map_err(|_| invalid("holds no PEM of a public key (BEGIN PUBLIC KEY)"))?;
        key.as_ref().to_vec()
    } else {
        let raw = URL_SAFE_NO_PAD.decode(text).ok();
        raw.filter(|bytes| bytes.len() == ED25519_KEY_BYTES)
            .ok_or_else(|| invalid("is neither PEM nor 32 bytes as base64url"))?
    };
    ParsedPublicKey::new(&ED25519, &bytes).map_err(|_| invalid("is no Ed25519 key"))?;
    Ok(bytes)
}

/// What a token says, once its signature and its times are found good.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims {
    /// Whom it speaks for.
    pub(crate) user: UserId,
    /// How that user is called, for people.
    pub(crate) name: Option<String>,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// What it asks for; what it leaves out it has from its issuer.
    pub(crate) rights: RightsClaim,
}

/// The claim `rights`: each list narrows what the issuer allows, never widens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RightsClaim {
    /// Patterns of topics to publish to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Vec<String>>,
    /// Patterns of topics to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<String>>,
    /// Patterns of rooms to read and publish to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<String>>,
    /// Patterns of direct addresses to send to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Vec<String>>,
    /// Patterns of users to see without their approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub see: Option<Vec<String>>,
}

impl RightsClaim {
    /// Checks the patterns.
    ///
    /// # Errors
    /// `invalid_pattern`, `too_many`.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let given = RightsSpec {
            publish: list(&self.publish),
            read: list(&self.read),
            rooms: list(&self.rooms),
            send: list(&self.send),
            see: list(&self.see),
        };
        given.check("rights")
    }
}

/// The claims as they are read. Others may stand beside them and mean nothing here.
#[derive(Deserialize)]
struct Written {
    /// The issuer's name, by which the key was found.
    #[serde(rename = "iss")]
    _iss: String,
    /// The user.
    sub: String,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    aud: Option<Audience>,
    name: Option<String>,
    rights: Option<RightsClaim>,
}

/// The claims as the gateway writes them.
#[derive(Serialize)]
struct Minted<'a> {
    iss: &'a str,
    sub: &'a str,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<&'a RightsClaim>,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Several(names) => names.iter().any(|name| name == wanted),
        }
    }
}

/// Whether a credential has the form of a token: three parts.
pub(crate) fn looks_like_token(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whose token it says it is: the claim `iss`, which nothing proves yet.
///
/// # Errors
/// 401 `malformed_token`.
pub(crate) fn issuer_of(token: &str) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    let named: Named = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| {
        malformed("it is no JWT of three parts with the claim `iss`, the name of an issuer")
    })?;
    Ok(named.iss)
}

/// Checks a token of `issuer` and reads it.
///
/// # Errors
/// 401 `malformed_token`, `wrong_algorithm`, `invalid_signature`, `expired_token`, `early_token`, `wrong_audience`,
/// `long_token` and `invalid_claim`; 403 `user_not_allowed` is the caller's to find.
pub(crate) fn verify(
    verifier: &Verifier,
    spec: &IssuerSpec,
    token: &str,
    now: Timestamp,
) -> Result<Claims, Problem> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    jsonwebtoken::decode_header(token)
        .map_err(|_| malformed("its header cannot be read, or names no algorithm that is known"))?;
    let read = jsonwebtoken::decode::<Written>(token, &verifier.key, &verifier.validation());
    let token = read.map_err(|error| unverified(error.kind(), verifier.algorithm))?;
    if token.header.crit.is_some() {
        // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid; nothing is understood here.
        return Err(malformed(
            "its header has `crit`, and no extension is known",
        ));
    }
    let claims = token.claims;
    let expires_at = check_times(&claims, spec, now)?;
    if let Some(wanted) = &spec.audience
        && !claims.aud.as_ref().is_some_and(|aud| aud.names(wanted))
    {
        let detail = format!("its claim `aud` does not name {wanted:?}");
        return Err(refused("wrong_audience", detail).field("aud"));
    }
    let bad_claim = |problem: Problem| {
        let field = problem.field.unwrap_or_default();
        let detail = format!("its claim {field} {}", problem.detail);
        refused("invalid_claim", detail).field(field)
    };
    let user = UserId::parse("sub", &claims.sub).map_err(bad_claim)?;
    if let Some(name) = &claims.name {
        check_text("invalid_claim", "name", name, NAME_BYTES_MAX).map_err(bad_claim)?;
    }
    let rights = claims.rights.unwrap_or_default();
    rights.check().map_err(bad_claim)?;
    Ok(Claims {
        user,
        name: claims.name,
        expires_at,
        rights,
    })
}

/// When the token ends, if it is good now and not good for too long.
fn check_times(claims: &Written, spec: &IssuerSpec, now: Timestamp) -> Result<Timestamp, Problem> {
    let expires_at = claims.exp.ok_or_else(|| {
        let detail = "it has no `exp`; a token ends, and says when, in seconds since 1970";
        refused("invalid_claim", detail).field("exp")
    })?;
    let expires_at = instant("exp", expires_at)?;
    if expires_at <= now {
        let detail = format!("it ended at {expires_at}; get a new one");
        return Err(refused("expired_token", detail).field("exp"));
    }
    for (name, date) in [("nbf", claims.nbf), ("iat", claims.iat)] {
        let Some(date) = date else { continue };
        let date = instant(name, date)?;
        if date > now.plus(TOKEN_CLOCK_LEEWAY) {
            let detail = format!("it is good from {date}, and it is {now} here; set the clocks");
            return Err(refused("early_token", detail).field(name));
        }
    }
    let longest = Duration::from_secs(spec.lifetime_max);
    let from = claims.iat.map_or(Ok(now), |iat| instant("iat", iat))?;
    if expires_at > from.min(now).plus(longest).plus(TOKEN_CLOCK_LEEWAY) {
        let detail = format!(
            "it is good for longer than the {} seconds that its issuer allows",
            longest.as_secs()
        );
        return Err(refused("long_token", detail).field("exp"));
    }
    Ok(expires_at)
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn instant(field: &str, seconds: f64) -> Result<Timestamp, Problem> {
    if !(0.0..=NUMERIC_DATE_MAX).contains(&seconds) {
        let detail = "is no time in seconds since 1970";
        return Err(refused("invalid_claim", detail).field(field));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked just above"
    )]
    Ok(Timestamp::from_millis((seconds * 1000.0) as i64))
}

fn unverified(kind: &ErrorKind, algorithm: SigningAlgorithm) -> Problem {
    match kind {
        ErrorKind::InvalidSignature => refused(
            "invalid_signature",
            "its signature is not by the issuer that it names",
        ),
        ErrorKind::InvalidAlgorithm => wrong_algorithm(algorithm),
        ErrorKind::Json(error) => refused(
            "invalid_claim",
            format!("its claims cannot be read: {error}"),
        ),
        _ => malformed("it is no JWT of three parts of base64url"),
    }
}

fn wrong_algorithm(algorithm: SigningAlgorithm) -> Problem {
    let name = algorithm.as_str();
    let detail = format!("its header names another algorithm than its issuer's, {name}");
    refused("wrong_algorithm", detail).accepted(name)
}

fn too_large() -> Problem {
    malformed(&format!("a token has at most {TOKEN_BYTES_MAX} bytes"))
}

fn malformed(detail: &str) -> Problem {
    refused("malformed_token", detail.to_owned())
}

fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(
        ProblemKind::Unauthenticated,
        code,
        format!("the token is refused: {}", detail.into()),
    )
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    /// The issuer's name.
    pub(crate) issuer: &'a str,
    /// Whom it speaks for.
    pub(crate) user: &'a UserId,
    /// How that user is called.
    pub(crate) name: Option<String>,
    /// From when.
    pub(crate) now: Timestamp,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// What it asks for.
    pub(crate) rights: Option<RightsClaim>,
}

/// Signs a token with an HS256 issuer's secret.
///
/// # Errors
/// `internal`.
pub(crate) fn mint(spec: &IssuerSpec, secret: &str, draft: Draft<'_>) -> Result<String, Problem> {
    let claims = Minted {
        iss: draft.issuer,
        sub: draft.user.as_str(),
        exp: draft.expires_at.seconds(),
        iat: draft.now.seconds(),
        aud: spec.audience.as_deref(),
        name: draft.name.as_deref(),
        rights: draft.rights.as_ref(),
    };
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        Problem::new(
            ProblemKind::Internal,
            "internal",
            "the token could not be signed",
        )
    })
}
