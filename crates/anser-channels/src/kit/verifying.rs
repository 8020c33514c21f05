//! Signatures of Standard Webhooks 1.0.0 as a receiver checks them: `v1` (HMAC-SHA256, secrets `whsec_…`) and `v1a` (Ed25519,
//! public keys `whpk_…`) over `ID.TIMESTAMP.BODY`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). Must not read the body.

use anser_core::Problem;
use anser_core::inbound::Refusal;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::inbound::forged;

/// What a shared secret begins with.
const SHARED_PREFIX: &str = "whsec_";
/// Bytes of a shared secret.
const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What a public key begins with.
const PUBLIC_PREFIX: &str = "whpk_";
/// Bytes of an Ed25519 public key.
const PUBLIC_BYTES: usize = 32;
/// Signatures of one request that are looked at: one for each secret that is in use at once.
const SIGNATURES_MAX: usize = 32;
/// What a secret looks like.
pub(crate) const RULE: &str =
    "whsec_ and base64 of 24 to 64 bytes, or whpk_ and base64 of a 32-byte Ed25519 public key";

/// What checks signatures.
pub(crate) enum VerifyingKey {
    /// `v1`.
    Shared(Box<hmac::Key>),
    /// `v1a`.
    Public(Box<ParsedPublicKey>),
}

impl VerifyingKey {
    /// Reads a shared secret or a public key.
    ///
    /// # Errors
    /// `invalid_secret` at `field`, without it.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let invalid = || {
            let detail = "is no secret and no public key of Standard Webhooks";
            Problem::invalid("invalid_secret", field, detail).accepted(RULE)
        };
        if let Some(text) = text.strip_prefix(SHARED_PREFIX) {
            let bytes = BASE64.decode(text).map_err(|_| invalid())?;
            if !SHARED_BYTES.contains(&bytes.len()) {
                return Err(invalid());
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            return Ok(Self::Shared(Box::new(key)));
        }
        let text = text.strip_prefix(PUBLIC_PREFIX).ok_or_else(invalid)?;
        let bytes = BASE64.decode(text).map_err(|_| invalid())?;
        if bytes.len() != PUBLIC_BYTES {
            return Err(invalid());
        }
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| invalid())?;
        Ok(Self::Public(Box::new(key)))
    }

    /// Refuses a list of signatures, split by blanks, of which none is right.
    ///
    /// # Errors
    /// `wrong_signature`.
    pub(crate) fn verify(
        &self,
        id: &str,
        timestamp: &str,
        body: &[u8],
        signatures: &str,
        what: &str,
    ) -> Result<(), Refusal> {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let version = match self {
            Self::Shared(_) => "v1",
            Self::Public(_) => "v1a",
        };
        let mut given = signatures
            .split(' ')
            .take(SIGNATURES_MAX)
            .filter_map(|one| one.split_once(','))
            .filter(|(of, _)| *of == version)
            .map(|(_, signature)| signature);
        let is_right = match self {
            Self::Shared(key) => {
                let expected = BASE64.encode(hmac::sign(key, &signed));
                given
                    .any(|one| verify_slices_are_equal(one.as_bytes(), expected.as_bytes()).is_ok())
            }
            Self::Public(key) => given.any(|one| {
                let one = BASE64.decode(one);
                one.is_ok_and(|one| key.verify_sig(&signed, &one).is_ok())
            }),
        };
        if is_right { Ok(()) } else { Err(forged(what)) }
    }
}
