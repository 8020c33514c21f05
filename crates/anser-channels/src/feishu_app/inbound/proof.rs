//! What proves that a request comes from Feishu: a signature made with the encrypt key, without such a key the
//! verification token, and for old cards a signature made with the token. Must not look at what an event says.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::inbound::{InboundRequest, Refusal, RefusalKind};
use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::kit::arrival::{hex, seconds};
use crate::kit::cbc::{self, BLOCK_BYTES, Key};
use crate::kit::inbound::{fresh, header, malformed, parse, same};

/// How old a signature may be. An event that is sent again comes up to 7.1 hours later, and whether it is signed anew is
/// not documented; what is repeated within this time is known by its dedupe key.
const SIGNED_MAX: Duration = Duration::from_secs(8 * 3600);
/// Hexadecimal digits of SHA-1.
const SHA1_DIGITS: usize = 40;
/// The type of the check of the URL.
const URL_CHECK: &str = "url_verification";
/// Bytes of the word that a check of the URL wants back.
const CHALLENGE_BYTES_MAX: usize = 1_024;

/// What is known to Feishu and us.
pub(in crate::feishu_app) struct Proof {
    encrypt_key: Option<EncryptKey>,
    token: Option<String>,
}

struct EncryptKey {
    text: String,
    /// Its SHA-256.
    key: Key,
}

/// What a request is, once it is proved.
pub(super) enum Proved {
    /// A check of the URL, which wants this word back.
    Check(String),
    /// An event.
    Event(Value),
    /// A click on a card of the old kind.
    Card(Value),
}

impl Proof {
    /// From the settings; `None` when they have neither.
    pub(in crate::feishu_app) fn new(
        encrypt_key: Option<String>,
        token: Option<String>,
    ) -> Option<Self> {
        let encrypt_key = encrypt_key.map(|text| {
            let mut key = Key::default();
            key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
            EncryptKey { text, key }
        });
        (encrypt_key.is_some() || token.is_some()).then_some(Self { encrypt_key, token })
    }

    /// What a request is.
    ///
    /// # Errors
    /// `unsigned`, `wrong_signature`, `stale_signature`; `malformed_event` for what is proved but cannot be read.
    pub(super) fn open(
        &self,
        request: &InboundRequest<'_>,
        now: Timestamp,
    ) -> Result<Proved, Refusal> {
        let given = header(request, "x-lark-signature").unwrap_or_default();
        if let Some(token) = self.token.as_deref().filter(|_| given.len() == SHA1_DIGITS) {
            signed(request, now, &SHA1_FOR_LEGACY_USE_ONLY, token)?;
            let value = self.read(request)?;
            // This signature proves a card and nothing else: events have one of their own.
            return if is_card(&value) {
                Ok(Proved::Card(value))
            } else {
                Err(malformed("signed as a card's click, and is none"))
            };
        }
        let Some(key) = &self.encrypt_key else {
            return self.open_by_token(request);
        };
        match signed(request, now, &SHA256, &key.text) {
            Ok(()) => {
                let value = self.read(request)?;
                if let Some(challenge) = self.challenge(&value, true) {
                    return Ok(Proved::Check(challenge));
                }
                if let (Some(_), Some(given)) = (&self.token, token_of(&value)) {
                    self.check_token(Some(given))?;
                }
                Ok(Proved::Event(value))
            }
            // The check of the URL is never signed. Whatever is wrong with what may be one, the answer is the same: it must
            // not tell which ciphertexts are well padded.
            Err(refusal) => {
                let check = self.read(request).ok().and_then(|value| {
                    let encrypted =
                        parse(request.body).is_ok_and(|body| encrypted(&body).is_some());
                    self.challenge(&value, encrypted)
                });
                check.map(Proved::Check).ok_or(refusal)
            }
        }
    }

    /// Without an encrypt key nothing is signed, and the token in the body is the proof.
    fn open_by_token(&self, request: &InboundRequest<'_>) -> Result<Proved, Refusal> {
        let value = parse(request.body)?;
        if encrypted(&value).is_some() {
            let detail = "it is encrypted: copy the app's Encrypt Key into settings.encrypt_key";
            return Err(Refusal::new(RefusalKind::Unsigned, detail));
        }
        self.check_token(token_of(&value))?;
        match self.challenge(&value, false) {
            Some(challenge) => Ok(Proved::Check(challenge)),
            None => Ok(Proved::Event(value)),
        }
    }

    fn check_token(&self, given: Option<&str>) -> Result<(), Refusal> {
        let (Some(token), Some(given)) = (&self.token, given) else {
            let detail = "the body has no verification token";
            return Err(Refusal::new(RefusalKind::Unsigned, detail));
        };
        same(given.as_bytes(), token.as_bytes(), "the verification token")
    }

    /// The word that a check of the URL wants back; `None` when it is none, or not proved by the token, or without one by
    /// being encrypted.
    fn challenge(&self, value: &Value, encrypted: bool) -> Option<String> {
        let is_check = value["type"] == URL_CHECK && value.get("schema").is_none();
        let proved = match &self.token {
            Some(_) => self.check_token(token_of(value)).is_ok(),
            None => encrypted,
        };
        let challenge = value["challenge"].as_str().filter(|_| is_check && proved)?;
        (challenge.len() <= CHALLENGE_BYTES_MAX).then(|| challenge.to_owned())
    }

    /// The body, decrypted where it is encrypted.
    fn read(&self, request: &InboundRequest<'_>) -> Result<Value, Refusal> {
        let body = parse(request.body)?;
        let Some(text) = encrypted(&body) else {
            return Ok(body);
        };
        let plain = self.encrypt_key.as_ref().and_then(|key| {
            let mut bytes = BASE64.decode(text).ok()?;
            let (iv, bytes) = bytes.split_first_chunk_mut::<BLOCK_BYTES>()?;
            cbc::decrypt(&key.key, iv, BLOCK_BYTES, bytes).map(<[u8]>::to_vec)
        });
        let detail = "what is encrypted cannot be opened with settings.encrypt_key";
        parse(&plain.ok_or_else(|| malformed(detail))?)
    }
}

/// Verifies the signature over the bytes as they came, encrypted or not.
fn signed(
    request: &InboundRequest<'_>,
    now: Timestamp,
    algorithm: &'static Algorithm,
    secret: &str,
) -> Result<(), Refusal> {
    let timestamp = header(request, "x-lark-request-timestamp")?;
    let nonce = header(request, "x-lark-request-nonce")?;
    let given = header(request, "x-lark-signature")?;
    let mut context = Context::new(algorithm);
    for part in [timestamp, nonce, secret] {
        context.update(part.as_bytes());
    }
    context.update(request.body);
    let right = hex(context.finish().as_ref());
    same(given.as_bytes(), right.as_bytes(), "the signature")?;
    let time = seconds(timestamp)
        .ok_or_else(|| malformed("the header x-lark-request-timestamp is no number of seconds"))?;
    fresh(time, SIGNED_MAX, now)
}

fn encrypted(body: &Value) -> Option<&str> {
    body.get("encrypt")?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The verification token, whose place is the schema's.
fn token_of(value: &Value) -> Option<&str> {
    let is_second = value["schema"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    let place = if is_second { "/header/token" } else { "/token" };
    value.pointer(place)?.as_str()
}

/// Whether it is a click on a card of the old kind.
pub(super) fn is_card(value: &Value) -> bool {
    value["action"].is_object()
        && ["schema", "header", "uuid", "event"]
            .iter()
            .all(|name| value.get(name).is_none())
}
