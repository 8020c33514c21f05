//! Signatures by Standard Webhooks 1.0.0: `v1` (HMAC-SHA256, secrets `whsec_…`) and `v1a` (Ed25519, secrets `whsk_…`,
//! public keys `whpk_…`) over `ID.TIMESTAMP.BODY`. Must never show a secret, not even in an error.

use anser_core::Problem;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;

/// What a shared secret begins with.
const SHARED_PREFIX: &str = "whsec_";
/// Bytes of a shared secret (Standard Webhooks: 24 to 64).
const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What the secret half of a key pair begins with.
const PRIVATE_PREFIX: &str = "whsk_";
/// What the public half of a key pair begins with.
const PUBLIC_PREFIX: &str = "whpk_";
/// Bytes of an Ed25519 seed (RFC 8032 section 5.1.5).
const SEED_BYTES: usize = 32;
/// What a secret looks like, for schemas and errors.
pub(crate) const SECRET_RULE: &str =
    "whsec_ and base64 of 24 to 64 bytes, or whsk_ and base64 of a 32-byte Ed25519 seed";

/// The kinds of secret that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// HMAC-SHA256.
    V1,
    /// Ed25519.
    V1a,
}

impl SecretKind {
    /// By its name, that of its signatures.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "v1" => Some(Self::V1),
            "v1a" => Some(Self::V1a),
            _ => None,
        }
    }

    /// A new secret from random bytes. A key pair is written as its seed, as the reference implementations read it.
    pub(crate) fn make(self, random: &[u8; 32]) -> String {
        let prefix = match self {
            Self::V1 => SHARED_PREFIX,
            Self::V1a => PRIVATE_PREFIX,
        };
        format!("{prefix}{}", BASE64.encode(random))
    }
}

