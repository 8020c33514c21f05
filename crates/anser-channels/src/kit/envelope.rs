//! The envelope in which WeCom, WeChat and DingTalk wrap what they send: SHA-1 over the sorted token, time, nonce and
//! ciphertext, and AES-256-CBC over random bytes, length, message and the receiver's id. Must not know whose it is.

use std::time::Duration;

use anser_core::inbound::{InboundContext, InboundRequest, Refusal};
use anser_core::{Problem, Timestamp};
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, NO_PAD, STANDARD as BASE64,
};
use bytes::Bytes;

use super::arrival::{hex, query, seconds};
use super::cbc::{self, BLOCK_BYTES, Key};
use super::inbound::{fresh, malformed, same};
use super::settings::check_credential;

/// Characters of a key as the platforms show it: base64 of 32 bytes without its `=`.
const KEY_CHARS: usize = 43;
/// To how many bytes a message is padded (WeCom, "Encryption and decryption scheme", path 90968).
const PAD_BYTES: usize = 32;
/// Random bytes before the message.
const RANDOM_BYTES: usize = 16;
/// Bytes of the message's length, after the random ones.
const LENGTH_BYTES: usize = 4;
/// The last of the 43 characters holds two bits that belong to no byte, and platforms make keys of any characters.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::with_decode_allow_trailing_bits(NO_PAD, true),
);

/// What opens and closes envelopes of one receiver.
pub(crate) struct Envelope {
    token: String,
    key: Key,
    receiver: String,
}

/// What the query of a request says of its envelope.
pub(crate) struct Signed {
    /// Hexadecimal SHA-1.
    pub(crate) signature: String,
    /// When it was signed, as written.
    pub(crate) timestamp: String,
    /// A word that differs each time.
    pub(crate) nonce: String,
}

/// A closed envelope.
pub(crate) struct Sealed {
    /// Base64.
    pub(crate) encrypted: String,
    /// Hexadecimal SHA-1.
    pub(crate) signature: String,
}

impl Signed {
    /// Reads it from the query, where the signature has one of `names`.
    ///
    /// # Errors
    /// `unsigned` when something is missing or there twice.
    pub(crate) fn read(request: &InboundRequest<'_>, names: &[&str]) -> Result<Self, Refusal> {
        let mut signature = Err(malformed("the query has no signature"));
        for name in names {
            signature = query(request, name);
            if signature.is_ok() {
                break;
            }
        }
        Ok(Self {
            signature: signature?,
            timestamp: query(request, "timestamp")?,
            nonce: query(request, "nonce")?,
        })
    }
}

/// Reads a key as its platform shows it.
///
/// # Errors
/// `invalid_secret` at `field`, without the key.
fn parse_key(field: &str, text: &str) -> Result<Key, Problem> {
    let bytes = (text.len() == KEY_CHARS)
        .then(|| KEY_BASE64.decode(text).ok())
        .flatten();
    bytes
        .and_then(|bytes| Key::try_from(bytes).ok())
        .ok_or_else(|| {
            let detail = "is no key of this platform: copy its 43 letters and digits again";
            Problem::invalid("invalid_secret", field, detail)
        })
}

/// Token and key of settings, each with its field, that have both or neither.
///
/// # Errors
/// `invalid_secret`; `missing_field` at the one that is missing.
pub(crate) fn settings(
    (token_field, token): (&str, Option<String>),
    (key_field, key): (&str, Option<String>),
) -> Result<Option<(String, Key)>, Problem> {
    let missing = |field: &str| {
        let detail = "is missing: what the platform sends is read with the token and the key";
        Problem::invalid("missing_field", field, detail)
    };
    match (token, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(key_field)),
        (None, Some(_)) => Err(missing(token_field)),
        (Some(token), Some(key)) => {
            check_credential(token_field, &token, "the token")?;
            Ok(Some((token, parse_key(key_field, &key)?)))
        }
    }
}

impl Envelope {
    /// For what is signed with `token`, encrypted with `key` and meant for `receiver`.
    pub(crate) fn new(token: String, key: Key, receiver: String) -> Self {
        Self {
            token,
            key,
            receiver,
        }
    }

    /// Verifies an envelope that is at most `most` old, and opens it.
    ///
    /// # Errors
    /// `wrong_signature`; `stale_signature`; `malformed_event` for what is signed but cannot be read.
    pub(crate) fn open(
        &self,
        signed: &Signed,
        encrypted: &str,
        most: Duration,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let right = self.signature(&signed.timestamp, &signed.nonce, encrypted);
        same(
            signed.signature.as_bytes(),
            right.as_bytes(),
            "the signature",
        )?;
        let time = seconds(&signed.timestamp)
            .ok_or_else(|| malformed("the timestamp is no number of seconds or milliseconds"))?;
        fresh(time, most, now)?;
        let (mut message, receiver) = self
            .decrypt(encrypted)
            .ok_or_else(|| malformed("what is encrypted is no message that the key opens"))?;
        let receiver = message.split_off(receiver);
        same(&receiver, self.receiver.as_bytes(), "the receiver's id")?;
        Ok(message)
    }

    /// The message with the receiver's id behind it, and where that begins.
    fn decrypt(&self, encrypted: &str) -> Option<(Vec<u8>, usize)> {
        let mut bytes = BASE64.decode(encrypted).ok()?;
        let plain = cbc::decrypt(&self.key, &self.iv(), PAD_BYTES, &mut bytes)?;
        let (length, rest) = plain
            .get(RANDOM_BYTES..)?
            .split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (length <= rest.len()).then(|| (rest.to_vec(), length))
    }

    /// Closes an envelope around `message`.
    pub(crate) fn seal(
        &self,
        message: &[u8],
        timestamp: &str,
        nonce: &str,
        context: &InboundContext<'_>,
    ) -> Sealed {
        let length = u32::try_from(message.len()).expect("an answer is a few bytes");
        let plain = [
            &context.random[..],
            &length.to_be_bytes(),
            message,
            self.receiver.as_bytes(),
        ]
        .concat();
        let encrypted = BASE64.encode(cbc::encrypt(&self.key, &self.iv(), PAD_BYTES, plain));
        let signature = self.signature(timestamp, nonce, &encrypted);
        Sealed {
            encrypted,
            signature,
        }
    }

    /// The vector is the beginning of the key.
    fn iv(&self) -> [u8; BLOCK_BYTES] {
        let (iv, _) = self
            .key
            .split_first_chunk()
            .expect("a key is longer than a block");
        *iv
    }

    fn signature(&self, timestamp: &str, nonce: &str, encrypted: &str) -> String {
        let mut parts = [&*self.token, timestamp, nonce, encrypted];
        parts.sort_unstable();
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        for part in parts {
            context.update(part.as_bytes());
        }
        hex(context.finish().as_ref())
    }
}

/// The member `encrypt` of a body of JSON.
///
/// # Errors
/// `malformed_event`.
pub(crate) fn encrypted_json(body: &Bytes) -> Result<String, Refusal> {
    #[derive(serde::Deserialize)]
    struct Body {
        encrypt: String,
    }
    serde_json::from_slice::<Body>(body)
        .map(|body| body.encrypt)
        .map_err(|_| malformed("the body is no JSON object with a text \"encrypt\""))
}
