//! Secrets of channels: encrypted at rest, masked where they are shown, kept where a change leaves them out. Which
//! fields are secret says the settings schema of the kind (`"writeOnly": true`). Must not log or show a secret.

mod fields;

#[cfg(test)]
mod tests;

use anser_core::Problem;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub use fields::MASK;
pub(crate) use fields::{Absent, keep, mask};

/// What begins every sealed text: the form and its version.
const SEALED_PREFIX: &str = "sealed:v1:";
/// Bytes of the master key: AES-256.
pub const MASTER_KEY_BYTES: usize = 32;

/// Encrypts secrets with the master key: AES-256-GCM with a random nonce, bound to the resource and the field so that a
/// sealed text is of no use in another place.
pub struct Sealer {
    key: RandomizedNonceKey,
}

/// A sealed text cannot be opened: another master key, another place, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be decrypted with this master key")]
pub struct OpenError;

impl Sealer {
    /// A sealer with this master key.
    #[must_use]
    pub fn new(master_key: &[u8; MASTER_KEY_BYTES]) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master_key)
            .expect("AES-256-GCM takes every key of 32 bytes");
        Self { key }
    }

    /// Seals `plain` for `place`.
    ///
    /// # Errors
    /// `internal` when the cryptographic library refuses.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<String, Problem> {
        let mut buffer = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(place), &mut buffer)
            .map_err(|_| {
                Problem::new(
                    anser_core::ProblemKind::Internal,
                    "internal",
                    "a secret could not be encrypted",
                )
            })?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut buffer);
        Ok(format!("{SEALED_PREFIX}{}", STANDARD.encode(sealed)))
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, OpenError> {
        let text = sealed.strip_prefix(SEALED_PREFIX).ok_or(OpenError)?;
        let mut bytes = STANDARD.decode(text).map_err(|_| OpenError)?;
        if bytes.len() < NONCE_LEN {
            return Err(OpenError);
        }
        let mut buffer = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| OpenError)?;
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place), &mut buffer)
            .map_err(|_| OpenError)?;
        Ok(plain.to_vec())
    }

    /// The settings with every secret sealed; `context` names the resource.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub(crate) fn seal_settings(
        &self,
        context: &str,
        schema: &Value,
        settings: &Value,
    ) -> Result<Value, Problem> {
        let mut sealed = settings.clone();
        for path in fields::secret_paths(schema, settings) {
            if let Some(value) = path.get_mut(&mut sealed) {
                let plain = value.to_string();
                *value = self
                    .seal(&place(context, &path.to_string()), plain.as_bytes())?
                    .into();
            }
        }
        Ok(sealed)
    }

    /// The settings with every secret opened. A value that is not sealed stays as it is: the version that wrote it did
    /// not take its field for a secret yet.
    ///
    /// # Errors
    /// The path of the field that cannot be opened.
    pub(crate) fn open_settings(
        &self,
        context: &str,
        schema: &Value,
        settings: &Value,
    ) -> Result<Value, String> {
        let mut opened = settings.clone();
        for path in fields::secret_paths(schema, settings) {
            let Some(value) = path.get_mut(&mut opened) else {
                continue;
            };
            let Some(sealed) = value
                .as_str()
                .filter(|text| text.starts_with(SEALED_PREFIX))
            else {
                continue;
            };
            let field = path.to_string();
            let plain = self
                .open(&place(context, &field), sealed)
                .map_err(|_| field.clone())?;
            *value = serde_json::from_slice(&plain).map_err(|_| field)?;
        }
        Ok(opened)
    }
}

fn place(context: &str, field: &str) -> String {
    format!("{context} {field}")
}

/// Reads a master key as an operator writes it: 64 hexadecimal digits, or Base64 of 32 bytes.
///
/// # Errors
/// `invalid_master_key`.
pub fn parse_master_key(text: &str) -> Result<[u8; MASTER_KEY_BYTES], Problem> {
    let text = text.trim();
    let bytes = if text.len() == 2 * MASTER_KEY_BYTES {
        parse_hex(text)
    } else {
        STANDARD.decode(text).ok()
    };
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            Problem::new(
                anser_core::ProblemKind::Invalid,
                "invalid_master_key",
                "a master key is 32 bytes, written as 64 hexadecimal digits or as Base64",
            )
        })
}

/// Bytes written as pairs of hexadecimal digits; `None` when they are not.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect()
}

/// Bytes as pairs of lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