/// A secret that is ready to sign.
pub(crate) enum SigningKey {
    /// `v1`.
    Shared(Box<hmac::Key>),
    /// `v1a`.
    Pair(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a secret: `whsec_`, or `whsk_` with a seed or with seed and public key (64 bytes, as libsodium writes it).
    ///
    /// # Errors
    /// `invalid_secret` at `field`, without the secret.
    pub(crate) fn parse(field: &str, secret: &str) -> Result<Self, Problem> {
        let invalid =
            |detail: &str| Problem::invalid("invalid_secret", field, detail).accepted(SECRET_RULE);
        let decode = |text: &str| {
            BASE64
                .decode(text)
                .map_err(|_| invalid("must be standard base64 with padding after its prefix"))
        };
        if let Some(text) = secret.strip_prefix(SHARED_PREFIX) {
            let bytes = decode(text)?;
            if !SHARED_BYTES.contains(&bytes.len()) {
                return Err(invalid("must have 24 to 64 bytes once decoded"));
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            return Ok(Self::Shared(Box::new(key)));
        }
        let Some(text) = secret.strip_prefix(PRIVATE_PREFIX) else {
            return Err(invalid("must begin with whsec_ or whsk_"));
        };
        let bytes = decode(text)?;
        let pair = match bytes.len() {
            SEED_BYTES => Ed25519KeyPair::from_seed_unchecked(&bytes),
            64 => {
                Ed25519KeyPair::from_seed_and_public_key(&bytes[..SEED_BYTES], &bytes[SEED_BYTES..])
            }
            _ => return Err(invalid("must have 32 or 64 bytes once decoded")),
        };
        let pair = pair.map_err(|_| invalid("its public half does not belong to its seed"))?;
        Ok(Self::Pair(Box::new(pair)))
    }

    /// The public key to hand to receivers, `whpk_…`; `None` for a shared secret.
    pub(crate) fn public_key(&self) -> Option<String> {
        match self {
            Self::Shared(_) => None,
            Self::Pair(pair) => Some(format!(
                "{PUBLIC_PREFIX}{}",
                BASE64.encode(pair.public_key().as_ref())
            )),
        }
    }

    fn sign(&self, prefix: &str, body: &[u8]) -> String {
        match self {
            Self::Shared(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(prefix.as_bytes());
                context.update(body);
                format!("v1,{}", BASE64.encode(context.sign()))
            }
            Self::Pair(pair) => {
                let signed = [prefix.as_bytes(), body].concat();
                format!("v1a,{}", BASE64.encode(pair.sign(&signed)))
            }
        }
    }
}

/// The value of `webhook-signature`: one signature a key, split by blanks; `None` without a key. `timestamp` is in
/// seconds since 1970, and `id` must not contain a full stop.
pub(crate) fn signature<'a>(
    keys: impl Iterator<Item = &'a SigningKey>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Option<HeaderValue> {
    let prefix = format!("{id}.{timestamp}.");
    let signatures: Vec<String> = keys.map(|key| key.sign(&prefix, body)).collect();
    if signatures.is_empty() {
        return None;
    }
    let value = HeaderValue::try_from(signatures.join(" "))
        .expect("signatures are base64, commas and blanks");
    Some(value)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The symmetric vector of the reference libraries.
    const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SHARED_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    /// The asymmetric vector of the reference library in Go.
    const PRIVATE: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const PRIVATE_SIGNATURE: &str = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

    fn parse(secret: &str) -> SigningKey {
        SigningKey::parse("settings.secret", secret).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn signed(keys: &[&SigningKey]) -> Option<HeaderValue> {
        signature(keys.iter().copied(), ID, TIMESTAMP, BODY)
    }

    #[test]
    fn known_answers() {
        let (shared, pair) = (parse(SHARED), parse(PRIVATE));
        assert_eq!(signed(&[&shared]).unwrap(), SHARED_SIGNATURE);
        assert_eq!(signed(&[&pair]).unwrap(), PRIVATE_SIGNATURE);
        assert_eq!(
            signed(&[&pair, &shared]).unwrap(),
            format!("{PRIVATE_SIGNATURE} {SHARED_SIGNATURE}").as_str()
        );
        assert!(signed(&[]).is_none());
        assert!(shared.public_key().is_none());
    }

    #[test]
    fn the_public_key_verifies_what_the_private_key_signs() {
        let secret = SecretKind::V1a.make(&[7; 32]);
        let pair = parse(&secret);
        let public = pair.public_key().unwrap();
        let public = BASE64
            .decode(public.strip_prefix("whpk_").unwrap())
            .unwrap();
        let value = signed(&[&pair]).unwrap();
        let signature = BASE64
            .decode(value.to_str().unwrap().strip_prefix("v1a,").unwrap())
            .unwrap();
        let message = format!("{ID}.{TIMESTAMP}.{}", std::str::from_utf8(BODY).unwrap());
        let verifier = UnparsedPublicKey::new(&ED25519, &public);
        verifier.verify(message.as_bytes(), &signature).unwrap();
        assert!(verifier.verify(b"another", &signature).is_err());

        let seed_and_public = format!("whsk_{}", BASE64.encode([&[7; 32], &public[..]].concat()));
        assert_eq!(signed(&[&parse(&seed_and_public)]), Some(value));
    }

    #[test]
    fn new_secrets_can_be_read() {
        for (name, prefix) in [("v1", "whsec_"), ("v1a", "whsk_")] {
            let secret = SecretKind::parse(name).unwrap().make(&[9; 32]);
            assert!(secret.starts_with(prefix));
            parse(&secret);
        }
        assert_eq!(SecretKind::parse("v2"), None);
    }

    #[test]
    fn bad_secrets_are_refused_and_not_repeated() {
        let shared = |length: usize| format!("whsec_{}", BASE64.encode(vec![1; length]));
        let private = |length: usize| format!("whsk_{}", BASE64.encode(vec![1; length]));
        for bad in [
            "hunter2".to_owned(),
            "whsec_".to_owned(),
            "whsec_!!!!".to_owned(),
            "whpk_AAAA".to_owned(),
            shared(23),
            shared(65),
            private(31),
            private(33),
            private(64),
        ] {
            let problem = SigningKey::parse("settings.secret", &bad).err().unwrap();
            assert_eq!(problem.code, "invalid_secret", "{bad}");
            assert_eq!(problem.field.as_deref(), Some("settings.secret"));
            assert!(bad.len() < 8 || !format!("{problem:?}").contains(&bad));
        }
        for good in [shared(24), shared(64)] {
            parse(&good);
        }
    }
}
